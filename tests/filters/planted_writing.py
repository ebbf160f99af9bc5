"""Writing planted into pictures, in the fonts that Pillow and OpenCV bring along."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

FIRST = (
    "ADAEZE",
    "JOHN",
    "Oksana",
    "MARY",
    "Kwame",
    "ROBERT",
    "Siobhan",
    "PRIYA",
    "Gunnar",
    "LINDA",
    "Hiroshi",
    "EMILY",
)
LAST = (
    "OKONKWO", "SMITH", "Brzezinski", "GARCIA", "Lindqvist", "JOHNSON", "Petrosyan", "PATEL", "Nakamura", "MILLER",
    "LEE", "Kim", "WONG", "Hall", "COOK", "YOUNG", "Chen", "PARK", "Khan", "Diaz",
    "Abernathy", "DUBROVSKY", "Eberhardt", "GRIMALDI", "Iwamoto", "KOWALCZYK", "Mbeki", "QUIGLEY", "Umarov",
    "Zielinski",
)  # fmt: skip
"""Ten of everyday length, ten short ones that are words or next to nothing, ten that are in no list of the judge."""
MONTHS = ("JAN", "Feb", "MAR", "Apr", "JUN", "Aug", "OCT", "Dec")
SIZES = (11, 14, 18, 24, 32)
CONTRASTS = (60, 110, 200)
_HERSHEY = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_COMPLEX)


@dataclass(frozen=True)
class Written:
    """A picture with writing in it: what it says, of which kind, and where."""

    pixels: npt.NDArray[np.uint8]
    kind: str
    text: str
    font: str
    size: int
    contrast: int
    box: tuple[int, int, int, int]


def identifying(draw: random.Random) -> tuple[str, str]:
    """Kind and text of something that points at a person."""
    first, last = draw.choice(FIRST), draw.choice(LAST)
    digits = "".join(draw.choices("123456789", k=8))
    day, month, year = draw.randrange(1, 29), draw.randrange(1, 13), draw.randrange(1940, 2024)
    return draw.choice(
        (
            ("name", f"{last.upper()}, {first.upper()}"), ("name", f"{first} {last}"),
            ("name", f"{last.upper()}^{first.upper()}"),
            ("name", f"Name: {first} {last}"), ("name", f"Dr. {last.title()}"),
            ("date", f"{day:02d}/{month:02d}/{year}"), ("date", f"{year}-{month:02d}-{day:02d}"),
            ("date", f"{day:02d}-{draw.choice(MONTHS)}-{year}"), ("date", f"DOB: {month:02d}/{day:02d}/{year}"),
            ("date", f"{day:02d}.{month:02d}.{year}"),
            ("id", f"MRN {digits}"), ("id", f"ID: {digits[:6]}"), ("id", digits), ("id", f"Acc#: {digits[:7]}"),
            ("id", f"P{digits[:7]}"),
        )
    )  # fmt: skip


def harmless(draw: random.Random) -> str:
    """An annotation as scanners write them."""
    return draw.choice(
        (
            "RT UOQ", "LT BREAST", "L", "R", "5 cm", "10 mm", "WW: 400 WL: 40", "kVp 120 mA 250", "IM: 12 SE: 3",
            "FR 32Hz",
            "MI 1.2 TIs 0.4", "SUPINE", "PORTABLE", "AP UPRIGHT", "LONG RT KIDNEY", "TRANS LIVER", "Zoom: 100%",
            "T2 FLAIR AX",
            "TE: 90 TR: 4000", "Depth 4.2cm", "Gain 60 dB", "SAG LT", "Page: 1 of 1", "Thk: 5 mm", "14:32:05",
        )
    )  # fmt: skip


def write(
    pixels: npt.NDArray[np.uint8],
    text: str,
    kind: str,
    draw: random.Random,
    sizes: Sequence[int] = SIZES,
    turns: int = 0,
) -> Written:
    """The picture with the text at a random place, brighter or darker than what is there.

    `turns`: quarters of a circle that the text is turned by.
    """
    out = pixels.copy()
    size, contrast, font = draw.choice(sizes), draw.choice(CONTRASTS), draw.choice(("ttf", "bitmap", "hershey"))
    mask = np.rot90(_mask(text, font, size, draw), turns)
    height, width = mask.shape
    if height >= out.shape[0] or width >= out.shape[1]:
        mask = mask[: out.shape[0] - 1, : out.shape[1] - 1]
        height, width = mask.shape
    top, left = draw.randrange(out.shape[0] - height), draw.randrange(out.shape[1] - width)
    place = out[top : top + height, left : left + width].astype(np.float64)
    ground = float(place.mean())
    level = ground + contrast if ground + contrast <= 255 else max(ground - contrast, 0)
    alpha = mask[..., None] / 255.0 if out.ndim == 3 else mask / 255.0
    out[top : top + height, left : left + width] = np.clip(place * (1 - alpha) + level * alpha, 0, 255).astype(np.uint8)
    return Written(out, kind, text, font, size, contrast, (left, top, left + width, top + height))


def _mask(text: str, font: str, size: int, draw: random.Random) -> npt.NDArray[np.uint8]:
    if font == "hershey":
        face = draw.choice(_HERSHEY)
        scale = cv2.getFontScaleFromHeight(face, max(size * 7 // 10, 7), 1)
        (width, height), base = cv2.getTextSize(text, face, scale, 1)
        mask = np.zeros((height + base + 4, width + 4), np.uint8)
        cv2.putText(mask, text, (2, height + 2), face, scale, 255, 1 + size // 24, cv2.LINE_AA)
        return mask
    face = ImageFont.load_default(size) if font == "ttf" else ImageFont.load_default_imagefont()
    box = face.getbbox(text)
    canvas = Image.new("L", (int(box[2]) + 4, int(box[3]) + 4))
    ImageDraw.Draw(canvas).text((2, 2), text, fill=255, font=face)
    return np.asarray(canvas)
