"""Members of a zip, as its central directory lists them; those of a tar are described alike."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_DIRECTORY_BYTES = 512 * 2**20
MAX_RATIO = 100
RATIO_COUNTS_FROM = 16 * 2**20
"""A member of more than 16 MiB that claims 100 times its packed bytes is a bomb, as for archives of pictures."""
PACKING_BYTES = 64 * 2**10
"""What packing may add to a member that cannot be packed, at most."""
_END, _END64, _LOCATOR64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_MEMBER, _LOCAL = b"PK\1\2", b"PK\3\4"
STORED, DEFLATED = 0, 8
BARE = -1
"""Of a member of a tar: its bytes themselves lie at its offset, and nothing tells their CRC."""
_ENCRYPTED = 1
_MEMBER_BYTES, _LOCAL_BYTES, _END_BYTES = 46, 30, 22
_FULL = 0xFFFFFFFF


class ArchiveError(ValueError):
    """An archive cannot be read. The message says what is wrong with it and names no member."""


@dataclass(frozen=True)
class Member:
    """Where a member lies, its sizes packed and unpacked, and the CRC-32 of its bytes."""

    offset: int
    packed: int
    size: int
    method: int
    crc: int

    @property
    def is_bomb(self) -> bool:
        """Whether it claims to be far larger than what is there."""
        return self.size > RATIO_COUNTS_FROM and self.size > MAX_RATIO * max(self.packed, 1)


def begins(file: BinaryIO, member: Member) -> int:
    """Where the packed bytes of a member begin; -1 where there is no such member."""
    if member.method == BARE:
        return member.offset
    file.seek(member.offset)
    head = file.read(_LOCAL_BYTES)
    if len(head) < _LOCAL_BYTES or not head.startswith(_LOCAL):
        return -1
    name, extra = struct.unpack("<HH", head[26:30])
    return int(member.offset + _LOCAL_BYTES + name + extra)


def unpacked(file: BinaryIO, member: Member) -> bytes:
    """The bytes of a member; none where what is there does not unpack to what was stated."""
    if member.packed > member.size + (PACKING_BYTES if member.method == DEFLATED else 0):
        return b""  # it would be read whole: an entry of ten bytes may claim to have all of the archive packed
    begin = begins(file, member)
    if begin < 0:
        return b""
    file.seek(begin)
    data = file.read(member.packed)
    if member.method != DEFLATED:
        return _whole(data, member)
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        whole = inflater.decompress(data, member.size + 1)
    except zlib.error:
        return b""
    return _whole(whole, member)


def _whole(data: bytes, member: Member) -> bytes:
    is_sound = len(data) == member.size and (member.method == BARE or zlib.crc32(data) == member.crc)
    return data if is_sound else b""


def zip_members(file: BinaryIO, size: int) -> Iterator[tuple[str, Member]]:
    """Files that can be read, with safe names; folders, links that lead out, encrypted and exotic ones are left out.

    Raises:
        ArchiveError: there is no central directory (a download that broke off), or it is damaged or too large.
    """
    yield from _members(_directory(file, size))


def _directory(file: BinaryIO, size: int) -> bytes:
    tail_bytes = min(size, 2**16 + _END_BYTES)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_BYTES:
        raise ArchiveError("is no zip, or was cut off: its central directory is not there; download it again")
    length, start = struct.unpack("<II", tail[end + 12 : end + 20])
    place = size - tail_bytes + end
    if _FULL in (length, start) or tail[end + 10 : end + 12] == b"\xff\xff":
        length, start, place = _directory64(file, place)
    if length > MAX_DIRECTORY_BYTES:
        raise ArchiveError("has a central directory of more than 512 MiB: unpack it")
    if start + length > place:
        raise ArchiveError("is damaged: its central directory is not where it says; download it again")
    file.seek(start)
    return file.read(length)


def _directory64(file: BinaryIO, end: int) -> tuple[int, int, int]:
    """Length and start of a directory of zip64, and where its end record is."""
    file.seek(max(0, end - 20))
    locator = file.read(20)
    if not locator.startswith(_LOCATOR64):
        raise ArchiveError("is damaged: it says it is zip64 and is not")
    (place,) = struct.unpack("<Q", locator[8:16])
    file.seek(place)
    record = file.read(56)
    if not record.startswith(_END64) or len(record) < 56:
        raise ArchiveError("is damaged: it says it is zip64 and is not")
    length, start = struct.unpack("<QQ", record[40:56])
    return length, start, place


def _members(directory: bytes) -> Iterator[tuple[str, Member]]:
    place = 0
    while place < len(directory):
        head = directory[place : place + _MEMBER_BYTES]
        if len(head) < _MEMBER_BYTES or not head.startswith(_MEMBER):
            raise ArchiveError("is damaged: its central directory cannot be read; download it again")
        flags, method = struct.unpack("<HH", head[8:12])
        crc, packed, size = struct.unpack("<III", head[16:28])
        name_bytes, extra_bytes, comment_bytes = struct.unpack("<HHH", head[28:34])
        (offset,) = struct.unpack("<I", head[42:46])
        begin = place + _MEMBER_BYTES
        raw = directory[begin : begin + name_bytes]
        extra = directory[begin + name_bytes : begin + name_bytes + extra_bytes]
        place = begin + name_bytes + extra_bytes + comment_bytes
        size, packed, offset = _wide(extra, [size, packed, offset])
        name = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
        if method in (STORED, DEFLATED) and not flags & _ENCRYPTED and is_safe(name):
            yield name, Member(offset, packed, size, method, crc)


def _wide(extra: bytes, values: list[int]) -> list[int]:
    """Sizes and offset, those that do not fit in 32 bits from the extra field of zip64."""
    if _FULL not in values:
        return values
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[place : place + 4])
        if kind == 1:
            wide = iter(struct.unpack(f"<{length // 8}Q", extra[place + 4 : place + 4 + length // 8 * 8]))
            return [next(wide, value) if value == _FULL else value for value in values]
        place += 4 + length
    return values


def is_safe(name: str) -> bool:
    """Whether a member's name is that of a file under its archive."""
    return not (name.endswith("/") or name.startswith("/") or "\\" in name or ".." in name.split("/"))
