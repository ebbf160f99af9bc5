"""Makes `sources/pictures/data/panel_glyphs.npz`: letters and digits as drawn, which panel letters are compared with.

    python -m benchmarks.panel_glyphs OUT.npz FONT.ttf ...

The shipped file is of Liberation Sans and Serif, regular and bold, and DejaVu Sans Bold, in this order (Debian's
packages fonts-liberation2 2.1.5, SIL OFL 1.1, and fonts-dejavu-core 2.37).
"""

import string
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 16
CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
OF_SEVERAL_PIECES = "ij"
LETTERS_OF_PANELS = "ABCDEFGHIJKLabcdefgh"
LARGE, SMALL = 96, (11, 15)
"""Sizes in pixels: small letters look otherwise than reduced large ones."""


def main(out: Path, fonts: list[str]) -> None:
    """Writes glyphs (T x 16 x 16, ink 255), aspects (width by height) and characters (numbers, in order)."""
    glyphs, aspects, characters = [], [], []
    for number, character in enumerate(CHARACTERS):
        if character in OF_SEVERAL_PIECES:
            continue
        for font in fonts:
            for size in (*SMALL, LARGE) if character in LETTERS_OF_PANELS else (LARGE,):
                drawn = _drawn(font, character, size)
                glyphs.append(np.asarray(drawn.resize((SIDE, SIDE), Image.Resampling.BOX)))
                aspects.append(drawn.width / drawn.height)
                characters.append(number)
    np.savez_compressed(
        out,
        glyphs=np.array(glyphs),
        aspects=np.array(aspects, np.float32),
        characters=np.array(characters, np.uint8),
    )


def _drawn(font: str, character: str, size: int) -> Image.Image:
    """A character white on black, cut to where it is clearly ink, as a piece of a picture is."""
    page = Image.new("L", (2 * LARGE, 2 * LARGE))
    ImageDraw.Draw(page).text((LARGE // 2, LARGE // 4), character, fill=255, font=ImageFont.truetype(font, size))
    return page.crop(page.point([255 * (level > LARGE) for level in range(256)]).getbbox())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
