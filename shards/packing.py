"""Best-fit packing of documents into rows of the context, without ever cutting one.

Documents longer than a sixteenth of the context are placed in decreasing length, each in the row where it leaves
the least room (best-fit decreasing: at most 11/9 of the fewest rows and 4 more, Johnson et al., SIAM J. Comput. 3
(1974)); shorter ones then fill the rooms that are left in random order, so that rows are not made of one length, and
so of one corpus. The room of every open row is kept in a tree over the possible rooms: a document costs the
logarithm of the context, and a million take a second.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs

import numpy as np
from numpy.typing import NDArray

from dedup.kernels.compiled import kernel, part
from shards.packing_pairs import packed_in_pairs

_SMALL = 16
_FULL = 0.97  # below, the other way is tried too, and the one with fewer rows taken


def packed(lengths_n: NDArray[np.int32], context: int, lots_n: NDArray[np.uint64]) -> NDArray[np.int32]:
    """The row of each document: int32[n], rows numbered from 0 in the order they were opened.

    Lengths are 1 to `context`; `lots_n` is the random order. The sum of a row's lengths is at most `context`.

    Raises:
        ValueError: a length is out of range.
    """
    if len(lengths_n) and not 0 < int(lengths_n.min()) <= int(lengths_n.max()) <= context:
        raise ValueError(f"lengths of 1 to {context} are packed, not {lengths_n.min()} to {lengths_n.max()}")
    small_n = lengths_n <= context // _SMALL
    key_n = np.where(small_n, 0, -lengths_n.astype(np.int64))
    order = np.lexsort((lots_n, key_n, small_n))
    rows_n: NDArray[np.int32] = np.empty(len(lengths_n), np.int32)
    rows_n[order] = _best_fit(lengths_n[order].astype(np.int64), context)
    rows = int(rows_n.max(initial=-1)) + 1
    if int(lengths_n.sum(dtype=np.int64)) >= _FULL * rows * context:
        return rows_n
    others_n = packed_in_pairs(lengths_n, context, lots_n)
    return others_n if int(others_n.max()) + 1 < rows else rows_n


@part
def _least_room(tree, leaves, length):
    """The smallest room of at least `length` that any row has, or -1."""
    node = length + leaves
    if tree[node]:
        return length
    while node > 1 and not (node % 2 == 0 and tree[node + 1]):  # up, until a right neighbour has one
        node //= 2
    if node <= 1:
        return -1
    node += 1
    while node < leaves:
        node = 2 * node if tree[2 * node] else 2 * node + 1
    return node - leaves


@part
def _mark(tree, leaves, room):
    """Say that a row has this room."""
    node = room + leaves
    while node > 0 and tree[node] == 0:
        tree[node] = 1
        node //= 2


@part
def _unmark(tree, leaves, room):
    """Say that no row has this room."""
    node = room + leaves
    tree[node] = 0
    while node > 1:
        node //= 2
        tree[node] = tree[2 * node] | tree[2 * node + 1]


@kernel
def _best_fit(length_n, context):
    """The row of each document, placed one after another in the fullest row that has room for it."""
    leaves = 1
    while leaves < context + 1:
        leaves *= 2
    tree = np.zeros(2 * leaves, np.uint8)  # whether any row below this node has such a room
    first_of_room = np.full(context + 1, -1, np.int32)
    next_of_row = np.full(len(length_n) + 1, -1, np.int32)
    row_n = np.empty(len(length_n), np.int32)
    rows = 0
    for number in range(len(length_n)):
        room = _least_room(tree, leaves, length_n[number])
        if room < 0:
            row, room = rows, context
            rows += 1
        else:
            row = first_of_room[room]
            first_of_room[room] = next_of_row[row]
            if first_of_room[room] < 0:
                _unmark(tree, leaves, room)
        row_n[number] = row
        left = room - length_n[number]
        if left > 0:
            next_of_row[row] = first_of_room[left]
            first_of_room[left] = row
            _mark(tree, leaves, left)
    return row_n
