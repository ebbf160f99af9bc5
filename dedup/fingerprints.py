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
from PIL import Image

from dedup.kernels.compiled import kernel

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
WAVES = 8
"""Of the 8 x 8 lowest frequencies the strengths themselves are kept, for bands (`dedup/picture_bands.py`)."""
_SCALE = 1 << 14
_SPLIT = 1 << 7
_FINE = 2 * SIDE
_MOST_BORDERS = 4
"""A white page around a black letterbox around a dark background: each is seen when the one outside is gone."""


def _cosines() -> npt.NDArray[np.int64]:
    """16 x 64: row k - 1 is the cosine of frequency k, in 1/16384. Rows sum to exactly zero."""
    k, n = np.arange(1, FREQUENCIES + 1)[:, None], np.arange(SIDE)[None]
    table: npt.NDArray[np.int64] = np.rint(np.cos(np.pi / (2 * SIDE) * k * (2 * n + 1)) * _SCALE).astype(np.int64)
    return table


_COSINES = _cosines()
_COARSE = np.rint(_COSINES / _SPLIT).T.astype(np.float64)
_REST = _COSINES.T.astype(np.float64) - _SPLIT * _COARSE
_FACTORS = (_COSINES.astype(np.float64), np.ascontiguousarray(_COARSE), np.ascontiguousarray(_REST))
"""16 x 64, and the same table 64 x 16 in two parts, so that all sums stay below 2^53: exact in floating point."""


def _evening() -> npt.NDArray[np.int64]:
    """8 x 8 weights in 1/256 for the waves: pictures have less of the high frequencies, copies differ more in them."""
    k = np.arange(1, WAVES + 1)
    weights: npt.NDArray[np.int64] = np.rint(256 * np.hypot(k[:, None], k[None]) ** 0.7).astype(np.int64)
    return weights


_EVENING = _evening()


@dataclass(frozen=True)
class Fingerprint:
    """What candidates are sought by.

    `pdq` 32 bytes of the picture as it is; `canonical` 32 bytes of it without borders and with ranks for levels, so
    that no window, gamma or equalisation changes it; `oriented` 8 x 32 bytes, the canonical hash of the picture in
    each orientation (number 0 is upright; see `oriented_picture`); `quality` 0..100. `waves` are 2 x 64 signed bytes:
    the 8 x 8 lowest frequencies of the picture as it is and in canonical form, weighted, the strongest 127.
    """

    pdq: bytes
    canonical: bytes
    oriented: bytes
    quality: int
    waves: bytes

    @property
    def usable(self) -> bool:
        """Whether it may match anything."""
        return self.quality >= WEAKEST_QUALITY


def fingerprint_of(grey: Grey) -> Fingerprint:
    """The fingerprint of a grey picture of any size; H x W, both at least 1."""
    measured = np.require(grey, requirements=["C", "W"])  # an array that may not be written is another type to numba
    hashes, quality, waves = _both(measured, *_FACTORS, _EVENING)
    oriented = hashes[1:].tobytes()
    return Fingerprint(hashes[0].tobytes(), oriented[:HASH_BYTES], oriented, int(quality), waves.tobytes())


def hashes_and_waves(raw: npt.NDArray[np.int64], canonical: npt.NDArray[np.int64]) -> tuple[Hashes, Hashes]:
    """Hashes 9 x 32 (raw, canonical in eight orientations) and waves 2 x 64 (as bytes) of two transforms 16 x 16."""
    return _all_hashes(raw, canonical), _both_waves(raw, canonical, _EVENING).ravel()


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
    version = 2
    whole = False
    fields: tuple[str, ...] = ("pdq", "pdq_canonical", "pdq_turned", "pdq_quality", "pdq_waves")

    def measure(self, grey: Grey, picture: Image.Image | None = None) -> dict[str, bytes | int]:  # noqa: ARG002 - small is enough
        """The columns of one picture."""
        found = fingerprint_of(grey)
        values = (found.pdq, found.canonical, found.oriented[HASH_BYTES:], found.quality, found.waves)
        return dict(zip(self.fields, values, strict=True))


@kernel
def _both(grey, cosines, coarse, rest, evening):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Hashes 9 x 32 (the picture's, and its canonical form's in eight orientations), the quality, the waves of both."""
    height, width = grey.shape
    fine = _cells(grey, 0, height, 0, width)
    cells = _halved(fine)
    raw = _transform(cells, cosines, coarse, rest)
    top, bottom, left, right = _content(grey)
    if bottom - top < height or right - left < width:
        fine = _cells(grey, top, bottom, left, right)
    canonical = _transform(_halved(_ranks(fine)), cosines, coarse, rest)
    return _all_hashes(raw, canonical), _quality(cells), _both_waves(raw, canonical, evening)


@kernel
def _cells(grey, top, bottom, left, right):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Area averages 128 x 128 of a part of the picture, in 1/256 of a level about 127.5, rounded away from zero.

    In units of 1/128 pixel a pixel is 128 wide and a cell as wide as the part has pixels: overlaps are integers. The
    quotient is below 2^15 and its terms below 2^50, so that floating-point division and floor are exact.
    """
    height, width = bottom - top, right - left
    cells = np.empty((_FINE, _FINE), np.int32)
    columns = np.zeros(width + 1, np.int32)
    before = np.zeros(width + 1, np.int64)
    edges = np.empty(_FINE + 1, np.int64)
    area = np.int64(height) * width
    for i in range(_FINE):
        columns[:] = 0
        low, high = i * height, (i + 1) * height
        for row in range(low // _FINE, (high - 1) // _FINE + 1):
            weight = np.int32(min(high, (row + 1) * _FINE) - max(low, row * _FINE))
            line = grey[top + row, left:right]
            for column in range(width):
                columns[column] += weight * np.int32(line[column])
        for column in range(width):
            before[column + 1] = before[column] + columns[column]
        for j in range(_FINE + 1):  # what lies left of each cell
            column, part = j * width // _FINE, j * width % _FINE
            edges[j] = _FINE * before[column] + part * np.int64(columns[column])
        for j in range(_FINE):
            twice = np.float64(2 * (edges[j + 1] - edges[j]) - 255 * area)
            magnitude = np.floor((abs(twice) * 256 + area) / np.float64(2 * area))
            cells[i, j] = np.int32(magnitude if twice >= 0 else -magnitude)
    return cells


@kernel
def _varied(line):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Whether the levels of a row or column deviate more than a border's do."""
    total, square = np.int64(0), np.int64(0)
    for k in range(len(line)):
        level = np.int64(line[k])
        total += level
        square += level * level
    return len(line) * square - total * total > CROP_DEVIATION * CROP_DEVIATION * len(line) * len(line)


@kernel
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


@kernel
def _ranks(cells):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Each cell's middle rank about the middle, among 8-bit levels.

    Equal levels have equal ranks: a flat background stays flat. Ranks of the inverted picture are the negatives.
    """
    side = cells.shape[0]
    counts = np.zeros(512, np.int32)
    levels = np.empty((side, side), np.int32)
    for i in range(side):
        for j in range(side):
            value = cells[i, j]
            level = (abs(value) + np.int32(64)) >> 7
            levels[i, j] = np.int32(256) + (level if value >= 0 else -level)
        for j in range(side):
            counts[levels[i, j]] += 1
    middle = np.empty(512, np.int32)
    before = 0
    for level in range(512):
        middle[level] = 2 * before + counts[level] - side * side
        before += counts[level]
    for i in range(side):
        for j in range(side):
            levels[i, j] = middle[levels[i, j]]
    return levels


@kernel
def _halved(fine):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Sums of 2 x 2 cells: integers, kept as float64 for what is computed from them."""
    side = fine.shape[0] // 2
    cells = np.empty((side, side), np.float64)
    for i in range(side):
        for j in range(side):
            upper = np.int64(fine[2 * i, 2 * j]) + fine[2 * i, 2 * j + 1]
            cells[i, j] = upper + fine[2 * i + 1, 2 * j] + fine[2 * i + 1, 2 * j + 1]
    return cells


@kernel
def _quality(cells):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """PDQ's quality: neighbouring cells' differences in whole percent of the range, summed, over 90, at most 100."""
    whole = np.int32(4 * 255 * 256)
    total = 0
    for i in range(SIDE):
        for j in range(SIDE - 1):
            total += int(np.int32(100 * abs(cells[i, j] - cells[i, j + 1])) // whole)
    for i in range(SIDE - 1):
        for j in range(SIDE):
            total += int(np.int32(100 * abs(cells[i, j] - cells[i + 1, j])) // whole)
    return min(total // 90, 100)


@kernel
def _transform(cells, cosines, coarse, rest):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """The 16 x 16 lowest frequencies of 64 x 64 cells, as integers.

    Cells are below 2^17: the sums over rows stay below 2^37, those over columns in two parts below 2^50.
    """
    half = np.zeros((FREQUENCIES, SIDE), np.float64)
    folded = np.empty((2, SIDE), np.float64)
    for row in range(SIDE // 2):  # a cosine's second half is its first one's, mirrored or mirrored and negated
        for column in range(SIDE):
            one, other = cells[row, column], cells[SIDE - 1 - row, column]
            folded[0, column], folded[1, column] = one - other, one + other
        for k in range(FREQUENCIES):
            weight = cosines[k, row]
            for column in range(SIDE):
                half[k, column] += weight * folded[k % 2, column]
    waves = np.empty((FREQUENCIES, FREQUENCIES), np.int64)
    high, low = np.empty(FREQUENCIES, np.float64), np.empty(FREQUENCIES, np.float64)
    for k in range(FREQUENCIES):
        high[:] = 0
        low[:] = 0
        for column in range(SIDE):
            value = half[k, column]
            for m in range(FREQUENCIES):
                high[m] += value * coarse[column, m]
                low[m] += value * rest[column, m]
        for m in range(FREQUENCIES):
            waves[k, m] = _SPLIT * np.int64(high[m]) + np.int64(low[m])
    return waves


@kernel
def _both_waves(raw, canonical, evening):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Waves 2 x 64 of two transforms."""
    kept = np.empty((2, WAVES * WAVES), np.int8)
    _evened(raw, evening, kept[0])
    _evened(canonical, evening, kept[1])
    return kept


@kernel
def _evened(waves, evening, kept):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """64 numbers of -127..127; the negative, mirrored and transposed picture has exactly the negated and moved ones."""
    strengths = np.empty((WAVES, WAVES), np.int64)
    strongest = np.int64(1)
    for k in range(WAVES):
        for m in range(WAVES):
            strengths[k, m] = (abs(waves[k, m]) >> 16) * evening[k, m]
            strongest = max(strongest, strengths[k, m])
    for k in range(WAVES):
        for m in range(WAVES):
            share = (2 * 127 * strengths[k, m] + strongest) // (2 * strongest)
            kept[WAVES * k + m] = share if waves[k, m] >= 0 else -share


@kernel
def _all_hashes(raw, canonical):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Hashes 9 x 32: of one transform, and of the other in every orientation.

    Mirroring changes signs, transposing places: a transposed transform has the values, and so the median, of one
    that is not.
    """
    hashes = np.zeros((1 + ORIENTATIONS, HASH_BYTES), np.uint8)
    medians = np.empty(ORIENTATIONS, np.int64)
    flat, parted = np.empty(raw.size, np.int64), np.empty(raw.size, np.int64)
    _turn(raw, 0, flat)
    _write_bits(flat, _lower_median(flat, parted), hashes[0])
    for orientation in range(ORIENTATIONS):
        _turn(canonical, orientation, flat)
        if orientation < 4:
            medians[orientation] = _lower_median(flat, parted)
            mirrored = 4 + (orientation >> 1) + 2 * (orientation & 1)
            medians[mirrored] = medians[orientation]
        _write_bits(flat, medians[orientation], hashes[1 + orientation])
    return hashes


@kernel
def _turn(waves, orientation, flat):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """The transform of the picture in another orientation, as one row."""
    for k in range(FREQUENCIES):
        for m in range(FREQUENCIES):
            value = waves[m, k] if orientation & 4 else waves[k, m]
            against = (orientation & 2 and k % 2 == 0) != (orientation & 1 and m % 2 == 0)
            flat[FREQUENCIES * k + m] = -value if against else value


@kernel
def _lower_median(flat, parted):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """The middle number (the lower of two), by parting them about one of them until only it is left (Hoare 1961)."""
    for k in range(len(flat)):
        parted[k] = flat[k]
    wanted, low, high = len(flat) // 2 - 1, 0, len(flat) - 1
    while low < high:
        pivot, left, right = parted[wanted], low, high
        while left <= right:
            while parted[left] < pivot:
                left += 1
            while parted[right] > pivot:
                right -= 1
            if left <= right:
                parted[left], parted[right] = parted[right], parted[left]
                left += 1
                right -= 1
        if right < wanted:
            low = left
        if left > wanted:
            high = right
    return parted[wanted]


@kernel
def _write_bits(flat, median, packed):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Set the bits, of 32 zeroed bytes, of values above the median."""
    for bit in range(len(flat)):
        if flat[bit] > median:
            packed[HASH_BYTES - 1 - bit // 8] |= np.uint8(1 << (bit % 8))
