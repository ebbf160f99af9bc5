"""Buckets of equal band digests, and which pairs of their members are worth a look.

Near-duplicates share a band of their signatures with known probability (Leskovec, Rajaraman, Ullman: Mining of
Massive Datasets, chapter 3). Whoever shares one falls into the same bucket; a bucket proposes pairs, and every pair
is verified on the content itself before it counts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.kernels.compiled import kernel
from dedup.kernels.sorting import order_of_hashes
from dedup.keys import KEY_BYTES, places_by, with_ties_sorted, words_of

BAND_KEYS = pa.schema(
    [
        pa.field("key", pa.binary(KEY_BYTES), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("mate", pa.int32(), nullable=False),
    ]
)
"""What a fragment sends, sorted by key, a row for each band of each item (a sample or a picture).

`key`: the band's digest and the item's place in the order of survivors (smaller is better), big-endian 64 bits
each, so that the rows of a bucket come in that order. `row` is the item's number in the fragment, `mate` 32 bits
of another of its bands."""

PAIRS = pa.schema(
    [
        pa.field(name, type_, nullable=False)
        for side in ("", "other_")
        for name, type_ in ((f"{side}fragment", pa.int32()), (f"{side}row", pa.int32()))
    ]
)
"""Two items that may be near-duplicates, each pair once: the earlier one in the corpus, then the later."""

ALL_PAIRS_UP_TO = 8
"""Members of a bucket that are all compared with one another: at most 28 pairs. Of larger ones each member is
compared with the best, and with the best of those that share its `mate`."""

MAX_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Buckets:
    """What one partition proposed, and how it looked."""

    pairs: pa.Table
    """PAIRS, by fragment, row, other fragment, other row."""
    largest: int
    """Members of the largest bucket."""
    hot: int
    """Buckets too large for all their pairs."""


def band_keys(digests: npt.NDArray[np.uint64], order: npt.NDArray[np.uint64], rows: npt.NDArray[np.int32]) -> pa.Table:
    """BAND_KEYS of items, by key and row.

    `digests` has one row per item and one column per band; `order` and `rows` one value per item.
    """
    bands = digests.shape[1]
    flat = np.ascontiguousarray(digests).ravel()
    items = np.repeat(np.arange(len(digests), dtype=np.int32), bands)
    places = with_ties_sorted(order_of_hashes(flat), flat, order[items], rows[items])
    owners = items[places]
    words = np.empty((len(flat), 2), ">u8")
    words[:, 0], words[:, 1] = flat[places], order[owners]
    before = np.where(places % bands, places, places + bands) - 1 if bands else places
    mates = (flat[before] & np.uint64(MAX_INT32)).astype(np.int32)
    keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(flat), [None, pa.py_buffer(words)])
    return pa.table([keys, pa.array(rows[owners].astype(np.int32)), pa.array(mates)], schema=BAND_KEYS)


def proposed_pairs(keys: pa.Table) -> Buckets:
    """Solve one partition: `keys` is BAND_KEYS with the column `fragment`, all rows of each digest present.

    The order of rows does not matter, nor how many partitions there are: buckets are whole in one of them.
    """
    words = words_of(keys)
    unsorted = _items(keys["fragment"].to_numpy(), keys["row"].to_numpy())
    places = places_by(words[:, 0], words[:, 1], unsorted)
    digests, items = words[places, 0], unsorted[places]
    mates = keys["mate"].to_numpy()[places]
    starts = np.flatnonzero(np.diff(digests, prepend=~digests[:1]))
    sizes = np.diff(np.append(starts, len(digests)))
    repeated = sizes > 1
    first, second = _pairs(starts[repeated], sizes[repeated], mates, ALL_PAIRS_UP_TO)
    pairs = pairs_of(items[first], items[second])
    return Buckets(pairs, int(sizes.max(initial=0)), int((sizes > ALL_PAIRS_UP_TO).sum()))


def pairs_of(first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64]) -> pa.Table:
    """PAIRS of items (fragment << 32 | row), each once, none of an item with itself."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = places_by(low, high)
    low, high = low[order], high[order]
    new = np.ones(len(low), bool)
    new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    new &= low != high
    return pa.table([pa.array(part) for side in (low[new], high[new]) for part in split_items(side)], schema=PAIRS)


def split_items(items: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Fragment and row of each item."""
    return (items >> np.uint64(32)).astype(np.int32), (items & np.uint64(MAX_INT32)).astype(np.int32)


def items_of(pairs: pa.Table, side: str = "") -> npt.NDArray[np.uint64]:
    """One side of PAIRS (`""` or `"other_"`) as items: fragment << 32 | row."""
    return _items(pairs[f"{side}fragment"].to_numpy(), pairs[f"{side}row"].to_numpy())


def _items(fragments: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    return fragments.astype(np.uint64) << np.uint64(32) | rows.astype(np.uint64)


@kernel
def _pairs(starts, sizes, mates, small):  # type: ignore[no-untyped-def]
    """Places of the two sides of every proposed pair; members of a bucket stand together, the best first."""
    count = 0
    for size in sizes:
        count += size * (size - 1) // 2 if size <= small else 2 * (size - 1)
    first = np.empty(count, np.int64)
    second = np.empty(count, np.int64)
    n = 0
    for bucket in range(len(starts)):
        start, size = starts[bucket], sizes[bucket]
        if size <= small:
            for i in range(start, start + size):
                for j in range(i + 1, start + size):
                    first[n], second[n] = i, j
                    n += 1
            continue
        leader = -1
        order = np.argsort(mates[start : start + size], kind="mergesort")
        for k in range(size):
            place = start + order[k]
            if leader < 0 or mates[place] != mates[leader]:
                leader = place
            elif leader != start:
                first[n], second[n] = leader, place
                n += 1
            if place != start:
                first[n], second[n] = start, place
                n += 1
    return first[:n], second[:n]
