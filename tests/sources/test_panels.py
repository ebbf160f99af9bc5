from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from pipelines.bisect import bisect
from pipelines.errors import UsageError, presentable
from sources.pictures import open_picture, panel_labels, panel_seams
from sources.pictures.panel_labels import GLYPHS, Label
from sources.pictures.panels import FIRST_PANEL, Region, figure_panels, panels_of
from sources.shipped import PackageError
from tests.dedup.test_fingerprints import scene

Grey = npt.NDArray[np.uint8]


def figure(rows: int, columns: int, gutter: int, level: int, caption: int = 0) -> tuple[Grey, list[Region]]:
    """A figure of pictures 200 x 240 with captions below each, and where the pictures lie."""
    tall, wide = 200 + caption + gutter, 240 + gutter
    page = np.full((rows * tall + gutter, columns * wide + gutter), level, np.uint8)
    places = []
    for row in range(rows):
        for column in range(columns):
            top, left = gutter + row * tall, gutter + column * wide
            page[top : top + 200, left : left + 240] = np.clip(scene(10 * row + column, 200, 240), 40, 210)
            if caption:
                words = f"({row}{column}) axial slice"
                cv2.putText(page, words, (left, top + 200 + caption - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0, 1)
            places.append(Region(top, top + 200, left, left + 240))
    return page, places


def near(found: list[Region], expected: list[Region], slack: int) -> bool:
    return len(found) == len(expected) and all(
        abs(edge - other) <= slack
        for one, two in zip(found, expected, strict=True)
        for edge, other in zip(one, two, strict=True)
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (2, 1), (2, 2), (2, 3), (3, 3)])
@pytest.mark.parametrize("level", [255, 0])
def test_panels_between_white_or_black_gutters_are_found(rows: int, columns: int, level: int) -> None:
    page, places = figure(rows, columns, 10, level)
    assert near(panels_of(page), places, 1)


def test_captions_below_panels_are_cut_off() -> None:
    page, places = figure(2, 2, 12, 255, caption=40)
    assert near(panels_of(page), places, 3)


def test_a_large_panel_beside_two_small_ones_is_split_again() -> None:
    right, places = figure(2, 1, 10, 255)
    left = cv2.resize(np.clip(scene(7, 200, 240), 40, 210), (300, right.shape[0] - 20))
    page = np.hstack(
        [np.full((right.shape[0], 10), 255, np.uint8), np.pad(left, ((10, 10), (0, 0)), constant_values=255), right]
    )
    found = panels_of(page)
    assert len(found) == 3
    assert Region(10, right.shape[0] - 10, 10, 310) in found
    shifted = [Region(top, bottom, a + 310, b + 310) for top, bottom, a, b in places]
    assert all(place in found for place in shifted)


def test_gutters_survive_a_strong_jpeg() -> None:
    page, places = figure(2, 2, 10, 255)
    encoded = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    assert near(panels_of(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)), places, 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture,
        lambda picture: cv2.copyMakeBorder(picture, 60, 60, 0, 0, cv2.BORDER_CONSTANT, value=0),
        lambda picture: np.full_like(picture, 255),
        lambda picture: picture[:20, :20],
    ],
    ids=["a picture", "a letterboxed picture", "a blank page", "a tiny picture"],
)
def test_a_picture_in_one_piece_has_no_panels(change: Callable[[Grey], Grey]) -> None:
    assert panels_of(change(scene(1, 300, 320))) == []


def lettered(rows: int, columns: int, letters: str) -> tuple[Grey, list[Region]]:
    """A figure of touching pictures 200 x 240, each with its letter on a box near its upper left corner."""
    page = np.zeros((rows * 200, columns * 240), np.uint8)
    places = []
    for number in range(rows * columns):
        top, left = number // columns * 200, number % columns * 240
        picture = np.clip(scene(10 * number + 3, 200, 240), 40, 210)
        page[top : top + 200, left : left + 240] = picture
        drawn = Image.new("L", (50, 50))
        ImageDraw.Draw(drawn).text((12, 2), letters[number], fill=255, font=ImageFont.load_default(34))
        if letters[number] != " ":
            page[top + 4 : top + 54, left + 4 : left + 54] = np.asarray(drawn)
        places.append(Region(top, top + 200, left, left + 240))
    return page, places


@pytest.mark.parametrize(
    ("rows", "columns", "letters"), [(1, 2, "AB"), (2, 1, "AB"), (2, 2, "ABCD"), (2, 3, "ABCDEF"), (2, 2, "ACBD")]
)
def test_panels_that_touch_are_cut_where_each_has_its_letter(rows: int, columns: int, letters: str) -> None:
    page, places = lettered(rows, columns, letters)
    assert panels_of(page) == []
    assert near(figure_panels(Image.fromarray(page)), places, 2)


def test_black_on_white_letters_and_a_strong_jpeg_are_read() -> None:
    page, places = lettered(2, 2, "ABCD")
    for top, _, left, _ in places:
        page[top + 4 : top + 54, left + 4 : left + 54] ^= 255
    encoded = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    assert near(figure_panels(Image.fromarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))), places, 2)


@pytest.mark.parametrize("letters", ["  ", "A ", "LR", "BC", "AA", "AC"])
def test_without_letters_in_order_from_the_first_a_figure_stays_whole(letters: str) -> None:
    page, _ = lettered(1, 2, letters)
    assert figure_panels(Image.fromarray(page)) == []


def test_letters_on_one_picture_are_not_panels() -> None:
    page = np.clip(scene(3, 400, 480), 40, 210)
    marks, _ = lettered(1, 2, "AB")
    for left in (4, 244):
        page[4:54, left : left + 50] = marks[4:54, left : left + 50]
    assert figure_panels(Image.fromarray(page)) == []


def test_letters_of_which_two_have_no_seam_between_them_are_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    levels = [60, 150, 60, 150, 60, 60, 150, 60, 150, 60, 150, 60]
    page = np.hstack([np.clip(rng.normal(level, 3, (200, 60)), 0, 255) for level in levels]).astype(np.uint8)
    labels = [Label(number, 1.0, 4, 24, 60 * number + 6, 60 * number + 20) for number in range(12)]
    looked, real = [], panel_seams.seams

    def watched(part: Grey) -> npt.NDArray[np.float32]:
        looked.append(part.shape)
        return real(part)

    monkeypatch.setattr(panel_seams, "seams", watched)
    corner = panel_seams.Corner(above=True, left=True, down=40, across=40)
    assert panel_seams.cut_between(page, Region(0, 200, 0, 720), labels, corner) == []
    assert len(looked) <= 2 * (12 * 13 // 2)  # the runs of neighbours, both ways; every way to cut them has 37,232
    assert len(panel_seams.cut_between(page[:, :300], Region(0, 200, 0, 300), labels[:5], corner)) == 5


def test_heads_on_black_that_no_gutter_parts_sharply_are_cut_between_letters() -> None:
    page = np.zeros((300, 600), np.uint8)
    for number, letter in enumerate("AB"):
        head = np.zeros((300, 300), np.uint8)
        cv2.circle(head, (150, 160), 100, 180, -1)
        page[:, 300 * number : 300 * (number + 1)] = cv2.GaussianBlur(head, (0, 0), 12)
        drawn = Image.fromarray(page)
        ImageDraw.Draw(drawn).text((300 * number + 8, 4), letter, fill=255, font=ImageFont.load_default(30))
        page = np.array(drawn)
    found = figure_panels(Image.fromarray(page))
    assert len(found) == 2
    assert found[0].right <= found[1].left


@pytest.mark.parametrize("kept", [None, 0, 1000, -1], ids=["missing", "empty", "truncated", "flipped"])
def test_damaged_letters_of_this_package_are_blamed_on_no_picture_and_end_the_run(
    kept: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = GLYPHS.read_bytes()
    monkeypatch.setattr(panel_labels, "GLYPHS", tmp_path / "panel_glyphs.npz")
    if kept is not None:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        panel_labels.GLYPHS.write_bytes(data[:kept] if kept >= 0 else flipped)
    png = cv2.imencode(".png", lettered(1, 2, "AB")[0])[1].tobytes()
    panel_labels._drawn.cache_clear()
    try:
        with pytest.raises(PackageError, match=r"panel_glyphs\.npz of this package cannot be used") as caught:
            list(bisect(lambda _start, _stop: open_picture(png).frame(FIRST_PANEL), 2))
    finally:
        panel_labels._drawn.cache_clear()
    shown = presentable(caught.value, "measure 1")
    assert isinstance(shown, UsageError)
    assert shown.message.endswith("install curate again")
