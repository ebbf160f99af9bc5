"""Bands of pictures: which of a few random mixtures of their lowest frequencies is strongest, so that near ones agree.

Cross-polytope hashing (Andoni, Indyk, Laarhoven, Razenshteyn, Schmidt: Practical and optimal LSH for angular distance,
NIPS 2015): mixtures are made by random signs and a Hadamard transform, and the number of the strongest one is kept.
That is steadier than bits: a bit changes where a strength is near the median, the strongest of 32 seldom does.
Frequencies that are even or odd in height and in width are mixed apart, 16 of each: mirroring, turning by half and
inverting a picture then change no more than the signs of whole mixtures, and the number of the strongest stays.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dedup.fingerprints import WAVES
from dedup.kernels.strongest import MIXED, strongest_of

MIXTURES = (2, 2, 1, 1)
"""Sixteens of mixtures of the frequencies even in both, in height, in width, in neither: 2 x 2 x 16 x 16 x 16 x 16
answers, and one bit for whether an odd number of the strongest are negative, which mirroring leaves alone too."""
BANDS = 52
"""Bands of the picture as it is, and as many of its canonical form. With the 8 below they find as many of 7,984 planted
pairs within 64 bits (99.5 %) as 433 bands of 21 bits did, and propose as few others."""
TURNED_BANDS = 8
"""Canonical bands that are also of the transposed picture: what a quarter turn needs. A turned copy is close."""
_SEED = 20261122
_CLASSES = ((1, 1), (1, 0), (0, 1), (0, 0))


def bands_of(hashes: dict[str, npt.NDArray[Any]], radius: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Digests N x B and mates N x B of N pictures.

    `hashes` has `waves` N x 128 (int8: `dedup.fingerprints.Fingerprint.waves`), or `phash` N x 8 alone, whose bands
    find every pair within `radius` bits.
    """
    if "phash" in hashes:
        return _pigeonholes(hashes["phash"], radius)
    waves = hashes["waves"].reshape(-1, 2, WAVES, WAVES)
    raw, canonical = waves[:, 0], waves[:, 1]
    parts = [_strongest(raw, 0, BANDS), _strongest(canonical, 1, BANDS)]
    parts.append(_strongest(canonical.transpose(0, 2, 1), 1, TURNED_BANDS))
    return np.concatenate([digests for digests, _ in parts], axis=1), np.concatenate([m for _, m in parts], axis=1)


@cache
def _signs(family: int) -> npt.NDArray[np.int16]:
    """BANDS x 6 x 16 signs: of each band's sixteens of mixtures, class after class."""
    rng = np.random.default_rng([_SEED, family])
    signs: npt.NDArray[np.int16] = rng.choice(np.array([-1, 1], np.int16), (BANDS, sum(MIXTURES), MIXED))
    return signs


@cache
def _places() -> npt.NDArray[np.int64]:
    """4 x 16 places in a picture's 64: frequency 1 + row, 1 + column, so that even places are odd frequencies."""
    grid = np.arange(WAVES * WAVES).reshape(WAVES, WAVES)
    return np.stack([grid[row::2, column::2].ravel() for row, column in _CLASSES])


def _strongest(waves: npt.NDArray[np.int8], family: int, bands: int) -> tuple[Any, Any]:
    """Digests and mates N x B; a mate is of the next band, of the first `TURNED_BANDS` among themselves."""
    placed = waves.reshape(len(waves), WAVES * WAVES)[:, _places()]
    codes = strongest_of(np.ascontiguousarray(placed.transpose(1, 2, 0)), _signs(family)[:bands], np.array(MIXTURES))
    value = codes[..., 0].astype(np.uint64)
    for part in range(1, codes.shape[-1]):
        value = value * np.uint64(16 * 2) + codes[..., part].astype(np.uint64)
    turned = np.arange(TURNED_BANDS)
    after = np.concatenate([np.roll(turned, -1), np.roll(np.arange(TURNED_BANDS, bands), -1)])
    mates = codes[:, after, 0] * np.int32(32) + codes[:, after, 1]
    return mixed(value, family), mates


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
