"""Files inside archives, read like any other: a part of a file, and what a deflate stream unpacks to."""

import errno
import zlib
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from sources.storage.seekable import Seekable

STEP_BYTES = 2**18
APART_BYTES = 4 * 2**20
"""Between two places from which a stream can be read on: each takes 50 kB of memory."""
MAX_RATIO = 100
RATIO_COUNTS_FROM = 2**30
"""A gzip that unpacks to more than 1 GiB and 100 times its bytes so far is a bomb."""
RAW, GZIP = -zlib.MAX_WBITS, 16 + zlib.MAX_WBITS
DAMAGED = "a file inside an archive does not unpack: it is damaged or was cut off; download the archive again"


class Part(Seekable):
    """The bytes `start:start + size` of a file, as a file. Closes the file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size = file, start, size

    @property
    def _end(self) -> int | None:
        return self._size

    def readinto(self, buffer: Any) -> int:
        """Fill as much of the buffer as there is.

        Raises:
            OSError: the file ends before this part does.
        """
        wanted = min(len(buffer), self._size - self._place)
        if wanted <= 0:
            return 0
        self._file.seek(self._start + self._place)
        data = self._file.read(wanted)
        if not data:
            raise OSError(errno.EIO, DAMAGED)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file below."""
        self._file.close()
        super().close()


@dataclass
class Places:
    """From where a stream can be read on: what it has unpacked, what of it is packed, and the state of zlib there.

    `crc` is of all up to `reached`, which only a reading from front to back moves on.
    """

    at: list[int] = field(default_factory=lambda: [0])
    states: list[tuple[int, Any]] = field(default_factory=lambda: [(0, None)])
    last: tuple[int, int, Any] | None = None
    """Where the last file that was closed stood: whoever reads members in order goes on there."""
    reached: int = 0
    crc: int = 0

    def before(self, place: int) -> tuple[int, int, Any]:
        """The nearest one that is not behind a place: unpacked, packed, state."""
        number = bisect_right(self.at, place) - 1
        packed, state = self.states[number]
        if self.last is not None and self.at[number] < self.last[0] <= place:
            unpacked, packed, state = self.last
            return unpacked, packed, state.copy()
        return self.at[number], packed, None if state is None else state.copy()

    def note(self, unpacked: int, packed: int, state: Any) -> None:
        """Remember a place, unless one is near."""
        if unpacked >= self.at[-1] + APART_BYTES:
            self.at.append(unpacked)
            self.states.append((packed, state.copy()))


class Inflated(Seekable):
    """What a deflate stream (`RAW`), or the gzips of a file (`GZIP`), unpack to; seekable, in memory of one step.

    Going back costs up to 4 MiB of unpacking where the process has been there before; going on, all that is between.
    `size` is what it unpacks to (of a gzip nobody knows: None) and `crc` of what, checked once it was read whole.
    """

    def __init__(self, file: BinaryIO, form: int, places: Places, size: int | None = None, crc: int = 0) -> None:
        super().__init__()
        self._file, self._form, self._places, self._size, self._crc = file, form, places, size, crc
        self._ready, self._start = b"", 0
        self._state: Any = None
        self._fed, self._tail, self._full = 0, b"", False

    @property
    def _end(self) -> int | None:
        return self._size

    def readinto(self, buffer: Any) -> int:
        """Fill some of the buffer.

        Raises:
            OSError: the stream is damaged, cut off, a bomb, or not what its size and CRC say.
        """
        if self._size is not None and self._place >= self._size:
            return 0
        if not self._start <= self._place < self._start + len(self._ready) and not self._go():
            return 0
        begin = self._place - self._start
        left = len(buffer) if self._size is None else min(len(buffer), self._size - self._place)
        data = self._ready[begin : begin + left]
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file below, and remember where this one stood."""
        if self._state is not None and not self.closed:
            self._places.last = self._start + len(self._ready), self._fed - len(self._tail), self._state
        self._file.close()
        super().close()

    def _go(self) -> bool:
        """Unpack up to the step that holds the place; False where the stream ends before."""
        here = self._start + len(self._ready)
        unpacked, packed, state = self._places.before(self._place)
        if self._place < self._start or self._state is None or unpacked > here:
            self._ready, self._start = b"", unpacked
            self._fed, self._tail, self._state, self._full = packed, b"", state, state is not None
            self._file.seek(packed)
        while self._start + len(self._ready) <= self._place:
            self._start += len(self._ready)
            self._ready = self._step()
            if not self._ready:
                if self._size is not None:
                    raise OSError(errno.EIO, DAMAGED)
                return False
            self._check()
        return True

    def _step(self) -> bytes:
        """The next bytes; none at the end."""
        while self._has_input():
            if self._state is None:
                if self._form == GZIP and self._fed > len(self._tail) and not self._tail.startswith(b"\x1f"):
                    return b""  # padding, as for `gzip`
                self._state = zlib.decompressobj(self._form)
            try:
                data: bytes = self._state.decompress(self._tail, STEP_BYTES)
            except zlib.error:
                raise OSError(errno.EIO, DAMAGED) from None
            if self._state.eof:
                self._tail, self._full = self._state.unused_data, False
                self._state = None
                if self._form == RAW:
                    return data
            else:
                self._tail, self._full = self._state.unconsumed_tail, len(data) == STEP_BYTES
                self._places.note(self._start + len(data), self._fed - len(self._tail), self._state)
            if data:
                return data
        return b""

    def _has_input(self) -> bool:
        """Whether there is more to unpack; the file is read on where nothing of it waits."""
        if not self._tail and not self._full:
            self._tail = self._file.read(STEP_BYTES)
            self._fed += len(self._tail)
            if not self._tail and self._state is not None:
                raise OSError(errno.EIO, DAMAGED)
        return self._full or bool(self._tail)

    def _check(self) -> None:
        stop = self._start + len(self._ready)
        if self._form == GZIP and stop > RATIO_COUNTS_FROM and stop > MAX_RATIO * self._fed:
            raise OSError(errno.EFBIG, f"an archive unpacks to more than {MAX_RATIO} times its size: it is not read")
        if self._size is None or self._places.reached != self._start:
            return
        self._places.reached = stop
        self._places.crc = zlib.crc32(self._ready, self._places.crc)
        if stop > self._size or (stop == self._size and self._places.crc != self._crc):
            raise OSError(errno.EIO, DAMAGED)
