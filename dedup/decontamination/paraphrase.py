"""Reworded questions: nominated by pairs of rare words, weighed by the cosine of all, confirmed by the answer."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dedup.decontamination.answers import EXACT_UP_TO, LEAST_SHARE, disagrees, hinted
from dedup.decontamination.grades import Grade
from dedup.decontamination.text_document import Document, Documents
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_match import Match, found_match, items_answered
from dedup.decontamination.text_search import Search
from dedup.kernels.reading import NUMERAL
from dedup.kernels.rewordings import Confirming, search_rewordings

FEWEST_SHARED, SHARED_SHARE = 4, 0.5
"""Words of a question that are no stock words, and share of them, that a wording without its answer must have."""


def reworded(index: TextIndex, prepared: Search, documents: Documents) -> Iterator[Match]:
    """Matches of grade `paraphrase`.

    From a cosine of `paraphrase_cosine` with the item's answer, of `paraphrase_weak` with one that says little, of
    `paraphrase_alone` without; never where both say numbers and have none in common.
    """
    settings, tokens = index.settings, documents.tokens
    rows, cosines = search_rewordings(
        tokens.words, tokens.texts, documents.pieces.documents, np.diff(documents.answers.texts) > 0, prepared.pairs,
        prepared.texts, _confirming(index, prepared), settings.paraphrase_cosine, 1024,
    )  # fmt: skip
    for (number, text, first, stop), cosine in zip(rows.tolist(), cosines.tolist(), strict=True):
        document = documents.document(number)
        if prepared.generic[text] or _numbers_differ(index, document, text, first, stop):
            continue
        items = items_answered(index, prepared, document, text, first, stop - 1)
        least = _least(index, prepared, document, text, items)
        if cosine < least:
            continue
        places = _places(index, document, text, first, stop)
        confirmed = any(answer for _, answer in items)
        if least >= settings.paraphrase_alone and not _shares_enough(index, prepared, text, places):
            continue
        parts = {"score": round(cosine, 4), "tokens": len(places), "answer": confirmed}
        yield found_match(
            index, prepared, document, text, places, Grade.PARAPHRASE, cosine, items, None, parts
        )  # fmt: skip


def _confirming(index: TextIndex, prepared: Search) -> Confirming:
    return Confirming(
        np.float64(index.settings.paraphrase_alone), index.items, index.item_starts, index.answers,
        index.answer_starts, prepared.tells, prepared.generic, np.int64(index.settings.answer_reach),
        np.int64(EXACT_UP_TO), np.float64(LEAST_SHARE),
    )  # fmt: skip


def _least(
    index: TextIndex, prepared: Search, document: Document, text: int, items: tuple[tuple[int, bool], ...]
) -> float:
    """The cosine that a rewording needs, by what its answer confirms."""
    if any(answer for _, answer in items):
        return index.settings.paraphrase_cosine
    if any(hinted(index, prepared, document, text, item) for item, _ in items):
        return index.settings.paraphrase_weak
    if all(disagrees(index, prepared, document, item) for item, _ in items):
        return index.settings.paraphrase_otherwise
    return index.settings.paraphrase_alone


def _places(index: TextIndex, document: Document, text: int, first: int, stop: int) -> npt.NDArray[np.int64]:
    """Where in the sample's wording each word of the text stands first, -1 where it does not."""
    own = index.words[index.starts[text] : index.starts[text + 1]]
    words = document.all.tokens.words[first:stop]
    values, firsts = np.unique(words, return_index=True)
    at = np.minimum(np.searchsorted(values, own), len(values) - 1)
    return np.where(values[at] == own, first + firsts[at], -1)


def _shares_enough(index: TextIndex, prepared: Search, text: int, places: npt.NDArray[np.int64]) -> bool:
    """Whether a wording that no answer confirms has enough words of the question, not its one rare name alone."""
    words = index.words[index.starts[text] : index.starts[text + 1]]
    content = prepared.content[words]
    shared = len(np.unique(words[content & (places >= 0)]))
    return shared >= max(FEWEST_SHARED, SHARED_SHARE * len(np.unique(words[content])))


def _numbers_differ(index: TextIndex, document: Document, text: int, first: int, stop: int) -> bool:
    """Whether both name numbers, and no number is in both."""
    low, high = index.starts[text], index.starts[text + 1]
    own = index.vocabulary.forms[index.forms[low:high][index.kinds[low:high] & 3 == NUMERAL]]
    tokens = document.all.tokens
    other = tokens.hashes[first:stop][tokens.kinds[first:stop] & 3 == NUMERAL]
    return bool(len(own) and len(other) and not np.isin(own, other).any())
