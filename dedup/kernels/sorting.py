"""Sorts hashes: they spread evenly over their range, so that a few bits of each tell almost where it belongs.

And handfuls of numbers, by insertion.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel

FEW = 48
"""Numbers up to which insertion is faster than numba's own sort, which costs some 2 µs to begin."""
PER_BUCKET = 4
MOST_PER_BUCKET = 256
"""Where more share their first bits, hashes repeat or are none: they are sorted by comparison."""
MOST_AT_ONCE = 2**20
"""Beyond, the buckets no longer lie in the processor's cache, and the gain is gone."""


def order_of_hashes(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The places that sort them; equal ones stay in their order: what a stable `np.argsort` gives, in a third."""
    if 0 < len(hashes) <= MOST_AT_ONCE:
        order: npt.NDArray[np.int64] = spread(hashes, (len(hashes) // PER_BUCKET).bit_length() + 1, MOST_PER_BUCKET)
        if len(order):
            return order
    return np.argsort(hashes, kind="stable")


@kernel
def spread(hashes, bits, most):
    """The sorted places by way of 2^bits buckets; none where a bucket gets more than `most`."""
    count, buckets = hashes.shape[0], 1 << bits
    shift = np.uint64(64 - bits)
    starts = np.zeros(buckets + 1, np.int64)
    for i in range(count):
        starts[np.int64(hashes[i] >> shift) + 1] += 1
    order = np.empty(count, np.int64)
    for bucket in range(buckets):
        if starts[bucket + 1] > most:
            return order[:0]
        starts[bucket + 1] += starts[bucket]
    ends = starts[:-1].copy()
    for i in range(count):
        bucket = np.int64(hashes[i] >> shift)
        order[ends[bucket]] = i
        ends[bucket] += 1
    for bucket in range(buckets):
        for i in range(starts[bucket] + 1, starts[bucket + 1]):
            place, at = order[i], i
            while at > starts[bucket] and hashes[order[at - 1]] > hashes[place]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = place
    return order


@kernel
def sort_few(numbers, count):
    """Sort the first `count` numbers in place: mostly a few, now and then many."""
    if count > FEW:
        numbers[:count].sort()
        return
    for k in range(1, count):
        number, at = numbers[k], k
        while at > 0 and numbers[at - 1] > number:
            numbers[at] = numbers[at - 1]
            at -= 1
        numbers[at] = number
