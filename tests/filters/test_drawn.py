import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from filters.drawn import DrawnMarks, marks_of
from filters.images import fault_of
from filters.quality_rules import RULE_SETS
from tests.end_to_end.phi_corpora import Planted, noise_ground

LIMITS = {**RULE_SETS["default"], "max_ruled": 4.0}


def reason(picture: Image.Image) -> str | None:
    seen = DrawnMarks().measure(np.asarray(picture), picture)
    row = {"width": picture.width, "height": picture.height, "entropy": 3.0, "watermarked": None, **seen}
    fault = fault_of(row, LIMITS)
    return None if fault is None else str(fault.reason)


def as_jpeg(picture: Image.Image) -> Image.Image:
    kept = io.BytesIO()
    picture.save(kept, "JPEG", quality=80)
    return Image.open(io.BytesIO(kept.getvalue())).convert("L")


@pytest.mark.parametrize("text", ["No image available", "404", "Preview not available"])
@pytest.mark.parametrize("level", [255, 221, 0])
def test_a_line_of_text_on_an_even_ground_is_a_placeholder(text: str, level: int) -> None:
    picture = Image.new("L", (400, 300), level)
    ImageDraw.Draw(picture).text((60, 130), text, fill=128, font=ImageFont.load_default(24))
    assert reason(picture) == reason(as_jpeg(picture)) == "quality.placeholder"


def test_cells_on_a_dark_ground_and_a_collimated_film_are_no_placeholders() -> None:
    random = np.random.default_rng(7)
    texture = cv2.GaussianBlur(random.normal(140, 90, (512, 512)), (0, 0), 1.2)
    rows, columns = np.mgrid[:512, :512]
    cells = random.integers(0, 7, (512, 512)).astype(np.float64)
    film = cells.copy()
    for y, x in random.integers(20, 490, (20, 2)):
        cell = np.hypot(rows - y, columns - x) < 14
        cells[cell] = texture[cell]
    film[200:310, 200:290] = texture[200:310, 200:290]
    for picture in (cells, film):
        shown = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        assert marks_of(np.asarray(shown))["marks"] <= LIMITS["placeholder_marks"]
        assert reason(shown) is reason(as_jpeg(shown)) is None


def test_an_icon_with_a_filled_shape_is_a_placeholder() -> None:
    picture = Image.new("L", (500, 400), 240)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((150, 100, 350, 300), outline=128, width=5)
    draw.polygon(((150, 300), (250, 180), (350, 300)), fill=128)
    draw.ellipse((180, 120, 230, 170), fill=128)
    assert reason(picture) == reason(as_jpeg(picture)) == "quality.placeholder"


def test_windows_with_bars_and_buttons_are_a_screenshot_and_the_pictures_in_them_are_none() -> None:
    scan = Image.fromarray(noise_ground(1001, {}, Planted())).resize((420, 420)).filter(ImageFilter.GaussianBlur(1))
    screen = Image.new("L", (1000, 700), 30)
    draw = ImageDraw.Draw(screen)
    for row in range(8):
        draw.rectangle((10, 60 + 75 * row, 240, 120 + 75 * row), fill=90, outline=200)
    draw.rectangle((0, 0, 999, 48), fill=120)
    screen.paste(scan, (400, 150))
    assert reason(screen) == "quality.screenshot"
    assert reason(scan) is None


def test_levels_marks_and_ruled_are_what_they_say() -> None:
    page = np.full((120, 120), 200, np.uint8)
    page[20:100, 20:60] = 50
    page[40:44, 80:84] = 90
    assert marks_of(page) == {"levels": 2, "marks": 2, "ruled": pytest.approx(2 * (80 + 40 - 2) / 240, abs=0.02)}


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (64, 3), (5000, 8)])
def test_pictures_of_any_shape_pass(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    found = DrawnMarks().measure(noise, Image.fromarray(noise))
    assert found["ruled"] == 0
    assert found["levels"] <= 256
