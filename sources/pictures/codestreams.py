"""What a JPEG, JPEG-LS or JPEG 2000 codestream says of itself, read without a codec.

Inside DICOM the codestream is what a decoder allocates memory for, whatever the header around it claims.
"""

import struct
from dataclasses import dataclass

_SOF_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_STANDALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
LOSSLESS_JPEG = 0xC3
JPEG_LS = 0xF7
_MOST_STEPS = 10_000
"""Segments, boxes and fill bytes looked at: real files have some hundreds, hostile ones as many as bytes."""
_SOC_SIZ = b"\xff\x4f\xff\x51"
_JP2_BOX = b"\x00\x00\x00\x0cjP  "


@dataclass(frozen=True)
class Codestream:
    """Size, samples per pixel and bits per sample; `process` is the SOF marker's second byte, 0 for JPEG 2000."""

    width: int
    height: int
    components: int
    precision: int
    process: int


def read_codestream(data: bytes) -> Codestream | None:
    """The first frame header of a codestream, or None where there is none."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        return _jpeg2000(data)
    except (IndexError, struct.error):
        return None


def _jpeg(data: bytes) -> Codestream | None:
    """ITU-T T.81 B.2.2 (T.87 C.2.2 for JPEG-LS): precision, lines, samples per line, components."""
    offset = 2
    for _ in range(_MOST_STEPS):
        if data[offset] != 0xFF:
            return None
        marker = data[offset + 1]
        if marker in _SOF_MARKERS:
            precision, height, width, components = struct.unpack_from(">BHHB", data, offset + 4)
            return Codestream(width, height, components, precision, marker)
        if marker == 0xFF:  # a fill byte, B.1.1.2
            offset += 1
        elif marker in _STANDALONE_MARKERS:
            offset += 2
        else:
            length = struct.unpack_from(">H", data, offset + 2)[0]
            offset += 2 + max(length, 2)
    return None


def _jpeg2000(data: bytes) -> Codestream | None:
    """ITU-T T.800 A.5.1, the SIZ segment: image area, components, depth of the first one."""
    start = _first_codestream(data) if data.startswith(_JP2_BOX) else 0
    if start is None or data[start : start + 4] != _SOC_SIZ:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, start + 8)
    components = struct.unpack_from(">H", data, start + 40)[0]
    return Codestream(right - left, bottom - top, components, (data[start + 42] & 0x7F) + 1, 0)


def _first_codestream(data: bytes) -> int | None:
    """Offset of the codestream in a JP2 file (T.800 I.4: boxes of length, type and content)."""
    offset = 0
    for _ in range(_MOST_STEPS):
        length, kind = struct.unpack_from(">I4s", data, offset)
        header = 8
        if length == 1:
            length, header = struct.unpack_from(">Q", data, offset + 8)[0], 16
        if kind == b"jp2c":
            return offset + header
        if length < header:
            return None
        offset += length
    return None
