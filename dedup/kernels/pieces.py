"""Two looks at raw bytes before texts are read."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel
from dedup.kernels.mixing import mixed

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


def contained(data: Bytes, offsets: Places, rows: Places, own: Bytes, own_offsets: Places) -> npt.NDArray[np.bool_]:
    """Whether text i of `own` stands, byte by byte, in one of the texts `rows[i]:rows[i + 1]`."""
    inside = np.zeros(len(rows) - 1, np.bool_)
    _contained(data, offsets, rows, own, own_offsets, inside)
    return inside


@kernel
def _contained(data, offsets, rows, own, own_offsets, inside):
    for row in range(rows.shape[0] - 1):
        start, size = own_offsets[row], own_offsets[row + 1] - own_offsets[row]
        for text in range(rows[row], rows[row + 1]):
            if size and not inside[row]:
                inside[row] = _stands_in(data, offsets[text], offsets[text + 1], own, start, size)


@kernel
def _stands_in(data, low, high, own, start, size):
    first = own[start]
    for at in range(low, high - size + 1):
        if data[at] == first:
            same = 1
            while same < size and data[at + same] == own[start + same]:
                same += 1
            if same == size:
                return True
    return False


def long_runs(data: Bytes, begins: Places, ends: Places, length: int) -> npt.NDArray[np.bool_]:
    """Which texts have so many characters of base64 in a row, with capitals, small letters and others among them."""
    flags = np.zeros(len(begins), np.bool_)
    _long_runs(data, begins, ends, length, flags)
    return flags


@kernel
def _long_runs(data, begins, ends, length, flags):
    for text in range(begins.shape[0]):
        at = begins[text] + length - 1
        while at < ends[text]:
            # From a place that a run of this length must cover, back to where it would begin.
            back = at
            while back >= begins[text] and at - back < length and _sign(data[back]):
                back -= 1
            if at - back >= length and _mixed(data, back + 1, at + 1):
                flags[text] = True
                break
            at = back + length if at - back < length else at + 1


@kernel
def _sign(byte):
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte in (43, 47, 45, 95)


@kernel
def _mixed(data, low, high):
    capital = small = False
    for at in range(low, high):
        capital = capital or 65 <= data[at] <= 90
        small = small or 97 <= data[at] <= 122
    return capital and small


@kernel
def code_points(data, bases, places, out):
    """Code points before each byte place (counted from its base); places of one base are in rising order."""
    base, at, count = np.int64(-1), np.int64(0), 0
    for k in range(places.shape[0]):
        stop = bases[k] + places[k]
        if bases[k] != base or stop < at:
            base, at, count = bases[k], bases[k], 0
        while at < stop:
            count += (data[at] & 0xC0) != 0x80
            at += 1
        out[k] = count


@kernel
def digests(words, starts, salts, out):
    """A 64-bit hash of each run of words `words[starts[i]:starts[i + 1]]` and its salt."""
    for run in range(starts.shape[0] - 1):
        h = mixed(np.uint64(salts[run]) + np.uint64(1))
        for k in range(starts[run], starts[run + 1]):
            h = mixed(h ^ np.uint64(words[k] + 1))
        out[run] = h
