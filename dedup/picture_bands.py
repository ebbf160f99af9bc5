"""Bands of picture hashes: few bits each, chosen once at random, so that near hashes share one and others do not.

Locality-sensitive hashing by bit sampling (Indyk and Motwani, STOC 1998). Cutting 256 bits into 16 bands of 16 finds
every pair within 31 bits if one bit of a band may be wrong (pigeonhole), at 272 keys a hash; but a band of 16 bits is
shared by one in 65,536 of all pictures, which at a million of them proposes more than can be compared. Bands are
therefore of 21 bits, of the frequencies that changes of a picture move least, and a large bucket is split further
by another 12 (`mate`).
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from dedup.fingerprints import FREQUENCIES, HASH_BYTES

LOWEST = 10
"""Bands are of the 10 x 10 lowest frequencies: copies differ in 7 to 13 % of those bits, in 15 to 19 % of others."""
WIDTH = 21
"""Bits of a band. The first is compared with the others, not kept: so that an inverted picture has the same bands."""
MATE_BITS = 12
BANDS = 160
"""Bands of the raw and of the canonical hash. Of 6,222 planted pairs within the radius they find 99.1 % (all of 5,217
within 31 bits), 128 find 98.9 %. Where all their buckets are too large, 91.9 % (99.0 %) still share the `mate`."""
TURNED_BANDS = 16
"""Of them, those in which a picture's seven other orientations look for an upright one: a mirrored copy is close."""
_SEED = 20261122
_EMPTY = np.zeros((0, 0), np.uint64), np.zeros((0, 0), np.int32)


def bands_of(
    hashes: dict[str, npt.NDArray[np.uint8]], radius: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Digests N x B and mates N x B of N pictures.

    `hashes` has `raw` and `upright` N x 32 and `turned` N x 7 x 32, or `phash` N x 8 alone, whose bands find every pair
    within `radius` bits.
    """
    if "phash" in hashes:
        return _pigeonholes(hashes["phash"], radius)
    raw, upright, turned = hashes["raw"], hashes["upright"], hashes["turned"]
    parts = [_sampled(raw, 0, BANDS), _sampled(upright, 1, BANDS)]
    parts += [_sampled(turned[:, other], 1, TURNED_BANDS) for other in range(turned.shape[1])]
    return np.concatenate([digests for digests, _ in parts], axis=1), np.concatenate([m for _, m in parts], axis=1)


@cache
def _chosen(family: int) -> npt.NDArray[np.int64]:
    """BANDS x (WIDTH + MATE_BITS) numbers of bits."""
    rng = np.random.default_rng([_SEED, family])
    low = [FREQUENCIES * k + m for k in range(LOWEST) for m in range(LOWEST)]
    return np.array([rng.choice(low, WIDTH + MATE_BITS, replace=False) for _ in range(BANDS)])


def _sampled(hashes: npt.NDArray[np.uint8], family: int, bands: int) -> tuple[Any, Any]:
    chosen = _chosen(family)[:bands]
    values = _relative_bits(np.ascontiguousarray(hashes), chosen)
    kept = values & ((1 << (WIDTH - 1)) - 1)
    return mixed(kept.astype(np.uint64), family), (values >> (WIDTH - 1)).astype(np.int32)


@njit(cache=True, nogil=True)
def _relative_bits(hashes, chosen):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """N x B numbers: bit i is whether the band's bit i + 1 differs from its bit 0."""
    count, (bands, width) = len(hashes), chosen.shape
    values = np.empty((count, bands), np.int64)
    bits = np.empty(8 * HASH_BYTES, np.int64)
    for picture in range(count):
        for bit in range(8 * HASH_BYTES):
            bits[bit] = (hashes[picture, HASH_BYTES - 1 - bit // 8] >> (bit % 8)) & 1
        for band in range(bands):
            value, first = 0, bits[chosen[band, 0]]
            for place in range(1, width):
                value |= (bits[chosen[band, place]] ^ first) << (place - 1)
            values[picture, band] = value
    return values


def _pigeonholes(hashes: npt.NDArray[np.uint8], radius: int) -> tuple[Any, Any]:
    """`radius` + 1 bands of equal width: of two hashes within the radius, one band has no wrong bit."""
    bits = np.unpackbits(hashes, axis=1)
    parts = np.array_split(np.arange(bits.shape[1]), radius + 1)
    values = np.stack(
        [bits[:, part].astype(np.uint64) @ (np.uint64(1) << np.arange(len(part), dtype=np.uint64)) for part in parts],
        axis=1,
    )
    other = np.roll(values, 1, axis=1) & np.uint64(2**31 - 1)
    return mixed(values, 2), other.astype(np.int32)


def mixed(values_NB: npt.NDArray[np.uint64], family: int) -> npt.NDArray[np.uint64]:
    """Digests of a band's value, its number and its family, spread over all 64 bits (splitmix64's finaliser)."""
    number = np.arange(values_NB.shape[1], dtype=np.uint64)[None] + np.uint64(1000 * (family + 1))
    digest = values_NB ^ (number << np.uint64(44) if family != 2 else number * np.uint64(0x9E3779B97F4A7C15))
    with np.errstate(over="ignore"):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            digest = (digest ^ (digest >> np.uint64(shift))) * np.uint64(factor)
    spread: npt.NDArray[np.uint64] = digest ^ (digest >> np.uint64(31))
    return spread
