"""What is measured on the pixels of one picture, once, for everything that decides later."""

import struct
from dataclasses import dataclass

import blake3
import numpy as np
import numpy.typing as npt
from PIL import Image

from sources.pictures import Picture, eight_bits

THUMBNAIL_SIDE = 64
HASH_DIGITS = 32


@dataclass(frozen=True)
class Statistics:
    """Grey levels scaled to 0..255, before any stretching; entropy and thumbnail as the picture is looked at."""

    mean: float
    std: float
    minimum: float
    maximum: float
    entropy: float
    thumbnail: bytes


def statistics_of(picture: Picture) -> Statistics:
    """Measure one picture. Luminance of colour is ITU-R 601-2, as Pillow has it.

    The thumbnail is area-averaged to 64 x 64 whatever the shape, by Pillow's integer arithmetic: the same bytes on
    every machine.
    """
    image = Image.fromarray(eight_bits(picture))
    grey = image if image.mode == "L" else image.convert("L")
    counts = np.array(grey.histogram(), np.float64)
    thumbnail = grey.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes()
    mean, std, low, high = _spread(counts) if picture.pixels.dtype == np.uint8 else _deep_spread(picture)
    return Statistics(mean, std, low, high, _entropy(counts), thumbnail)


def pixel_hash(picture: Picture) -> str:
    """BLAKE3 of height, width, channels and bits (8 or 16) as 32-bit integers, then the displayed pixels.

    Equal for every file of the same displayed picture: a PNG and the DICOM it was made from.
    """
    pixels = np.ascontiguousarray(picture.pixels)
    if pixels.dtype.byteorder == ">":
        pixels = pixels.byteswap()
    height, width = pixels.shape[:2]
    shape = struct.pack("<4I", height, width, picture.channels, 8 * pixels.dtype.itemsize)
    return blake3.blake3(shape).update(pixels.data.cast("B")).hexdigest()[:HASH_DIGITS]


def _spread(counts: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Mean, deviation, lowest and highest level of a 256-bin histogram."""
    levels, total = np.arange(256), counts.sum()
    mean = float((counts * levels).sum() / total)
    std = float(np.sqrt((counts * (levels - mean) ** 2).sum() / total))
    present = np.flatnonzero(counts)
    return mean, std, float(present[0]), float(present[-1])


def _deep_spread(picture: Picture) -> tuple[float, float, float, float]:
    """The same of 16-bit pixels; of colour, over all samples."""
    pixels = picture.pixels
    mean, std = float(pixels.mean(dtype=np.float64)), float(pixels.std(dtype=np.float64))
    return mean / 257, std / 257, float(pixels.min()) / 257, float(pixels.max()) / 257


def _entropy(counts: npt.NDArray[np.float64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum()) + 0.0  # no negative zero
