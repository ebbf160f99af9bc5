"""Pairs on their way: what many partitions proposed is sent once."""

from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
from hypothesis import given, settings

from dedup.bands import PAIRS, pairs_of
from pipelines.near import travel
from pipelines.near.travel import distinct_pairs

ITEMS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


def pairs(items: list[tuple[int, int]]) -> pa.Table:
    sides = np.array(items, np.uint64).reshape(-1, 2)
    return pairs_of(sides[:, 0], sides[:, 1])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ITEMS, max_size=7))
def test_pairs_of_many_tables_are_those_of_all_at_once(tables: list[list[tuple[int, int]]]) -> None:
    together = pairs([pair for table in tables for pair in table])
    assert distinct_pairs(map(pairs, tables)).equals(together)
    assert together.schema == PAIRS


def test_what_every_partition_proposes_is_never_held_for_all_of_them(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    table = pairs([(one, 1_000 + one) for one in range(1_000)])
    merged, held = travel._merged, []

    def counted(tables: list[pa.Table]) -> pa.Table:
        held.append(sum(map(len, tables)))
        return merged(tables)

    def partitions() -> Iterator[pa.Table]:
        yield from [table] * 50

    monkeypatch.setattr(travel, "_merged", counted)
    assert distinct_pairs(partitions()).equals(table)
    assert max(held) <= 3 * len(table)
