"""How many bands of how many values: where the chance of meeting rises from unlikely to near certain."""

from functools import cache
from typing import NamedTuple

import numpy as np

FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT = 0.1, 0.9
"""A pair that meets for nothing costs a comparison of some microseconds, one that never meets is a duplicate kept."""
MARGIN = 0.05
"""The rise is put this far below the threshold, so that pairs just over it meet too."""
QUADRATURE = 64
"""Points at which the loss is integrated: exact for the polynomials of up to 128 permutations."""


class Banding(NamedTuple):
    """A signature cut into bands: texts meet that have one in common."""

    bands: int
    rows: int

    def chance(self, jaccard: float) -> float:
        """Of two texts of this similarity to meet (Leskovec, Rajaraman, Ullman, section 3.4.2)."""
        return float(1 - (1 - jaccard**self.rows) ** self.bands)


@cache
def banding_for(jaccard: float, permutations: int) -> Banding:
    """The bands that lose and propose the fewest pairs, weighted, for a threshold.

    As `datasketch` chooses them (tests hold them against it), without the scipy behind it that takes a second to load.
    """
    threshold = max(MARGIN, jaccard - MARGIN)
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    below, above = threshold * (nodes + 1) / 2, threshold + (1 - threshold) * (nodes + 1) / 2

    def loss(banding: Banding) -> float:
        bands, rows = banding
        met = threshold / 2 * weights @ (1 - (1 - below**rows) ** bands)
        missed = (1 - threshold) / 2 * weights @ (1 - above**rows) ** bands
        return float(FALSE_POSITIVE_WEIGHT * met + FALSE_NEGATIVE_WEIGHT * missed)

    bandings = (
        Banding(bands, rows) for bands in range(1, permutations + 1) for rows in range(1, permutations // bands + 1)
    )
    return min(bandings, key=loss)
