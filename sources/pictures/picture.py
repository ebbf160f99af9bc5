"""The words of decoding: limits, headers, pixels, and the one error that a bad picture raises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from sources.schema import Reason
from sources.storage import MAX_READ_BYTES

Pixels = npt.NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16: the displayed picture: H x W grey or H x W x 3 RGB, 0 black, full range white."""

FactValue = str | int | float | list[str]
Facts = Mapping[str, FactValue]
"""Allow-listed DICOM header facts by keyword; empty for every other format."""

FRAMES_PIXELS_PER_BYTE = 100
"""Frames that together pass `max_pixels` are a bomb only above this many pixels per byte of the file: series of
CT (2 bytes a pixel, compressed 3 times) and ultrasound (JPEG, 20 times) stay far below, bombs start at 1,000."""

PANEL_FORMAT = "panel"
"""Of a part of a figure: cut from a file of any format, and stored as a picture of its own."""


class PictureError(Exception):
    """A picture cannot be had, or must not be decoded.

    `detail` never holds pixels, header values or paths: it may be written into the ledger.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


CtWindows = Literal["header", "bone", "soft_tissue", "brain", "medgemma"]
"""How CT is displayed: by the window of its header, by one fixed window, or by all three as the channels of RGB."""


@dataclass(frozen=True)
class Limits:
    """What is refused before anything is decoded, and how CT is displayed."""

    max_pixels: int = 200_000_000
    """Width x height of one frame. What a call decodes at once, and so its memory, is bounded by it."""
    max_bytes: int = MAX_READ_BYTES
    """Of the file."""
    ct_windows: CtWindows = "header"

    def check_size(self, width: int, height: int) -> None:
        """Raise PictureError (IMAGE_BOMB) for a frame of too many pixels, (IMAGE_UNDECODABLE) for one of none."""
        if width < 1 or height < 1:
            raise PictureError(Reason.IMAGE_UNDECODABLE, f"{width} x {height} pixels")
        if width * height > self.max_pixels:
            raise PictureError(Reason.IMAGE_BOMB, f"{width} x {height} pixels, more than {self.max_pixels} are allowed")

    def check_frames(self, frames: int, width: int, height: int, file_bytes: int) -> None:
        """Raise PictureError (IMAGE_BOMB) where decoding so many frames is far more than the file can hold."""
        if frames * width * height > max(self.max_pixels, FRAMES_PIXELS_PER_BYTE * file_bytes):
            raise PictureError(Reason.IMAGE_BOMB, f"{frames} frames of {width} x {height} pixels in {file_bytes} bytes")


@dataclass(frozen=True)
class Header:
    """What a file says of itself. `bit_depth` is of one stored sample, `channels` 1 or 3 (as displayed)."""

    format: str
    width: int
    height: int
    bit_depth: int
    channels: int
    frames: int


@dataclass(frozen=True)
class Picture:
    """One decoded frame.

    `width` and `height` are of the frame as stored; `pixels` has them too, unless it was decoded at reduced
    scale. Pixels of 8 stored bits and fewer are uint8, deeper ones uint16.
    """

    pixels: Pixels
    width: int
    height: int
    format: str
    bit_depth: int
    frames: int
    modality: str = "unknown"
    facts: Facts = field(default_factory=dict)
    image: Image.Image | None = field(default=None, compare=False, repr=False)
    """The same pixels as Pillow holds them, where it decoded them to 8 bits: spares converting them back."""

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return 1 if self.pixels.ndim == 2 else 3


class OpenedPicture(Protocol):
    """A file whose header was read and found within limits; frames are decoded one by one, on demand."""

    header: Header
    modality: str
    facts: Facts

    def frame(self, number: int) -> Picture:
        """Decode frame `number` (from 0) at full size and depth.

        Raises:
            PictureError: it cannot be decoded, there is no such frame, or its own size is over the limit.
        """
        ...

    def small_frame(self, number: int, side: int) -> Picture:
        """Decode a frame at any scale that leaves both sides at least `side` pixels, where that saves work."""
        ...


def check_frame_number(number: int, frames: int) -> None:
    """Raise PictureError (IMAGE_MISSING) where a picture has no frame of that number."""
    if not 0 <= number < frames:
        raise PictureError(Reason.IMAGE_MISSING, f"frame {number} of a picture with {frames}")


def eight_bits(picture: Picture) -> npt.NDArray[np.uint8]:
    """The pixels at 8 bits, as they are rendered and looked at.

    A DICOM frame is displayed over the full range already, so 16 bits are scaled by 255/65535. Other deep
    pictures carry no window (12-bit radiographs stored as 16-bit PNG are nearly black as they are), so their
    darkest to brightest grey is stretched, as for a DICOM without a window.
    """
    pixels = picture.pixels
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    low, high = (0, 65535) if picture.format == "dicom" else (int(pixels.min()), int(pixels.max()))
    levels = np.arange(65536, dtype=np.int64).clip(low, high) - low
    span = max(high - low, 1)
    table = ((levels * 255 + span // 2) // span).astype(np.uint8)
    return table[pixels]
