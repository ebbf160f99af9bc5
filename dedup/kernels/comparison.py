"""Compares pairs of texts: similarity of their shingles, then the words in which they differ."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np
import numpy.typing as npt

from dedup.guards import ACCEPTED, BELOW, Guards
from dedup.kernels.alignment import MAX_EDITS, differing
from dedup.kernels.buffers import Texts
from dedup.kernels.characters import character_classes
from dedup.kernels.compiled import kernel
from dedup.kernels.sets import shared_counts
from dedup.kernels.signatures import letters_of, pair_of
from dedup.kernels.tokens import tokenise
from dedup.kernels.wording import objection, objection_in_order

FEWEST_TOKENS = 3
"""Texts with fewer are duplicates only where all tokens are equal."""
LETTERS_BELOW = 12
"""Tokens of the shorter text below which a pair is compared by letters."""


def compare(
    a: Texts, b: Texts, jaccard: float, guards: Guards
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Jaccard, containment, verdict (its number in `guards.VERDICTS`) and differing tokens of each pair (a[i], b[i]).

    Differing tokens are counted for pairs over the threshold, -1 where there are more than MAX_EDITS.
    """
    pairs = len(a.offsets) - 1
    jaccards, containments = np.empty(pairs), np.empty(pairs)
    verdicts, edits = np.empty(pairs, np.uint8), np.zeros(pairs, np.int32)
    longest = max(int(np.diff(texts.offsets).max(initial=0)) for texts in (a, b)) + 1
    compare_pairs(
        a.data, a.offsets, b.data, b.offsets, character_classes(), jaccard, *guards,
        jaccards, containments, verdicts, edits, longest,
    )  # fmt: skip
    return jaccards, containments, verdicts, edits


@kernel
def word_shingles(hashes, count, shingles):
    """Words and pairs of words; returns how many, with repeats."""
    for k in range(count):
        shingles[k] = hashes[k]
    for k in range(1, count):
        shingles[count + k - 1] = pair_of(hashes[k - 1], hashes[k])
    return max(0, 2 * count - 1)


@kernel
def equal_tokens(a, count_a, b, count_b):
    """Whether both have the same tokens in the same order."""
    if count_a != count_b:
        return False
    for k in range(count_a):  # noqa: SIM110 - numba has no all() over a generator
        if a[k] != b[k]:
            return False
    return True


@kernel
def compare_pairs(
    data_a, offsets_a, data_b, offsets_b, classes, threshold,
    guard_hashes, guard_kinds, prefixes, prefix_offsets, marks,
    jaccards, containments, verdicts, edits, room,
):  # fmt: skip
    """All pairs, see `compare`."""
    hashes_a, hashes_b = np.empty(room, np.uint64), np.empty(room, np.uint64)
    spans_a, spans_b = np.empty((room, 2), np.int64), np.empty((room, 2), np.int64)
    kinds_a, kinds_b = np.empty(room, np.uint8), np.empty(room, np.uint8)
    shingles_a, shingles_b = np.empty(2 * room, np.uint64), np.empty(2 * room, np.uint64)
    in_a, in_b = np.empty(room, np.uint8), np.empty(room, np.uint8)
    values, owners = np.empty(4096, np.uint64), np.zeros(4096, np.int32)
    trace = np.empty((MAX_EDITS + 1, 2 * MAX_EDITS + 2), np.int32)
    for pair in range(verdicts.shape[0]):
        count_a = tokenise(data_a, offsets_a[pair], offsets_a[pair + 1], classes, hashes_a, spans_a, kinds_a)
        count_b = tokenise(data_b, offsets_b[pair], offsets_b[pair + 1], classes, hashes_b, spans_b, kinds_b)
        fewer = min(count_a, count_b)
        if fewer >= LETTERS_BELOW:
            written_a = word_shingles(hashes_a, count_a, shingles_a)
            written_b = word_shingles(hashes_b, count_b, shingles_b)
        else:
            written_a = letters_of(data_a, spans_a, count_a, shingles_a)
            written_b = letters_of(data_b, spans_b, count_b, shingles_b)
        if values.shape[0] < 4 * (written_a + written_b):
            values = np.empty(8 * (written_a + written_b), np.uint64)
            owners = np.zeros(8 * (written_a + written_b), np.int32)
        own_a, own_b, both = shared_counts(shingles_a, written_a, shingles_b, written_b, values, owners, pair + 1)
        jaccards[pair] = both / max(1, own_a + own_b - both)
        containments[pair] = both / max(1, min(own_a, own_b))
        if fewer > 0 and equal_tokens(hashes_a, count_a, hashes_b, count_b):
            verdicts[pair] = ACCEPTED
            continue
        if jaccards[pair] < threshold or fewer < FEWEST_TOKENS:
            verdicts[pair] = BELOW
            continue
        # The smaller text first: of two shortest edit scripts one is found, and it must not depend on the order.
        if precedes(hashes_a, count_a, hashes_b, count_b):
            edits[pair], verdicts[pair] = examine(
                data_a, hashes_a, spans_a, kinds_a, in_a, count_a, data_b, hashes_b, spans_b, kinds_b, in_b, count_b,
                trace, fewer < LETTERS_BELOW, guard_hashes, guard_kinds, prefixes, prefix_offsets, marks,
            )  # fmt: skip
        else:
            edits[pair], verdicts[pair] = examine(
                data_b, hashes_b, spans_b, kinds_b, in_b, count_b, data_a, hashes_a, spans_a, kinds_a, in_a, count_a,
                trace, fewer < LETTERS_BELOW, guard_hashes, guard_kinds, prefixes, prefix_offsets, marks,
            )  # fmt: skip


@kernel
def examine(
    data_a, hashes_a, spans_a, kinds_a, in_a, count_a, data_b, hashes_b, spans_b, kinds_b, in_b, count_b,
    trace, short, guard_hashes, guard_kinds, prefixes, prefix_offsets, marks,
):  # fmt: skip
    """Differing tokens and verdict of a pair over the threshold."""
    edits = differing(hashes_a, count_a, hashes_b, count_b, trace, in_a, in_b)
    if edits < 0:
        return edits, objection_in_order(
            hashes_a, kinds_a, count_a, hashes_b, kinds_b, count_b, guard_hashes, guard_kinds
        )
    return edits, objection(
        data_a, hashes_a, spans_a, kinds_a, in_a, count_a, data_b, hashes_b, spans_b, kinds_b, in_b, count_b,
        short, guard_hashes, guard_kinds, prefixes, prefix_offsets, marks,
    )  # fmt: skip


@kernel
def precedes(a, count_a, b, count_b):
    """Whether the tokens of a come first, by their number, then by their hashes."""
    if count_a != count_b:
        return count_a < count_b
    for k in range(count_a):
        if a[k] != b[k]:
            return a[k] < b[k]
    return True
