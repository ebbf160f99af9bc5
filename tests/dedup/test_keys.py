import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.keys import KEY_BYTES, KEYS, by_key, followers, key_range, places_by, sent_keys, slice_range, slots_of


def keys_table(rows: list[tuple[int, int, int]]) -> pa.Table:
    """(key number, rank, row) as KEYS; the id is the row."""
    return pa.table(
        [
            pa.array([number.to_bytes(KEY_BYTES, "big") for number, _, _ in rows], pa.binary(KEY_BYTES)),
            pa.array([rank for _, rank, _ in rows], pa.int32()),
            pa.array([row for _, _, row in rows], pa.int32()),
            pa.array([row.to_bytes(KEY_BYTES, "big") for _, _, row in rows], pa.binary(KEY_BYTES)),
        ],
        schema=KEYS,
    )


def in_fragment(keys: pa.Table, number: int) -> pa.Table:
    numbers = pa.array(np.full(keys.num_rows, number, np.int32))
    return sent_keys(keys, 0).append_column("fragment", numbers)


def brute_force(rows: list[tuple[int, int, int, int]]) -> set[tuple[int, int, int]]:
    """(fragment, row, nth) of every row that is not the first of its key, by (rank, id, fragment); id is the row."""
    groups: dict[int, list[tuple[int, int, int]]] = {}
    for key, rank, fragment, row in rows:
        groups.setdefault(key, []).append((rank, row, fragment))
    return {
        (fragment, row, nth) for group in groups.values() for nth, (_, row, fragment) in enumerate(sorted(group)) if nth
    }


grouped_rows = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1000)),
    unique_by=lambda row: (row[2], row[3]),
    min_size=1,
)


@given(grouped_rows, st.randoms(use_true_random=False))
def test_followers_are_those_of_a_brute_force_search_whatever_the_order(
    rows: list[tuple[int, int, int, int]], shuffler: random.Random
) -> None:
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    tables = [in_fragment(keys_table([(key, rank, row)]), fragment) for key, rank, fragment, row in shuffled]
    answer = followers(pa.concat_tables(tables))
    found = set(zip(answer["fragment"].to_pylist(), answer["row"].to_pylist(), answer["nth"].to_pylist(), strict=True))
    assert found == brute_force(rows)


def test_the_leader_is_the_first_by_rank_then_source_then_id_wherever_it_stands() -> None:
    tables = [
        (keys_table([(7, 1, 0), (7, 0, 5)]), 0, 0),
        (keys_table([(7, 0, 1)]), 1, 1),
        (keys_table([(7, 0, 4)]), 0, 2),
    ]
    fragments = [
        sent_keys(keys, source).append_column("fragment", pa.array(np.full(len(keys), number, np.int32)))
        for keys, source, number in tables
    ]
    answer = followers(pa.concat_tables(fragments)).to_pylist()
    assert {row["leader"] for row in answer} == {(4).to_bytes(KEY_BYTES, "big")}
    assert [(row["fragment"], row["row"]) for row in answer] == [(0, 0), (0, 5), (1, 1)]


@pytest.mark.parametrize("partitions", [1, 2, 8, 64])
def test_every_key_is_in_exactly_one_partition(partitions: int) -> None:
    random_bytes = np.random.default_rng(1).integers(0, 2**63, (500, 2)).astype(">u8").tobytes()
    numbers = [int.from_bytes(random_bytes[at : at + 16], "big") for at in range(0, len(random_bytes), 16)]
    numbers += [0, 2**128 - 1, 2**127]
    table = sent_keys(keys_table([(number, 0, row) for row, number in enumerate(numbers)]), 0)
    slices = [slice_range(table, *key_range(number, partitions)) for number in range(partitions)]
    assert pa.concat_tables(slices).equals(table)


def test_a_slice_of_a_sliced_table_is_still_right() -> None:
    table = sent_keys(keys_table([(number << 120, 0, number) for number in range(200)]), 0)
    tail = table.slice(50)
    low, high = key_range(1, 2)
    assert slice_range(tail, low, high)["row"].to_pylist() == list(range(128, 200))


@given(st.lists(st.integers(0, 2**128 - 1) | st.integers(0, 3)))
def test_sorting_by_key_keeps_the_order_of_rows_with_equal_keys(numbers: list[int]) -> None:
    rows = list(enumerate(numbers))
    found = by_key(keys_table([(number, 0, row) for row, number in rows]))
    assert found["row"].to_pylist() == [row for row, _ in sorted(rows, key=lambda pair: pair[1])]


@given(st.lists(st.integers(0, 2**128 - 1)))
def test_slots_are_equal_ranges_of_the_key_in_order(numbers: list[int]) -> None:
    table = by_key(keys_table([(number, 0, row) for row, number in enumerate(numbers)]))
    slots = list(slots_of(table, 256))
    assert [number for number, _ in slots] == sorted({number >> 120 for number in numbers})
    assert [row for _, rows in slots for row in rows["row"].to_pylist()] == table["row"].to_pylist()
    assert all(key[0] == number for number, rows in slots for key in rows["key"].to_pylist())


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 2)), max_size=40))
def test_places_are_those_of_a_lexical_sort_and_equal_ones_stay_in_order(rows: list[tuple[int, int, int]]) -> None:
    high, low, last = np.array(rows, np.uint64).reshape(-1, 3).T
    assert places_by(high, low, last).tolist() == np.lexsort((last, low, high)).tolist()
