"""How much two sets of shingles share, counted in one pass without sorting."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.compiled import kernel

_ONE = np.uint64(1)


@kernel
def shared_counts(a, count_a, b, count_b, values, owners, pair):
    """Distinct shingles of `a`, of `b`, and of both.

    `values` (u64) and `owners` (i32) are a table of open addressing with room for twice the shingles of both. An
    entry counts where its owner is at least 4 * `pair` (larger than of any pair before, so that the table is never
    cleared): 4 * pair for a shingle of a, + 1 of b, + 2 of both.
    """
    places = 8
    while 3 * places < 4 * (count_a + count_b):
        places *= 2
    mask = np.uint64(places - 1)
    mine = np.int32(4 * pair)
    only_a = 0
    for k in range(count_a):
        place = a[k] & mask
        while owners[place] >= mine and values[place] != a[k]:
            place = (place + _ONE) & mask
        if owners[place] < mine:
            values[place] = a[k]
            owners[place] = mine
            only_a += 1
    only_b = 0
    both = 0
    for k in range(count_b):
        place = b[k] & mask
        while owners[place] >= mine and values[place] != b[k]:
            place = (place + _ONE) & mask
        if owners[place] < mine:
            values[place] = b[k]
            owners[place] = mine + np.int32(1)
            only_b += 1
        elif owners[place] == mine:
            owners[place] = mine + np.int32(2)
            both += 1
    return only_a, only_b + both, both
