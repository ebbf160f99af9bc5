"""What tells two alike questions apart: a number, a unit, a side, a negation, an opposite or a name that differs."""

from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

from dedup.decontamination.text_document import Document
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_search import Search
from dedup.decontamination.text_words import hashes_of, kinds_of_words, negations
from dedup.kernels.reading import NAME, NUMERAL

Places = npt.NDArray[np.int64]
Token = tuple[int, int]
"""Hash and kind."""
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve"
ORDER = ("numerals", "unit", "laterality", "negation", "opposite", "entity")
SLOT_TOKENS = 3
"""Words that stand for one another where nothing else differs: another drug or disease in the same sentence."""
SLOT_UP_TO, SLOT_SHARE = 30, 0.05
"""Tokens of a text up to which one such place makes another question, and the share of its weight there."""


def contradiction(index: TextIndex, prepared: Search, document: Document, text: int, places: Places) -> str | None:
    """The first of ORDER in which a sample contradicts a text whose tokens have `places` in it; None where in none."""
    found = set()
    slots = 0
    for own, other in _gaps(index, document, text, places):
        slots += 1
        found |= _contradictions(own, other)
    if not found and slots == 1 and len(places) <= SLOT_UP_TO and _is_slot(index, prepared, text, places):
        found.add("entity")
    return next((kind for kind in ORDER if kind in found), None)


def _gaps(index: TextIndex, document: Document, text: int, places: Places) -> Iterator[tuple[list[Token], list[Token]]]:
    """What stands between two matched tokens in the text and in the sample, where that differs.

    Before the first and after the last matched token the sample has as many tokens as the text, of the same piece.
    """
    low = int(index.starts[text])
    present = _anchors(places, index.kinds[low : low + len(places)] & 3 == NUMERAL)
    forms, tokens = index.vocabulary.forms, document.all.tokens

    def own(start: int, stop: int) -> list[Token]:
        return [(int(forms[index.forms[low + k]]), int(index.kinds[low + k])) for k in range(start, stop)]

    def other(start: int, stop: int) -> list[Token]:
        return [(int(tokens.hashes[k]), int(tokens.kinds[k])) for k in range(start, stop)]

    first, last = int(present[0]), int(present[-1])
    begin, _ = document.piece_tokens(document.piece_of(int(places[first])))
    _, end = document.piece_tokens(document.piece_of(int(places[last])))
    if first:
        yield own(0, first), other(max(begin, int(places[first]) - first), int(places[first]))
    for one, two in zip(present[:-1].tolist(), present[1:].tolist(), strict=True):
        if two > one + 1 or places[two] > places[one] + 1:
            yield own(one + 1, two), other(int(places[one]) + 1, int(places[two]))
    missing = len(places) - last - 1
    if missing:
        yield own(last + 1, len(places)), other(int(places[last]) + 1, min(end, int(places[last]) + 1 + missing))


def _anchors(places: Places, numerals: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Matched tokens but for numerals beside a difference, which belong to it: "mm3 (1%)" has a 3, as "mm3 (3%)" has.

    All of them where nothing else is matched.
    """
    anchors = matched = np.flatnonzero(places >= 0)
    while len(anchors):
        steps = (np.diff(anchors) > 1) | (np.diff(places[anchors]) > 1)
        before = np.concatenate([[anchors[0] > 0], steps])
        after = np.concatenate([steps, [anchors[-1] < len(places) - 1]])
        loose = numerals[anchors] & (before | after)
        if not loose.any():
            return anchors
        anchors = anchors[~loose]
    return matched


def _contradictions(own: list[Token], other: list[Token]) -> set[str]:
    found = set()
    own_kinds, other_kinds = _by_kind(own), _by_kind(other)
    for kind in ("numerals", "unit", "laterality", "opposite", "entity"):
        one, two = own_kinds.get(kind, Counter()), other_kinds.get(kind, Counter())
        if one - two and two - one:
            found.add(kind)
    if ("turned" in own_kinds) != ("turned" in other_kinds) and len(other) <= len(own) + SLOT_TOKENS:
        found.add("negation")
    return found


def _by_kind(tokens: list[Token]) -> dict[str, Counter[int]]:
    kinds: dict[str, Counter[int]] = {}
    for value, kind in tokens:
        if kind & 3 == NUMERAL:
            kinds.setdefault("numerals", Counter())[value] += 1
        elif value in negations():
            kinds.setdefault("turned", Counter())[value] += 1
        elif (guarded := kinds_of_words().get(value)) is not None:
            kinds.setdefault(guarded, Counter())[_written_out().get(value, value)] += 1
        elif kind & NAME:
            kinds.setdefault("entity", Counter())[value] += 1
    return kinds


@cache
def _written_out() -> dict[int, int]:
    """Hash of the digits of each number that is written as a word."""
    return {
        min(hashes_of(word)): min(hashes_of(str(number))) for number, word in enumerate(_NUMBERS.split(), start=1)
    }  # fmt: skip


def _is_slot(index: TextIndex, prepared: Search, text: int, places: Places) -> bool:
    """Whether the one place that differs holds a few words of weight in the text, and others in the sample."""
    absent, present = np.flatnonzero(places < 0), np.flatnonzero(places >= 0)
    if not 0 < len(absent) <= SLOT_TOKENS or absent[0] == 0 or absent[-1] == len(places) - 1:
        return False
    replaced = int(places[absent[-1] + 1] - places[absent[0] - 1]) - 1
    words = index.words[index.starts[text] : index.starts[text + 1]]
    weights = prepared.texts.weights[words]
    heavy = float(weights[absent].sum()) >= SLOT_SHARE * float(weights.sum())
    return heavy and 0 < replaced <= SLOT_TOKENS and len(present) > len(absent)
