"""Where texts may hold eval texts: rare runs of three words, gathered per document, and the runs around them."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel, part
from dedup.kernels.reading import mixed
from dedup.kernels.vocabulary import UNKNOWN, found

GRAM = 3
WORD_BITS = 21
"""Bits of a word's number: three make a key without collisions."""
_TEXT_SHIFT, _PLACE_SHIFT = np.int64(37), np.int64(13)
MAX_TEXT_TOKENS = 1 << 13
MAX_PLACES = 1 << 24
"""Tokens of all documents that are searched at once."""
MAX_TEXTS = 1 << 26


class Grams(NamedTuple):
    """The rare grams: a bitmap in front, keys found by open addressing, and where in which eval text each stands."""

    bitmap: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]
    keys: npt.NDArray[np.uint64]
    """Mixed, so that their bits may be used as they are."""
    starts: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]
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
    """Mark every key in the bitmap (a power of two of words)."""
    mask = np.uint64(bitmap.shape[0] - 1)
    for k in range(keys.shape[0]):
        high = keys[k] >> np.uint64(32)
        bitmap[(high >> np.uint64(6)) & mask] |= np.uint64(1) << (high & np.uint64(63))


@part
def marked(bitmap, key):
    """Whether a key may be among those of the bitmap."""
    mask = np.uint64(bitmap.shape[0] - 1)
    high = key >> np.uint64(32)
    return (bitmap[(high >> np.uint64(6)) & mask] >> (high & np.uint64(63))) & np.uint64(1) != 0


@kernel
def _mark_all(words, bitmap, flags):
    """Flag each token at which a gram begins that the bitmap has.

    Apart from what follows, and without a branch: so the processor waits for many places of the bitmap at once.
    """
    for k in range(words.shape[0] - GRAM + 1):
        a, b, c = words[k], words[k + 1], words[k + 2]
        flags[k] = marked(bitmap, gram_key(a, b, c)) & ((a | b | c) >= 0)


@kernel
def _hits(words, start, stop, grams, flags, found_hits):
    """All grams of a document that are in eval texts, as text, place and place in the text, sorted. Returns both."""
    count = 0
    for k in range(start, stop - GRAM + 1):
        if not flags[k]:
            continue
        gram = found(gram_key(words[k], words[k + 1], words[k + 2]), grams.slots, grams.keys)
        if gram == UNKNOWN:
            continue
        first, last = grams.starts[gram], grams.starts[gram + 1]
        while count + last - first > found_hits.shape[0]:
            more = np.empty(2 * found_hits.shape[0], np.int64)
            more[:count] = found_hits[:count]
            found_hits = more
        for posting in range(first, last):
            text, place = np.int64(grams.texts[posting]), np.int64(grams.places[posting])
            found_hits[count] = (text << _TEXT_SHIFT) | (np.int64(k) << _PLACE_SHIFT) | place
            count += 1
    found_hits[:count].sort()
    return count, found_hits


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
    count = 0
    for document in range(documents.shape[0] - 1):
        start, stop = documents[document], documents[document + 1]
        total, found_hits = _hits(words, start, stop, grams, flags, found_hits)
        at = 0
        while at < total:
            text = found_hits[at] >> _TEXT_SHIFT
            end = at + 1
            while end < total and found_hits[end] >> _TEXT_SHIFT == text:
                end += 1
            if count == out.shape[0]:
                more = np.empty((2 * count, 7), np.int64)
                more[:count] = out
                out = more
            if _candidate(words, start, stop, found_hits[at:end], text, grams, texts, limits, out[count]):
                out[count, 0] = document
                count += 1
            at = end
    return out[:count]


@kernel
def _candidate(words, start, stop, found_hits, text, grams, texts, limits, row):
    """Whether the hits of one text in one document nominate it; writes all of the row but the document."""
    n = texts.starts[text + 1] - texts.starts[text]
    row[1] = text
    if n < limits.short:
        return _whole(words, start, stop, found_hits, text, n, texts, row)
    first, last, share = _best_window(words, found_hits, text, n, grams, texts)
    if found_hits.shape[0] < 2 and (share < limits.lone_share or n > 2 * limits.run):
        return False
    run = _longest_run(words, start, stop, found_hits, text, texts, row)
    slack = n // 4 + 6
    if texts.passages[text]:
        if run < min(limits.run, n):
            return False
        first_place = row[4] - row[3]
        row[5], row[6] = max(start, first_place - slack), min(stop, first_place + n + slack)
        return True
    if run < limits.run and share < limits.containment:
        return False
    low, high = found_hits[first], found_hits[last]
    mask = (np.int64(1) << _PLACE_SHIFT) - 1
    place_mask = np.int64(MAX_PLACES - 1)
    row[5] = max(start, ((low >> _PLACE_SHIFT) & place_mask) - (low & mask) - slack)
    row[6] = min(stop, ((high >> _PLACE_SHIFT) & place_mask) + n - (high & mask) + slack)
    return True


@kernel
def _whole(words, start, stop, found_hits, text, n, texts, row):
    """A short text must be there word by word."""
    mask = (np.int64(1) << _PLACE_SHIFT) - 1
    for hit in found_hits:
        place = ((hit >> _PLACE_SHIFT) & np.int64(MAX_PLACES - 1)) - (hit & mask)
        if place < start or place + n > stop:
            continue
        same = True
        for k in range(n):
            if words[place + k] != texts.words[texts.starts[text] + k]:
                same = False
                break
        if same:
            row[2], row[3], row[4], row[5], row[6] = n, 0, place, place, place + n
            return True
    return False


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
def _best_window(words, found_hits, text, n, grams, texts):
    """First and last hit of the window of 1.5 n + 12 tokens with most weight, and its share of the text's weight."""
    reach = n + n // 2 + 12
    best, best_first, best_last = 0.0, 0, 0
    weight, first = 0.0, 0
    place_mask = np.int64(MAX_PLACES - 1)
    for last in range(found_hits.shape[0]):
        place = (found_hits[last] >> _PLACE_SHIFT) & place_mask
        weight += _weight(words, place, grams)
        while place - ((found_hits[first] >> _PLACE_SHIFT) & place_mask) > reach:
            weight -= _weight(words, (found_hits[first] >> _PLACE_SHIFT) & place_mask, grams)
            first += 1
        if weight > best:
            best, best_first, best_last = weight, first, last
    return best_first, best_last, best / max(np.float32(1e-6), texts.totals[text])


@kernel
def _weight(words, place, grams):
    key = gram_key(words[place], words[place + 1], words[place + 2])
    return np.float64(grams.weights[found(key, grams.slots, grams.keys)])
