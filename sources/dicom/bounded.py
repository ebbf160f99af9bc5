"""Files that end where a header must have ended: hostile input costs a bounded number of reads and bytes."""

import io
import zlib
from typing import BinaryIO

from sources.pictures.picture import PictureError
from sources.schema import Reason

MOST_READS = 400_000
"""Of header elements and sequence items; each costs pydicom some 10 microseconds and some hundred bytes. A header
of 3,000 frames with groups of their own has half as many."""
MOST_VALUE_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**18


class BoundedFile:
    """A seekable file that refuses to be read more often, or a value of more than 64 MiB."""

    def __init__(self, file: "BinaryIO | InflatedFile", start: int, size: int) -> None:
        self._file = file
        self.size = size
        self._reads = 0
        file.seek(start)

    def read(self, length: int = -1) -> bytes:
        """At most `length` bytes.

        Raises:
            PictureError: IMAGE_BOMB, one of the bounds is passed.
        """
        self._reads += 1
        if self._reads > MOST_READS:
            raise PictureError(Reason.IMAGE_BOMB, f"a header of more than {MOST_READS} elements")
        if length > MOST_VALUE_BYTES:
            raise PictureError(Reason.IMAGE_BOMB, f"a header value of {length} bytes")
        return self._file.read(length)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, which may lie after the end."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()


class InflatedFile:
    """What a deflate stream holds (PS3.5 section A.5), inflated as far as it is read."""

    def __init__(self, file: BinaryIO, start: int, most_bytes: int) -> None:
        """Inflate `file` from `start`; `most_bytes` may be raised by `allow` once the header is known."""
        file.seek(start)
        self._file = file
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._bytes = bytearray()
        self._position = 0
        self._most_bytes = min(most_bytes, MOST_VALUE_BYTES)

    def allow(self, most_bytes: int) -> None:
        """Let it grow to `most_bytes`."""
        self._most_bytes = max(self._most_bytes, most_bytes)

    def read(self, length: int = -1) -> bytes:
        """At most `length` bytes (all, if negative).

        Raises:
            PictureError: IMAGE_BOMB, the stream is longer than allowed.
            zlib.error: the stream is broken.
        """
        stop = self._most_bytes + 1 if length < 0 else self._position + length
        self._grow(stop)
        data = bytes(self._bytes[self._position : stop])
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, which may lie after the end: nothing is inflated until it is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def _grow(self, stop: int) -> None:
        while len(self._bytes) < stop and not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._file.read(_CHUNK_BYTES)
            if not data:
                return
            self._bytes += self._inflate.decompress(data, _CHUNK_BYTES)
            if len(self._bytes) > self._most_bytes + _CHUNK_BYTES:
                raise PictureError(Reason.IMAGE_BOMB, f"deflated data of more than {self._most_bytes} bytes")
