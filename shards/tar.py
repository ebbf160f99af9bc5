"""Deterministic tar writing: the same members give the same bytes, on any machine, at any time.

The bytes are those of `tar --format=ustar --mode=0644 --owner=0 --group=0 --numeric-owner --mtime=@0 -cf`:
ustar headers (POSIX.1-1988), mode 0644, owner 0 without names, time 0, and an end of archive that is two zero
blocks and then zeros up to a multiple of 10,240 bytes.
"""

from typing import BinaryIO

from shards.hashed_output import HashedOutput
from shards.names import split_member

BLOCK_BYTES = 512
RECORD_BYTES = 20 * BLOCK_BYTES
MAX_NAME_BYTES = 100
MAX_MEMBER_BYTES = 8**11 - 1  # the size field of ustar: eleven octal digits, 8 GiB less one byte

_JOINED_BYTES = 2**14  # below, one copy of three pieces costs less than three steps

_SIZE_AT = 124
_CHECKSUM_AT = 148
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_TIME = b"00000000000\0"
_AFTER_CHECKSUM = (
    b"0"  # a regular file
    + bytes(100)  # no link
    + b"ustar\x0000"
    + bytes(64)  # no names of owner and group
    + b"0000000\0" * 2  # device numbers, as GNU tar writes them
    + bytes(155 + 12)  # no prefix
)
_FIXED_SUM = sum(_BEFORE_SIZE + _TIME + b" " * 8 + _AFTER_CHECKSUM)  # the checksum itself counts as blanks


class TarError(ValueError):
    """A member cannot be written, or an archive is not one this module writes. The message says where and why."""


def member_bytes(size: int) -> int:
    """Bytes that a member of `size` bytes takes in an archive: a header, the data, zeros to a whole block."""
    return BLOCK_BYTES + -(-size // BLOCK_BYTES) * BLOCK_BYTES


def archive_bytes(members: int) -> int:
    """Bytes of a whole archive whose members take `members` bytes, end of archive included."""
    return -(-(members + 2 * BLOCK_BYTES) // RECORD_BYTES) * RECORD_BYTES


def member_header(name: str, size: int) -> bytes:
    """Return the 512 bytes before a member's data.

    Raises:
        TarError: the name is longer than 100 bytes or not ASCII, or the size is 8 GiB or more.
    """
    if not name or len(name) > MAX_NAME_BYTES or not name.isascii():
        raise TarError(f"{name[:120]!a}: a member's name is 1 to {MAX_NAME_BYTES} ASCII characters")
    if not 0 <= size <= MAX_MEMBER_BYTES:
        raise TarError(f"{name}: {size} bytes, a ustar member holds at most {MAX_MEMBER_BYTES}")
    raw_name = name.encode("ascii")
    digits = b"%011o\0" % size
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(raw_name) + sum(digits))
    padded_name = raw_name.ljust(MAX_NAME_BYTES, b"\0")
    return b"".join((padded_name, _BEFORE_SIZE, digits, _TIME, checksum, _AFTER_CHECKSUM))


def parse_header(block: bytes) -> tuple[str, int]:
    """Return name and size out of a header that `member_header` made.

    Raises:
        TarError: the block is anything else; nothing in it is to be trusted then.
    """
    if len(block) != BLOCK_BYTES:
        raise TarError(f"the archive ends after {len(block)} of its {BLOCK_BYTES} bytes")
    name = block[:MAX_NAME_BYTES].rstrip(b"\0")
    digits = block[_SIZE_AT : _SIZE_AT + 11]
    try:
        size = int(digits, 8)
        rebuilt = member_header(name.decode("ascii"), size)
    except ValueError:
        rebuilt = b""
    if rebuilt != block:
        field = block[_CHECKSUM_AT : _CHECKSUM_AT + 8]
        if field != b"%06o\0 " % (sum(block) - sum(field) + 8 * ord(" ")):
            raise TarError("its checksum is wrong: damaged, or no tar header at all")
        raise TarError("not a plain file with fixed mode, owner and time: another program wrote it")
    return name.decode("ascii"), size


class TarWriter:
    """Writes members one after another into an open file, which it neither flushes to disk nor closes.

    Memory: one member, 4 MiB of finished ones, and the names. `bytes` is the size so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.bytes = 0
        self._output = HashedOutput(file)
        self._names: set[str] = set()

    def add(self, name: str, data: bytes) -> int:
        """Write one member; return the offset of its data in the archive.

        Raises:
            TarError: the name is taken or breaks the rule of `shards.names`, or the data is 8 GiB or more.
        """
        if split_member(name) is None:
            raise TarError(f"{name[:120]!a}: a member is called <sample id>.json, .jpg, .png or .<n>.<extension>")
        if name in self._names:
            raise TarError(f"{name}: is in the shard already")
        size = len(data)
        header = member_header(name, size)
        self._names.add(name)
        offset = self.bytes + BLOCK_BYTES
        self.bytes += member_bytes(size)
        padding = bytes(-size % BLOCK_BYTES)
        if size <= _JOINED_BYTES:
            self._output.write(b"".join((header, data, padding)))
        else:
            self._output.write(header)
            self._output.write(memoryview(data))
            self._output.write(padding)
        return offset

    def finish(self) -> str:
        """Write the end of archive; return the SHA-256 of the whole. Nothing may be added afterwards."""
        end = bytes(archive_bytes(self.bytes) - self.bytes)
        self._output.write(end)
        self.bytes += len(end)
        return self._output.finish()
