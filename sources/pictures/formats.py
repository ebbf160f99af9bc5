"""Which format a file has, by its first bytes; names and extensions are never believed."""

import struct

_DICOM_PREFIX = slice(128, 132)
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_MAGICS = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
)
_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_UNDEFINED = 0xFFFFFFFF
_FIRST_GROUPS = frozenset({0x0002, 0x0008})
_ELEMENTS_WALKED = 4
_FEWEST_ELEMENTS = 2


def sniff(data: bytes) -> str | None:
    """The format of a file by its content, or None: no picture that is read here.

    `jpeg, png, gif, bmp, tiff, webp, jpeg2000, pnm` or `dicom`. DICOM comes first: a slide may be both DICOM and
    TIFF (PS3.10 section 7.1 leaves the preamble to such uses).
    """
    if data[_DICOM_PREFIX] == b"DICM":
        return "dicom"
    for magic, name in _MAGICS:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and len(data) >= 26 and struct.unpack_from("<I", data, 14)[0] in _BMP_HEADER_SIZES:
        return "bmp"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "pnm"
    return "dicom" if bare_encoding(data, len(data)) is not None else None


def bare_encoding(head: bytes, size: int) -> tuple[bool, bool] | None:
    """(implicit VR, little endian) of a DICOM data set that starts at once, or None where none does.

    `head` is the start of it, `size` its whole length. Believed only where the first elements are in group 2 or
    8, in ascending order, each inside the file, and explicit ones have a value representation of PS3.5 section
    6.2: a text or random bytes don't.
    """
    for implicit, little in ((False, True), (False, False), (True, True)):
        if _walks(head, size, implicit=implicit, little=little):
            return implicit, little
    return None


def _walks(head: bytes, size: int, *, implicit: bool, little: bool) -> bool:
    order = "<" if little else ">"
    offset = seen = 0
    last = -1
    while seen < _ELEMENTS_WALKED and offset + 12 <= len(head):
        group, element = struct.unpack_from(f"{order}HH", head, offset)
        tag = group << 16 | element
        if tag <= last or (not seen and group not in _FIRST_GROUPS):
            return False
        header, length = _element(head, offset, order, implicit=implicit)
        if length == _UNDEFINED:
            break
        last, offset, seen = tag, offset + header + length, seen + 1
        if header == 0 or offset > size:
            return False
    return seen >= _FEWEST_ELEMENTS


def _element(head: bytes, offset: int, order: str, *, implicit: bool) -> tuple[int, int]:
    """Bytes before the value (0: not an element), and its length (PS3.5 section 7.1)."""
    if implicit:
        return 8, struct.unpack_from(f"{order}I", head, offset + 4)[0]
    vr = head[offset + 4 : offset + 6]
    if vr not in _VRS:
        return 0, 0
    if vr in _LONG_VRS:
        return 12, struct.unpack_from(f"{order}I", head, offset + 8)[0]
    return 8, struct.unpack_from(f"{order}H", head, offset + 6)[0]
