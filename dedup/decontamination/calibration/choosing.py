"""Which eval items are planted, and how: a plan that names items and transforms, never their content."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.decontamination.assemble import LONG_WORDS, Wordings
from dedup.decontamination.calibration.outcomes import DECOY, LEAK
from dedup.decontamination.calibration.settings import CalibrationSettings
from dedup.decontamination.calibration.text_decoys import SIBLINGS, normal_report, trigrams
from dedup.decontamination.calibration.text_edits import EDITS, Original, Random
from dedup.decontamination.discriminators import SLOT_UP_TO
from dedup.decontamination.findings import Channel
from dedup.decontamination.text_index import LONGEST_TEXT, QUESTION, TEXT, TextIndex
from dedup.decontamination.text_match import EDITED_TOKENS
from dedup.decontamination.text_search import search_of

PLAN = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("transform", pa.string(), nullable=False),
        pa.field("item", pa.int32(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),
    ]
)
"""One row per probe of the text channel; `number` tells those apart that are made of no item (`item` is -1)."""
STOCK, REPORT, SIBLING = "stock_question", "normal_report", "sibling_"
FEWEST_TOKENS = 3
"""Tokens of a text that is sought inside others; of fewer a sample must say nothing else."""
PAIR_EDITS = ("verbatim", "case_and_punctuation", "options_between")
"""How questions are planted with their pictures."""
MOST_SHARED = 0.5
"""Share of a normal report's runs of three words that an eval text has, from which on the report is no decoy."""


@dataclass(frozen=True)
class ItemTexts:
    """Of each item what of its text decides which rules can find it.

    `tokens` of its question, or of its text where it has none (0: neither); `alone`: the text is evidence by itself,
    without the item's picture or group; `confirmed`: it is with its answer; `question`: it is one.
    """

    tokens: npt.NDArray[np.int64]
    alone: npt.NDArray[np.bool_]
    confirmed: npt.NDArray[np.bool_]
    question: npt.NDArray[np.bool_]
    short: int
    paraphrase: bool

    @classmethod
    def of(cls, index: TextIndex, wordings: Wordings) -> "ItemTexts":
        """By the index, with the weights that the audit looks texts up with, and by what its questions can say."""
        prepared = search_of(index)
        count, members = len(index.answer_starts) - 1, np.diff(index.item_starts)
        text = np.full(count, -1, np.int64)
        for role in (TEXT, QUESTION):
            owners = np.repeat(np.arange(len(members)), members)
            own = index.roles[owners] == role
            text[index.items[own]] = owners[own]
        there = text >= 0
        safe = np.maximum(text, 0)
        lengths = np.diff(index.starts)
        if not len(lengths):
            nothing = np.zeros(count, bool)
            return cls(np.zeros(count, np.int64), nothing, nothing, nothing, short=0, paraphrase=False)
        question = there & (index.roles[safe] == QUESTION)
        stands = (wordings.words >= LONG_WORDS) | ~wordings.pictured | ~question
        helps = prepared.tells & ~prepared.stock[safe] & (members[safe] <= index.settings.max_items)
        tokens = np.where(there & (lengths[safe] < LONGEST_TEXT), lengths[safe], 0).astype(np.int64)
        return cls(
            tokens, there & ~prepared.generic[safe] & stands, question & helps & stands, question,
            index.settings.short_tokens, index.settings.paraphrase,
        )  # fmt: skip

    def findable(self, edit: str) -> npt.NDArray[np.bool_]:
        """The items that the rules can find after an edit (`text_match`, `text_search`).

        A text that is no evidence alone needs its answer; one below the short limit must be there whole; one word
        exchanged in one place makes another question unless the answer is the same; the end of a question asks, so
        that without it only the wording and the answer tell.
        """
        written = self.tokens >= FEWEST_TOKENS
        whole, long = written & (self.alone | self.confirmed), self.tokens >= self.short
        if edit == "question_alone":
            return written & self.alone
        if edit in {"replaced10%", "replaced20%"}:
            return whole & long & (self.confirmed | (self.tokens > SLOT_UP_TO))
        if edit == "spelling":
            return whole & long
        if edit == "first60%":
            return self.confirmed & (0.6 * self.tokens >= self.short) & np.bool_(self.paraphrase)
        return whole

    def siblings(self, name: str) -> npt.NDArray[np.bool_]:
        """Items of which one number, side, negation or name makes another question; of a vignette it does not.

        Where a name is exchanged that is shorter: in a list of drugs one is a detail.
        """
        longest = SLOT_UP_TO if name == "name" else EDITED_TOKENS - 1
        return self.question & self.alone & (self.tokens >= self.short) & (self.tokens <= longest)

    def stock(self) -> npt.NDArray[np.bool_]:
        """Questions that are no evidence alone."""
        return self.question & ~self.alone & (self.tokens >= 1)


def random_of(seed: int, *names: object) -> Random:
    """A generator of its own for each probe: none depends on what else is planted, or where."""
    said = "\0".join(map(str, (seed, *names)))
    return np.random.default_rng(int.from_bytes(blake3.blake3(said.encode()).digest(length=8), "little"))


def original_of(item: Mapping[str, Any]) -> Original:
    """What of a row of ITEMS is planted."""
    if item["question"]:
        return Original(item["question"], tuple(item["options"] or ()), item["answer"])
    return Original(item["text"] or "")


def in_turns(sets: Sequence[str], keys: Sequence[str], seed: int) -> list[int]:
    """All rows, one of each eval set in turn, within a set in an order that the seed draws."""
    places: dict[str, int] = {}
    drawn = sorted(range(len(keys)), key=lambda row: _draw(seed, keys[row]))
    ranked = []
    for row in drawn:
        place = places[sets[row]] = places.get(sets[row], -1) + 1
        ranked.append((place, sets[row], row))
    return [row for _, _, row in sorted(ranked)]


def _draw(seed: int, key: str) -> bytes:
    return blake3.blake3(f"{seed}\0{key}".encode()).digest(length=16)


def chosen_texts(index: TextIndex, items: pa.Table, wordings: Wordings, settings: CalibrationSettings) -> pa.Table:
    """PLAN: of every edit and decoy the first items, in the order of `in_turns`, that it can be made of."""
    texts = ItemTexts.of(index, wordings)
    sets, ids = items["eval_set"].to_pylist(), items["eval_id"].to_pylist()
    keys = [f"{name}\0{own}" for name, own in zip(sets, ids, strict=True)]
    order = np.array(in_turns(sets, keys, settings.seed), np.int64)
    rows: list[tuple[str, str, str, int, int]] = []

    def plant(kind: str, name: str, may: npt.NDArray[np.bool_], fits: Callable[[Original, Random], object]) -> None:
        planted = 0
        for number in order[may[order]].tolist():
            item = items.slice(number, 1).to_pylist()[0]
            if fits(original_of(item), random_of(settings.seed, keys[number], name)) is not None:
                rows.append((kind, Channel.TEXT.value, name, number, 0))
                planted += 1
            if planted == settings.texts:
                return

    for name, edit in EDITS.items():
        plant(LEAK, name, texts.findable(name), edit)
    for name, edit in SIBLINGS.items():
        plant(DECOY, f"{SIBLING}{name}", texts.siblings(name), edit)
    plant(DECOY, STOCK, texts.stock(), lambda original, _: original)
    rows += [(DECOY, Channel.TEXT.value, REPORT, -1, number) for number in _reports(items, settings)]
    columns = zip(*rows, strict=True) if rows else ([] for _ in PLAN)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, PLAN, strict=True)], PLAN)


def _reports(items: pa.Table, settings: CalibrationSettings) -> list[int]:
    """Numbers of normal reports that no eval text says; none where no eval set has reports or captions."""
    texts = items["text"].drop_null().to_pylist()
    if not texts:
        return []
    drawn = {number: trigrams(_said(settings.seed, number)) for number in range(settings.texts)}
    runs = frozenset().union(*drawn.values())
    known = _distinct(trigrams(text) & runs for text in texts)
    return [
        number for number, own in drawn.items() if not any(len(own & other) > MOST_SHARED * len(own) for other in known)
    ]


def _said(seed: int, number: int) -> str:
    return normal_report(random_of(seed, REPORT, number)).turns[0][1]


def _distinct(sets: Iterable[frozenset[tuple[str, ...]]]) -> list[frozenset[tuple[str, ...]]]:
    return [one for one in dict.fromkeys(sets) if one]
