"""The bytes of a tar file from any place on: plain, or inside gzip, which has no places and is read as a stream."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from sources.readers.ranges import check_unchanged, opened
from sources.records import ChangedInputError, Corpus, CorpusError, Fragment
from sources.storage.tar_members import Source

READ_BYTES = 2**18
STEP_BYTES = 2**18
MAX_RATIO = 100
RATIO_COUNTS_FROM = 2**30
"""A gzip that unpacks to more than 1 GiB and 100 times its bytes so far is a bomb: pictures hardly shrink at all."""
MAX_REMEMBERED = 4096
GZIP = "gzip"
_MAGICS = (
    (b"\x1f\x8b", GZIP), (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstandard"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "rar"),
)  # fmt: skip


def packing(head: bytes) -> str | None:
    """How a file that begins like this is packed: `gzip, zip, bzip2, xz, zstandard, 7z, rar`; None: not at all."""
    return next((name for magic, name in _MAGICS if head.startswith(magic)), None)


@contextmanager
def tar_from(corpus: Corpus, path: str, stamp: int, start: int) -> Iterator[Source]:
    """The bytes of a tar from `start` on (in gzip: of what is packed).

    A gzip goes on from where this process stopped reading it where that is not behind `start`, else from its beginning:
    whoever reads fragments in order unpacks the file once. `stamp` is the file's.

    Raises:
        CorpusError: the file cannot be read, or is packed in another way.
    """
    packed = packing_of(corpus, path, stamp)
    if packed is None:
        with opened(corpus, path) as file:
            file.seek(start)
            yield file
        return
    if packed != GZIP:
        raise CorpusError(f"{corpus.shown(path)}: packed with {packed}; unpack it, or pack it with gzip")
    try:
        yield _cursor_at(corpus, path, stamp, start)
    except OSError as error:
        _forget()
        raise CorpusError(f"{corpus.shown(path)}: cannot be read ({error.strerror or error})") from None
    except BaseException:
        _forget()
        raise


_packings: dict[tuple[Any, ...], str | None] = {}
"""How files are packed that this process has looked into, so that each is asked once."""


def packing_of(corpus: Corpus, path: str, stamp: int) -> str | None:
    """How a file is packed (`packing`); asked once in a process. `stamp` is the file's.

    Raises:
        CorpusError: it cannot be read.
    """
    place = (corpus.root, path, stamp)
    if place not in _packings:
        with opened(corpus, path) as file:
            found = packing(file.read(8))
        if len(_packings) >= MAX_REMEMBERED:
            _packings.clear()
        _packings[place] = found
    return _packings[place]


@contextmanager
def whole_tar(corpus: Corpus, path: str, stamp: int) -> Iterator[Source]:
    """The bytes of a tar from its beginning, whatever else this process reads meanwhile.

    Raises:
        CorpusError: as `tar_from`.
    """
    if packing_of(corpus, path, stamp) != GZIP:
        with tar_from(corpus, path, stamp, 0) as source:
            yield source
        return
    with opened(corpus, path) as file:
        yield Gunzip(file)


class Gunzip:
    """A gzip file unpacked from front to back. A damaged one ends early, and `flaw` says why.

    It is unpacked in steps that do not depend on who reads how much, so that it ends where it ended before.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.position = 0
        self.flaw = ""
        self.file = file
        self._packed = 0
        self._unpacked = 0
        self._waiting = b""
        self._ready = memoryview(b"")
        self._unpacker: Any = None
        self._ended = False

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end. Memory is these and one step."""
        parts = []
        while size and self._has_more():
            part = self._ready[:size]
            self._ready = self._ready[len(part) :]
            parts.append(part)
            size -= len(part)
            self.position += len(part)
        return b"".join(parts)

    def flaw_here(self) -> str:
        """Why it ends here, if it does and should not."""
        return "" if self._has_more() else self.flaw

    def _has_more(self) -> bool:
        while not self._ready and not self._ended:
            data = self._step()
            self._unpacked += len(data)
            self._ready = memoryview(data)
        return bool(self._ready)

    def _step(self) -> bytes:
        """Some of the next bytes, at times none: then either the end is known, or there is more."""
        if not self._waiting:
            rest: bytes = self._unpacker.decompress(b"", STEP_BYTES) if self._unpacker is not None else b""
            if rest or not self._more():
                return rest
        if self._unpacker is None:
            if not self._begins():
                return b""
            self._unpacker = zlib.decompressobj(wbits=31)
        part = self._unpack()
        self._waiting = self._unpacker.unconsumed_tail
        if self._unpacker.eof:
            self._waiting = self._unpacker.unused_data
            self._unpacker = None
        return part

    def _unpack(self) -> bytes:
        """The next step; at a damaged place as much of it as there is before it."""
        size = STEP_BYTES
        while size:
            before = self._unpacker.copy()
            try:
                part: bytes = self._unpacker.decompress(self._waiting, size)
            except zlib.error:
                self._unpacker = before
                size //= 2
            else:
                return part
        self._end("the gzip is damaged here: what follows is lost, and what stands before may be damaged")
        return b""

    def _more(self) -> bool:
        """Read the next block, unless this is a bomb or there is none."""
        if self._unpacked > RATIO_COUNTS_FROM and self._unpacked > MAX_RATIO * self._packed:
            self._end(f"the archive unpacks to more than {MAX_RATIO} times its size: what follows is not read")
            return False
        self._waiting = self.file.read(READ_BYTES)
        self._packed += len(self._waiting)
        if not self._waiting:
            self._end("" if self._unpacker is None else "the gzip is cut off here: what follows is lost")
        return bool(self._waiting)

    def _begins(self) -> bool:
        """Whether another gzip follows the last one; anything else there is padding, as for `gzip`."""
        if len(self._waiting) < 2:
            more = self.file.read(READ_BYTES)
            self._packed += len(more)
            self._waiting += more
        if not self._waiting.startswith(_MAGICS[0][0]):
            self._end("")
        return not self._ended

    def _end(self, flaw: str) -> None:
        self._ended, self.flaw = True, flaw


_cursors: dict[tuple[Any, ...], Gunzip] = {}
"""Where this process stopped reading a gzip: at most one."""


def _cursor_at(corpus: Corpus, path: str, stamp: int, start: int) -> Gunzip:
    place = (os.getpid(), corpus.root, path, stamp)
    cursor = _cursors.get(place)
    if cursor is None or cursor.position > start:
        _forget()
        try:
            cursor = Gunzip(corpus.root.open(path))
        except FileNotFoundError:
            raise ChangedInputError(f"{corpus.shown(path)}: is not there any more") from None
        _cursors[place] = cursor
    while cursor.position < start and cursor.read(min(start - cursor.position, READ_BYTES)):
        pass
    return cursor


def _forget() -> None:
    for cursor in _cursors.values():
        cursor.file.close()
    _cursors.clear()


def read_range(corpus: Corpus, fragment: Fragment, start: int, size: int) -> bytes:
    """Bytes of a fragment's file, all of them.

    Raises:
        ChangedInputError: the file is not the planned one any more.
    """
    check_unchanged(corpus, fragment)
    with tar_from(corpus, fragment.path, fragment.file_stamp, start) as source:
        data = source.read(size)
    if len(data) < size:
        raise ChangedInputError(f"{corpus.shown(fragment.path)}: became shorter while it was read; run it again")
    return data
