"""Where documents may say an eval question in other words: pairs of its rarest words, then the cosine of all."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel, part
from dedup.kernels.eval_search import WORD_BITS, EvalTexts, marked
from dedup.kernels.reading import mixed
from dedup.kernels.vocabulary import UNKNOWN, found

OF_TEXT, OF_LONG_TEXT, OF_WINDOW = 8, 12, 14
"""Rarest words of a question, of a long one and of a window whose pairs are looked for: a window costs 91 looks."""
LONG_TEXT = 40
"""Tokens of a question from which on it is a long one: a vignette that is reworded is also shortened."""
WHOLE_UP_TO, WINDOW, STEP = 192, 160, 96
"""A piece of up to so many tokens is one window; a longer one is many that overlap."""
MOST_CANDIDATES = 3
"""Questions of a window that are compared, those with most pairs first."""
MARGIN = 3
"""Tokens around the outermost shared words that belong to the wording."""


class Pairs(NamedTuple):
    """Pairs of rare words of questions: as `eval_search.Grams`."""

    bitmap: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]
    keys: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int32]
    paired: npt.NDArray[np.bool_]
    """Words of the vocabulary that are in a pair."""
    unknown: np.float64
    """Weight of a word that no eval item has."""
    needed: npt.NDArray[np.int32]
    """Pairs of each text that a window must have for their cosine to be taken."""


class Confirming(NamedTuple):
    """What the kernel knows of answers: without one a wording must be closer."""

    alone: np.float64
    """Cosine from which no answer is needed."""
    items: npt.NDArray[np.int32]
    item_starts: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int32]
    answer_starts: npt.NDArray[np.int64]
    tells: npt.NDArray[np.bool_]
    """Items whose answer says something."""
    generic: npt.NDArray[np.bool_]
    """Texts that nothing is said about."""
    reach: np.int64
    exact_up_to: np.int64
    least_share: np.float64


@part
def pair_key(a, b):
    """Key of two words, whichever comes first."""
    packed = (np.uint64(min(a, b)) << np.uint64(WORD_BITS)) | np.uint64(max(a, b))
    return mixed(packed + np.uint64(1) + (np.uint64(1) << np.uint64(63)))


@kernel
def _take_rare(word, weights, rarest, count):
    """Insert a word among the rarest, in order of falling weight, then of numbers; returns how many there are."""
    if count == rarest.shape[0]:
        last = rarest[count - 1]
        if weights[last] > weights[word] or (weights[last] == weights[word] and last < word):
            return count
        count -= 1
    at = count
    while at > 0:
        other = rarest[at - 1]
        if weights[other] > weights[word] or (weights[other] == weights[word] and other < word):
            break
        rarest[at] = other
        at -= 1
    rarest[at] = word
    return count + 1


@kernel
def pairs_needed(texts, chosen, rare, share, out):
    """How many pairs of each chosen text's rarest words have `share` of its squared weight, as if they were alike."""
    room = np.empty(OF_LONG_TEXT, np.int32)
    seen = np.full(texts.weights.shape[0], -1, np.int64)
    for text in chosen:
        size, norm = 0, 0.0
        limit = OF_LONG_TEXT if texts.starts[text + 1] - texts.starts[text] >= LONG_TEXT else OF_TEXT
        for k in range(texts.starts[text], texts.starts[text + 1]):
            word = texts.words[k]
            if seen[word] != text:
                seen[word] = text
                norm += np.float64(texts.weights[word]) ** 2
                if rare[word]:
                    size = _take_rare(word, texts.weights, room[:limit], size)
        mass = 0.0
        for word in room[:size]:
            mass += np.float64(texts.weights[word]) ** 2
        words = 2
        while words < size // 2 and words * mass < share * norm * size:
            words += 1
        out[text] = words * (words - 1) // 2


@kernel
def pair_keys(texts, chosen, rare, out, owners, paired):
    """Keys of the pairs of each chosen text's rarest words that are `rare`, and whose they are; returns how many.

    Marks the words of all pairs.
    """
    count = 0
    room = np.empty(OF_LONG_TEXT, np.int32)
    for text in chosen:
        rarest = room if texts.starts[text + 1] - texts.starts[text] >= LONG_TEXT else room[:OF_TEXT]
        size = 0
        for k in range(texts.starts[text], texts.starts[text + 1]):
            word = texts.words[k]
            known = False
            for other in rarest[:size]:
                known = known or other == word
            if rare[word] and not known:
                size = _take_rare(word, texts.weights, rarest, size)
        for i in range(size):
            paired[rarest[i]] = True
            for j in range(i + 1, size):
                out[count] = pair_key(rarest[i], rarest[j])
                owners[count] = text
                count += 1
    return count


@kernel
def search_rewordings(words, pieces, documents, stated, pairs, texts, confirming, least, room):
    """Windows whose cosine with a question is at least `least`.

    Rows of document, text, first token, one beyond the last; and the cosines. `pieces` and `documents` say at which
    token, and which piece, each begins. Of a document without a `stated` answer only those that an answer in it
    confirms, or that need none.
    """
    out, cosines = np.empty((room, 4), np.int64), np.empty(room)
    seen = np.full(texts.weights.shape[0], -1, np.int64)
    own = np.full(texts.weights.shape[0], -1, np.int64)
    inside = np.zeros(texts.weights.shape[0], np.int32)
    nominated = np.empty(1 << 14, np.int32)
    count = window = looked = 0
    for document in range(documents.shape[0] - 1):
        for piece in range(documents[document], documents[document + 1]):
            start, stop = pieces[piece], pieces[piece + 1]
            whole = stop - start <= WHOLE_UP_TO
            length, step = (WHOLE_UP_TO, WHOLE_UP_TO) if whole else (WINDOW, STEP)
            for low in range(start, max(start + 1, stop - length + step), step):
                high = min(stop, low + length)
                window += 1
                number = _nominate(words, low, high, pairs, texts.weights, seen, window, nominated)
                for k in range(number):
                    looked += 1
                    text = nominated[k]
                    cosine, first, last = _cosine(
                        words, low, high, texts, text, own, looked, inside, pairs.unknown
                    )  # fmt: skip
                    if cosine < least or confirming.generic[text]:
                        continue
                    low_end, high_end = pieces[documents[document]], pieces[documents[document + 1]]
                    if cosine < confirming.alone and not (
                        stated[document]
                        or _confirmed(words, low_end, high_end, first, last, text, texts.weights, confirming)
                    ):
                        continue
                    if count == out.shape[0]:
                        out, cosines = _doubled(out, cosines)
                    out[count, 0], out[count, 1], out[count, 2], out[count, 3] = document, text, first, last
                    cosines[count] = cosine
                    count += 1
    return out[:count], cosines[:count]


@kernel
def _confirmed(words, start, stop, first, last, text, weights, confirming):
    """Whether an answer of one of the text's items stands near the wording; as `answers.answered` looks for it."""
    reach = max(confirming.reach, last - first)
    for k in range(confirming.item_starts[text], confirming.item_starts[text + 1]):
        item = confirming.items[k]
        if not confirming.tells[item]:
            continue
        answer = confirming.answers[confirming.answer_starts[item] : confirming.answer_starts[item + 1]]
        if (
            _stands(answer, words[max(start, first - reach) : first], weights, confirming)
            or _stands(answer, words[last : min(stop, last + reach)], weights, confirming)
            or _stands(answer, words[max(last, stop - reach) : stop], weights, confirming)
        ):
            return True
    return False


@kernel
def _stands(answer, words, weights, confirming):
    n = answer.shape[0]
    if n <= confirming.exact_up_to:
        for k in range(words.shape[0] - n + 1):
            same = 0
            while same < n and words[k + same] == answer[same]:
                same += 1
            if same == n:
                return True
        return False
    total = there = 0.0
    for i in range(n):
        known = inside = False
        for j in range(i):
            known = known or answer[j] == answer[i]
        if known:
            continue
        for word in words:
            inside = inside or word == answer[i]
        total += weights[answer[i]]
        there += weights[answer[i]] if inside else 0.0
    return there >= confirming.least_share * total


@kernel
def _doubled(out, cosines):
    more, others = np.empty((2 * out.shape[0], 4), np.int64), np.empty(2 * out.shape[0])
    more[: out.shape[0]] = out
    others[: out.shape[0]] = cosines
    return more, others


@kernel
def _nominate(words, low, high, pairs, weights, seen, window, nominated):
    """The questions with most pairs in a window, at the front of `nominated`; returns how many."""
    rarest = np.empty(OF_WINDOW, np.int32)
    size = 0
    for k in range(low, high):
        word = words[k]
        if word >= 0 and pairs.paired[word] and seen[word] != window:
            seen[word] = window
            size = _take_rare(word, weights, rarest, size)
    keys = np.empty(OF_WINDOW * (OF_WINDOW - 1) // 2, np.uint64)
    there = np.empty(keys.shape[0], np.bool_)
    count = at = 0
    for i in range(size):
        for j in range(i + 1, size):
            keys[at] = pair_key(rarest[i], rarest[j])
            there[at] = marked(pairs.bitmap, keys[at])
            at += 1
    for key, likely in zip(keys[:at], there[:at]):  # noqa: B905 - numba has no strict
        if likely:
            pair = found(key, pairs.slots, pairs.keys)
            if pair == UNKNOWN:
                continue
            for posting in range(pairs.starts[pair], pairs.starts[pair + 1]):
                if count < nominated.shape[0]:
                    nominated[count] = pairs.texts[posting]
                    count += 1
    return _most_frequent(nominated, count, pairs.needed) if count else 0


@kernel
def _most_frequent(nominated, count, needed):
    """The distinct numbers among the first `count` that come as often as needed; at most MOST_CANDIDATES."""
    nominated[:count].sort()
    size = at = 0
    best, times = np.empty(MOST_CANDIDATES, np.int32), np.empty(MOST_CANDIDATES, np.int64)
    while at < count:
        end = at + 1
        while end < count and nominated[end] == nominated[at]:
            end += 1
        number, often = nominated[at], end - at
        at = end
        if often < needed[number] or (size == MOST_CANDIDATES and times[size - 1] >= often):
            continue
        place = min(size, MOST_CANDIDATES - 1)
        while place > 0 and times[place - 1] < often:
            best[place], times[place] = best[place - 1], times[place - 1]
            place -= 1
        best[place], times[place] = number, often
        size = min(size + 1, MOST_CANDIDATES)
    nominated[:size] = best[:size]
    return size


@kernel
def _own_mass(texts, text, own, mark):
    """Squared weight of a text's distinct words, which get the mark."""
    norm = 0.0
    for k in range(texts.starts[text], texts.starts[text + 1]):
        word = texts.words[k]
        if own[word] != mark:
            own[word] = mark
            norm += np.float64(texts.weights[word]) ** 2
    return norm


@kernel
def _cosine(words, low, high, texts, text, own, mark, inside, unknown):
    """Cosine of the sets of words, by squared weight, of a question and the part of a window most like it."""
    begin, end = texts.starts[text], texts.starts[text + 1]
    norm = _own_mass(texts, text, own, mark)
    reach = (end - begin) + (end - begin) // 4 + 8
    best, first = _best_part(words, low, high, reach, texts.weights, own, mark, inside)
    if best == 0.0:
        return 0.0, low, high
    last = min(high, first + reach)
    while last > first and not (words[last - 1] >= 0 and own[words[last - 1]] == mark):
        last -= 1
    while first < last and not (words[first] >= 0 and own[words[first]] == mark):
        first += 1
    other = 0.0
    for k in range(max(low, first - MARGIN), min(high, last + MARGIN)):
        word = words[k]
        if word < 0:
            other += unknown**2
        elif inside[word] == 0:
            inside[word] = 1
            other += np.float64(texts.weights[word]) ** 2
    for k in range(max(low, first - MARGIN), min(high, last + MARGIN)):
        if words[k] >= 0:
            inside[words[k]] = 0
    return best / np.sqrt(max(norm * other, 1e-9)), first, last


@kernel
def _best_part(words, low, high, reach, weights, own, mark, inside):
    """Most squared weight of a question's distinct words in `reach` tokens in a row, and where those begin."""
    best, best_first, mass = 0.0, low, 0.0
    first = low
    for k in range(low, high):
        word = words[k]
        if word >= 0 and own[word] == mark:
            if inside[word] == 0:
                mass += np.float64(weights[word]) ** 2
            inside[word] += 1
        if k - first >= reach:
            gone = words[first]
            if gone >= 0 and own[gone] == mark:
                inside[gone] -= 1
                if inside[gone] == 0:
                    mass -= np.float64(weights[gone]) ** 2
            first += 1
        if mass > best + 1e-9:
            best, best_first = mass, first
    for k in range(first, high):
        if words[k] >= 0:
            inside[words[k]] = 0
    return best, best_first


def room_for_pairs(texts: EvalTexts, chosen: npt.NDArray[np.int64]) -> int:
    """Room that `pair_keys` needs for the chosen texts."""
    words = np.where(np.diff(texts.starts)[chosen] >= LONG_TEXT, OF_LONG_TEXT, OF_TEXT)
    return max(1, int((words * (words - 1) // 2).sum()))
