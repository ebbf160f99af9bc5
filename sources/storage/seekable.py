"""What files that are read from anywhere have in common: where the next byte is read, and going elsewhere."""

import errno
import io


class Seekable(io.RawIOBase):
    """A file to be read, seekable; whoever derives from it reads at `_place`, and knows its `_end`."""

    _place = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go somewhere, which costs nothing before something is read there.

        Raises:
            OSError: that is before the beginning; or from the end, which nobody knows.
        """
        if self.closed:
            raise ValueError("the file is closed")
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._end}[whence]
        if base is None:
            raise OSError(errno.ESPIPE, "nobody knows where this file ends")
        if base + offset < 0:
            raise OSError(errno.EINVAL, "before the beginning of the file")
        self._place = base + offset
        return self._place

    @property
    def _end(self) -> int | None:
        """Bytes of the file; None where nobody knows."""
        raise NotImplementedError
