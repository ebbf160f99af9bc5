"""What is to be said against merging two alike texts: looks at the tokens in which they differ (dedup/guards.py)."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.guards import ACCEPTED, ANSWER, FUNCTION_WORD, NUMERALS, OPPOSITE, WORDING
from dedup.kernels.alignment import DIFFERS, SAME, SPELLED
from dedup.kernels.compiled import kernel
from dedup.kernels.tokens import NUMERAL, WORD
from dedup.kernels.writing import opposite_words, same_writing

NONE = 255
"""Sorts behind every verdict."""
ANSWER_TOKENS = 8
"""An answer of up to this many tokens is a short one: each of its words counts."""
QUESTION_TOKENS = 64
"""A dialogue of fewer tokens is a question with its answer: another word makes another question."""
NEAR_TOKENS = 4
"""A word that moved over as many others has changed places in its phrase; further, it says something else."""
_COLON = np.uint8(58)


@kernel
def guard_of(token, kind, guard_hashes, guard_kinds):
    """What a token guards: a verdict's number, FUNCTION_WORD, or NONE."""
    if kind == NUMERAL:
        return NUMERALS
    mask = np.uint64(guard_hashes.shape[0] - 1)
    place = token & mask
    while guard_hashes[place]:
        if guard_hashes[place] == token:
            return np.int64(guard_kinds[place])
        place = (place + np.uint64(1)) & mask
    return NONE


@kernel
def objection(
    data_a, hashes_a, spans_a, kinds_a, in_a, count_a,
    data_b, hashes_b, spans_b, kinds_b, in_b, count_b,
    short, guard_hashes, guard_kinds, prefixes, prefix_offsets, marks,
):  # fmt: skip
    """The verdict about two texts over the threshold; `in_a` and `in_b` mark the tokens in which they differ."""
    clear_spellings(
        data_a, hashes_a, spans_a, kinds_a, in_a, count_a,
        data_b, hashes_b, spans_b, kinds_b, in_b, count_b, guard_hashes, guard_kinds,
    )  # fmt: skip
    worst = min(
        worst_of(hashes_a, kinds_a, in_a, count_a, guard_hashes, guard_kinds),
        worst_of(hashes_b, kinds_b, in_b, count_b, guard_hashes, guard_kinds),
    )
    if worst < NONE:
        return worst
    worst = moved(hashes_a, kinds_a, in_a, count_a, hashes_b, kinds_b, in_b, count_b, guard_hashes, guard_kinds)
    if worst < NONE:
        return worst
    answer_a = answer_start(data_a, hashes_a, spans_a, count_a, marks)
    answer_b = answer_start(data_b, hashes_b, spans_b, count_b, marks)
    strict = short or (max(count_a, count_b) < QUESTION_TOKENS and opens_dialogue(data_a, hashes_a, spans_a, marks))
    at_a, at_b = 0, 0
    while at_a < count_a or at_b < count_b:
        to_a, to_b = run_end(in_a, at_a, count_a), run_end(in_b, at_b, count_b)
        if differs(in_a, at_a, to_a, in_b, at_b, to_b):
            if opposed(data_a, spans_a, at_a, to_a, data_b, spans_b, at_b, to_b, prefixes, prefix_offsets):
                return OPPOSITE
            if to_a > answer_a or to_b > answer_b:
                worst = min(worst, ANSWER)
            elif strict:
                worst = min(worst, WORDING)
        if to_a == at_a and to_b == at_b:
            to_a, to_b = at_a + 1, at_b + 1
        at_a, at_b = to_a, to_b
    return ACCEPTED if worst == NONE else worst


@kernel
def opposed(data_a, spans_a, from_a, to_a, data_b, spans_b, from_b, to_b, prefixes, prefix_offsets):
    """Whether a word of a run and one that stands for it are opposites by their beginnings."""
    for i in range(from_a, to_a):
        for j in range(from_b, min(to_b, from_b + 64)):
            start_a, stop_a, start_b, stop_b = spans_a[i, 0], spans_a[i, 1], spans_b[j, 0], spans_b[j, 1]
            if opposite_words(data_a, start_a, stop_a, data_b, start_b, stop_b, prefixes, prefix_offsets):
                return True
    return False


@kernel
def run_end(marks, start, count):
    """Where the run of marked tokens that begins here ends; `start` where there is none."""
    end = start
    while end < count and marks[end] != SAME:
        end += 1
    return end


@kernel
def differs(in_a, from_a, to_a, in_b, from_b, to_b):
    """Whether a run is a difference in more than spelling: all of a run has one mark."""
    return (to_a > from_a and in_a[from_a] == DIFFERS) or (to_b > from_b and in_b[from_b] == DIFFERS)


@kernel
def clear_spellings(
    data_a, hashes_a, spans_a, kinds_a, in_a, count_a,
    data_b, hashes_b, spans_b, kinds_b, in_b, count_b, guard_hashes, guard_kinds,
):  # fmt: skip
    """Mark as SPELLED the runs of both texts that are the same words but for spelling and function words."""
    at_a, at_b = 0, 0
    while at_a < count_a or at_b < count_b:
        to_a, to_b = run_end(in_a, at_a, count_a), run_end(in_b, at_b, count_b)
        if to_a == at_a and to_b == at_b:
            at_a += 1
            at_b += 1
            continue
        content_a = _content(hashes_a, spans_a, kinds_a, at_a, to_a, guard_hashes, guard_kinds)
        content_b = _content(hashes_b, spans_b, kinds_b, at_b, to_b, guard_hashes, guard_kinds)
        of_words = all_words(kinds_a, at_a, to_a) and all_words(kinds_b, at_b, to_b)
        if of_words and same_writing(data_a, content_a, data_b, content_b):
            in_a[at_a:to_a] = SPELLED
            in_b[at_b:to_b] = SPELLED
        at_a, at_b = to_a, to_b


@kernel
def all_words(kinds, start, stop):
    """Whether no numeral and no sign is among some tokens: "1 5" is not "15" in another division."""
    for k in range(start, stop):  # noqa: SIM110 - numba has no all() over a generator
        if kinds[k] != WORD:
            return False
    return True


@kernel
def _content(hashes, spans, kinds, start, stop, guard_hashes, guard_kinds):
    """Starts and stops of the tokens of a run that are not function words, one after the other."""
    found = np.empty(2 * (stop - start), np.int64)
    count = 0
    for k in range(start, stop):
        if guard_of(hashes[k], kinds[k], guard_hashes, guard_kinds) != FUNCTION_WORD:
            found[count], found[count + 1] = spans[k, 0], spans[k, 1]
            count += 2
    return found[:count]


@kernel
def worst_of(hashes, kinds, marked, count, guard_hashes, guard_kinds):
    """The first verdict, in their order, that a differing token gives."""
    worst = NONE
    for k in range(count):
        if marked[k] == DIFFERS:
            guard = guard_of(hashes[k], kinds[k], guard_hashes, guard_kinds)
            if guard < FUNCTION_WORD:
                worst = min(worst, guard)
    return worst


@kernel
def moved(hashes_a, kinds_a, in_a, count_a, hashes_b, kinds_b, in_b, count_b, guard_hashes, guard_kinds):
    """The verdict about differing tokens that are gone from one place of a text and stand in another.

    That of a guarded word which one changed sides of (no guarded word itself differs here, so both texts have the
    same ones in the same order). Where several moved, not only each past its neighbour, that of a guarded word
    NEAR_TOKENS away or less ("no cyst but mass", "no mass but cyst"), or WORDING where one moved over more other
    tokens than that ("no effusion ... a mass", "no mass ... an effusion").
    """
    if not _repeated(hashes_a, in_a, count_a, hashes_b, in_b, count_b):
        return NONE
    order, before_a, same_a = _preceding(hashes_a, kinds_a, in_a, count_a, guard_hashes, guard_kinds)
    _, before_b, same_b = _preceding(hashes_b, kinds_b, in_b, count_b, guard_hashes, guard_kinds)
    worst = exchanged = NONE
    several = 0
    for i in range(count_a):
        if in_a[i] != DIFFERS or guard_of(hashes_a[i], kinds_a[i], guard_hashes, guard_kinds) == FUNCTION_WORD:
            continue
        j = _nearest(same_a[i], hashes_a[i], same_b, hashes_b, in_b, count_b)
        if j < 0:
            continue
        for k in range(min(before_a[i], before_b[j]), max(before_a[i], before_b[j])):
            worst = min(worst, order[k])
        distance = abs(same_a[i] - same_b[j])
        if distance == 1 and _alone(i, same_a, in_a, same_b, in_b) and _alone(j, same_b, in_b, same_a, in_a):
            continue
        several += 1
        if distance > NEAR_TOKENS:
            exchanged = min(exchanged, WORDING)
        for k in range(max(0, i - NEAR_TOKENS), min(count_a, i + NEAR_TOKENS + 1)):
            guard = guard_of(hashes_a[k], kinds_a[k], guard_hashes, guard_kinds)
            if guard < FUNCTION_WORD:
                exchanged = min(exchanged, guard)
    return min(worst, exchanged) if several > 1 else worst


@kernel
def _alone(place, own_same, own_marks, other_same, other_marks):
    """Whether a differing token is the only one at its place: none beside it, none in the other text for it."""
    here = own_same[place]
    found = 0
    for k in range(own_same.shape[0]):
        found += own_marks[k] == DIFFERS and own_same[k] == here
    for k in range(other_same.shape[0]):
        found += other_marks[k] == DIFFERS and other_same[k] == here
    return found == 1


@kernel
def _repeated(hashes_a, in_a, count_a, hashes_b, in_b, count_b):
    """Whether a token is among the differing ones of both texts."""
    for i in range(count_a):
        if in_a[i] == DIFFERS:
            for j in range(count_b):
                if in_b[j] == DIFFERS and hashes_a[i] == hashes_b[j]:
                    return True
    return False


@kernel
def _nearest(same_before, token, same_b, hashes_b, in_b, count_b):
    """Of a token's places among the differing ones of b, that nearest to a place in a; -1 where it has none."""
    found = -1
    for j in range(count_b):
        if in_b[j] == DIFFERS and hashes_b[j] == token:
            distance = abs(same_b[j] - same_before)
            if found < 0 or distance < abs(same_b[found] - same_before):
                found = j
    return found


@kernel
def _preceding(hashes, kinds, marks, count, guard_hashes, guard_kinds):
    """The verdicts of a text's guarded words in order; how many of them, and of tokens in both texts, precede each."""
    order, before, same = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    found = shared = 0
    for k in range(count):
        before[k], same[k] = found, shared
        shared += marks[k] == SAME
        guard = guard_of(hashes[k], kinds[k], guard_hashes, guard_kinds)
        if guard < FUNCTION_WORD:
            order[found] = guard
            found += 1
    return order[:found], before, same


@kernel
def objection_in_order(
    hashes_a, kinds_a, count_a, hashes_b, kinds_b, count_b, guard_hashes, guard_kinds
):  # fmt: skip
    """The verdict about texts too long, and too different, to be aligned.

    Their guarded words must be the same in the same order, each followed by the same word: stricter than `objection`.
    """
    at_a, at_b = 0, 0
    while True:
        guard_a = guard_b = NONE
        while at_a < count_a:
            guard_a = guard_of(hashes_a[at_a], kinds_a[at_a], guard_hashes, guard_kinds)
            if guard_a < FUNCTION_WORD:
                break
            at_a += 1
        while at_b < count_b:
            guard_b = guard_of(hashes_b[at_b], kinds_b[at_b], guard_hashes, guard_kinds)
            if guard_b < FUNCTION_WORD:
                break
            at_b += 1
        if at_a == count_a or at_b == count_b:
            if at_a == count_a and at_b == count_b:
                return ACCEPTED
            return guard_a if at_b == count_b else guard_b
        after_a = hashes_a[at_a + 1] if at_a + 1 < count_a else np.uint64(0)
        after_b = hashes_b[at_b + 1] if at_b + 1 < count_b else np.uint64(0)
        if hashes_a[at_a] != hashes_b[at_b] or after_a != after_b:
            return min(guard_a, guard_b)
        at_a += 1
        at_b += 1


@kernel
def opens_dialogue(data, hashes, spans, marks):
    """Whether a text begins with the turn of a user or of the system (it has at least one token)."""
    end = spans[0, 1]
    return (hashes[0] == marks[0] or hashes[0] == marks[1]) and end < data.shape[0] and data[end] == _COLON


@kernel
def answer_start(data, hashes, spans, count, marks):
    """The first token of the last turn of the assistant, where it is short and follows another; else `count`."""
    for k in range(count - 1, max(0, count - 2 - ANSWER_TOKENS), -1):
        end = spans[k, 1]
        if hashes[k] == marks[2] and end < data.shape[0] and data[end] == _COLON:
            return k + 1
    return count
