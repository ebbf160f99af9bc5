"""Where the elements of a JSON array or object lie, found by a vectorised scan of constant memory.

Array suffixes: `b` bytes of a chunk, `s` the bytes that matter, `q` quotes, `n` backslashes, `t` those
that are neither (brackets, commas, line feeds).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from sources.readers.ranges import READ_BYTES, TOO_LONG, Piece
from sources.records import MAX_RECORD_BYTES

_QUOTE, _BACKSLASH, _LINE_FEED, _OPEN, _CLOSE, _COMMA = 1, 2, 3, 4, 5, 6
_KINDS = bytearray(256)
for _bytes, _kind in (
    (b'"', _QUOTE), (b"\\", _BACKSLASH), (b"\n", _LINE_FEED), (b"[{", _OPEN), (b"]}", _CLOSE), (b",", _COMMA),
):  # fmt: skip
    for _byte in _bytes:
        _KINDS[_byte] = _kind

UNCLOSED = "a string is not closed on its line"


@dataclass(frozen=True, slots=True)
class Found:
    """What the scan of a chunk found: places in the chunk, None where there is no such."""

    commas: list[int]
    """The container's own commas, before `close` and `broken`."""
    close: int | None
    """The bracket that closes the container."""
    broken: int | None
    """A line feed inside a string, which JSON forbids: a quote was lost, and what follows cannot be told."""


class JsonScan:
    """Scans consecutive chunks of a container's inside; carries what the next chunk depends on."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = 0
        self.pending_escape = False

    def scan(self, chunk: bytes) -> Found:
        """Find the container's commas and its end in the next chunk."""
        kinds_b = np.frombuffer(chunk.translate(_KINDS), np.uint8)
        places_s = np.flatnonzero(kinds_b != 0)  # four times faster than on bytes
        kinds_s = kinds_b[places_s]
        quotes_q = self._unescaped(places_s[kinds_s == _QUOTE], places_s[kinds_s == _BACKSLASH], len(chunk))
        others_s = kinds_s >= _LINE_FEED
        places_t, kinds_t = places_s[others_s], kinds_s[others_s]
        outside_t = (np.searchsorted(quotes_q, places_t) + self.in_string) % 2 == 0
        broken = places_t[~outside_t & (kinds_t == _LINE_FEED)]
        places_t, kinds_t = places_t[outside_t], kinds_t[outside_t]
        self.in_string = (self.in_string + len(quotes_q)) % 2
        depths_t = self.depth + np.cumsum((kinds_t == _OPEN).astype(np.int64) - (kinds_t == _CLOSE))
        closing = places_t[depths_t < 0]
        if depths_t.size:
            self.depth = int(depths_t[-1])
        end = min(int(found[0]) if found.size else len(chunk) for found in (closing, broken))
        own_t = (kinds_t == _COMMA) & (depths_t == 0) & (places_t < end)
        close = end if closing.size and closing[0] == end else None
        return Found(places_t[own_t].tolist(), close, end if close is None and end < len(chunk) else None)

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

    An object's members are pieces `"name": value`. What a truncated file breaks off is the last piece. Where a
    quote is lost, splitting goes on at the next line that begins as the broken element's did.
    """
    scan = JsonScan()
    begin = place = start
    held: bytes | None = b""
    while place < stop:
        file.seek(place)
        chunk = file.read(min(chunk_bytes, stop - place))
        found = scan.scan(chunk)
        after = 0
        for comma in found.commas:
            yield from _piece(begin, place + comma, _joined(held, chunk[after:comma]))
            held, after = b"", comma + 1
            begin = place + after
        if found.broken is not None:
            place = next_element(file, begin, place + found.broken, stop)
            yield Piece(begin, place, None, UNCLOSED)
            scan, begin, held = JsonScan(), place, b""
            continue
        held = _joined(held, chunk[after : found.close])
        place += len(chunk) if found.close is None else found.close
        if found.close is not None or not chunk:
            break
    yield from _piece(begin, place, held)


def commas(file: BinaryIO, start: int, stop: int) -> Iterator[int]:
    """Offsets of the commas between the members of the container that `start` is in."""
    scan = JsonScan()
    while start < stop:
        file.seek(start)
        chunk = file.read(min(READ_BYTES, stop - start))
        found = scan.scan(chunk)
        for comma in found.commas:
            yield start + comma
        if found.close is not None or found.broken is not None or not chunk:
            return
        start += len(chunk)


def next_element(file: BinaryIO, begin: int, broken: int, stop: int) -> int:
    """Offset of the next line that begins like the element at `begin`: as far indented, by `{` or `"name": {`."""
    file.seek(begin)
    first = begin + len(blank.group()) if (blank := _BLANK.match(file.read(READ_BYTES))) else begin
    file.seek(max(0, first - MAX_INDENT))
    before = file.read(min(first, MAX_INDENT)).rpartition(b"\n")
    indent = re.escape(before[2]) if before[1] and not before[2].strip() else rb"[ \t]*+"
    member = rb'"(?:[^"\\\n]|\\.)*+"[ \t]*+:[ \t]*+' if file.read(1) == b'"' else b""
    pattern = re.compile(rb"\n" + indent + member + rb"\{")
    while broken < stop:
        file.seek(broken)
        chunk = file.read(min(READ_BYTES, stop - broken))
        match = pattern.search(chunk)
        if match:
            return broken + match.start() + 1
        line = chunk.rfind(b"\n")  # a line that begins in this chunk may go on in the next
        broken += line if line > 0 else max(1, len(chunk))
    return stop


MAX_INDENT = 256
_BLANK = re.compile(rb"\s*+")


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
