"""Where documents may say an eval question in other words: pairs of its rarest words, then the cosine of all."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel, part
from dedup.kernels.windows import AT_ONCE, MOST_CANDIDATES, nominate, windows_of

MARGIN = 3
"""Tokens around the outermost shared words that belong to the wording."""

NONE, MANY = -1, -2
"""No answer of a text's items says something; several do, or no word of the one is in all ways to say it."""


class Confirming(NamedTuple):
    """What the kernel knows of answers: without one a wording must be closer."""

    alone: np.float64
    """Cosine from which no answer is needed."""
    beside: np.float64
    """Cosine that a wording needs whose document states no answer."""
    items: npt.NDArray[np.int32]
    item_starts: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int32]
    answer_starts: npt.NDArray[np.int64]
    tells: npt.NDArray[np.bool_]
    """Items whose answer says something."""
    generic: npt.NDArray[np.bool_]
    """Texts that nothing is said about."""
    musts: npt.NDArray[np.int32]
    """A word without which no answer of the text's items is in a document; NONE, or MANY."""
    reach: np.int64
    exact_up_to: np.int64
    least_share: np.float64


@kernel
def search_rewordings(words, pieces, documents, stated, pairs, texts, confirming, least, room):
    """Windows whose cosine with a question is at least `least`.

    Rows of document, text, first token, one beyond the last; and the cosines. `pieces` and `documents` say at which
    token, and which piece, each begins. Of a document without a `stated` answer only those that an answer in it
    confirms, from a cosine of `confirming.beside` on, or that need none.
    """
    out, cosines = np.empty((1024, 4), np.int64), np.empty(1024)
    size = texts.weights.shape[0]
    seen, said, marks = np.full(size, -1, np.int32), np.full(size, -1, np.int32), np.full(size, -1, np.int32)
    own, inside = np.full(size, -1, np.int32), np.zeros(size, np.int32)
    bounds, owners = windows_of(pieces, documents)
    count, noted = 0, -1
    for window in range(bounds.shape[0]):
        if window % AT_ONCE == 0:
            nominate(words, bounds, window, min(window + AT_ONCE, bounds.shape[0]), pairs, marks, room)
        document = owners[window]
        start, stop = pieces[documents[document]], pieces[documents[document + 1]]
        if noted != document:
            noted = document
            _note(words, start, stop, said, document)
        low, high = bounds[window, 0], bounds[window, 1]
        for k in range(MOST_CANDIDATES):
            text = room.nominated[MOST_CANDIDATES * (window % AT_ONCE) + k]
            if text < 0 or confirming.generic[text]:
                continue
            confirmed, needed = _needed(text, stated[document], said, document, texts.weights, confirming, least)
            # Most are told apart by the words of the whole document, which were noted once.
            if not _may_reach(pairs, texts.weights, text, said, document, needed):
                continue
            _note(words, low, high, seen, window)
            if not _may_reach(pairs, texts.weights, text, seen, window, needed):
                continue
            mark = MOST_CANDIDATES * window + k
            cosine, first, last = _cosine(words, low, high, texts, text, own, mark, inside, pairs.unknown)
            if cosine < needed or (
                cosine < confirmed and not _confirmed(words, start, stop, first, last, text, texts.weights, confirming)
            ):
                continue
            if count == out.shape[0]:
                out, cosines = _doubled(out, cosines)
            out[count, 0], out[count, 1], out[count, 2], out[count, 3] = document, text, first, last
            cosines[count] = cosine
            count += 1
    return out[:count], cosines[:count]


@part
def _needed(text, stated, said, document, weights, confirming, least):
    """The cosine that needs no answer beside it, and the one from which an answer may confirm it."""
    if stated:
        return least, least
    if confirming.alone > confirming.beside and _may_be_confirmed(text, said, document, weights, confirming):
        return confirming.alone, confirming.beside
    return confirming.alone, confirming.alone


@part
def _note(words, start, stop, noted, number):
    """Note for each word of a stretch that it is there."""
    for k in range(start, stop):
        if words[k] >= 0:
            noted[words[k]] = number


@part
def _may_reach(pairs, weights, text, seen, number, cosine):
    """Whether enough of a question's words are noted with a number for a cosine, whichever of those noted are taken."""
    norm = pairs.norms[text]
    spare = norm * (1.0 - cosine * cosine) + 1e-6 * norm
    for k in range(pairs.heaviest_starts[text], pairs.heaviest_starts[text + 1]):
        word = pairs.heaviest[k]
        if seen[word] != number:
            spare -= np.float64(weights[word]) ** 2
            if spare < 0.0:
                return False
    return True


@part
def _may_be_confirmed(text, said, document, weights, confirming):
    """Whether the words of an answer of one of the text's items are in the document, wherever."""
    must = confirming.musts[text]
    if must != MANY and (must == NONE or said[must] != document):
        return False
    for k in range(confirming.item_starts[text], confirming.item_starts[text + 1]):
        item = confirming.items[k]
        if not confirming.tells[item]:
            continue
        answer = confirming.answers[confirming.answer_starts[item] : confirming.answer_starts[item + 1]]
        total = there = 0.0
        for i in range(answer.shape[0]):
            known = False
            for j in range(i):
                known = known or answer[j] == answer[i]
            if not known:
                total += weights[answer[i]]
                there += weights[answer[i]] if said[answer[i]] == document else 0.0
        least = 1.0 if answer.shape[0] <= confirming.exact_up_to else confirming.least_share
        if there >= least * total * (1.0 - 1e-9):
            return True
    return False


@kernel
def fill_musts(weights, confirming):
    """Write `confirming.musts`."""
    for text in range(confirming.musts.shape[0]):
        must = NONE
        for k in range(confirming.item_starts[text], confirming.item_starts[text + 1]):
            item = confirming.items[k]
            if not confirming.tells[item]:
                continue
            low, high = confirming.answer_starts[item], confirming.answer_starts[item + 1]
            heaviest, total = confirming.answers[low], 0.0
            for at in range(low, high):
                word = confirming.answers[at]
                total += weights[word]
                heaviest = word if weights[word] > weights[heaviest] else heaviest
            # Counted with repetitions, the total is no smaller than what `stands` asks a share of.
            whole = high - low <= confirming.exact_up_to
            in_all = whole or weights[heaviest] > 1.001 * (1.0 - confirming.least_share) * total
            must = heaviest if must == NONE and in_all else MANY
        confirming.musts[text] = must


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
            stands(answer, words[max(start, first - reach) : first], weights, confirming)
            or stands(answer, words[last : min(stop, last + reach)], weights, confirming)
            or stands(answer, words[max(last, stop - reach) : stop], weights, confirming)
        ):
            return True
    return False


@kernel
def stands(answer, words, weights, confirming):
    """Whether words say an answer: a short one word by word, of a longer one `least_share` of the weight."""
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
    for k in range(out.shape[0]):
        for column in range(4):
            more[k, column] = out[k, column]
        others[k] = cosines[k]
    return more, others


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
