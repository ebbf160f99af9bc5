"""A file in a bucket, read like any other: only what is asked for is fetched, and a little more where that helps."""

import errno
from collections.abc import Callable

from sources.storage.seekable import Seekable

FIRST_BYTES = 2**16
"""Fetched when a file is opened: the header of a DICOM file, the beginning of a table, most thumbnails whole."""
MOST_AHEAD_BYTES = 4 * 2**20
"""A scan from beginning to end doubles what it fetches up to this: 1 GB takes 260 requests, and memory stays small."""

Fetch = Callable[[int, int], bytes]
"""The bytes from an offset to another."""


class RangeFile(Seekable):
    """Seekable and read-only. `head` are the file's first bytes, `size` is all it has.

    Reading on where the last read ended fetches twice as much each time; reading elsewhere fetches what is asked
    for, 64 KiB at least. What was fetched last is kept.
    """

    def __init__(self, fetch: Fetch, head: bytes, size: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._window, self._start = memoryview(head), 0
        self._ahead = len(head)

    @property
    def _end(self) -> int:
        return self._size

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill as much of the buffer as there is."""
        self._open()
        wanted = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(wanted) and self._place < self._size:
            if not 0 <= self._place - self._start < len(self._window):
                self._load(len(wanted) - filled)
            begin = self._place - self._start
            piece = self._window[begin : begin + len(wanted) - filled]
            wanted[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._place += len(piece)
        return filled

    def readline(self, size: int | None = -1, /) -> bytes:
        """The bytes up to the next line feed, that included, or `size` of them."""
        limit = self._size if size is None or size < 0 else size
        parts: list[bytes] = []
        while limit > 0 and self._place < self._size:
            if not 0 <= self._place - self._start < len(self._window):
                self._load(1)
            begin = self._place - self._start
            block = bytes(self._window[begin : begin + min(limit, 2**16)])
            line = block[: block.find(b"\n") + 1] or block
            parts.append(line)
            self._place += len(line)
            limit -= len(line)
            if line.endswith(b"\n"):
                break
        return b"".join(parts)

    def _load(self, wanted: int) -> None:
        """Fetch the window that begins where the file stands."""
        onwards = self._place == self._start + len(self._window)
        self._ahead = min(2 * self._ahead, MOST_AHEAD_BYTES) if onwards else FIRST_BYTES
        stop = min(self._place + max(wanted, self._ahead, FIRST_BYTES), self._size)
        data = self._fetch(self._place, stop)
        if len(data) != stop - self._place:
            raise OSError(errno.EIO, "the server gave less than there is")
        self._window, self._start = memoryview(data), self._place

    def _open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")
