from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from sources.pictures.panels import Region, panels_of
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
