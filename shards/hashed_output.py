"""Writes a file and its SHA-256 at nearly the speed of a copy: collected, hashed and written at the same time.

SHA-256 (1.7 GB/s on the machine of the benchmark) is slower than a copy into the page cache, and both together are
half as fast as `cp`. So a thread hashes what the caller's thread writes. The pictures of `benchmarks/shards.py`, on
two idle cores, in the run in which these were compared: one after the other 0.47 of `cp` and fsync, with two buffers
0.75, with four 0.89. What it is beside `cp` today stands in docs/shards_tools.md (1.14).
"""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from shards.writeback import Writeback

BUFFER_BYTES = 2**20
BUFFERS = 4  # the thread finds the next one waiting; all are made once, since fresh memory costs page faults

_WRITE_BYTES = 2**17
"""How much one system call writes. From 256 KiB up, ext4 (Linux 6.18) allocates large folios, which at times took
five times as long in the kernel."""


class HashedOutput:
    """Collects pieces in 4 MiB of buffers, and hashes and writes them in order; neither syncs nor closes the file.

    An output that is given up needs no clean-up: its thread ends with it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1)
        self._buffers = [memoryview(bytearray(BUFFER_BYTES)) for _ in range(BUFFERS)]
        self._hashing: list[Future[None] | None] = [None] * BUFFERS
        self._current = 0
        self._filled = 0
        self._writeback = Writeback(file)

    def write(self, piece: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        start = 0
        while start < len(piece):
            stop = min(len(piece), start + BUFFER_BYTES - self._filled)
            filled = self._filled + stop - start
            self._buffers[self._current][self._filled : filled] = piece[start:stop]
            self._filled, start = filled, stop
            if filled == BUFFER_BYTES:
                self._pass_on()

    def room(self, size: int) -> memoryview:
        """The place of the next `size` bytes, at most BUFFER_BYTES: to be filled before anything else is called."""
        if self._filled + size > BUFFER_BYTES:
            self._pass_on()
        start, self._filled = self._filled, self._filled + size
        return self._buffers[self._current][start : self._filled]

    def finish(self) -> str:
        """Write what is left; return the digest of all, as 64 hex digits. Nothing may be written afterwards."""
        self._pass_on()
        self._thread.shutdown()
        return self._hash.hexdigest()

    def _pass_on(self) -> None:
        """Give the current buffer to hash and file, and take the next, once its own bytes are hashed."""
        ready = self._buffers[self._current][: self._filled]
        self._hashing[self._current] = self._thread.submit(self._hash.update, ready)
        for start in range(0, self._filled, _WRITE_BYTES):
            self._file.write(ready[start : start + _WRITE_BYTES])
        self._writeback.start()
        self._current = (self._current + 1) % BUFFERS
        self._filled = 0
        hashing = self._hashing[self._current]
        if hashing is not None:
            hashing.result()
