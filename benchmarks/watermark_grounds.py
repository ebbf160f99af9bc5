"""What watermarks are drawn over for training: pictures as they might come, pages, figures, and opaque writing."""

import random
import string
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.watermark_marks import as_jpeg
from filters.burned_in import Grey
from filters.watermark import LONGEST_SIDE

NOTES = ("Fig", "the", "Group A", "12.5", "100", "RT UOQ", "L", "R", "AXIAL", "patient", "Control", "2019-02", "kV 120",
         "SUPINE", "mm", "p < 0.05", "T2", "IM: 23")  # fmt: skip


def varied(grey: Grey, rng: random.Random) -> Grey:
    """The picture zoomed, with another gamma and contrast, as a negative, with noise, blurred, or with gutters."""
    if rng.random() < 0.35:
        grey = _zoomed(grey, rng)
    light = grey.astype(np.float32) / 255
    if rng.random() < 0.6:
        light = light ** rng.uniform(0.5, 1.8)
    if rng.random() < 0.15:
        light = 1 - light
    if rng.random() < 0.4:
        low, high = rng.uniform(0, 0.3), rng.uniform(0.6, 1)
        light = low + light * (high - low)
    if rng.random() < 0.3:
        light = light + np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(0.005, 0.05), light.shape)
    if rng.random() < 0.15:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(0.5, 1.5)), np.float64)
    out = np.clip(light * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        wide, level = rng.randrange(2, 14), rng.choice((0, 255))
        across, down = rng.randrange(out.shape[1]), rng.randrange(out.shape[0])
        out[:, across : across + wide] = level
        out[down : down + wide] = level
    return out


def annotated(grey: Grey, rng: random.Random, fonts: Sequence[str]) -> Grey:
    """One to three of: lines of opaque words, an arrow, a box or ring."""
    image = Image.fromarray(grey)
    draw, (width, height) = ImageDraw.Draw(image), image.size
    ink = rng.choice((255, 255, 255, 230, 200, 0))
    for _ in range(rng.randrange(1, 4)):
        kind = rng.randrange(4)
        x, y = rng.randrange(width), rng.randrange(height)
        if kind < 2:
            face = ImageFont.truetype(rng.choice(fonts), rng.randrange(9, 22))
            x, y = rng.choice((4, int(width * 0.75), x)), rng.choice((4, height - 70, y))
            for line in range(rng.randrange(1, 5)):
                words = _word(rng) + rng.choice((" " + _word(rng), ""))
                draw.text((x, y + line * face.size * 1.2), words, font=face, fill=ink)
        elif kind == 2:
            _arrow(draw, (x, y), rng, ink)
        else:
            box = (x, y, x + rng.randrange(10, 90), y + rng.randrange(10, 90))
            (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(box, outline=ink, width=rng.randrange(1, 4))
    return np.asarray(image).copy()


def page(rng: random.Random, fonts: Sequence[str]) -> Grey:
    """A made-up chart, or a page of text."""
    height, width = rng.randrange(200, 385), rng.randrange(200, 385)
    ground = rng.choice((255, 255, 255, 245, 230, 0))
    ink = 0 if ground else 255
    image = Image.new("L", (width, height), ground)
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        for _ in range(rng.randrange(3, 12)):
            _shape(draw, width, height, rng, rng.choice((ink, ink, 128, 180, 90)))
        for _ in range(rng.randrange(2, 14)):
            face = ImageFont.truetype(rng.choice(fonts), rng.randrange(9, 26))
            draw.text((rng.randrange(width), rng.randrange(height)), _word(rng), font=face, fill=ink)
    else:
        face, y = ImageFont.truetype(rng.choice(fonts), rng.randrange(9, 20)), 4.0
        while y < height:
            draw.text((rng.randrange(4, 9), y), " ".join(_word(rng) for _ in range(9)), font=face, fill=ink)
            y += face.size * rng.uniform(1.1, 1.3)
    return np.asarray(image).copy()


def figure(grounds: Sequence[Grey], rng: random.Random, fonts: Sequence[str]) -> Grey:
    """Pictures in rows and columns on a white or black ground, some with frames and words between them."""
    side, gutter = rng.randrange(40, 130), rng.randrange(2, 40)
    down, across = rng.randrange(1, 5), rng.randrange(2, 7)
    size = (gutter + across * (side + gutter), gutter + down * (side + gutter))
    image = Image.new("L", size, rng.choice((255, 255, 255, 0)))
    draw, ink, framed = ImageDraw.Draw(image), rng.choice((0, 90, 128, 180)), rng.random() < 0.5
    for row in range(down):
        for column in range(across):
            x, y = (gutter + place * (side + gutter) for place in (column, row))
            image.paste(Image.fromarray(rng.choice(grounds)).resize((side, side), Image.Resampling.BOX), (x, y))
            if framed:
                draw.rectangle((x - 2, y - 2, x + side + 1, y + side + 1), outline=ink, width=rng.randrange(1, 3))
        if gutter > 12 and rng.random() < 0.5:
            face = ImageFont.truetype(rng.choice(fonts), rng.randrange(9, gutter))
            draw.text((rng.randrange(size[0]), row * (side + gutter)), _word(rng), font=face, fill=ink)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BOX)
    return np.asarray(image).copy()


def kept_as(grey: Grey, rng: random.Random) -> Grey:
    """Three quarters of them as JPEG."""
    return as_jpeg(grey, rng.choice((60, 75, 85, 92, 95))) if rng.random() < 0.75 else grey


def _zoomed(grey: Grey, rng: random.Random) -> Grey:
    height, width = grey.shape
    zoom, scale = rng.uniform(1, 2), rng.uniform(0.7, 1)
    tall, wide = int(height / zoom), int(width / zoom)
    top, left = rng.randrange(height - tall + 1), rng.randrange(width - wide + 1)
    part = np.ascontiguousarray(grey[top : top + tall, left : left + wide])
    size = (max(int(width * scale), 64), max(int(height * scale), 64))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _word(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return "".join(rng.choice(string.ascii_letters + string.digits) for _ in range(rng.randrange(1, 9)))
    return rng.choice(NOTES)


def _arrow(draw: ImageDraw.ImageDraw, start: tuple[int, int], rng: random.Random, ink: int) -> None:
    angle, length = rng.uniform(0, 2 * np.pi), rng.randrange(10, 40)
    tip = (start[0] + length * np.cos(angle), start[1] + length * np.sin(angle))
    draw.line((start, tip), fill=ink, width=rng.randrange(1, 4))
    head = 4 + length / 6
    barbs = [(tip[0] - head * np.cos(angle + turn), tip[1] - head * np.sin(angle + turn)) for turn in (-0.5, 0.5)]
    draw.polygon([tip, *barbs], fill=ink)


def _shape(draw: ImageDraw.ImageDraw, width: int, height: int, rng: random.Random, ink: int) -> None:
    """An axis, a bar, a curve or a ring."""
    kind, x, y = rng.randrange(4), rng.randrange(width), rng.randrange(height)
    if kind == 0:
        draw.line((0, y, width, y), fill=ink)
        draw.line((x, 0, x, height), fill=ink)
    elif kind == 1:
        draw.rectangle((x, y, x + rng.randrange(5, 60), y + rng.randrange(5, 90)), fill=ink)
    elif kind == 2:
        curve = [(rng.randrange(width), rng.randrange(height)) for _ in range(8)]
        draw.line(curve, fill=ink, width=rng.randrange(1, 3))
    else:
        draw.ellipse((x, y, x + rng.randrange(5, 80), y + rng.randrange(5, 80)), outline=ink, width=rng.randrange(1, 4))
