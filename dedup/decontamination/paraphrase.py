"""Reworded questions: nominated by pairs of rare words, weighed by the cosine of all, confirmed by the answer."""

from collections.abc import Iterator
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

from dedup.decontamination.answers import disagrees, hinted, stated
from dedup.decontamination.discriminators import SLOT_TOKENS, contradiction
from dedup.decontamination.grades import Grade
from dedup.decontamination.text_document import Document, Documents
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_match import Match, found_match, items_answered
from dedup.decontamination.text_search import Search
from dedup.decontamination.text_words import side_words
from dedup.kernels.reading import NUMERAL
from dedup.kernels.rewordings import search_rewordings
from dedup.kernels.windows import room

STATED, BESIDE, UNCONFIRMED = (3, 0.0), (4, 0.0), (4, 0.5)
"""Words of a question, stock words apart, and share of them, that a wording must have whose sample states the answer,
one with the answer somewhere beside it, and one without."""
ASKED_WITHIN = 240
"""Bytes after the shared words in which a question ends: what asks may follow a case whose words it does not repeat."""
_QUESTION_MARKS, _FULL_STOPS = (b"?", "\uff1f".encode()), (b". ", b".\n", "\u3002".encode())


def reworded(index: TextIndex, prepared: Search, documents: Documents) -> Iterator[Match]:
    """Matches of grade `paraphrase`.

    From a cosine of `paraphrase_cosine` where the sample states the item's answer, of `paraphrase_beside` where it is
    near, of `paraphrase_weak` with one that says little, of `paraphrase_alone` without. Of a sample that does not state
    the answer it must be asked: a passage that says what a question is about is no wording of it. Never where both say
    numbers and have none in common, or each a side that the other does not, nor, without the answer, where the wording
    is the question's own but for a name.
    """
    settings, tokens = index.settings, documents.tokens
    rows, cosines = search_rewordings(
        tokens.words, tokens.texts, documents.pieces.documents, np.diff(documents.answers.texts) > 0, prepared.pairs,
        prepared.texts, prepared.confirming, settings.paraphrase_cosine, room(),
    )  # fmt: skip
    for (number, text, first, stop), cosine in zip(rows.tolist(), cosines.tolist(), strict=True):
        document = documents.document(number)
        if prepared.generic[text] or _numbers_differ(index, document, text, first, stop):
            continue
        if _sides_differ(index, document, text, first, stop):
            continue
        items = items_answered(index, prepared, document, text, first, stop - 1)
        least, enough = _least(index, prepared, document, text, items)
        if cosine < least or not (least == settings.paraphrase_cosine or _asked(document, first, stop)):
            continue
        places = _places(index, document, text, first, stop)
        confirmed = any(answer for _, answer in items)
        if not _shares(index, prepared, text, places, *enough):
            continue
        if enough == UNCONFIRMED and _is_sibling(index, prepared, document, text, first, stop):
            continue
        parts = {"score": round(cosine, 4), "tokens": len(places), "answer": confirmed}
        yield found_match(
            index, prepared, document, text, places, Grade.PARAPHRASE, cosine, items, None, parts
        )  # fmt: skip


def _least(
    index: TextIndex, prepared: Search, document: Document, text: int, items: tuple[tuple[int, bool], ...]
) -> tuple[float, tuple[int, float]]:
    """The cosine, and the words in common and their share, that a rewording needs, by what its answer confirms."""
    settings = index.settings
    if any(stated(index, prepared, document, item) for item, _ in items):
        return settings.paraphrase_cosine, STATED
    if any(answer for _, answer in items):
        return settings.paraphrase_beside, BESIDE
    if any(hinted(index, prepared, document, text, item) for item, _ in items):
        return settings.paraphrase_weak, STATED
    if all(disagrees(index, prepared, document, item) for item, _ in items):
        return settings.paraphrase_otherwise, UNCONFIRMED
    return settings.paraphrase_alone, UNCONFIRMED


def _asked(document: Document, first: int, stop: int) -> bool:
    """Whether the wording is, or leads to, a question: one with its mark, or the end of what a turn says."""
    tokens, pieces = document.all.tokens, document.all.pieces
    piece = document.piece_of(stop - 1)
    begin, end = int(pieces.begins[piece]), int(pieces.ends[piece])
    low = begin + int(tokens.starts[max(first, document.piece_tokens(piece)[0])])
    last = begin + int(tokens.stops[stop - 1])
    said = pieces.data[low : min(end, last + ASKED_WITHIN)].tobytes()
    if any(mark in said for mark in _QUESTION_MARKS):
        return True
    rest = pieces.data[last:end].tobytes() + b"\n"
    return end - last <= ASKED_WITHIN and not any(stop in rest for stop in _FULL_STOPS)


def _places(index: TextIndex, document: Document, text: int, first: int, stop: int) -> npt.NDArray[np.int64]:
    """Where in the sample's wording each word of the text stands first, -1 where it does not."""
    own = index.words[index.starts[text] : index.starts[text + 1]]
    words = document.all.tokens.words[first:stop]
    values, firsts = np.unique(words, return_index=True)
    at = np.minimum(np.searchsorted(values, own), len(values) - 1)
    return np.where(values[at] == own, first + firsts[at], -1)


def _shares(
    index: TextIndex, prepared: Search, text: int, places: npt.NDArray[np.int64], fewest: int, share: float
) -> bool:
    """Whether a wording has so many words of the question, and such a share of them, stock words apart."""
    words = index.words[index.starts[text] : index.starts[text + 1]]
    content = prepared.content[words]
    shared = len(np.unique(words[content & (places >= 0)]))
    return shared >= max(fewest, share * len(np.unique(words[content])))


def _is_sibling(index: TextIndex, prepared: Search, document: Document, text: int, first: int, stop: int) -> bool:
    """Whether the wording has the question's words in their order, but for few, and those tell the two apart."""
    own = index.words[index.starts[text] : index.starts[text + 1]]
    first = max(first - SLOT_TOKENS, document.piece_tokens(document.piece_of(first))[0])
    words = document.all.tokens.words[first:stop]
    places = np.full(len(own), -1, np.int64)
    for block in SequenceMatcher(None, own.tolist(), words.tolist(), autojunk=False).get_matching_blocks():
        places[block.a : block.a + block.size] = first + block.b + np.arange(block.size)
    if np.count_nonzero(places < 0) > SLOT_TOKENS or not (places >= 0).any():
        return False
    return contradiction(index, prepared, document, text, places) is not None


def _sides_differ(index: TextIndex, document: Document, text: int, first: int, stop: int) -> bool:
    """Whether each names a side that the other does not."""
    low, high = index.starts[text], index.starts[text + 1]
    own = side_words().intersection(index.vocabulary.forms[index.forms[low:high]].tolist())
    other = side_words().intersection(document.all.tokens.hashes[first:stop].tolist())
    return bool(own - other and other - own)


def _numbers_differ(index: TextIndex, document: Document, text: int, first: int, stop: int) -> bool:
    """Whether both name numbers, and no number is in both."""
    low, high = index.starts[text], index.starts[text + 1]
    own = index.vocabulary.forms[index.forms[low:high][index.kinds[low:high] & 3 == NUMERAL]]
    tokens = document.all.tokens
    other = tokens.hashes[first:stop][tokens.kinds[first:stop] & 3 == NUMERAL]
    return bool(len(own) and len(other) and not np.isin(own, other).any())
