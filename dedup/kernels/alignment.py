"""Which tokens differ between two texts: a shortest edit script (Myers 1986), greedy, forward."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.compiled import kernel

SAME, DIFFERS, SPELLED = range(3)
"""Marks of tokens: in both texts; in one of them; in one of them, but the other has it in another spelling."""

MAX_EDITS = 1000
"""Tokens added and left out, of one pair, up to which the script is sought: 4 MB of trace, about 2 ms."""


@kernel
def differing(a, count_a, b, count_b, trace, in_a, in_b):
    """Mark with DIFFERS the tokens (by hash) that a shortest edit script from `a` to `b` removes, and that it adds.

    `trace` is room for the search: i32, (MAX_EDITS + 1) rows of 2 * MAX_EDITS + 2. Returns how many are marked, or
    -1 where the texts differ in more than MAX_EDITS (then nothing is marked).
    """
    in_a[:count_a] = SAME
    in_b[:count_b] = SAME
    low = 0
    while low < count_a and low < count_b and a[low] == b[low]:
        low += 1
    high = 0
    while high < count_a - low and high < count_b - low and a[count_a - 1 - high] == b[count_b - 1 - high]:
        high += 1
    n, m = count_a - low - high, count_b - low - high
    if n == 0 or m == 0:
        in_a[low : low + n] = DIFFERS
        in_b[low : low + m] = DIFFERS
        return n + m
    edits = _search(a, b, low, n, m, trace)
    if edits < 0:
        return -1
    _walk_back(low, n, m, edits, trace, in_a, in_b)
    return edits


@kernel
def _search(a, b, low, n, m, trace):
    """Length of the shortest script, -1 beyond MAX_EDITS. trace[d, k + d] is how far diagonal k is after d edits."""
    for d in range(min(n + m, MAX_EDITS) + 1):
        for k in range(-d, d + 1, 2):
            if d == 0:
                x = 0
            elif k == -d or (k != d and trace[d - 1, k + d - 2] < trace[d - 1, k + d]):
                x = np.int64(trace[d - 1, k + d])
            else:
                x = np.int64(trace[d - 1, k + d - 2]) + 1
            y = x - k
            while x < n and y < m and a[low + x] == b[low + y]:
                x += 1
                y += 1
            trace[d, k + d] = x
            if x >= n and y >= m:
                return d
    return -1


@kernel
def _walk_back(low, n, m, edits, trace, in_a, in_b):
    x, y = n, m
    for d in range(edits, 0, -1):
        k = x - y
        down = k == -d or (k != d and trace[d - 1, k + d - 2] < trace[d - 1, k + d])
        if down:
            x = np.int64(trace[d - 1, k + d])
            y = x - (k + 1)
            in_b[low + y] = DIFFERS
        else:
            x = np.int64(trace[d - 1, k + d - 2])
            y = x - (k - 1)
            in_a[low + x] = DIFFERS
