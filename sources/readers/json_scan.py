"""Where the elements of a JSON array or object lie, found by a vectorised scan of constant memory.

Array suffixes: `b` bytes of a chunk, `s` the bytes that matter, `q` quotes, `n` backslashes, `t` structural
bytes (brackets and commas).
"""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from sources.readers.ranges import READ_BYTES, TOO_LONG, Piece
from sources.records import MAX_RECORD_BYTES

_QUOTE, _BACKSLASH, _OPEN, _CLOSE, _COMMA = 1, 2, 3, 4, 5
_KINDS = np.zeros(256, np.uint8)
for _bytes, _kind in ((b'"', _QUOTE), (b"\\", _BACKSLASH), (b"[{", _OPEN), (b"]}", _CLOSE), (b",", _COMMA)):
    _KINDS[np.frombuffer(_bytes, np.uint8)] = _kind


class JsonScan:
    """Scans consecutive chunks of a container's inside; carries what the next chunk depends on."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = 0
        self.pending_escape = False

    def commas(self, chunk: bytes) -> tuple[list[int], int | None]:
        """Places in the chunk of the container's own commas, and of the bracket that closes it (None: not yet)."""
        kinds_b = _KINDS[np.frombuffer(chunk, np.uint8)]
        places_s = np.flatnonzero(kinds_b)
        kinds_s = kinds_b[places_s]
        quotes_q = self._unescaped(places_s[kinds_s == _QUOTE], places_s[kinds_s == _BACKSLASH], len(chunk))
        structural_s = kinds_s >= _OPEN
        places_t, kinds_t = places_s[structural_s], kinds_s[structural_s]
        outside_t = (np.searchsorted(quotes_q, places_t) + self.in_string) % 2 == 0
        places_t, kinds_t = places_t[outside_t], kinds_t[outside_t]
        self.in_string = (self.in_string + len(quotes_q)) % 2
        steps_t = (kinds_t == _OPEN).astype(np.int64) - (kinds_t == _CLOSE)
        depths_t = self.depth + np.cumsum(steps_t)
        closing = np.flatnonzero(depths_t < 0)
        end = int(closing[0]) if closing.size else len(places_t)
        own_t = (kinds_t[:end] == _COMMA) & (depths_t[:end] == 0)
        if depths_t.size:
            self.depth = int(depths_t[-1])
        return places_t[:end][own_t].tolist(), int(places_t[end]) if closing.size else None

    def _unescaped(
        self, quotes_q: npt.NDArray[np.intp], backslashes_n: npt.NDArray[np.intp], size: int
    ) -> npt.NDArray[np.intp]:
        """The quotes that are not escaped: those after an even number of backslashes."""
        if not backslashes_n.size and not self.pending_escape:
            return quotes_q
        number_n = np.arange(backslashes_n.size)
        new_run_n = np.diff(backslashes_n, prepend=-2) != 1
        order_n = number_n - np.maximum.accumulate(np.where(new_run_n, number_n, 0))
        escaped = np.zeros(size + 1, bool)
        if self.pending_escape:
            if backslashes_n.size and backslashes_n[0] == 0:  # the first run goes on from the last chunk
                order_n += np.cumsum(new_run_n) == 1
            else:
                escaped[0] = True
        escaped[backslashes_n[order_n % 2 == 0] + 1] = True
        self.pending_escape = bool(escaped[size])
        return quotes_q[~escaped[quotes_q]]


def split_elements(file: BinaryIO, start: int, stop: int, chunk_bytes: int = READ_BYTES) -> Iterator[Piece]:
    """The elements in `start:stop`, which begins inside an array or object; ends where that is closed.

    An object's members are pieces `"name": value`. What a truncated file breaks off is the last piece.
    """
    scan = JsonScan()
    begin = place = start
    held: bytes | None = b""
    file.seek(start)
    while place < stop and (chunk := file.read(min(chunk_bytes, stop - place))):
        commas, close = scan.commas(chunk)
        after = 0
        for comma in commas:
            yield from _piece(begin, place + comma, _joined(held, chunk[after:comma]))
            held, after = b"", comma + 1
            begin = place + after
        held = _joined(held, chunk[after:close])
        place += len(chunk) if close is None else close
        if close is not None:
            break
    yield from _piece(begin, place, held)


def commas(file: BinaryIO, start: int, stop: int) -> Iterator[int]:
    """Offsets of the commas between the members of the container that `start` is in."""
    scan = JsonScan()
    while start < stop:
        file.seek(start)
        chunk = file.read(min(READ_BYTES, stop - start))
        found, close = scan.commas(chunk)
        for comma in found:
            yield start + comma
        if close is not None or not chunk:
            return
        start += len(chunk)


def _joined(held: bytes | None, more: bytes) -> bytes | None:
    return None if held is None or len(held) + len(more) > MAX_RECORD_BYTES else held + more


def _piece(start: int, stop: int, data: bytes | None) -> Iterator[Piece]:
    if data is None:
        yield Piece(start, stop, None, TOO_LONG)
        return
    stripped = data.lstrip()
    start += len(data) - len(stripped)
    stripped = stripped.rstrip()
    if stripped:
        yield Piece(start, start + len(stripped), stripped)
