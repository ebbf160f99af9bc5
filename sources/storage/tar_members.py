"""Members of a tar archive, one after the other: ustar, GNU long names and PAX; nothing of it is ever unpacked.

Only `shards/tar_reader.py` reads tars otherwise: it takes none but the very bytes that `shards/tar.py` writes.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import blake3

BLOCK_BYTES = 512
MAX_EXTENDED_BYTES = 2**20
"""Of a GNU long name or a PAX header: names have at most some thousand bytes."""
_READ_BYTES = 2**20
_MAP_GOES_ON, _MAP_GOES_ON_IN_EXTENSION = 482, 504
"""Where the old GNU format says that another block of a sparse file's map follows."""
_KINDS = {
    tarfile.LNKTYPE: "a hard link", tarfile.SYMTYPE: "a symbolic link", tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe", tarfile.GNUTYPE_SPARSE: "a sparse file",
}  # fmt: skip
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)

CUT_OFF = "the archive is cut off here: what follows is lost"
DAMAGED = "the archive is damaged here (no tar header): what follows is lost"
NO_END = "the archive has no end: it may be cut off"
GOES_ON = "the archive goes on after its end (several joined in one?): what follows is not read"


class Source(Protocol):
    """Where a tar is read from: anything that gives the next bytes, fewer only at its end.

    One that is unpacked on the way may have a `flaw`: why it ended too early.
    """

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        ...


class Forward:
    """A source read from front to back; `position` is the offset in the archive. What passes is hashed."""

    def __init__(self, source: Source, position: int) -> None:
        self.position = position
        self._source = source
        self._hash = blake3.blake3()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end."""
        data = self._source.read(size)
        self.position += len(data)
        self._hash.update(data)
        return data

    def skip(self, size: int) -> bool:
        """Pass over bytes; False where the source ends before."""
        while size:
            data = self.read(min(size, _READ_BYTES))
            if not data:
                return False
            size -= len(data)
        return True

    @property
    def flaw(self) -> str:
        """Why the source ended too early, where it can tell."""
        return str(getattr(self._source, "flaw", ""))

    def digest(self) -> bytes:
        """BLAKE3 of what has passed since the last call."""
        hasher, self._hash = self._hash, blake3.blake3()
        return hasher.digest()


class Leaping(Forward):
    """A file read from front to back, of which no more than the headers is read; nothing is known beyond `stop`."""

    def __init__(self, file: BinaryIO, position: int, stop: int) -> None:
        super().__init__(file, position)
        self._file, self._stop = file, stop

    def skip(self, size: int) -> bool:
        """Pass over bytes without reading them; False where they would lead beyond `stop`."""
        if self.position + size > self._stop:
            return False
        self.position += size
        self._file.seek(self.position)
        return True


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: `start:stop` with its headers and padding, its data at `data`, and why it is not read."""

    name: str
    """As written, wrong bytes as surrogates."""
    start: int
    data: int
    size: int
    stop: int
    digest: bytes
    """BLAKE3 of `start:stop`."""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """Where an archive cannot be read on: from `start`, in the member `name` as far as that is known.

    Whoever reads `start:stop` again finds the same. `between` says that no member had begun: the ones before are whole.
    """

    start: int
    stop: int
    name: str
    flaw: str
    digest: bytes
    between: bool = False


class _HeaderError(Exception):
    """What is wrong with a header."""


class _EndError(_HeaderError):
    """What is wrong with the end of the archive."""


def members(forward: Forward) -> Iterator[Member | Broken]:
    """Every member but folders, in order; at last, where there is no proper end of archive, what is wrong.

    Yields each once it has passed whole. Memory is one header.
    """
    while True:
        start, name = forward.position, ""
        forward.digest()
        try:
            header = _header(forward)
            if header is None:
                _expect_end(forward)
                return
            name, size, kind = header
            data = forward.position
            if not forward.skip(size + -size % BLOCK_BYTES):
                raise _HeaderError(CUT_OFF)  # noqa: TRY301 - the one place that knows where it began
        except _HeaderError as error:
            flaw = str(error) if str(error) in (DAMAGED, GOES_ON) else forward.flaw or str(error)
            between = isinstance(error, _EndError) and str(error) in (NO_END, GOES_ON)
            yield Broken(start, forward.position, name, flaw, forward.digest(), between)
            return
        if kind != tarfile.DIRTYPE:
            refusal = "" if kind in _PLAIN else f"it is {_KINDS.get(kind, 'of an unknown kind')}"
            yield Member(name, start, data, size, forward.position, forward.digest(), refusal)


def _expect_end(forward: Forward) -> None:
    """Whether only zeros follow the first block of the end of archive, whatever their number."""
    while data := forward.read(_READ_BYTES):
        if data.strip(b"\0"):
            raise _EndError(GOES_ON)
    if forward.flaw:
        raise _EndError(forward.flaw)


def _header(forward: Forward) -> tuple[str, int, bytes] | None:
    """Name, size and kind of the next member, extended headers applied; None at the end of the archive."""
    long_name: str | None = None
    pax: dict[str, str] = {}
    extended = False
    while True:
        block = _block(forward, extended=extended)
        if block is None:
            return None
        size, kind = block.size, block.type
        if kind in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            text = _extended(forward, size).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
            long_name = text if kind == tarfile.GNUTYPE_LONGNAME else long_name
        elif kind in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            pax = _pax(_extended(forward, size))
        elif kind == tarfile.XGLTYPE:
            _extended(forward, size)
        else:
            if any(key.startswith("GNU.sparse") for key in pax):
                kind = tarfile.GNUTYPE_SPARSE
            has_data = kind == tarfile.GNUTYPE_SPARSE or kind not in (*_KINDS, tarfile.DIRTYPE)
            return pax.get("path") or long_name or block.name, _size(pax, size) if has_data else 0, kind
        extended = True


def _block(forward: Forward, *, extended: bool) -> tarfile.TarInfo | None:
    data = forward.read(BLOCK_BYTES)
    if not data and not extended:
        raise _EndError(NO_END)
    if data == bytes(BLOCK_BYTES) and not extended:
        return None
    try:
        found = tarfile.TarInfo.frombuf(data, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise _HeaderError(CUT_OFF if len(data) < BLOCK_BYTES else DAMAGED) from None
    if found.size < 0:
        raise _HeaderError(DAMAGED)
    more = found.type == tarfile.GNUTYPE_SPARSE and data[_MAP_GOES_ON] != 0
    while more:  # the map of a sparse file, which is refused, but what follows it is not
        data = forward.read(BLOCK_BYTES)
        if len(data) < BLOCK_BYTES:
            raise _HeaderError(CUT_OFF)
        more = data[_MAP_GOES_ON_IN_EXTENSION] != 0
    return found


def _extended(forward: Forward, size: int) -> bytes:
    """The data of an extended header."""
    if size > MAX_EXTENDED_BYTES:
        raise _HeaderError(DAMAGED)
    padded = size + -size % BLOCK_BYTES
    data = forward.read(padded)
    if len(data) < padded:
        raise _HeaderError(CUT_OFF)
    return data[:size]


def _pax(data: bytes) -> dict[str, str]:
    """The records of a PAX header (POSIX.1-2001): each its own length in decimal, a blank, `key=value`, a newline."""
    found = {}
    while data.strip(b"\0"):
        length, blank, _ = data.partition(b" ")
        if not blank or not length.isdigit() or len(length) > 7 or not len(length) < int(length) <= len(data):
            raise _HeaderError(DAMAGED)
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[int(length) :]
    return found


def _size(pax: dict[str, str], size: int) -> int:
    stated = pax.get("size", "")
    if not stated:
        return size
    if not stated.isascii() or not stated.isdigit() or len(stated) > 19:
        raise _HeaderError(DAMAGED)
    return int(stated)
