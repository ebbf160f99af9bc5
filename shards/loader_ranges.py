"""Reading pieces of tars, wherever they lie: a range is one read, and what comes next is on its way meanwhile."""

import errno
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import BinaryIO, Protocol

from sources.storage import BucketFolder, Folder

LOCAL_GAP_BYTES = 2**14
"""Bytes between two pieces up to which both are one read: what a system call costs, copied."""
BUCKET_GAP_BYTES = 2**18
"""The same for object storage. A gap costs its bytes and saves the wait for a first byte: at 20 ms and 50 MB/s a
stream it is worth joining up to 1 MB, at 12.5 MB/s (a network that many share) up to 250 KB. For one of 4 or 16 ranks
256 KiB takes 1.15 times as long as 1 MiB in the first case, 0.60 to 0.84 of its time in the second, and reads 0.34 to
0.58 of its bytes (table in docs/loader.md). A rule by the share that is not wanted took longer for as many bytes."""
MOST_RANGE_BYTES = 16 * 2**20
"""Pieces are not joined beyond this, so that many can be on their way at once."""
REQUESTS_AT_ONCE = 16
FIRST_BYTES = 512
ANNOUNCED = 512
"""How many spans the kernel is told of ahead after one that it did not have. Telling takes a third of the time of
reading what is in memory, so it stops where everything is."""
SLOW_READ_S = 300e-6
SLOW_BYTE_S = 1e-9


class ShortReadError(OSError):
    """A file ends before the piece does. It became shorter since it was opened, or never was longer."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "the file ends there")


@dataclass(frozen=True)
class Span:
    """Bytes `start:stop` of a shard, which several pieces share."""

    start: int
    stop: int


def joined(pieces: Iterable[tuple[int, int]], gap: int) -> list[Span]:
    """Few spans that hold all pieces (offset, size), none joined across more than `gap` bytes."""
    spans: list[Span] = []
    for offset, size in sorted(pieces):
        stop = offset + size
        last = spans[-1] if spans else None
        if last is not None and offset - last.stop <= gap and stop - last.start <= MOST_RANGE_BYTES:
            spans[-1] = Span(last.start, max(last.stop, stop))
        elif last is None or stop > last.stop:
            spans.append(Span(offset, stop))
    return spans


class OpenShard(Protocol):
    """A tar that stays the file it was when it was opened. It is closed when nobody holds it any more."""

    gap_bytes: int
    has_descriptor: bool
    """Whether it takes one of the few files that a process may have open."""
    size: int
    head: bytes
    """Its first 512 bytes, or fewer where it has no more."""

    def read(self, span: Span) -> bytes:
        """The bytes of a span; safe to call from several threads. Raises OSError."""
        ...

    def expect(self, spans: Sequence[Span]) -> None:
        """Say that these spans will be read soon."""
        ...


def open_shard(folder: Folder, name: str) -> OpenShard:
    """Open a tar of a folder.

    Raises:
        FileNotFoundError: there is no such regular file.
        OSError: it cannot be had now.
    """
    if isinstance(folder, BucketFolder):
        return _BucketShard(folder, name)
    file = folder.open(name)
    try:
        descriptor = os.dup(file.fileno())
    except OSError:
        return _SeekingShard(file)
    file.close()
    return _LocalShard(descriptor)


class _LocalShard:
    """A file of this machine, read at any place through one descriptor."""

    gap_bytes = LOCAL_GAP_BYTES
    has_descriptor = True

    def __init__(self, descriptor: int) -> None:
        """Take over an open descriptor."""
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self.head = os.pread(descriptor, FIRST_BYTES, 0)
        # Rows lie anywhere: without this, the kernel reads 128 KiB ahead of each.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def read(self, span: Span) -> bytes:
        data = os.pread(self._descriptor, span.stop - span.start, span.start)
        if len(data) == span.stop - span.start:
            return data
        parts = [data]  # Linux gives at most 2 GiB at once
        place = span.start + len(data)
        while place < span.stop:
            part = os.pread(self._descriptor, span.stop - place, place)
            if not part:
                raise ShortReadError
            parts.append(part)
            place += len(part)
        return b"".join(parts)

    def expect(self, spans: Sequence[Span]) -> None:
        for span in spans:
            os.posix_fadvise(self._descriptor, span.start, span.stop - span.start, os.POSIX_FADV_WILLNEED)

    def __del__(self) -> None:
        os.close(self._descriptor)


class _BucketShard:
    """An object of a bucket: one request a span, always of the version that was opened."""

    gap_bytes = BUCKET_GAP_BYTES
    has_descriptor = False

    def __init__(self, folder: BucketFolder, name: str) -> None:
        self._bucket, self._key = folder.bucket, folder.key(name)
        self.head, found = self._bucket.fetch(self._key, 0, FIRST_BYTES)
        self.size, self._etag = found.size, found.etag or None

    def read(self, span: Span) -> bytes:
        data, _ = self._bucket.fetch(self._key, span.start, span.stop, self._etag)
        if len(data) < span.stop - span.start:
            raise ShortReadError
        return data

    def expect(self, spans: Sequence[Span]) -> None:
        """Nothing: `Fetching` reads them."""


class _SeekingShard:
    """Any other file: one reader at a time."""

    gap_bytes = BUCKET_GAP_BYTES
    has_descriptor = True

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock = file, threading.Lock()
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.head = file.read(FIRST_BYTES)

    def read(self, span: Span) -> bytes:
        with self._lock:
            self._file.seek(span.start)
            data = self._file.read(span.stop - span.start)
        if len(data) < span.stop - span.start:
            raise ShortReadError
        return data

    def expect(self, spans: Sequence[Span]) -> None:
        """Nothing can be done."""

    def __del__(self) -> None:
        self._file.close()


class Fetching:
    """Spans of several shards on their way: on object storage by threads, on a disk by the kernel."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._announced = ANNOUNCED

    def begin(self, shard: OpenShard, spans: Sequence[Span]) -> "list[Future[bytes]] | None":
        """Begin to read; returns what `finish` takes for each span, or None where it reads itself."""
        if not isinstance(shard, _BucketShard):
            if self._announced > 0:
                self._announced -= len(spans)
                shard.expect(spans)
            return None
        if self._threads is None:
            self._threads = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="curate-ranges")
        return [self._threads.submit(shard.read, span) for span in spans]

    def finish(self, shard: OpenShard, span: Span, begun: "Future[bytes] | None") -> bytes:
        """The bytes. Raises OSError."""
        if begun is not None:
            return begun.result()
        started = perf_counter()
        data = shard.read(span)
        if perf_counter() - started > SLOW_READ_S + SLOW_BYTE_S * len(data):
            self._announced = ANNOUNCED
        return data

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
            self._threads = None
