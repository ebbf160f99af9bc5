"""How many bands of how many values: where the chance of meeting rises from unlikely to near certain."""

from functools import cache
from typing import NamedTuple

FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT = 0.1, 0.9
"""A pair that meets for nothing costs a comparison of some microseconds, one that never meets is a duplicate kept."""
MARGIN = 0.05
"""The rise is put this far below the threshold, so that pairs just over it meet too."""


class Banding(NamedTuple):
    """A signature cut into bands: texts meet that have one in common."""

    bands: int
    rows: int

    def chance(self, jaccard: float) -> float:
        """Of two texts of this similarity to meet (Leskovec, Rajaraman, Ullman, section 3.4.2)."""
        return float(1 - (1 - jaccard**self.rows) ** self.bands)


@cache
def banding_for(jaccard: float, permutations: int) -> Banding:
    """The bands that lose and propose the fewest pairs, weighted, for a threshold, as `datasketch` chooses them."""
    from datasketch import MinHashLSH  # scipy behind it takes a second to import

    weights = (FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT)
    chosen = MinHashLSH(threshold=max(MARGIN, jaccard - MARGIN), num_perm=permutations, weights=weights)
    return Banding(chosen.b, chosen.r)
