"""What JPEG and PNG files carry besides their pixels, and the same files without it.

Only the container is rewritten: the compressed pixels are copied byte for byte, so that what decodes is the same.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from sources.pictures.png_stream import PixelStream

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS: dict[bytes, range] = {
    b"IHDR": range(13, 14), b"PLTE": range(3, 769, 3), b"IDAT": range(2**31), b"tRNS": range(257),
}  # fmt: skip
_PNG_SHOWN: dict[bytes, range] = {
    b"IEND": range(1), b"gAMA": range(4, 5), b"cHRM": range(32, 33), b"sRGB": range(1, 2), b"sBIT": range(1, 5),
    b"bKGD": range(1, 7), b"pHYs": range(9, 10), b"hIST": range(2, 513, 2),
}  # fmt: skip
"""Pixels, palette, transparency, and numbers on how to show them, each with the lengths it may have (PNG, third
edition, 11.2 and 11.3). An animation's further frames are nobody's picture here (`raster.py`): nothing looks at them,
so they go."""
_END = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_KINDS = {
    b"tEXt": "text", b"zTXt": "text", b"iTXt": "text", b"eXIf": "exif", b"tIME": "time", b"iCCP": "colour_profile",
    b"acTL": "animation", b"fcTL": "animation", b"fdAT": "animation",
}  # fmt: skip
_JPEG_KEPT = frozenset({*range(0xC0, 0xD0), *range(0xDB, 0xE0)} - {0xC8})
"""Frames and their tables (ITU-T T.81 B.1.1.3): SOFn, DHT, DAC, DQT, DNL, DRI, DHP, EXP. All else may hold anything."""
_LAST_WORDS = re.compile(rb"[\t\n\r -~]{8,}(?:\xff[\xd0-\xd7]|[\0\xff])*\Z")
"""At the end of entropy-coded data, but for stuffing, fill bytes and restart markers."""
_LONG_WORDS = re.compile(rb"[\t\n\r -~]{18,}")
_LETTERS = frozenset(range(0x41, 0x5B)) | frozenset(range(0x61, 0x7B))
_FEWEST_LETTERS, _FEWEST_OF_LONG = 3, 6
"""Different ones: an even ground is coded as one or two bytes again and again, which may be letters."""
_WORDS_WITHIN = 256
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/x"
_SOS, _EOI, _DNL, _COM, _APP0, _APP14 = 0xDA, 0xD9, 0xDC, 0xFE, 0xE0, 0xEE
_DNL_BYTES = 4
_JFIF_BYTES = 14
"""Of the value of JFIF's own segment, without its thumbnail (ITU-T T.871 10.1)."""
_ORIENTATION = 0x0112
_AFTER_HEADER = 33
"""Bytes of a PNG's signature and its first chunk."""


@dataclass(frozen=True)
class Metadata:
    """One piece of a file that is not pixels: what it is, and how many bytes long. Never what it says."""

    kind: str
    length: int


class ContainerError(ValueError):
    """The file's structure is not that of its format, though a decoder may show something."""


def metadata_of(data: bytes) -> list[Metadata]:
    """The pieces of a JPEG or PNG that may tell of people; of any other format none.

    Raises:
        ContainerError: the file cannot be taken apart.
    """
    return [piece for piece, _ in _pieces(data) if isinstance(piece, Metadata)]


def without_metadata(data: bytes) -> bytes:
    """The same picture without them. A turn that EXIF asks for is still asked for, in a block that says nothing else.

    Longer than `data` by 4 bytes at most, where such a block was cut short; other formats are returned as they are.

    Raises:
        ContainerError: the file cannot be taken apart.
    """
    return b"".join(kept for _, kept in _pieces(data))


def turned_as(png: bytes, data: bytes) -> bytes:
    """A PNG without metadata that asks for the turn that the JPEG or PNG file `data` asks for, if it does."""
    blocks = {block(turn): turn for turn in range(2, 9) for block in (_jpeg_exif, _png_exif)}
    with suppress(ContainerError):
        turn = next((blocks[kept] for _, kept in _pieces(data) if kept in blocks), 1)
        if turn > 1:
            return png[:_AFTER_HEADER] + _png_exif(turn) + png[_AFTER_HEADER:]
    return png


def _pieces(data: bytes) -> Iterator[tuple[Metadata | None, bytes]]:
    """Every piece of the file: what it is if it is metadata, and what is kept of it."""
    try:
        if data.startswith(_PNG):
            yield from _png(data)
        elif data.startswith(b"\xff\xd8"):
            yield from _jpeg(data)
        else:
            yield None, data
    except (struct.error, IndexError):
        raise ContainerError("ends inside a segment") from None
    except KeyError:
        raise ContainerError("a colour type that there is not") from None


def _png(data: bytes) -> Iterator[tuple[Metadata | None, bytes]]:
    yield None, _PNG
    place, kind, stream = len(_PNG), b"", None
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, place)
        stop = place + 12 + length
        if stop > len(data):
            raise ContainerError("a chunk is longer than the file")
        chunk = data[place:stop]
        place = stop
        if kind in _PNG_PIXELS:
            if length not in _PNG_PIXELS[kind]:
                raise ContainerError("a chunk has a length that it cannot have")
            if kind == b"IHDR" and stream is not None:
                raise ContainerError("two headers")
            if kind == b"IHDR":
                stream = PixelStream(chunk[8:21])
            elif kind == b"IDAT" and not (stream and stream.holds(chunk[8:-4])):
                raise ContainerError("there is something behind the pixels")
            yield None, chunk
        elif kind in _PNG_SHOWN:
            kept = chunk if length in _PNG_SHOWN[kind] else _END * (kind == b"IEND")
            yield from _removed("private", chunk, length, kept)
        else:
            turn = _turn(chunk[8:-4]) if kind == b"eXIf" else 1
            kept = _png_exif(turn) if turn > 1 else b""
            yield from _removed(_PNG_KINDS.get(kind, "private"), chunk, length, kept)
    if place < len(data):
        yield Metadata("after_end", len(data) - place), b""


def _jpeg(data: bytes) -> Iterator[tuple[Metadata | None, bytes]]:
    yield None, data[:2]
    place, coded = 2, b""
    while place < len(data):
        if data[place] != 0xFF:
            raise ContainerError("no marker where one belongs")
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == _EOI:
            yield from _end(data, place, coded)
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            yield None, data[place : place + 2]
            place += 2
            continue
        length = struct.unpack_from(">H", data, place + 2)[0]
        stop = place + 2 + length
        if length < 2 or stop > len(data) or (marker == _DNL and length != _DNL_BYTES):
            raise ContainerError("a segment has a length that it cannot have")
        if marker == _SOS:
            start, stop = stop, _scan_end(data, stop)
            coded = data[max(start, stop - _WORDS_WITHIN) : stop]
            yield None, data[place:stop]
        elif marker in _JPEG_KEPT:
            yield None, data[place:stop]
        else:
            yield from _segment(marker, data[place:stop])
        place = stop
    raise ContainerError("has no end")


def _end(data: bytes, place: int, coded: bytes) -> Iterator[tuple[Metadata | None, bytes]]:
    """The end of the image at `place`, behind a scan whose last bytes are `coded`."""
    if _ends_in_words(coded):
        raise ContainerError("there are words behind the pixels")
    yield None, data[place : place + 2]
    if place + 2 < len(data):
        yield Metadata("after_end", len(data) - place - 2), b""


def _ends_in_words(coded: bytes) -> bool:
    """Of a file's last scan only: of random bytes, 1 end in 2,500 is taken for words (403 of 1,000,000)."""
    words = _LAST_WORDS.search(coded)
    return words is not None and len(_LETTERS.intersection(words[0])) >= _FEWEST_LETTERS


def _holds_long_words(coded: bytes) -> bool:
    """Of every scan, wherever words stand in `coded`: of random bytes, 1 end in 200,000 (5 of 1,000,000)."""
    return any(len(_LETTERS.intersection(words[0])) >= _FEWEST_OF_LONG for words in _LONG_WORDS.finditer(coded))


def _segment(marker: int, segment: bytes) -> Iterator[tuple[Metadata | None, bytes]]:
    value = segment[4:]
    if marker == _APP14 and value.startswith(b"Adobe"):  # says how colours are stored; decoders need it
        head = segment[:2] + struct.pack(">H", 14) + value[:12]
        if len(value) > 12:
            yield Metadata("private", len(value) - 12), head
        else:
            yield None, segment
    elif marker == _APP0 and value.startswith(b"JFIF\0") and len(value) >= _JFIF_BYTES:
        if len(value) == _JFIF_BYTES and value[12:14] == b"\0\0":
            yield None, segment
        else:
            head = segment[:2] + struct.pack(">H", _JFIF_BYTES + 2) + value[:12] + b"\0\0"
            yield Metadata("thumbnail", len(value) - _JFIF_BYTES), head
    elif marker == 0xE1 and value.startswith(_EXIF):
        turn = _turn(value[len(_EXIF) :])
        yield from _removed("exif", segment, len(value), _jpeg_exif(turn) if turn > 1 else b"")
    else:
        yield Metadata(_app_kind(marker, value), len(value)), b""


def _removed(kind: str, piece: bytes, length: int, kept: bytes) -> Iterator[tuple[Metadata | None, bytes]]:
    """A piece that goes, but for `kept`; one that is nothing else but that is none."""
    yield (None if kept == piece else Metadata(kind, length)), kept


def _app_kind(marker: int, value: bytes) -> str:
    if marker == _COM:
        return "comment"
    if value.startswith(_XMP):
        return "xmp"
    if value.startswith(b"Photoshop") or marker == 0xED:
        return "iptc"
    if value.startswith(b"ICC_PROFILE"):
        return "colour_profile"
    if value.startswith((b"MPF\0", b"JFXX\0")):
        return "thumbnail"
    return "private"


def _scan_end(data: bytes, place: int) -> int:
    """Where the entropy-coded data that begins at `place` ends: before the next marker that is none of its own.

    Raises:
        ContainerError: no marker follows, so that nobody knows where the pixels end; or words stand before it.
    """
    start = place
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            raise ContainerError("has no end")
        following = data[place + 1]
        if following == 0 or 0xD0 <= following <= 0xD7:
            place += 2
        elif following == 0xFF:
            place += 1
        elif _holds_long_words(data[max(start, place - _WORDS_WITHIN) : place]):
            raise ContainerError("there are words behind the pixels")
        else:
            return place


def _turn(tiff: bytes) -> int:
    """The orientation (1 to 8) that an EXIF block asks for; 1 where it asks for none or cannot be read."""
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        start = struct.unpack_from(f"{order}I", tiff, 4)[0]
        count = struct.unpack_from(f"{order}H", tiff, start)[0]
        for number in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * number)
            if tag == _ORIENTATION and kind == 3:
                return value if 1 <= value <= 8 else 1
    except (KeyError, struct.error):
        return 1
    return 1


def _exif(turn: int) -> bytes:
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, turn, 0, 0)


def _jpeg_exif(turn: int) -> bytes:
    value = _EXIF + _exif(turn)
    return b"\xff\xe1" + struct.pack(">H", len(value) + 2) + value


def _png_exif(turn: int) -> bytes:
    value = b"eXIf" + _exif(turn)
    return struct.pack(">I", len(value) - 4) + value + struct.pack(">I", zlib.crc32(value))
