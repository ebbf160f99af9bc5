"""Windows of documents, and the questions that each shares most pairs of rare words with: many windows at once."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel, part
from dedup.kernels.eval_search import MAX_TEXTS
from dedup.kernels.mixing import mixed
from dedup.kernels.rare_pairs import COMMON_PAIR, NO_RANK, OF_WINDOW, TEXT_BITS, spread
from dedup.kernels.sorting import sort_few
from dedup.kernels.vocabulary import WORD_BITS

WHOLE_UP_TO, WINDOW, STEP = 192, 160, 96
"""A piece of up to so many tokens is one window; a longer one is many that overlap."""
MOST_CANDIDATES = 3
"""Questions of a window that are compared, those with most pairs first."""
AT_ONCE = 64
"""Windows whose pairs are asked for before the first is looked into: the processor waits for many of them at once."""
_PAIRS = OF_WINDOW * (OF_WINDOW - 1) // 2


class Room(NamedTuple):
    """Memory that a search uses again for every AT_ONCE windows."""

    few: npt.NDArray[np.int32]
    distinct: npt.NDArray[np.int32]
    rarest: npt.NDArray[np.int32]
    keys: npt.NDArray[np.uint64]
    key_starts: npt.NDArray[np.int64]
    lows: npt.NDArray[np.int32]
    highs: npt.NDArray[np.int32]
    firsts: npt.NDArray[np.uint64]
    texts: npt.NDArray[np.int32]
    """Of each window from `text_starts` on, what its pairs nominate; a text as often as it has pairs."""
    text_starts: npt.NDArray[np.int64]
    nominated: npt.NDArray[np.int32]
    """Of each window up to MOST_CANDIDATES, what is to be compared; -1 where there is no more."""
    heaviest: npt.NDArray[np.int32]
    """The heaviest word of each of these."""
    often: npt.NDArray[np.int32]


def room() -> Room:
    """As much as so many windows can need."""
    most = AT_ONCE * _PAIRS
    return Room(
        np.empty(WHOLE_UP_TO + 1, np.int32), np.empty(WHOLE_UP_TO + 1, np.int32), np.empty(WHOLE_UP_TO, np.int32),
        np.empty(most + 1, np.uint64), np.empty(AT_ONCE + 1, np.int64), np.empty(most, np.int32),
        np.empty(most, np.int32), np.empty(most, np.uint64), np.empty(most * COMMON_PAIR, np.int32),
        np.empty(AT_ONCE + 1, np.int64), np.empty(AT_ONCE * MOST_CANDIDATES, np.int32),
        np.empty(AT_ONCE * MOST_CANDIDATES, np.int32), np.empty(MOST_CANDIDATES, np.int32),
    )  # fmt: skip


@kernel
def windows_of(pieces, documents):
    """First token of each window of the pieces, and one beyond its last; and the document that each is of."""
    firsts = np.zeros(pieces.shape[0], np.int64)
    for piece in range(pieces.shape[0] - 1):
        length = pieces[piece + 1] - pieces[piece]
        more = 0 if length <= WHOLE_UP_TO else (length - WINDOW + STEP - 1) // STEP
        firsts[piece + 1] = firsts[piece] + 1 + more
    bounds = np.empty((firsts[-1], 2), np.int64)
    for piece in range(pieces.shape[0] - 1):
        length = WHOLE_UP_TO if firsts[piece + 1] == firsts[piece] + 1 else WINDOW
        for window in range(firsts[piece], firsts[piece + 1]):
            low = pieces[piece] + STEP * (window - firsts[piece])
            bounds[window, 0], bounds[window, 1] = low, min(pieces[piece + 1], low + length)
    owners = np.empty(firsts[-1], np.int64)
    for document in range(documents.shape[0] - 1):
        for window in range(firsts[documents[document]], firsts[documents[document + 1]]):
            owners[window] = document
    return bounds, owners


@kernel
def nominate(words, bounds, first, stop, pairs, marks, room):
    """The texts that the pairs of rarest words of windows `first` to `stop` nominate, in `room.nominated`.

    `marks` (i32, one for each word of the vocabulary) is -1 before the first window.
    """
    count = 0
    guess = NO_RANK
    for window in range(first, stop):
        low, high = bounds[window, 0], bounds[window, 1]
        room.key_starts[window - first] = count
        size = _rarest(words, low, high, pairs.ranks, guess, marks, 2 * window, room)
        if size < OF_WINDOW and guess != NO_RANK:
            size = _rarest(words, low, high, pairs.ranks, NO_RANK, marks, 2 * window + 1, room)
        # The next window is like this one: most of its words are not worth a look.
        last = np.int64(room.rarest[size - 1]) if size == OF_WINDOW else np.int64(NO_RANK)
        guess = np.int32(min(np.int64(NO_RANK), last + last // 2 + 1))
        count = _likely(size, pairs, room, count)
    room.key_starts[stop - first] = count
    _look_up(stop - first, pairs, room)
    for window in range(stop - first):
        place = MOST_CANDIDATES * window
        texts = room.texts[room.text_starts[window] : room.text_starts[window + 1]]
        _most_frequent(texts, pairs.needed, room.nominated[place : place + MOST_CANDIDATES], room.often)
    # Where each is told about is asked for now, so that the processor does not wait for one after the other.
    for k in range(MOST_CANDIDATES * (stop - first)):
        room.heaviest[k] = pairs.heaviest[pairs.heaviest_starts[room.nominated[k]]] if room.nominated[k] >= 0 else -1


@part
def _rarest(words, low, high, ranks, guess, marks, mark, room):
    """The lowest distinct ranks of a window, rising, at the front of `room.rarest`, of those below a guess.

    Returns how many, at most OF_WINDOW. Without jumps that the processor cannot foresee: what is written in vain is
    written over, and the few that are left are put where the number of lower ones says.
    """
    few, distinct, rarest = room.few, room.distinct, room.rarest
    count = size = 0
    for k in range(low, high):
        rank = ranks[words[k]]
        few[count] = rank
        count += np.int64(rank < guess)
    for i in range(count):
        rank = few[i]
        distinct[size] = rank
        size += np.int64(marks[rank] != mark)
        marks[rank] = mark
    for i in range(size):
        lower = np.int32(0)
        for j in range(size):
            lower += np.int32(distinct[j] < distinct[i])
        rarest[lower] = distinct[i]
    return min(size, OF_WINDOW)


@part
def _likely(size, pairs, room, count):
    """Add the keys of the pairs of the rarest words that the filter has to `room.keys`; returns how many there are."""
    keys, rarest = room.keys, room.rarest
    for i in range(size):
        start = pairs.filter_starts[rarest[i]]
        bits = np.uint64(64 * (pairs.filter_starts[rarest[i] + 1] - start) - 1)
        if bits == np.uint64(2**64 - 1):
            continue
        first = np.uint64(rarest[i]) << np.uint64(WORD_BITS)
        for j in range(i + 1, size):
            at, one, other = spread(rarest[j], bits)
            line = pairs.filters[np.uint64(start) + at]
            keys[count] = first | np.uint64(rarest[j])
            count += np.int64((line >> one) & (line >> other) & np.uint64(1))
    return count


@part
def _look_up(windows, pairs, room):
    """The texts of the pairs in `room.keys`, window by window."""
    keys, lows, highs, firsts = room.keys, room.lows, room.highs, room.firsts
    for k in range(room.key_starts[windows]):
        keys[k] = mixed(keys[k] + np.uint64(1))
        bucket = keys[k] >> pairs.shift
        lows[k], highs[k] = pairs.buckets[bucket], pairs.buckets[bucket + np.uint64(1)]
    # So too the first entry of each bucket, which most often is the only one.
    for k in range(room.key_starts[windows]):
        firsts[k] = pairs.entries[min(lows[k], pairs.entries.shape[0] - 1)]
    count = 0
    for window in range(windows):
        room.text_starts[window] = count
        for k in range(room.key_starts[window], room.key_starts[window + 1]):
            key = (keys[k] << TEXT_BITS) >> TEXT_BITS
            for at in range(lows[k], highs[k]):
                entry = pairs.entries[at] if at > lows[k] else firsts[k]
                if entry >> TEXT_BITS == key:
                    room.texts[count] = np.int32(entry & np.uint64(MAX_TEXTS - 1))
                    count += 1
    room.text_starts[windows] = count


@part
def _most_frequent(texts, needed, best, times):
    """The distinct numbers that come as often as needed, those that come most often, in `best`, and -1 behind them."""
    count = texts.shape[0]
    sort_few(texts, count)
    size = at = 0
    while at < count:
        end = at + 1
        while end < count and texts[end] == texts[at]:
            end += 1
        number, often = texts[at], end - at
        at = end
        if (size == MOST_CANDIDATES and times[size - 1] >= often) or often < needed[number]:
            continue
        place = min(size, MOST_CANDIDATES - 1)
        while place > 0 and times[place - 1] < often:
            best[place], times[place] = best[place - 1], times[place - 1]
            place -= 1
        best[place], times[place] = number, often
        size = min(size + 1, MOST_CANDIDATES)
    for k in range(size, MOST_CANDIDATES):
        best[k] = -1
