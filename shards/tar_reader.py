"""Strict, streaming reading of the archives that `shards.tar` writes: any other byte is an error."""

import errno
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from shards.tar import BLOCK_BYTES, TarError, archive_bytes, parse_header

_READ_BYTES = 2**20


@dataclass(frozen=True)
class Member:
    """One file of an archive. `data` is None where it is larger than the reader loads."""

    name: str
    offset: int
    """Where the data starts in the archive."""
    size: int
    data: bytes | None


class MemberFile(io.RawIOBase):
    """A member that is too large to be loaded, as a file of its own: `data` of it are read, at any place, and no more.

    `allowed` bytes may be read in all. A decoder that takes more than a picture can have keeps something else in
    memory, and is stopped with OSError.
    """

    failure: OSError | None = None
    """What the archive's own file raised: decoders may tell it as damage."""

    def __init__(self, file: BinaryIO, member: Member, allowed: int) -> None:
        self._file = file
        self._start, self._size = member.offset, member.size
        self._allowed = allowed
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place of the member."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read what follows, as far as there is any."""
        view = memoryview(buffer)[: max(0, self._size - self._position)]
        if len(view) > self._allowed:
            raise OSError(errno.EFBIG, "more is read than a picture can have")
        try:
            self._file.seek(self._start + self._position)
            data = self._file.read(len(view))
        except OSError as error:
            self.failure = error
            raise
        view[: len(data)] = data
        self._position += len(data)
        self._allowed -= len(data)
        return len(data)


class TarReader:
    """Reads an archive once, from its first byte to its last, and hashes what it reads.

    `file_bytes` is the size of the file itself: what a header claims beyond it is never allocated or read. Memory
    is one member of at most `max_loaded_bytes`.
    """

    def __init__(self, file: BinaryIO, file_bytes: int, max_loaded_bytes: int) -> None:
        self.position = 0
        self.ended = False
        """Whether an end of archive was reached: every member has been yielded."""
        self._file = file
        self._file_bytes = file_bytes
        self._max_loaded_bytes = max_loaded_bytes
        self._hash = hashlib.sha256()

    def members(self) -> Iterator[Member]:
        """Yield the members in order; return after an end of archive that is right to its last byte.

        Raises:
            TarError: the archive is truncated, damaged, longer than its end, or written by another program.
        """
        while True:
            offset = self.position
            if offset == self._file_bytes:
                raise TarError(f"ends at byte {offset} without an end of archive: truncated")
            block = self._read(BLOCK_BYTES, "a header")
            if block == bytes(BLOCK_BYTES):
                self.ended = True
                self._check_end(offset)
                return
            try:
                name, size = parse_header(block)
            except TarError as error:
                raise TarError(f"the header at byte {offset}: {error}") from error
            yield self._member(name, size)

    def drain(self) -> tuple[str, int]:
        """Read the rest, whatever it is; return sha256 and size of the whole file."""
        while self._chunk(_READ_BYTES):
            pass
        return self._hash.hexdigest(), self.position

    def _member(self, name: str, size: int) -> Member:
        what = f"member {name!a}"
        offset = self.position
        data = None
        if size <= self._max_loaded_bytes:
            data = self._read(size, what)
        else:
            self._skip(size, what)
        padding = self._read(-size % BLOCK_BYTES, what)
        if padding.strip(b"\0"):
            raise TarError(f"{what}: the padding before byte {self.position} is not zeros")
        return Member(name, offset, size, data)

    def _check_end(self, offset: int) -> None:
        end = archive_bytes(offset)
        if self._file_bytes < end:
            raise TarError(f"ends at byte {self._file_bytes} inside its end of archive: truncated")
        if self._read(end - self.position, "the end of archive").strip(b"\0"):
            raise TarError(f"the end of archive at byte {offset} is not zeros")
        if self._file_bytes > end:
            raise TarError(f"{self._file_bytes - end} bytes follow the end of archive at byte {end}")

    def _read(self, size: int, what: str) -> bytes:
        self._require(size, what)
        data = self._chunk(size)
        if len(data) < size:
            raise TarError(f"{what} ends at byte {self.position}: the file became shorter while it was read")
        return data

    def _skip(self, size: int, what: str) -> None:
        self._require(size, what)
        while size:
            size -= len(self._read(min(size, _READ_BYTES), what))

    def _require(self, size: int, what: str) -> None:
        left = self._file_bytes - self.position
        if size > left:
            raise TarError(f"{what} needs {size} bytes, the file has {left} more: truncated")

    def _chunk(self, size: int) -> bytes:
        data = self._file.read(size)
        self.position += len(data)
        self._hash.update(data)
        return data
