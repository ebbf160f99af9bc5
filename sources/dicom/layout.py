"""How the pixels of a DICOM file are stored: the Image Pixel module (PS3.3 C.7.6.3), checked before it is used."""

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from sources.dicom.header import PixelElement
from sources.dicom.values import header_values
from sources.dicom.vocabulary import PHOTOMETRIC
from sources.pictures.picture import PictureError
from sources.schema import Reason

GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
PALETTE = "PALETTE COLOR"
COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
"""Colour that becomes RGB. HSV, ARGB, CMYK and YBR_PARTIAL are retired."""
_SUBSAMPLED = "YBR_FULL_422"


@dataclass(frozen=True)
class PixelLayout:
    """Sizes and kind of the stored pixels. `bits` are the stored bits of a sample, 0 for floating point."""

    rows: int
    columns: int
    samples: int
    kind: str
    frames: int
    bits_allocated: int
    bits: int
    signed: bool
    planar: int
    keyword: str
    vr: str

    @property
    def native_bytes(self) -> int:
        """The length of all frames uncompressed (C.7.6.3.1.2: YBR_FULL_422 shares colour between two pixels)."""
        samples = 2 if self.kind == _SUBSAMPLED else self.samples
        return (self.rows * self.columns * samples * self.bits_allocated * self.frames + 7) // 8

    def decoder_options(self) -> dict[str, Any]:
        """The same in pydicom's words."""
        options = {
            "rows": self.rows,
            "columns": self.columns,
            "samples_per_pixel": self.samples,
            "photometric_interpretation": self.kind,
            "number_of_frames": self.frames,
            "bits_allocated": self.bits_allocated,
            "planar_configuration": self.planar,
            "pixel_keyword": self.keyword,
            "pixel_vr": self.vr,
            "allow_excess_frames": False,
        }
        if self.bits:
            options |= {"bits_stored": self.bits, "pixel_representation": int(self.signed)}
        return options


def pixel_layout(dataset: Dataset, element: PixelElement) -> PixelLayout:
    """Read the layout.

    Raises:
        PictureError: an attribute is missing or makes no sense, or the kind of pixels has no displayed form.
    """
    rows, columns, samples, allocated = (
        _whole(dataset, keyword) for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    )
    if allocated != 1 and (allocated % 8 or not 8 <= allocated <= 64):
        raise PictureError(Reason.IMAGE_UNDECODABLE, f"{allocated} bits allocated")
    floating = element.keyword != "PixelData"
    bits = 0 if floating else _whole(dataset, "BitsStored", allocated)
    if not floating and not 1 <= bits <= allocated:
        raise PictureError(Reason.IMAGE_UNDECODABLE, f"{bits} of {allocated} bits stored")
    kind = next(iter(header_values(dataset, "PhotometricInterpretation")), None)
    if kind not in PHOTOMETRIC:
        raise PictureError(Reason.IMAGE_UNDECODABLE, "no known photometric interpretation")
    if (samples == 1 and kind in {*GREY, PALETTE}) or (samples == 3 and kind in COLOUR and not floating):
        return PixelLayout(
            rows, columns, samples, str(kind), max(_whole(dataset, "NumberOfFrames", 1), 1), allocated, bits,
            _whole(dataset, "PixelRepresentation", 0) == 1, _whole(dataset, "PlanarConfiguration", 0),
            element.keyword, element.vr,
        )  # fmt: skip
    raise PictureError(Reason.IMAGE_UNDECODABLE, f"{kind} with {samples} samples per pixel")


def _whole(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """A whole number of the header; `default` where it is absent, never where it is malformed."""
    values = header_values(dataset, keyword)
    if not values and default is not None and not dataset.get_item(keyword):
        return default
    try:
        return int(values[0])
    except (IndexError, TypeError, ValueError, OverflowError):
        raise PictureError(Reason.IMAGE_UNDECODABLE, f"{keyword} is missing or malformed") from None
