import io
import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from filters import ocr
from filters.burned_in import Box
from filters.phi_pictures import Examination, covered
from sources.pictures import Limits
from tests.filters.planted_writing import write
from tests.filters.test_burned_in import grounds

needs_reader = pytest.mark.skipif(not ocr.is_installed(), reason="the reader of writing of [phi] is not installed")


def test_a_cover_hides_every_pixel_of_its_box_and_leaves_what_is_far() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    hidden = covered(pixels, [Box(40, 30, 70, 40)])
    assert len(np.unique(hidden[30:40, 40:70].reshape(-1, 3), axis=0)) == 1
    assert (hidden[:20] == pixels[:20]).all()


@pytest.mark.parametrize("box", [Box(5, 5, 3, 3), Box(30, 10, 10, 20), Box(70, 5, 80, 9)])
def test_a_box_that_would_cover_nothing_is_an_error(box: Box) -> None:
    with pytest.raises(ValueError, match="covers nothing"):
        covered(np.zeros((64, 64), np.uint8), [box])


def bytes_of(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def marked() -> np.ndarray:
    pixels = grounds(1)[0]
    cv2.putText(pixels, "OKONKWO, ADAEZE", (20, 100), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
    return pixels


def under_full_transparency() -> bytes:
    return bytes_of(Image.merge("LA", [Image.fromarray(marked()), Image.new("L", (400, 320), 0)]))


def half_transparent() -> bytes:
    return bytes_of(Image.merge("RGBA", [Image.fromarray(marked())] * 3 + [Image.new("L", (400, 320), 160)]))


def palette_all_of_it_transparent() -> bytes:
    return bytes_of(Image.fromarray(marked()).convert("RGB").quantize(255), transparency=bytes(255))


def sixteen_bits_with_one_bright_corner() -> bytes:
    pixels = marked().astype(np.uint16)
    pixels[280:, 350:] = 60_000
    return bytes_of(Image.fromarray(pixels))


def sixteen_bits() -> bytes:
    return bytes_of(Image.fromarray(marked().astype(np.uint16) * 16))


def cmyk() -> bytes:
    return bytes_of(Image.fromarray(marked()).convert("CMYK"), "JPEG", quality=95)


def second_frame_of_an_animation() -> bytes:
    plain, written = Image.fromarray(grounds(1)[0]), Image.fromarray(marked())
    return bytes_of(plain, "GIF", save_all=True, append_images=[written])


@pytest.mark.parametrize(
    "file",
    [under_full_transparency, half_transparent, palette_all_of_it_transparent, sixteen_bits_with_one_bright_corner,
     sixteen_bits, cmyk, second_frame_of_an_animation],
)  # fmt: skip
def test_writing_is_seen_as_any_reader_of_the_stored_file_would_see_it(file: Callable[[], bytes]) -> None:
    look = Examination(writing=True, reading="none", timeout_s=60, verify=True)
    frame = 1 if file is second_frame_of_an_animation else 0
    row = look.examine("0" * 32, file(), frame, Limits())
    assert any(box["top"] < 100 < box["bottom"] + 10 and box["left"] < 60 for box in row["boxes"])


def test_a_plain_picture_under_any_transparency_has_no_writing() -> None:
    look = Examination(writing=True, reading="none", timeout_s=60, verify=True)
    plain = Image.merge("LA", [Image.fromarray(grounds(1)[0]), Image.new("L", (400, 320), 100)])
    assert look.examine("0" * 32, bytes_of(plain), 0, Limits())["boxes"] == []


@needs_reader
def test_writing_is_told_by_kind_place_and_length_and_never_by_what_it_says() -> None:
    ground = grounds(1)[0]
    draw = random.Random(4)
    written = write(ground, "MRN 74362968", "id", draw)
    while written.size < 18 or written.contrast < 100:
        written = write(ground, "MRN 74362968", "id", draw)
    found = Examination(writing=True, reading="rapidocr", timeout_s=60, verify=True)._written(
        [written.pixels], said=False
    )
    assert [box["kind"] for box in found["boxes"]].count("id") >= 1
    assert found["left_over"] is False
    assert "7436" not in repr(found)
