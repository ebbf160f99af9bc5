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
MEASURED_SIDE = 256
"""Statistics are of the picture area-averaged by a whole factor that leaves its smaller side at least this. They
are then the same whether a JPEG was decoded whole or at reduced scale, and cost a third on large pictures."""


@dataclass(frozen=True)
class Statistics:
    """Grey levels scaled to 0..255.

    `minimum` and `maximum` are of all pixels as stored, before any stretching of deep ones; mean, deviation,
    entropy and thumbnail of the 8-bit picture as it is looked at.
    """

    mean: float
    std: float
    minimum: float
    maximum: float
    entropy: float
    thumbnail: bytes
    small: npt.NDArray[np.uint8]
    """H x W: the grey picture averaged by the whole factor that statistics are of."""
    grey: Image.Image
    """The picture as displayed, in 256 grey levels."""


def statistics_of(picture: Picture) -> Statistics:
    """Measure one picture. Luminance of colour is ITU-R 601-2, as Pillow has it.

    The thumbnail is area-averaged to 64 x 64 whatever the shape. All is Pillow's integer arithmetic: the same on
    every machine.
    """
    grey = grey_image(picture)
    low, high = _extremes(picture, grey)
    factor = max(min(grey.size) // MEASURED_SIDE, 1)
    small = grey.reduce(factor) if factor > 1 else grey
    thumbnail = small.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes()
    mean, std, entropy = _spread(np.array(small.histogram(), np.float64))
    return Statistics(mean, std, low, high, entropy, thumbnail, np.asarray(small), grey)


def grey_of(picture: Picture) -> npt.NDArray[np.uint8]:
    """H x W: the picture as displayed, in 256 grey levels."""
    return np.asarray(grey_image(picture))


def pixel_hash(picture: Picture) -> str:
    """BLAKE3 of height, width, channels and bits (8 or 16) as 32-bit integers, then the displayed pixels.

    Equal for every file of the same displayed picture: a PNG and the DICOM it was made from. 16-bit pixels are
    hashed as little-endian.
    """
    pixels = np.ascontiguousarray(picture.pixels, picture.pixels.dtype.newbyteorder("<"))
    height, width = pixels.shape[:2]
    shape = struct.pack("<4I", height, width, picture.channels, 8 * pixels.dtype.itemsize)
    return blake3.blake3(shape).update(pixels.data.cast("B")).hexdigest()[:HASH_DIGITS]


def grey_image(picture: Picture) -> Image.Image:
    """The picture as displayed, in 256 grey levels."""
    image = picture.image or Image.fromarray(eight_bits(picture))
    return image if image.mode == "L" else image.convert("L")


def _extremes(picture: Picture, grey: Image.Image) -> tuple[float, float]:
    deep = picture.pixels.dtype.itemsize > 1
    levels = picture.pixels if deep or picture.channels == 1 else np.asarray(grey)
    scale = 257 if deep else 1
    return float(levels.min()) / scale, float(levels.max()) / scale


def _spread(counts: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean, deviation and entropy in bits of a 256-bin histogram."""
    levels, share = np.arange(256), counts / counts.sum()
    mean = float((share * levels).sum())
    std = float(np.sqrt((share * (levels - mean) ** 2).sum()))
    present = share[share > 0]
    return mean, std, float(-(present * np.log2(present)).sum()) + 0.0  # no negative zero
