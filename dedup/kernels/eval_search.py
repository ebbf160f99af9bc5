"""Where texts may hold eval texts: rare runs of three words, gathered per document, and the runs around them."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel, part
from dedup.kernels.mixing import mixed
from dedup.kernels.sorting import sort_few
from dedup.kernels.vocabulary import WORD_BITS

GRAM = 3
_TEXT_SHIFT, _PLACE_SHIFT = np.int64(37), np.int64(13)
MAX_TEXT_TOKENS = 1 << 13
MAX_PLACES = 1 << 24
"""Tokens of all documents that are searched at once; `search_documents` sees to it."""
MAX_TEXTS = 1 << 26
MOST_WHOLE = 16
"""Places of one short text in one document that are candidates: its answer may stand beside any of them."""
AT_ONCE = 256
"""Grams whose buckets are asked for before the first is looked into: the processor waits for many of them at once."""


class Grams(NamedTuple):
    """The rare grams: a bitmap in front, keys in buckets by their highest bits, and where in which text each stands."""

    bitmap: npt.NDArray[np.uint64]
    buckets: npt.NDArray[np.int32]
    """First key of each bucket (one more than there are, a power of two)."""
    shift: np.uint64
    """Bits of a key behind those that number its bucket."""
    keys: npt.NDArray[np.uint64]
    """Mixed, so that their bits may be used as they are; rising."""
    starts: npt.NDArray[np.int64]
    postings: npt.NDArray[np.int64]
    """Text and place in it, packed as in a hit."""
    weights: npt.NDArray[np.float32]


class EvalTexts(NamedTuple):
    """The distinct eval texts."""

    words: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    totals: npt.NDArray[np.float32]
    """Sum of the weights of a text's grams that are indexed."""
    weights: npt.NDArray[np.float32]
    """Of each word of the vocabulary."""
    passages: npt.NDArray[np.bool_]
    """Texts of which a run alone counts."""


class Limits(NamedTuple):
    """What nominates."""

    short: int
    """Tokens below which a text must be there whole."""
    containment: float
    run: int
    lone_share: float
    """Share of a text's weight that one gram must have to nominate it alone."""


@part
def gram_key(a, b, c):
    """Key of three words by their numbers."""
    packed = (np.uint64(a) << np.uint64(2 * WORD_BITS)) | (np.uint64(b) << np.uint64(WORD_BITS)) | np.uint64(c)
    return mixed(packed + np.uint64(1))


@kernel
def gram_keys(words, starts, out):
    """Key of the gram that begins at each token, 0 where the text has fewer than two more."""
    for text in range(starts.shape[0] - 1):
        for k in range(starts[text], starts[text + 1]):
            last = k + GRAM > starts[text + 1]
            out[k] = np.uint64(0) if last else gram_key(words[k], words[k + 1], words[k + 2])


@kernel
def set_bits(bitmap, keys):
    """Mark every key in the bitmap (a power of two of numbers), by two bits of one number."""
    mask = np.uint64(bitmap.shape[0] - 1)
    for k in range(keys.shape[0]):
        at = (keys[k] >> np.uint64(38)) & mask
        bitmap[at] |= np.uint64(1) << ((keys[k] >> np.uint64(32)) & np.uint64(63))
        bitmap[at] |= np.uint64(1) << (keys[k] & np.uint64(63))


@part
def marked(bitmap, key):
    """Whether a key may be among those of the bitmap."""
    mask = np.uint64(bitmap.shape[0] - 1)
    number = bitmap[(key >> np.uint64(38)) & mask]
    bits = (number >> ((key >> np.uint64(32)) & np.uint64(63))) & (number >> (key & np.uint64(63)))
    return bits & np.uint64(1) != 0


@kernel
def _mark_all(words, bitmap, flags):
    """Flag each token at which a gram begins that the bitmap has.

    Apart from what follows, and without a branch: so the processor waits for many places of the bitmap at once.
    """
    for k in range(words.shape[0] - GRAM + 1):
        a, b, c = words[k], words[k + 1], words[k + 2]
        flags[k] = marked(bitmap, gram_key(a, b, c)) & ((a | b | c) >= 0)


@kernel
def _known(words, grams, flags, places, numbers):
    """Places of the grams that are in eval texts, and the number of each, from entry 0 on; returns how many.

    `flags` as `_mark_all` sets them; where one was set in vain, it is written over.
    """
    lows, highs, keys = np.empty(AT_ONCE, np.int32), np.empty(AT_ONCE, np.int32), np.empty(AT_ONCE, np.uint64)
    flagged = 0
    for k in range(words.shape[0]):
        # Written whether it is flagged or not: a jump here would be foreseen wrongly one time in ten.
        places[flagged] = k
        flagged += np.int64(flags[k])
    count = 0
    for begin in range(0, flagged, AT_ONCE):
        size = min(AT_ONCE, flagged - begin)
        for i in range(size):
            k = places[begin + i]
            keys[i] = gram_key(words[k], words[k + 1], words[k + 2])
            bucket = keys[i] >> grams.shift
            lows[i], highs[i] = grams.buckets[bucket], grams.buckets[bucket + np.uint64(1)]
        for i in range(size):
            for at in range(lows[i], highs[i]):
                if grams.keys[at] == keys[i]:
                    places[count], numbers[count] = places[begin + i], at
                    count += 1
                    break
    return count


def postings_of(texts: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Texts and places in them, packed."""
    return (texts << _TEXT_SHIFT) | places


@kernel
def _postings(words, places, numbers, grams):
    """Weight of the gram at each of `places`, by token; and where its postings begin and end, by place.

    Apart from what follows, and without a branch: so the processor waits for many of them at once.
    """
    weights = np.empty(words.shape[0], np.float32)
    lows, highs = np.empty(places.shape[0], np.int64), np.empty(places.shape[0], np.int64)
    for k in range(places.shape[0]):
        weights[places[k]] = grams.weights[numbers[k]]
        lows[k], highs[k] = grams.starts[numbers[k]], grams.starts[numbers[k] + 1]
    return weights, lows, highs


@kernel
def _hits(places, lows, highs, first, stop, grams, found_hits):
    """The hits of grams `first` and on, up to the token `stop`, as text, place and place in the text, sorted.

    Returns how many, the hits, and the first gram beyond.
    """
    count, at = 0, first
    while at < places.shape[0] and places[at] < stop:
        place = np.int64(places[at])
        low, high = lows[at], highs[at]
        at += 1
        if place + GRAM > stop:
            continue
        while count + high - low > found_hits.shape[0]:
            more = np.empty(2 * found_hits.shape[0], np.int64)
            more[:count] = found_hits[:count]
            found_hits = more
        for posting in range(low, high):
            found_hits[count] = grams.postings[posting] | (place << _PLACE_SHIFT)
            count += 1
    sort_few(found_hits, count)
    return count, found_hits, at


def search_documents(
    words: npt.NDArray[np.int32], documents: npt.NDArray[np.int64], grams: Grams, texts: EvalTexts, limits: Limits
) -> npt.NDArray[np.int64]:
    """Candidates as `search` gives them.

    Raises:
        ValueError: there are more tokens than a hit can name, or more texts.
    """
    if len(words) > MAX_PLACES:
        raise ValueError(f"{len(words):,} tokens to be searched at once, {MAX_PLACES:,} at most: give fewer samples")
    if len(texts.starts) > MAX_TEXTS:
        raise ValueError(f"{len(texts.starts) - 1:,} eval texts, fewer than {MAX_TEXTS:,} expected")
    found: npt.NDArray[np.int64] = search(words, documents, grams, texts, limits, 1024)
    return found


@kernel
def search(words, documents, grams, texts, limits, room):
    """Candidates in documents whose tokens begin at `documents`.

    Rows of document, text, run, place of the run in the text and in the words, and the window (first token and one
    beyond the last) in which the text may stand.
    """
    found_hits = np.empty(1 << 12, np.int64)
    out = np.empty((room, 7), np.int64)
    flags = np.zeros(words.shape[0], np.bool_)
    _mark_all(words, grams.bitmap, flags)
    places, numbers = np.empty(words.shape[0] + 1, np.int32), np.empty(words.shape[0] + 1, np.int32)
    known = _known(words, grams, flags, places, numbers)
    weights, lows, highs = _postings(words, places[:known], numbers, grams)
    count = next_gram = 0
    for document in range(documents.shape[0] - 1):
        start, stop = documents[document], documents[document + 1]
        total, found_hits, next_gram = _hits(places[:known], lows, highs, next_gram, stop, grams, found_hits)
        at = 0
        while at < total:
            text = found_hits[at] >> _TEXT_SHIFT
            end = at + 1
            while end < total and found_hits[end] >> _TEXT_SHIFT == text:
                end += 1
            if count + MOST_WHOLE > out.shape[0]:
                more = np.empty((2 * count + MOST_WHOLE, 7), np.int64)
                more[:count] = out[:count]
                out = more
            if texts.starts[text + 1] - texts.starts[text] < limits.short:
                added = _whole(words, start, stop, found_hits[at:end], text, texts, out[count : count + MOST_WHOLE])
            else:
                added = _candidate(words, start, stop, found_hits[at:end], text, weights, texts, limits, out[count])
            for row in range(count, count + added):
                out[row, 0] = document
            count += added
            at = end
    return out[:count]


@kernel
def _candidate(words, start, stop, found_hits, text, weights, texts, limits, row):
    """1 if the hits of one text in one document nominate it, else 0; writes all of the row but the document.

    `weights` has the weight of the gram at the place of each hit.
    """
    n = texts.starts[text + 1] - texts.starts[text]
    row[1] = text
    if found_hits.shape[0] < 2 and (
        n > 2 * limits.run or _lone_share(weights, found_hits, text, texts) < limits.lone_share
    ):
        return 0
    first, last, share = _best_window(weights, found_hits, text, n, texts)
    run = _longest_run(words, start, stop, found_hits, text, texts, row)
    slack = n // 4 + 6
    if texts.passages[text]:
        if run < min(limits.run, n):
            return 0
        first_place = row[4] - row[3]
        row[5], row[6] = max(start, first_place - slack), min(stop, first_place + n + slack)
        return 1
    if run < limits.run and share < limits.containment:
        return 0
    low, high = found_hits[first], found_hits[last]
    mask = (np.int64(1) << _PLACE_SHIFT) - 1
    place_mask = np.int64(MAX_PLACES - 1)
    row[5] = max(start, ((low >> _PLACE_SHIFT) & place_mask) - (low & mask) - slack)
    row[6] = min(stop, ((high >> _PLACE_SHIFT) & place_mask) + n - (high & mask) + slack)
    return 1


@part
def _lone_share(weights, found_hits, text, texts):
    """The share of a text's weight that its only hit has."""
    place = (found_hits[0] >> _PLACE_SHIFT) & np.int64(MAX_PLACES - 1)
    return np.float64(weights[place]) / max(np.float32(1e-6), texts.totals[text])


@kernel
def _whole(words, start, stop, found_hits, text, texts, rows):
    """A short text must be there word by word: its first places, a row each; returns how many."""
    mask = (np.int64(1) << _PLACE_SHIFT) - 1
    begin, n = texts.starts[text], texts.starts[text + 1] - texts.starts[text]
    count, beyond = 0, np.int64(0)
    for hit in found_hits:
        place = ((hit >> _PLACE_SHIFT) & np.int64(MAX_PLACES - 1)) - (hit & mask)
        if count == rows.shape[0] or place < max(start, beyond) or place + n > stop:
            continue
        same = 0
        while same < n and words[place + same] == texts.words[begin + same]:
            same += 1
        if same == n:
            row = rows[count]
            row[1], row[2], row[3], row[4], row[5], row[6] = text, n, 0, place, place, place + n
            beyond = place + n
            count += 1
    return count


@kernel
def _longest_run(words, start, stop, found_hits, text, texts, row):
    """Length of the longest run of equal tokens through any hit; its places go into the row."""
    mask = (np.int64(1) << _PLACE_SHIFT) - 1
    begin, end = texts.starts[text], texts.starts[text + 1]
    best, diagonal, beyond = 0, np.int64(-1) << 40, np.int64(0)
    for hit in found_hits:
        place, own = (hit >> _PLACE_SHIFT) & np.int64(MAX_PLACES - 1), begin + (hit & mask)
        if place - own == diagonal and place < beyond:
            continue
        left = 0
        while place - left > start and own - left > begin and words[place - left - 1] == texts.words[own - left - 1]:
            left += 1
        right = GRAM
        while place + right < stop and own + right < end and words[place + right] == texts.words[own + right]:
            right += 1
        diagonal, beyond = place - own, place + right
        if left + right > best:
            best = left + right
            row[2], row[3], row[4] = best, own - left - begin, place - left
    return best


@kernel
def _best_window(weights, found_hits, text, n, texts):
    """First and last hit of the window of 1.5 n + 12 tokens with most weight, and its share of the text's weight."""
    reach = n + n // 2 + 12
    best, best_first, best_last = 0.0, 0, 0
    weight, first = 0.0, 0
    place_mask = np.int64(MAX_PLACES - 1)
    for last in range(found_hits.shape[0]):
        place = (found_hits[last] >> _PLACE_SHIFT) & place_mask
        weight += np.float64(weights[place])
        while place - ((found_hits[first] >> _PLACE_SHIFT) & place_mask) > reach:
            weight -= np.float64(weights[(found_hits[first] >> _PLACE_SHIFT) & place_mask])
            first += 1
        if weight > best:
            best, best_first, best_last = weight, first, last
    return best_first, best_last, best / max(np.float32(1e-6), texts.totals[text])
