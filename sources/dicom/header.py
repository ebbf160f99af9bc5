"""Reads the header of a DICOM file: only the elements that are needed, and never past what a header can be.

pydicom parses; what is around it bounds it. `dcmread` would inflate a deflated file whole and keep every element:
here a file is inflated as far as it is read, the number of reads is counted, and only named tags become values.
"""

import re
from dataclasses import dataclass
from typing import BinaryIO, Literal, cast

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from sources.dicom.bounded import BoundedFile, InflatedFile
from sources.dicom.facts import ALLOWED
from sources.dicom.values import header_values
from sources.pictures.formats import bare_encoding
from sources.pictures.guards import codec_errors, silence_loggers
from sources.pictures.picture import Limits, PictureError
from sources.schema import Reason

GROUP_KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", "PatientID")
"""Identifying values, read only for the card's group fields: they are stored keyed, and are in no fact."""
_DISPLAY_KEYWORDS = (
    "SamplesPerPixel", "PlanarConfiguration", "BitsAllocated", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
)  # fmt: skip
"""What decoding and display need; none of it leaves this folder."""

_PIXEL_KEYWORDS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"UN")
_UNDEFINED = 0xFFFFFFFF
_PREAMBLE_BYTES = 132
_SNIFFED_BYTES = 4096
_TRANSFER_SYNTAX = 0x00020010

silence_loggers()


@dataclass(frozen=True)
class PixelElement:
    """Where the pixels are: the element's keyword, representation, and value at `offset` of the header's file."""

    keyword: str
    vr: str
    offset: int
    length: int | None
    """None for encapsulated pixels, whose length is undefined."""


@dataclass(frozen=True)
class DicomHeader:
    """The wanted elements of a header, and where its pixels start.

    `syntax` is empty where the file does not name it and its encoding was seen from the data.
    """

    dataset: Dataset
    syntax: UID
    implicit: bool
    little_endian: bool
    pixels: PixelElement | None
    inflated: InflatedFile | None
    """What a deflated file holds; positions of `pixels` are of this."""

    @property
    def extended_offsets(self) -> tuple[bytes, bytes] | None:
        """Where the encoded frames start and their lengths (PS3.3 C.7.6.3.1.8), if the file says."""
        table = [header_values(self.dataset, f"ExtendedOffsetTable{name}") for name in ("", "Lengths")]
        if all(values and isinstance(values[0], bytes) for values in table):
            return table[0][0], table[1][0]
        return None


def read_header(
    file: BinaryIO, size: int, limits: Limits, *, groups: bool = False, besides: tuple[str, ...] = ()
) -> DicomHeader:
    """Read the header of a DICOM file of `size` bytes; nothing after the start of the pixels is read.

    Args:
        file: seekable, at any position.
        size: of the file in bytes.
        limits: `max_bytes` also bounds what a deflated file may inflate to.
        groups: also read the identifying `GROUP_KEYWORDS`.
        besides: keywords of further elements to read; they are in no fact either.

    Raises:
        PictureError: it is no DICOM file, its header is broken or has no end.
    """
    keywords = (*ALLOWED, *_DISPLAY_KEYWORDS, *(GROUP_KEYWORDS if groups else ()), *besides)
    with codec_errors("dicom header"):
        bounded = BoundedFile(file, 0, size)
        syntax, start = _transfer_syntax(bounded)
        bounded.seek(start)
        implicit, little = _encoding(bounded, syntax, size - start)
        inflated = None
        if syntax == DeflatedExplicitVRLittleEndian:
            inflated = InflatedFile(file, start, limits.max_bytes)
        source = bounded if inflated is None else BoundedFile(inflated, 0, limits.max_bytes)
        dataset = read_dataset(
            cast("BinaryIO", source),
            is_implicit_VR=implicit,
            is_little_endian=little,
            stop_when=lambda tag, _vr, _length: int(tag) in _PIXEL_KEYWORDS,
            specific_tags=[tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None],
        )
        implicit = bool(dataset.original_encoding[0])
        pixels = _pixel_element(source, implicit=implicit, little=little)
    return DicomHeader(dataset, syntax, implicit, little, pixels, inflated)


def syntax_name(syntax: UID) -> str:
    """The registered name of a transfer syntax; an unregistered one is not quoted: it is content."""
    if not syntax:
        return "no transfer syntax"
    return syntax.name if syntax.name != syntax else "unregistered transfer syntax"


def _transfer_syntax(file: BoundedFile) -> tuple[UID, int]:
    """The transfer syntax ("" where none is named) and where the data set starts (PS3.10 section 7.1)."""
    file.seek(0)
    head = file.read(_PREAMBLE_BYTES)
    start = _PREAMBLE_BYTES if head[128:] == b"DICM" else 0
    if not start and bare_encoding(head + file.read(_SNIFFED_BYTES), file.size) is None:
        raise PictureError(Reason.IMAGE_UNDECODABLE, "not a DICOM file")
    file.seek(start)
    meta = read_dataset(
        cast("BinaryIO", file),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: int(tag) >> 16 != 2,
        specific_tags=[_TRANSFER_SYNTAX],
    )
    named = header_values(meta, "TransferSyntaxUID")
    value = str(named[0]).strip(" \0") if named else ""
    return UID(value if re.fullmatch(r"[0-9.]{1,64}", value) else ""), file.tell()


def _encoding(file: BoundedFile, syntax: UID, remaining: int) -> tuple[bool, bool]:
    """(implicit VR, little endian): by the transfer syntax, or as seen where there is none (PS3.5 annex A)."""
    start = file.tell()
    if syntax:
        return syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    seen = bare_encoding(file.read(_SNIFFED_BYTES), remaining)
    file.seek(start)
    return seen or (False, True)


def _pixel_element(file: BoundedFile, *, implicit: bool, little: bool) -> PixelElement | None:
    """The element that reading stopped at, if it is one of pixels."""
    order: Literal["little", "big"] = "little" if little else "big"
    head = file.read(8)
    if len(head) < 8:
        return None
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag not in _PIXEL_KEYWORDS:
        return None
    vr = "OW" if implicit else head[4:6].decode("latin-1")
    length = int.from_bytes(head[4:8], order)
    if not implicit:
        long_form = head[4:6] in _LONG_VRS
        length = int.from_bytes(file.read(4) if long_form else head[6:8], order)
    return PixelElement(_PIXEL_KEYWORDS[tag], vr, file.tell(), None if length == _UNDEFINED else length)
