"""Deterministic tar writing: the same members give the same bytes, on any machine, at any time.

The bytes are those of `tar --format=ustar --mode=0644 --owner=0 --group=0 --numeric-owner --mtime=@0 -cf`:
ustar headers (POSIX.1-1988), mode 0644, owner 0 without names, time 0, and an end of archive that is two zero
blocks and then zeros up to a multiple of 10,240 bytes.
"""

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from shards.hashed_output import HashedOutput
from shards.names import are_members, split_member

BLOCK_BYTES = 512
RECORD_BYTES = 20 * BLOCK_BYTES
MAX_NAME_BYTES = 100
MAX_MEMBER_BYTES = 8**11 - 1  # the size field of ustar: eleven octal digits, 8 GiB less one byte

_TOGETHER = 128
_TOGETHER_BYTES = 2**19
"""So many members, or bytes, are checked, given their headers and written in one go: one by one, the 5 microseconds
that Python takes for a member are more than the kernel takes to copy a short text."""
_SMALL_BYTES = 2**14
"""So small members are laid out together: at most 0.7 MiB, which is less than a buffer of the output."""

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
_CHECKSUM_DIGITS = 6
_SIZE_DIGITS = 11
_ZEROS = tuple(bytes(count) for count in range(BLOCK_BYTES))
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
    if not _fits(name):
        raise _unfit(name)
    if not 0 <= size <= MAX_MEMBER_BYTES:
        raise _too_large(name, size)
    raw_name = name.encode("ascii")
    digits = b"%011o\0" % size
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(raw_name) + sum(digits))
    padded_name = raw_name.ljust(MAX_NAME_BYTES, b"\0")
    return b"".join((padded_name, _BEFORE_SIZE, digits, _TIME, checksum, _AFTER_CHECKSUM))


def member_headers(names: Sequence[str], sizes: Sequence[int]) -> NDArray[np.uint8]:
    """As `member_header` for each: N x 512. Sizes are right: they are not checked.

    Raises:
        TarError: a name is longer than 100 bytes or not ASCII.
    """
    lengths = [len(name) for name in names]
    if not (min(lengths) and max(lengths) <= MAX_NAME_BYTES and "".join(names).isascii()):
        raise _unfit(next(name for name in names if not _fits(name)))
    header_NB = np.empty((len(names), BLOCK_BYTES), np.uint8)
    header_NB[:] = _PLAIN_HEADER
    padded = "".join([name.ljust(MAX_NAME_BYTES, "\0") for name in names]).encode("ascii")
    name_NB = np.frombuffer(padded, np.uint8).reshape(-1, MAX_NAME_BYTES)
    size_ND = _octal(np.array(sizes, np.int64), _SIZE_DIGITS)
    sum_N = _FIXED_SUM + name_NB.sum(1, np.int64) + size_ND.sum(1, np.int64)
    header_NB[:, :MAX_NAME_BYTES] = name_NB
    header_NB[:, _SIZE_AT : _SIZE_AT + _SIZE_DIGITS] = size_ND
    header_NB[:, _CHECKSUM_AT : _CHECKSUM_AT + _CHECKSUM_DIGITS] = _octal(sum_N, _CHECKSUM_DIGITS)
    return header_NB


def _fits(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_BYTES and name.isascii()


def _unfit(name: str) -> TarError:
    return TarError(f"{name[:120]!a}: a member's name is 1 to {MAX_NAME_BYTES} ASCII characters")


def _octal(number_N: NDArray[np.int64], digits: int) -> NDArray[np.uint8]:
    """The digits of each number, as ASCII."""
    shift_D = np.arange(3 * digits - 3, -1, -3)
    return ((number_N[:, None] >> shift_D & 7) + ord("0")).astype(np.uint8)


_PLAIN_HEADER = np.frombuffer(member_header("-", 0), np.uint8)
"""Of which `member_headers` replaces what is another in each."""


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

    Memory: one member, 5 MiB of others, and the names. `bytes` is the size so far, of what waits to be written too.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.bytes = 0
        self._output = HashedOutput(file)
        self._names: set[str] = set()
        self._waiting: list[tuple[str, bytes]] = []
        self._waiting_bytes = 0

    def add(self, name: str, data: bytes) -> int:
        """Write one member, now or with later ones; return the offset of its data in the archive.

        Raises:
            TarError: a name, this one or an earlier one, is taken or breaks the rule of `shards.names`, or the data is
                8 GiB or more. A name is told by `finish` at the latest; no archive is whole before.
        """
        size = len(data)
        if size > MAX_MEMBER_BYTES:
            raise _too_large(name, size)
        self._waiting.append((name, data))
        self._waiting_bytes += size
        offset = self.bytes + BLOCK_BYTES
        self.bytes = offset + size + -size % BLOCK_BYTES
        if len(self._waiting) == _TOGETHER or self._waiting_bytes >= _TOGETHER_BYTES:
            self._write_waiting()
        return offset

    def finish(self) -> str:
        """Write the end of archive; return the SHA-256 of the whole. Nothing may be added then. Raises as `add`."""
        self._write_waiting()
        end = bytes(archive_bytes(self.bytes) - self.bytes)
        self._output.write(end)
        self.bytes += len(end)
        return self._output.finish()

    def _write_waiting(self) -> None:
        if not self._waiting:
            return
        names, contents = zip(*self._waiting, strict=True)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._take(names)
        sizes = [len(data) for data in contents]
        header_NB = member_headers(names, sizes)
        if max(sizes) <= _SMALL_BYTES:
            self._write_small(header_NB, contents, sizes)
            return
        for header, data, size in zip(header_NB, contents, sizes, strict=True):
            self._output.write(header.data)
            self._output.write(memoryview(data))
            self._output.write(_ZEROS[-size % BLOCK_BYTES])

    def _write_small(self, header_NB: NDArray[np.uint8], contents: Sequence[bytes], sizes: Sequence[int]) -> None:
        """Lay members out where they are hashed and written from: no byte of them is copied twice."""
        blocks_N = 1 - np.array(sizes, np.int64) // -BLOCK_BYTES
        end_N = blocks_N.cumsum()
        start_N = end_N - blocks_N
        room = self._output.room(int(end_N[-1]) * BLOCK_BYTES)
        block_MB = np.frombuffer(room, np.uint8).reshape(-1, BLOCK_BYTES)
        block_MB[end_N - 1] = 0  # the padding; what else is there is written now
        block_MB[start_N] = header_NB
        for place, data, size in zip(((start_N + 1) * BLOCK_BYTES).tolist(), contents, sizes, strict=True):
            room[place : place + size] = data

    def _take(self, names: Sequence[str]) -> None:
        """Hold names against the rule, and remember them."""
        if not are_members(names):
            wrong = next(name for name in names if split_member(name) is None)
            raise TarError(f"{wrong[:120]!a}: a member is called <sample id>.json, .jpg, .png or .<n>.<extension>")
        own = set(names)
        if len(own) < len(names) or not self._names.isdisjoint(own):
            again = next(name for place, name in enumerate(names) if name in self._names or name in names[:place])
            raise TarError(f"{again}: is in the shard already")
        self._names |= own


def _too_large(name: str, size: int) -> TarError:
    return TarError(f"{name[:MAX_NAME_BYTES]!a}: {size} bytes, a ustar member holds at most {MAX_MEMBER_BYTES}")
