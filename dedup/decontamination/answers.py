"""Whether the answer of an eval item is in a sample, beside its question."""

import numpy as np
import numpy.typing as npt

from dedup.decontamination.text_document import Document
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_search import LEAST_SHARE, TELLING_WEIGHT, Search
from dedup.decontamination.text_words import hashes_of
from dedup.kernels.rewordings import stands

AGREEING_SHARE = 0.65
"""Share of the weight of one of two stated answers that the other must have."""
SHORT_DOCUMENT = 4000
"""Tokens of a sample up to which its end, where reasoning arrives at the answer, is looked at too."""

LONG_ANSWER = 16
"""Words more than twice the item's from which on what answers a sample is an explanation, which has many words."""

Words = npt.NDArray[np.int32]


def answer_of(index: TextIndex, item: int) -> Words:
    """Words of an item's answer."""
    return index.answers[index.answer_starts[item] : index.answer_starts[item + 1]]


def answered(index: TextIndex, prepared: Search, document: Document, item: int, first: int, last: int) -> bool:
    """Whether an answer that says something is the sample's own, or, where none is stated briefly, near first..last.

    Before and after the question alike, but not in it; where the sample states an answer, options do not count.
    """
    answer, own = answer_of(index, item), document.answer
    if not prepared.tells[item]:
        return False
    if _brief(answer, own):
        return _tells(prepared, own) and _agree(prepared, answer, own)
    reach = max(index.settings.answer_reach, last - first + 1)
    words = document.all.tokens.words
    parts = [words[max(document.start, first - reach) : first], words[last + 1 : min(document.stop, last + 1 + reach)]]
    if document.stop - document.start <= SHORT_DOCUMENT:
        parts.append(words[max(last + 1, document.stop - reach) : document.stop])
    return any(stands(answer, part, prepared.texts.weights, prepared.confirming) for part in parts)


def stated(index: TextIndex, prepared: Search, document: Document, item: int) -> bool:
    """Whether the item's answer says something and is what the sample states as its own."""
    answer, own = answer_of(index, item), document.answer
    if not prepared.tells[item] or not _brief(answer, own):
        return False
    return _tells(prepared, own) and _agree(prepared, answer, own)


def disagrees(index: TextIndex, prepared: Search, document: Document, item: int) -> bool:
    """Whether the sample states an answer that says something, and so does the item, and they are two."""
    answer, own = answer_of(index, item), document.answer
    return bool(prepared.tells[item]) and _tells(prepared, own) and not _agree(prepared, answer, own)


def hinted(index: TextIndex, prepared: Search, document: Document, text: int, item: int) -> bool:
    """Whether the sample's own answer fits an item whose answer says nothing by itself.

    It is the same numeral, or, of an item whose answer names statements of its question ("ac"), words of those.
    """
    answer, own = answer_of(index, item), document.answer
    if not len(answer) or not len(own) or prepared.tells[item]:
        return False
    if index.vocabulary.numerals[answer].any():
        return np.array_equal(answer, own)
    if len(answer) > 1 or not prepared.letters[answer[0]] or not _tells(prepared, own):
        return False
    known = np.isin(own, statements(index, text))
    weights = _weights(prepared, own)
    return float(weights[known].sum()) >= LEAST_SHARE * float(weights.sum())


def statements(index: TextIndex, text: int) -> Words:
    """Words of a question from the "a" on that the first "b" follows; none where it has no statements with letters."""
    low, high = index.starts[text], index.starts[text + 1]
    forms = index.vocabulary.forms[index.forms[low:high]]
    (first,), (second,) = hashes_of("a"), hashes_of("b")
    marks = np.flatnonzero(forms == second)
    begins = np.flatnonzero(forms[: marks[0]] == first) if len(marks) else marks
    return index.words[low + begins[-1] : high] if len(begins) else index.words[:0]


def _brief(answer: Words, own: Words) -> bool:
    """Whether a sample states an answer, and not an explanation."""
    return 0 < len(own) <= LONG_ANSWER + 2 * len(answer)


def _weights(prepared: Search, words: Words) -> npt.NDArray[np.float64]:
    return np.where(words >= 0, prepared.texts.weights[words], prepared.pairs.unknown)


def _tells(prepared: Search, words: Words) -> bool:
    """Whether an answer says something: it has a rare word (one that no eval item has is), or several telling ones."""
    if not len(words):
        return False
    if (words < 0).any() or prepared.informative[words].any():
        return True
    telling = np.unique(words[~prepared.empty[words]])
    return float(prepared.texts.weights[telling].sum()) >= TELLING_WEIGHT


def _agree(prepared: Search, answer: Words, own: Words) -> bool:
    """Whether two stated answers are one: most of the one is in the other, and no side or number is in just one."""
    one, two = np.unique(answer), np.unique(own)
    shared = np.intersect1d(one[one >= 0], two)
    known = (words[words >= 0] for words in (one, two))
    empty_one, empty_two = (set(words[prepared.empty[words]].tolist()) for words in known)
    if empty_one - empty_two and empty_two - empty_one:
        return False
    least = min(float(_weights(prepared, one).sum()), float(_weights(prepared, two).sum()))
    return float(prepared.texts.weights[shared].sum()) >= AGREEING_SHARE * least
