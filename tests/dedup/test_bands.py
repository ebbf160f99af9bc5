"""Buckets propose what naive code proposes, in any order and any number of partitions."""

from itertools import combinations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.bands import ALL_PAIRS_UP_TO, PAIRS, band_keys, items_of, pairs_of, proposed_pairs
from dedup.keys import key_range, slice_range

Item = tuple[int, int]
items = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 2**64 - 1), st.integers(0, 6), st.integers(0, 6)),
    max_size=60, unique_by=lambda item: item[:2],
)  # fmt: skip
SPREAD = np.uint64(0x9E3779B97F4A7C15)


def keys_of(rows: list[tuple[int, int, int, int, int]]) -> pa.Table:
    """BAND_KEYS with `fragment` of items (fragment, row, order, first band, second band)."""
    tables = [BAND_ROWS]
    for fragment, row, order, *bands in rows:
        digests = np.array([bands], np.uint64) * SPREAD
        table = band_keys(digests, np.array([order], np.uint64), np.array([row], np.int32))
        tables.append(table.append_column("fragment", pa.array([fragment] * 2, pa.int32())))
    return pa.concat_tables(tables)


BAND_ROWS = band_keys(np.empty((0, 2), np.uint64), np.empty(0, np.uint64), np.empty(0, np.int32)).append_column(
    "fragment", pa.array([], pa.int32())
)


def found(pairs: pa.Table) -> set[tuple[Item, Item]]:
    columns = [pairs[name].to_pylist() for name in PAIRS.names]
    listed = [((a, b), (c, d)) for a, b, c, d in zip(*columns, strict=True)]
    assert len(set(listed)) == len(listed)
    assert all(low < high for low, high in listed)
    return set(listed)


def naive(rows: list[tuple[int, int, int, int, int]]) -> set[tuple[Item, Item]]:
    buckets: dict[int, list[tuple[int, Item, int]]] = {}
    for fragment, row, order, first, second in rows:
        buckets.setdefault(first, []).append((order, (fragment, row), second))
        buckets.setdefault(second, []).append((order, (fragment, row), first))
    pairs = set()
    for members in buckets.values():
        members.sort()
        if len(members) <= ALL_PAIRS_UP_TO:
            chosen = list(combinations([item for _, item, _ in members], 2))
        else:
            chosen = [(members[0][1], item) for _, item, _ in members]
            best: dict[int, Item] = {}
            chosen += [(best.setdefault(mate, item), item) for _, item, mate in members]
        pairs |= {(min(pair), max(pair)) for pair in chosen if pair[0] != pair[1]}
    return pairs


@settings(deadline=None)  # the first call compiles
@given(items, st.randoms())
def test_it_proposes_all_pairs_of_small_buckets_and_stars_of_large_ones(
    rows: list[tuple[int, int, int, int, int]], chance: object
) -> None:
    expected = naive(rows)
    assert found(proposed_pairs(keys_of(rows)).pairs) == expected
    chance.shuffle(rows)  # type: ignore[attr-defined]
    assert found(proposed_pairs(keys_of(rows)).pairs) == expected


@settings(deadline=None)  # the first call compiles
@given(items)
def test_partitions_together_propose_what_one_does(rows: list[tuple[int, int, int, int, int]]) -> None:
    keys = keys_of(rows)
    ordered = keys.take(pa.array(np.argsort([key.as_py() for key in keys["key"]], kind="stable"), pa.int64()))
    together = set()
    for partition in range(4):
        together |= found(proposed_pairs(slice_range(ordered, *key_range(partition, 4))).pairs)
    assert together == found(proposed_pairs(keys).pairs)


def test_a_hot_bucket_costs_two_pairs_a_member() -> None:
    many = 10_000
    table = band_keys(
        np.full((many, 1), 7, np.uint64), np.arange(many, dtype=np.uint64), np.arange(many, dtype=np.int32)
    )
    solved = proposed_pairs(table.append_column("fragment", pa.array(np.zeros(many, np.int32))))
    assert solved.pairs.num_rows <= 2 * many
    assert (solved.largest, solved.hot) == (many, 1)


def test_pairs_are_kept_once_and_never_of_an_item_with_itself() -> None:
    pairs = pairs_of(np.array([5, 1, 5, 2], np.uint64), np.array([1, 5, 5, 2**33], np.uint64))
    assert pairs.to_pylist() == [
        {"fragment": 0, "row": 1, "other_fragment": 0, "other_row": 5},
        {"fragment": 0, "row": 2, "other_fragment": 2, "other_row": 0},
    ]
    assert items_of(pairs, "other_").tolist() == [5, 2**33]
