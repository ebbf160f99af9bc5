"""Fingerprints of one picture: PDQ-256 as it is and in a canonical form, exact under mirror, turn and polarity.

PDQ (Meta, ThreatExchange, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019): the
picture is reduced to 64 x 64, of its cosine transform the 16 x 16 lowest frequencies without the constant ones are
kept, and each is one bit: above their median or not. Here the reduction is an exact area average and the transform
is in integers, with two consequences that floating point does not have: the bits are the same on every machine, and
the hash of a mirrored, turned or inverted picture is *exactly* the mirrored, turned or inverted hash (`pdqhash`
agrees to the bit on 64 x 64 pictures but for rounding).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Grey = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint8]
"""N x 32 bytes in the byte order of PDQ's hexadecimal form: frequency (1 + k // 16 vertical, 1 + k % 16 horizontal)
is bit k % 8 of byte 31 - k // 8."""

SIDE = 64
FREQUENCIES = 16
HASH_BYTES = FREQUENCIES * FREQUENCIES // 8
ORIENTATIONS = 8
WEAKEST_QUALITY = 50
"""Below this quality PDQ's authors call a hash unusable (ThreatExchange#1114): blank and featureless pictures."""

CROP_DEVIATION = 8.0
"""Grey levels (standard deviation): rows and columns at the edge that vary less are border: letterbox, page, the dark
around a head. Removed layer by layer, which finds MRI slices and CT framed in white in 100 % instead of 22 and 70 %.
A threshold on ranks, which no window changes, was tried: it crops the noise of dark backgrounds irregularly, so that
JPEGs of MRI slices are lost (90 for 100 %) and crops of 5 % (33 for 82 %)."""
CROP_LEAST = 32
"""Pixels that must be left of each side, or nothing is cropped."""
_SCALE = 1 << 14
_FINE = 2 * SIDE
_MOST_BORDERS = 4
"""A white page around a black letterbox around a dark background: each is seen when the one outside is gone."""


def _cosines() -> npt.NDArray[np.int64]:
    """16 x 64: row k - 1 is the cosine of frequency k, in 1/16384. Rows sum to exactly zero."""
    k, n = np.arange(1, FREQUENCIES + 1)[:, None], np.arange(SIDE)[None]
    table: npt.NDArray[np.int64] = np.rint(np.cos(np.pi / (2 * SIDE) * k * (2 * n + 1)) * _SCALE).astype(np.int64)
    return table


_COSINES = _cosines()


@dataclass(frozen=True)
class Fingerprint:
    """What candidates are sought by.

    `pdq` 32 bytes of the picture as it is; `canonical` 32 bytes of it without borders and with ranks for levels, so
    that no window, gamma or equalisation changes it; `oriented` 8 x 32 bytes, the canonical hash of the picture in
    each orientation (number 0 is upright; see `oriented_picture`); `quality` 0..100.
    """

    pdq: bytes
    canonical: bytes
    oriented: bytes
    quality: int

    @property
    def usable(self) -> bool:
        """Whether it may match anything."""
        return self.quality >= WEAKEST_QUALITY


def fingerprint_of(grey: Grey) -> Fingerprint:
    """The fingerprint of a grey picture of any size; H x W, both at least 1."""
    measured = np.ascontiguousarray(grey)
    raw, canonical, quality = _both(measured, _COSINES)
    return Fingerprint(raw.tobytes(), canonical[0].tobytes(), canonical.tobytes(), int(quality))


def oriented_picture(grey: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """A picture in one of eight orientations: bit 0 mirrors left-right, bit 1 top-bottom, bit 2 transposes first."""
    turned = grey.T if orientation & 4 else grey
    if orientation & 2:
        turned = turned[::-1]
    return turned[:, ::-1] if orientation & 1 else turned


def distances(a: Hashes, b: Hashes) -> npt.NDArray[np.int64]:
    """Differing bits of hashes N x 32 and N x 32, row by row (or broadcast)."""
    found: npt.NDArray[np.int64] = np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.int64)
    return found


def content_of(grey: Grey) -> tuple[int, int, int, int]:
    """Top, bottom, left and right (exclusive ends) of a grey picture without its near-constant borders."""
    top, bottom, left, right = _content(grey)
    return int(top), int(bottom), int(left), int(right)


class Fingerprints:
    """Fills the fingerprint columns of IMAGES (a `filters.measurer.Measurer`)."""

    name = "fingerprints"
    version = 1
    fields: tuple[str, ...] = ("pdq", "pdq_canonical", "pdq_turned", "pdq_quality")

    def measure(self, grey: Grey) -> dict[str, bytes | int]:
        """The columns of one picture."""
        found = fingerprint_of(grey)
        turned = found.oriented[HASH_BYTES:]
        return dict(zip(self.fields, (found.pdq, found.canonical, turned, found.quality), strict=True))


@njit(cache=True, nogil=True)
def _both(grey, cosines):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Hashes 8 x 32 of the picture and of its canonical form, and the quality."""
    height, width = grey.shape
    fine = _cells(grey, 0, height, 0, width)
    cells = _halved(fine)
    raw = _hashes(cells, cosines, 1)
    top, bottom, left, right = _content(grey)
    if bottom - top < height or right - left < width:
        fine = _cells(grey, top, bottom, left, right)
    return raw[0], _hashes(_halved(_ranks(fine)), cosines, ORIENTATIONS), _quality(cells)


@njit(cache=True, nogil=True)
def _cells(grey, top, bottom, left, right):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Area averages 128 x 128 of a part of the picture, in 1/256 of a level about 127.5, rounded away from zero.

    In units of 1/128 pixel a pixel is 128 wide and a cell as wide as the part has pixels: overlaps are integers. The
    quotient is below 2^15 and its terms below 2^50, so that floating-point division and floor are exact.
    """
    height, width = bottom - top, right - left
    cells = np.empty((_FINE, _FINE), np.int32)
    columns = np.empty(width, np.int32)
    area = np.int64(height) * width
    for i in range(_FINE):
        columns[:] = 0
        low, high = i * height, (i + 1) * height
        for row in range(low // _FINE, (high - 1) // _FINE + 1):
            weight = np.int32(min(high, (row + 1) * _FINE) - max(low, row * _FINE))
            line = grey[top + row, left:right]
            for column in range(width):
                columns[column] += weight * np.int32(line[column])
        for j in range(_FINE):
            total = np.int64(0)
            start, stop = j * width, (j + 1) * width
            for column in range(start // _FINE, (stop - 1) // _FINE + 1):
                total += (min(stop, (column + 1) * _FINE) - max(start, column * _FINE)) * np.int64(columns[column])
            twice = 2 * total - 255 * area
            magnitude = np.floor(np.float64(abs(twice) * 256 + area) / np.float64(2 * area))
            cells[i, j] = magnitude if twice >= 0 else -magnitude
    return cells


@njit(cache=True, nogil=True)
def _varied(line):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Whether the levels of a row or column deviate more than a border's do."""
    total, square = np.int64(0), np.int64(0)
    for k in range(len(line)):
        level = np.int64(line[k])
        total += level
        square += level * level
    return len(line) * square - total * total > CROP_DEVIATION * CROP_DEVIATION * len(line) * len(line)


@njit(cache=True, nogil=True)
def _content(grey):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Top, bottom, left, right of the picture without its near-constant borders, a frame around a border too."""
    height, width = grey.shape
    top, bottom, left, right = 0, height, 0, width
    for _ in range(_MOST_BORDERS):
        before = (top, bottom, left, right)
        while top < bottom and not _varied(grey[top, left:right]):
            top += 1
        while bottom > top and not _varied(grey[bottom - 1, left:right]):
            bottom -= 1
        while left < right and not _varied(grey[before[0] : before[1], left]):
            left += 1
        while right > left and not _varied(grey[before[0] : before[1], right - 1]):
            right -= 1
        if bottom - top < CROP_LEAST or right - left < CROP_LEAST:
            return before
        if before == (top, bottom, left, right):
            break
    return top, bottom, left, right


@njit(cache=True, nogil=True)
def _ranks(cells):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Each cell's middle rank about the middle, among 8-bit levels.

    Equal levels have equal ranks: a flat background stays flat. Ranks of the inverted picture are the negatives.
    """
    side = cells.shape[0]
    counts = np.zeros(512, np.int64)
    levels = np.empty((side, side), np.int64)
    for i in range(side):
        for j in range(side):
            value = cells[i, j]
            level = (abs(value) + 64) // 128
            levels[i, j] = 256 + (level if value >= 0 else -level)
            counts[levels[i, j]] += 1
    middle = np.empty(512, np.int64)
    before = 0
    for level in range(512):
        middle[level] = 2 * before + counts[level] - side * side
        before += counts[level]
    for i in range(side):
        for j in range(side):
            levels[i, j] = middle[levels[i, j]]
    return levels


@njit(cache=True, nogil=True)
def _halved(fine):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Sums of 2 x 2 cells."""
    side = fine.shape[0] // 2
    cells = np.empty((side, side), np.int64)
    for i in range(side):
        for j in range(side):
            upper = np.int64(fine[2 * i, 2 * j]) + fine[2 * i, 2 * j + 1]
            cells[i, j] = upper + fine[2 * i + 1, 2 * j] + fine[2 * i + 1, 2 * j + 1]
    return cells


@njit(cache=True, nogil=True)
def _quality(cells):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """PDQ's quality: neighbouring cells' differences in whole percent of the range, summed, over 90, at most 100."""
    total = 0
    for i in range(SIDE):
        for j in range(SIDE):
            if i + 1 < SIDE:
                total += abs(cells[i, j] - cells[i + 1, j]) * 100 // (4 * 255 * 256)
            if j + 1 < SIDE:
                total += abs(cells[i, j] - cells[i, j + 1]) * 100 // (4 * 255 * 256)
    return min(total // 90, 100)


@njit(cache=True, nogil=True)
def _hashes(cells, cosines, orientations):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Hashes 8 x 32 of 64 x 64 cells, one an orientation: mirroring changes signs, transposing places."""
    half = np.zeros((FREQUENCIES, SIDE), np.int64)
    for k in range(FREQUENCIES):
        for row in range(SIDE):
            weight = cosines[k, row]
            for column in range(SIDE):
                half[k, column] += weight * cells[row, column]
    waves = np.zeros((FREQUENCIES, FREQUENCIES), np.int64)
    for k in range(FREQUENCIES):
        for m in range(FREQUENCIES):
            total = 0
            for column in range(SIDE):
                total += half[k, column] * cosines[m, column]
            waves[k, m] = total
    hashes = np.zeros((orientations, HASH_BYTES), np.uint8)
    for orientation in range(orientations):
        hashes[orientation] = _bits(_turned(waves, orientation))
    return hashes


@njit(cache=True, nogil=True)
def _turned(waves, orientation):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """The transform of the picture in another orientation, as one row."""
    flat = np.empty(waves.size, np.int64)
    for k in range(FREQUENCIES):
        for m in range(FREQUENCIES):
            value = waves[m, k] if orientation & 4 else waves[k, m]
            against = (orientation & 2 and k % 2 == 0) != (orientation & 1 and m % 2 == 0)
            flat[FREQUENCIES * k + m] = -value if against else value
    return flat


@njit(cache=True, nogil=True)
def _bits(flat):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """The 32 bytes of values above the median."""
    median = np.sort(flat)[len(flat) // 2 - 1]
    packed = np.zeros(HASH_BYTES, np.uint8)
    for bit in range(len(flat)):
        if flat[bit] > median:
            packed[HASH_BYTES - 1 - bit // 8] |= np.uint8(1 << (bit % 8))
    return packed
