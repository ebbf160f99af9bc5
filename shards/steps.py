"""Rows of an epoch in the order of training: steps of rows that cost about the same, steps in random order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Epoch:
    """One epoch, packed and in order. `item_n` are the documents, row after row; row r is `starts[r]:starts[r + 1]`."""

    item_n: Ints
    starts: Ints
    cost_r: Floats
    padding_rows: int
    """Rows that repeat documents, because the last step had fewer documents than rows."""
    before: float
    """Sum over steps of max / mean cost, had the rows been taken in random order."""
    after: float
    """The same, in this order."""


@dataclass(frozen=True)
class Documents:
    """What rows are made of: tokens and cost of each."""

    tokens_n: NDArray[np.int32]
    cost_n: Floats


def ordered(
    documents: Documents, row_n: NDArray[np.int32], rows_per_step: int, context: int, lots: NDArray[np.uint64]
) -> Epoch:
    """Make whole steps of packed rows.

    Rows are sorted by cost and cut into steps, so that the rows of a step take the same time. The documents of the
    cheapest rows, which fill no step, are spread over one more. `lots` are random numbers, as many as documents and
    rows_per_step together at least. Inside a step the dearest row comes first.
    """
    count = int(row_n.max(initial=-1)) + 1
    cost_r = np.bincount(row_n, weights=documents.cost_n, minlength=count)
    dearest = np.lexsort((np.arange(count), -cost_r))
    whole = count // rows_per_step * rows_per_step
    rank_r = np.empty(count, np.int64)
    rank_r[dearest] = np.arange(count)
    rank_n = rank_r[row_n]
    item_n = np.lexsort((lots[: len(row_n)], rank_n))
    starts = np.searchsorted(rank_n[item_n], np.arange(count + 1))
    rest, padding_rows = item_n[starts[whole] :], 0
    item_n, starts = item_n[: starts[whole]], starts[: whole + 1]
    if count > whole:
        rows, padding_rows = _spread(documents, rest, rank_n[rest] - whole, rows_per_step, context)
        item_n = np.concatenate([item_n, *rows])
        starts = np.concatenate([starts, starts[-1] + np.cumsum([len(row) for row in rows])])
    return _shuffled(documents, item_n, starts, rows_per_step, lots, padding_rows)


def _spread(documents: Documents, items: Ints, row_i: Ints, rows: int, context: int) -> tuple[list[Ints], int]:
    """Some documents in so many rows, dearest row first, and how many rows hold only repeated ones."""
    repeated = max(0, rows - len(items))
    if repeated:
        cheap_first = items[np.lexsort((items, documents.cost_n[items]))]
        given = [*items, *np.resize(cheap_first, repeated)]
        spread = [np.array([item]) for item in given]
    else:
        spread = _least_loaded(documents, items, rows)
        if any(int(documents.tokens_n[row].sum()) > context for row in spread):
            spread = _split(documents, items, row_i, rows)
    costs = [float(documents.cost_n[row].sum()) for row in spread]
    return [spread[number] for number in np.lexsort((np.arange(rows), -np.array(costs)))], repeated


def _least_loaded(documents: Documents, items: Ints, rows: int) -> list[Ints]:
    """Longest first, each to the row with the least cost so far (Graham's LPT)."""
    import heapq

    loads = [(0.0, number) for number in range(rows)]
    spread: list[list[int]] = [[] for _ in range(rows)]
    for item in items[np.lexsort((items, -documents.cost_n[items]))].tolist():
        load, number = loads[0]
        spread[number].append(item)
        heapq.heapreplace(loads, (load + float(documents.cost_n[item]), number))
    return [np.array(row, np.int64) for row in spread]


def _split(documents: Documents, items: Ints, row_i: Ints, rows: int) -> list[Ints]:
    """The rows as they were packed, the dearest of several documents halved until there are enough."""
    spread = [items[row_i == number] for number in range(int(row_i.max()) + 1)]
    while len(spread) < rows:
        costs = [float(documents.cost_n[row].sum()) if len(row) > 1 else -1.0 for row in spread]
        spread += _least_loaded(documents, spread.pop(int(np.argmax(costs))), 2)
    return spread


def _shuffled(
    documents: Documents, item_n: Ints, starts: Ints, rows_per_step: int, lots: NDArray[np.uint64], padding_rows: int
) -> Epoch:
    """The steps in random order."""
    rows = len(starts) - 1
    steps = rows // rows_per_step
    sums = np.concatenate([[0.0], np.cumsum(documents.cost_n[item_n])])
    cost_r = sums[starts[1:]] - sums[starts[:-1]]
    step_order = np.argsort(lots[:steps], kind="stable")
    row_order = (step_order[:, None] * rows_per_step + np.arange(rows_per_step)).ravel()
    lengths = np.diff(starts)[row_order]
    new_starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.repeat(starts[:-1][row_order] - new_starts[:-1], lengths) + np.arange(len(item_n))
    random_order = np.argsort(lots[::-1][:rows], kind="stable")
    return Epoch(
        item_n[places],
        new_starts,
        cost_r[row_order],
        padding_rows,
        _imbalance(cost_r[random_order], rows_per_step),
        _imbalance(cost_r, rows_per_step),
    )


def _imbalance(cost_r: Floats, rows_per_step: int) -> float:
    """Sum over steps of the dearest row's cost over the mean row's."""
    cost_SR = cost_r.reshape(-1, rows_per_step)
    return float((cost_SR.max(axis=1) / cost_SR.mean(axis=1)).sum())
