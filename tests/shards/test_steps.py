import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.mixture import hashes
from shards.packing import packed
from shards.steps import Documents, Epoch, ordered


def epoch_of(tokens: list[int], context: int, rows_per_step: int, seed: int = 0) -> Epoch:
    tokens_n = np.array(tokens, np.int32)
    lots = hashes(seed, 0, 3, len(tokens) + rows_per_step)
    documents = Documents(tokens_n, tokens_n.astype(np.float64) ** 2)
    return ordered(documents, packed(tokens_n, context, lots[: len(tokens)]), rows_per_step, context, lots)


def rows_of(epoch: Epoch) -> list[list[int]]:
    bounds = zip(epoch.starts[:-1].tolist(), epoch.starts[1:].tolist(), strict=True)
    return [epoch.item_n[start:stop].tolist() for start, stop in bounds]


@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_steps_are_whole_rows_fit_and_every_document_is_there_once_but_for_padding(
    context: int, rows_per_step: int, data: st.DataObject
) -> None:
    tokens = data.draw(st.lists(st.integers(1, context), min_size=1, max_size=60))
    epoch = epoch_of(tokens, context, rows_per_step)
    rows = rows_of(epoch)
    assert len(rows) % rows_per_step == 0
    assert all(0 < sum(tokens[item] for item in row) <= context for row in rows)
    placed = [item for row in rows for item in row]
    assert set(placed) == set(range(len(tokens)))
    assert len(placed) == len(tokens) + epoch.padding_rows
    assert epoch.padding_rows == 0 or epoch.padding_rows < rows_per_step
    assert epoch.cost_r.tolist() == [sum(tokens[item] ** 2 for item in row) for row in rows]


def test_rows_of_a_step_cost_about_the_same_and_the_dearest_comes_first() -> None:
    tokens = np.random.default_rng(0).integers(1, 1000, 5000).tolist()
    epoch = epoch_of(tokens, 1000, 8)
    costs = epoch.cost_r.reshape(-1, 8)
    assert (np.diff(costs, axis=1) <= 0).all()
    steps = len(costs)
    assert epoch.after / steps < 1.05
    assert epoch.before / steps > 1.2


def test_steps_come_in_an_order_that_the_seed_decides() -> None:
    tokens = np.random.default_rng(0).integers(500, 1000, 400).tolist()
    first, same, other = (epoch_of(tokens, 1000, 8, seed) for seed in (0, 0, 1))
    assert rows_of(first) == rows_of(same)
    assert rows_of(first) != rows_of(other)
    assert first.cost_r.tolist() != sorted(first.cost_r, reverse=True)


def test_the_last_documents_are_spread_over_all_rows_of_the_last_step() -> None:
    epoch = epoch_of([10] * 25, 100, 8)  # three rows as packed
    assert [len(row) for row in rows_of(epoch)] == [4] + [3] * 7
    assert epoch.padding_rows == 0


def test_documents_are_repeated_where_there_are_fewer_than_rows() -> None:
    epoch = epoch_of([30, 20, 10], 100, 8)
    assert epoch.padding_rows == 5
    assert sorted(len(row) for row in rows_of(epoch)) == [1] * 8
    assert {item for row in rows_of(epoch) for item in row} == {0, 1, 2}


def test_where_even_costs_would_overfill_a_row_the_packed_rows_are_split_instead() -> None:
    """Two dear documents would have a row each, and two rows are not enough for the 210 tokens of the others."""
    tokens = [60, 30, *[10] * 21]
    tokens_n = np.array(tokens, np.int32)
    lots = hashes(0, 0, 3, len(tokens) + 4)
    flat = Documents(tokens_n, np.array([2000.0, 2000.0, *[1.0] * 21]))
    epoch = ordered(flat, packed(tokens_n, 100, lots[: len(tokens)]), 4, 100, lots)
    rows = rows_of(epoch)
    assert len(rows) == 4
    assert all(0 < sum(tokens[item] for item in row) <= 100 for row in rows)
    assert sorted(item for row in rows for item in row) == list(range(23))


@pytest.mark.parametrize("rows_per_step", [1, 8])
def test_no_documents_make_no_rows(rows_per_step: int) -> None:
    epoch = epoch_of([], 100, rows_per_step)
    assert (rows_of(epoch), len(epoch.cost_r), epoch.padding_rows) == ([], 0, 0)
