"""Draws watermarks over pictures: words or logos in rows over all of it, or one word across the middle."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from filters.burned_in import Grey

Cover = npt.NDArray[np.float32]
"""H x W of 0 to 1: how much of a pixel a mark covers."""

FONT_FOLDERS = Path("/usr/share/fonts")
FIT_FONTS = ("truetype/dejavu", "truetype/liberation")
OTHER_FONTS = (
    "truetype/roboto",
    "truetype/open-sans",
    "truetype/freefont",
    "truetype/crosextra",
    "opentype/urw-base35",
)
NO_LETTERS = ("MathTeX", "D050", "StandardSymbols")
FIT_WORDS = ("SAMPLE", "PREVIEW", "shutterstock", "Copyright 2019", "DO NOT COPY", "medimages.com")
OTHER_WORDS = ("WATERMARK", "gettyimages", "alamy stock", "Evaluation copy", "DRAFT", "iStock", "Demo Version", "PROOF",
               "www.xrays.org")  # fmt: skip
KINDS = ("tiled", "tiled", "single", "single", "logos")
ANGLES = (0, 0, 15, 20, 30, 30, 35, 45, 45)


@dataclass(frozen=True)
class Mark:
    """What was drawn: `change` is the mean difference in grey levels where the mark covers the picture."""

    kind: str
    opacity: float
    change: float


def fonts_in(folders: Sequence[str]) -> list[str]:
    """Font files of these folders.

    Raises:
        SystemExit: a folder has none.
    """
    found: list[str] = []
    for folder in folders:
        files = [path for path in (FONT_FOLDERS / folder).rglob("*") if path.suffix in {".ttf", ".otf"}]
        if not files:
            raise SystemExit(f"no fonts in {FONT_FOLDERS / folder}")
        found += (str(path) for path in files if not any(word in path.name for word in NO_LETTERS))
    return sorted(found)


def marked(grey: Grey, seed: int, fonts: Sequence[str], words: Sequence[str]) -> tuple[Grey, Mark]:
    """The picture with one watermark, four fifths of them as JPEG; opacity 0.15 to 0.6.

    White on pictures darker than 150 levels (0.15 of them light grey), else black, grey or white.
    """
    rng = random.Random(seed)
    kind, opacity = rng.choice(KINDS), rng.uniform(0.15, 0.6)
    cover = cover_of(grey.shape, kind, rng, fonts, words)
    colour = 255 if grey.mean() < 150 else rng.choice((0, 0, 255, 90))
    if colour == 255 and rng.random() < 0.15:
        colour = 200
    out = np.round(grey * (1 - opacity * cover) + opacity * cover * colour).astype(np.uint8)
    if rng.random() < 0.8:
        out = as_jpeg(out, rng.choice((70, 80, 85, 90, 95)))
    covered = cover > 0.5
    change = float(cv2.absdiff(out, grey)[covered].mean()) if covered.any() else 0.0
    return out, Mark(kind, opacity, change)


def as_jpeg(grey: Grey, quality: int) -> Grey:
    """The picture after a JPEG of this quality."""
    _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def cover_of(shape: Sequence[int], kind: str, rng: random.Random, fonts: Sequence[str], words: Sequence[str]) -> Cover:
    """A mark at an angle of 0 to 45 degrees for a picture of H x W."""
    height, width = shape
    side = int(np.hypot(height, width)) + 4
    sheet = Image.new("L", (side, side))
    angle = rng.choice((-1, 1)) * rng.choice(ANGLES)
    word, font = rng.choice(words), rng.choice(fonts)
    if kind == "single":
        _one_word(sheet, word, font, _room(height, width, angle) * rng.uniform(0.55, 0.9), min(shape) * 0.45, rng)
    else:
        _rows(sheet, word if kind == "tiled" else None, font, min(shape), rng)
    turned = np.asarray(sheet.rotate(angle, Image.Resampling.BICUBIC), np.float32) / np.float32(255)
    top, left = (side - height) // 2, (side - width) // 2
    cover: Cover = turned[top : top + height, left : left + width].astype(np.float32)
    return cover


def _room(height: int, width: int, angle: int) -> float:
    """Length of the line through the middle at this angle."""
    turned = np.deg2rad(abs(angle))
    return float(min(width / max(np.cos(turned), 1e-6), height / max(np.sin(turned), 1e-6)))


def _one_word(sheet: Image.Image, word: str, font: str, length: float, tallest: float, rng: random.Random) -> None:
    """A word through the middle, with a logo above it in a quarter of them."""
    draw, middle = ImageDraw.Draw(sheet), sheet.width / 2
    size = max(int(100 * length / draw.textlength(word, ImageFont.truetype(font, 100))), 8)
    size = min(size, int(tallest))
    draw.text((middle, middle), word, font=ImageFont.truetype(font, size), fill=255, anchor="mm")
    if rng.random() < 0.25:
        side = int(size * 1.1)
        _logo(draw, int(middle - side / 2), int(middle - size * 1.8), side, rng.randrange(3))


def _rows(sheet: Image.Image, word: str | None, font: str, short: int, rng: random.Random) -> None:
    """The word, or a logo, in rows over all of the sheet."""
    draw, logo = ImageDraw.Draw(sheet), rng.randrange(3)
    size = max(int(short * (rng.uniform(0.05, 0.12) if word else rng.uniform(0.08, 0.2))), 11)
    face = ImageFont.truetype(font, size)
    if word:
        across, down = int(draw.textlength(word, face) + size * rng.uniform(0.7, 3)), int(size * rng.uniform(1.8, 4.5))
    else:
        across, down = int(size * rng.uniform(1.5, 2.5)), int(size * rng.uniform(1.5, 2.5))
    shift, first_x, first_y = rng.choice((0, across // 2)), rng.randrange(across), rng.randrange(down)
    for row, y in enumerate(range(first_y - 2 * down, sheet.height + down, down)):
        for x in range(first_x - 2 * across + (shift if row % 2 else 0), sheet.width + across, across):
            if word:
                draw.text((x, y), word, font=face, fill=255)
            else:
                _logo(draw, x, y, size, logo)


def _logo(draw: ImageDraw.ImageDraw, x: float, y: float, side: float, number: int) -> None:
    """One of three: a button in a ring, a lens in a box, a sign in a triangle."""
    line = max(int(side / 9), 1)

    def at(*shares: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + side * across, y + side * down) for across, down in shares]

    if number == 0:
        draw.ellipse(at((0, 0), (1, 1)), outline=255, width=line)
        draw.polygon(at((0.35, 0.25), (0.75, 0.5), (0.35, 0.75)), fill=255)
    elif number == 1:
        draw.rounded_rectangle(at((0, 0), (1, 1)), side / 5, outline=255, width=line)
        draw.ellipse(at((0.3, 0.3), (0.7, 0.7)), outline=255, width=line)
    else:
        draw.polygon(at((0.5, 0), (1, 1), (0, 1)), outline=255, width=line)
        draw.line(at((0.5, 0.3), (0.5, 0.8)), fill=255, width=line)
