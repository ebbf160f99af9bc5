"""What it means that an eval text and a sample have words in common: the grade, and the evidence for it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dedup.decontamination.answers import answered, disagrees
from dedup.decontamination.discriminators import contradiction
from dedup.decontamination.grades import Grade
from dedup.decontamination.text_document import Document
from dedup.decontamination.text_index import CONTEXT, QUESTION, RATIONALE, TextIndex
from dedup.decontamination.text_search import Search
from dedup.decontamination.text_words import hashes_of

Places = npt.NDArray[np.int64]

THRESHOLDS = ((7, 1.0), (12, 0.9), (30, 0.8))
"""Tokens of a text up to which this share of its weight must be matched (docs/decontamination_text.md), beyond:"""
LONG_THRESHOLD = 0.75
ANSWER_BONUS = 0.1
"""The answer beside it lowers the threshold of a text that is not short."""
EDITED_TOKENS, EDITED_SCORE = 40, 0.9
"""A vignette of so many tokens, so much of it matched, is the same one with an age or a side edited."""
ASK_TOKENS, ASK_SHARE = 12, 0.6
"""The end of a question asks; where so much of it is missing, only what leads up to it is shared."""
PASSAGE_RUN = 40
"""Tokens in a row that show a shared passage, however long the passage is."""
OUTWEIGHED = ("numerals", "unit", "entity")
"""What may differ where the answer is the same: a sibling with another number has another answer."""
OPTIONS_UP_TO = 13
"""Tokens of a question that asks which "of the following", up to which other options make it another question."""
SHOWN_SPANS = 20


@dataclass(frozen=True)
class Match:
    """One eval text in one sample."""

    document: int
    text: int
    grade: Grade
    score: float
    alone: bool
    items: tuple[tuple[int, bool], ...]
    """Items that have the text, and whether the answer of each is there too."""
    field: str
    span: tuple[int, int]
    item_span: tuple[int, int]
    guard: str | None
    evidence: dict[str, Any]

    def counts(self, document: Document) -> bool:
        """Whether it can become a finding: a generic text needs an answer, or a picture or group in the sample."""
        return self.alone or document.supported or any(answer for _, answer in self.items)


def matched(
    index: TextIndex, prepared: Search, document: Document, text: int, places: Places, score: float, run: int
) -> Match | None:
    """The match of a text whose tokens have `places` among the sample's (-1: none); None where no rule holds."""
    present = np.flatnonzero(places >= 0)
    passage = index.roles[text] in (CONTEXT, RATIONALE)
    if not len(present) or not (passage or _enough(index, len(places), score, run, answer=True)):
        return None
    items = items_answered(index, prepared, document, text, int(places[present[0]]), int(places[present[-1]]))
    answer = any(answer for _, answer in items)
    words = index.words[index.starts[text] : index.starts[text + 1]]
    guard = None
    if passage:
        long_enough = run >= min(PASSAGE_RUN, max(index.settings.run_tokens, index.settings.run_share * len(words)))
        grade, score = (Grade.PASSAGE_SHARED if long_enough else None), len(present) / len(words)
    else:
        guard = contradiction(index, prepared, document, text, places)
        if guard is None and not answer and _other_options(index, prepared, document, text, items):
            guard = "answer"
        heeded = None if answer and guard in OUTWEIGHED else guard
        grade = _grade(index, document, text, places, score, run, heeded, answer=answer)
    if grade is None or (grade is Grade.TEMPLATE_SIBLING and prepared.generic[text]):
        return None
    parts = {"score": round(score, 4), "run": run, "tokens": len(words)}
    return found_match(index, prepared, document, text, places, grade, score, items, guard, parts)


def found_match(
    index: TextIndex, prepared: Search, document: Document, text: int, places: Places, grade: Grade, score: float,
    items: tuple[tuple[int, bool], ...], guard: str | None, parts: dict[str, Any],
) -> Match:  # fmt: skip
    """A match with its spans; it lies in the piece of the sample that has most of it."""
    present = np.flatnonzero(places >= 0)
    pieces = np.array([document.piece_of(int(place)) for place in places[present]])
    values, counts = np.unique(pieces, return_counts=True)
    piece = int(values[np.argmax(counts)])
    inside = present[pieces == piece]
    first, last = int(places[inside[0]]), int(places[inside[-1]])
    spans = index.spans[index.starts[text] : index.starts[text + 1]].astype(int)
    absent, added = np.flatnonzero(places < 0), np.setdiff1d(np.arange(first, last + 1), places[present])
    differing = {
        "item": _runs(absent, lambda one, other: [int(spans[one, 0]), int(spans[other, 1])]),
        "sample": _runs(added, lambda one, other: list(document.span(piece, one, other))),
    }
    return Match(
        document.number, text, grade, score, not bool(prepared.generic[text]), items, document.field(piece),
        document.span(piece, first, last), (int(spans[inside[0], 0]), int(spans[inside[-1], 1])), guard,
        {**parts, "guard": guard, "differing": differing},
    )  # fmt: skip


def items_answered(
    index: TextIndex, prepared: Search, document: Document, text: int, first: int, last: int
) -> tuple[tuple[int, bool], ...]:
    """The items that have a text, each with whether its answer is beside the tokens `first` to `last`.

    Of a text that too many have the first stands for all, and of a text of stock words no answer counts.
    """
    items = index.items[index.item_starts[text] : index.item_starts[text + 1]].tolist()
    if len(items) > index.settings.max_items:
        return ((items[0], False),)
    if index.roles[text] != QUESTION or prepared.stock[text]:
        return tuple((item, False) for item in items)
    return tuple((item, answered(index, prepared, document, item, first, last)) for item in items)


def _grade(
    index: TextIndex, document: Document, text: int, places: Places, score: float, run: int, guard: str | None,
    *, answer: bool,
) -> Grade | None:  # fmt: skip
    """The grade of a question, report or long answer; None where too little of it is there."""
    n = len(places)
    if not _enough(index, n, score, run, answer=answer):
        return None
    if score >= _threshold(index, n, answer=answer):
        if guard != "answer" and _exact(index, document, text, places):
            return Grade.EXACT
        edited = n >= EDITED_TOKENS and score >= EDITED_SCORE
        return Grade.NEAR_TEXT if guard is None or edited else Grade.TEMPLATE_SIBLING
    asked = float(np.mean(places[-ASK_TOKENS:] >= 0)) >= ASK_SHARE
    return Grade.NEAR_TEXT if answer and asked and guard is None else Grade.PASSAGE_SHARED


def _threshold(index: TextIndex, tokens: int, *, answer: bool) -> float:
    """Share of its weight that must be there of a text of so many tokens."""
    threshold = next((least for longest, least in THRESHOLDS if tokens <= longest), LONG_THRESHOLD)
    return threshold - 1e-9 - (ANSWER_BONUS if answer and tokens >= index.settings.short_tokens else 0.0)


def _enough(index: TextIndex, tokens: int, score: float, run: int, *, answer: bool) -> bool:
    """Whether so much of a text is there that it has a grade."""
    settings = index.settings
    return score >= _threshold(index, tokens, answer=answer) or (
        run >= settings.run_tokens and run >= settings.run_share * tokens
    )


def _other_options(
    index: TextIndex, prepared: Search, document: Document, text: int, items: tuple[tuple[int, bool], ...]
) -> bool:
    """Whether a short question asks of "the following" and each of its items has another answer than the sample."""
    low, high = index.starts[text], index.starts[text + 1]
    if high - low > OPTIONS_UP_TO or not np.isin(index.vocabulary.forms[index.forms[low:high]], _following()).any():
        return False
    return all(disagrees(index, prepared, document, item) for item, _ in items)


@cache
def _following() -> npt.NDArray[np.uint64]:
    return np.array(sorted(hashes_of("following these")), np.uint64)


def _exact(index: TextIndex, document: Document, text: int, places: Places) -> bool:
    """Whether every token is there, in a row, spelled the same."""
    if places[0] < 0 or not np.array_equal(places, np.arange(places[0], places[0] + len(places))):
        return False
    low, high = index.starts[text], index.starts[text + 1]
    return np.array_equal(index.vocabulary.forms[index.forms[low:high]], document.all.tokens.hashes[places])


def _runs(numbers: Places, span: Callable[[int, int], list[int]]) -> list[list[int]]:
    """Spans of the runs of consecutive numbers, the first SHOWN_SPANS of them."""
    if not len(numbers):
        return []
    breaks = np.flatnonzero(np.diff(numbers) > 1)
    firsts, lasts = numbers[np.concatenate([[0], breaks + 1])], numbers[np.concatenate([breaks, [len(numbers) - 1]])]
    return [span(int(one), int(other)) for one, other in zip(firsts[:SHOWN_SPANS], lasts, strict=False)]
