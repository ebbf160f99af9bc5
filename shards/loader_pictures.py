"""Pictures of shards, decoded for training: the pixels that `sources.pictures` gives, and JPEGs faster.

OpenCV and Pillow decode a JPEG with the same library to the same pixels; Pillow then copies them twice, which takes a
fifth to a third of its time. What OpenCV refuses, and every other picture, is decoded by `sources.pictures`.
"""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.loader_samples import SampleFault
from shards.tar import MAX_MEMBER_BYTES
from sources.pictures import Limits, PictureError, decode, eight_bits

_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended and progressive, by Huffman codes
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_LIMITS = Limits(max_bytes=MAX_MEMBER_BYTES)  # `max_sample_bytes` of the loader is what bounds them


def decoded(suffix: str, data: memoryview) -> NDArray[np.uint8]:
    """The pixels of a member, uint8 H x W x 3. EXIF orientation is not applied.

    Raises:
        SampleFault: it does not decode, or has more pixels than are allowed.
    """
    if suffix.endswith("jpg") and _is_plain_jpeg(data):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS)
        if pixels is not None:
            return pixels.astype(np.uint8, copy=False)
    try:
        other = eight_bits(decode(bytes(data), limits=_LIMITS))
    except PictureError as error:
        raise SampleFault(f"{suffix}: cannot be decoded ({error.detail})") from None
    if other.ndim == 3:
        return other
    grey = np.empty((*other.shape, 3), np.uint8)
    grey[:] = other[:, :, None]
    return grey


def _is_plain_jpeg(data: memoryview) -> bool:
    """Whether a JPEG has 8 bits, 1 or 3 components (not CMYK), and no more pixels than are allowed."""
    if bytes(data[:2]) != b"\xff\xd8":
        return False
    position = 2
    while position + 10 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", data, position + 4)
            return bits == 8 and components in (1, 3) and width * height <= _LIMITS.max_pixels
        if marker == 0xFF or marker in _ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return False
