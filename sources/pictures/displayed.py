"""From a decoded Pillow image to the pixels that a viewer shows."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from sources.pictures.picture import PictureError
from sources.schema import Reason

_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_ALPHA_MODES = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})
_RGB_BY_CONVERSION = frozenset({"P", "CMYK", "YCbCr", "HSV", "RGBX"})
_GREY_PROBE_SIDE = 32


def displayed(image: Image.Image) -> Image.Image | npt.NDArray[np.uint16]:
    """A loaded image as grey or RGB of 8 bits, or deeper grey as an array.

    Transparent pixels are laid on white: figures with transparent background are drawn for a white page, and the
    colours under full transparency are arbitrary. RGB whose three channels are equal is grey. Integers of more
    than 16 bits and floating-point samples are scaled from their darkest to their brightest value to 16 bits.
    Colour of 16 bits is 8 bits here: Pillow has no other form of it.

    Raises:
        PictureError: a colour space that has no displayed form here.
    """
    mode = image.mode
    if mode in _SIXTEEN_BITS:
        return np.asarray(image).astype(np.uint16)
    if mode in {"I", "F"}:
        return _scaled(np.asarray(image))
    if is_transparent(image):
        return _grey_if_equal(_on_white(image))
    if mode in {"1", "L"}:
        return image.convert("L") if mode == "1" else image
    if mode == "RGB" or mode in _RGB_BY_CONVERSION:
        return _grey_if_equal(image if mode == "RGB" else image.convert("RGB"))
    raise PictureError(Reason.IMAGE_UNDECODABLE, f"colour space {mode}")


def is_transparent(image: Image.Image) -> bool:
    """Whether a picture says how far its pixels are seen."""
    return image.mode in _ALPHA_MODES or "transparency" in image.info


def _on_white(image: Image.Image) -> Image.Image:
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image.convert("RGBA"))
    return page.convert("RGB")


def _grey_if_equal(image: Image.Image) -> Image.Image:
    """Drop two of three equal channels. A few sampled pixels tell colour pictures apart at no cost."""
    probe = np.asarray(image.resize((_GREY_PROBE_SIDE, _GREY_PROBE_SIDE), Image.Resampling.NEAREST))
    if (probe == probe[..., :1]).all():
        red, green, blue = image.split()
        values = red.tobytes()
        if values == green.tobytes() == blue.tobytes():
            return red
    return image


def _scaled(values: npt.NDArray[np.int32] | npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """16 bits: integers that fit as they are, all else from lowest to highest finite value; others are 0."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint16)
    low, high = float(values[finite].min()), float(values[finite].max())
    if values.dtype.kind == "i" and low >= 0 and high <= 65535:
        return values.astype(np.uint16)
    share = (np.where(finite, values, low).astype(np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    return (share * 65535 + 0.5).astype(np.uint16)
