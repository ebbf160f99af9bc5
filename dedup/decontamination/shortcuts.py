"""What a model could score on an eval set without knowing anything: by answers that show or are frequent."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

import pyarrow as pa

from dedup.exact import normalise

COLUMNS = ("eval_set", "eval_id", "question", "options", "answer", "text", "images")
"""Columns of ITEMS that are read."""
SHORTEST_ANSWER = 4
"""Letters and digits of an answer that says something where it stands in a file name or caption: not yes, no, CT."""
EXAMPLES = 5
LEAST_EXPECTED = 5
"""Items a position must be expected to have for the chi-square test to hold (Cochran 1954)."""


@dataclass(frozen=True)
class Baseline:
    """A rule that reads less than the item. `right` of the `items` that it has an answer for."""

    items: int
    right: int

    @property
    def accuracy(self) -> float:
        """Share that is right; 0 where there are no items."""
        return self.right / self.items if self.items else 0.0


@dataclass(frozen=True)
class Showing:
    """Items whose answer stands where it should not, and ids of the first of them."""

    items: int
    of: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Positions:
    """At which place among so many options the right one stands, and how likely that is if all are alike.

    `p` is of Pearson's chi-square test; None where there are too few items for it.
    """

    options: int
    counts: tuple[int, ...]
    p: float | None


@dataclass(frozen=True)
class Shortcuts:
    """One eval set's."""

    eval_set: str
    items: int
    answered: int
    in_file_names: Showing
    in_captions: Showing
    positions: tuple[Positions, ...]
    constant_position: Baseline
    """Always the place that is right most often, among items of as many options."""
    longest_option: Baseline
    """Always the longest option; of ties the first."""
    chance: float
    """Share that guessing among the options gives; 0 where there are none."""
    constant_answer: Baseline
    """Always the answer that is most frequent among the other items."""
    question_only: Baseline
    """The most frequent answer among other items with the same question, where there are any."""
    question_or_constant: Baseline
    """`question_only`, and `constant_answer` where no other item has the question."""


def shortcuts_of(items: pa.Table) -> list[Shortcuts]:
    """Shortcuts of each eval set of a table of ITEMS, in the order in which they come."""
    by_set: dict[str, list[dict[str, Any]]] = {}
    for row in items.select(list(COLUMNS)).to_pylist():
        by_set.setdefault(row["eval_set"], []).append(row)
    return [_of_set(name, rows) for name, rows in by_set.items()]


def _of_set(name: str, rows: Sequence[Mapping[str, Any]]) -> Shortcuts:
    answered = [row for row in rows if row["answer"]]
    chosen = [(row, place) for row in answered if (place := _place(row)) is not None]
    positions = _positions(chosen)
    constant_place = Baseline(len(chosen), sum(max(one.counts) for one in positions))
    longest = [_longest(row["options"]) for row, _ in chosen]
    only, both = _by_question(answered)
    return Shortcuts(
        eval_set=name,
        items=len(rows),
        answered=len(answered),
        in_file_names=_showing(answered, _file_names),
        in_captions=_showing(answered, lambda row: [row["text"] or ""]),
        positions=positions,
        constant_position=constant_place,
        longest_option=Baseline(len(chosen), sum(at == place for at, (_, place) in zip(longest, chosen, strict=True))),
        chance=sum(1 / len(row["options"]) for row, _ in chosen) / len(chosen) if chosen else 0.0,
        constant_answer=Baseline(len(answered), sum(_constant(answered))),
        question_only=only,
        question_or_constant=both,
    )


def _place(row: Mapping[str, Any]) -> int | None:
    """Where the answer stands among the options, where it does so once."""
    said = [normalise(option or "") for option in row["options"] or ()]
    answer = normalise(row["answer"])
    return said.index(answer) if len(said) > 1 and said.count(answer) == 1 else None


def _longest(options: Sequence[str]) -> int:
    return max(range(len(options)), key=lambda place: (len(options[place] or ""), -place))


def _positions(chosen: Sequence[tuple[Mapping[str, Any], int]]) -> tuple[Positions, ...]:
    by_size: dict[int, Counter[int]] = {}
    for row, place in chosen:
        by_size.setdefault(len(row["options"]), Counter())[place] += 1
    found = []
    for size, counter in sorted(by_size.items()):
        counts = tuple(counter[place] for place in range(size))
        expected = sum(counts) / size
        square = sum((count - expected) ** 2 for count in counts) / expected
        p = chi_square_tail(square, size - 1) if expected >= LEAST_EXPECTED else None
        found.append(Positions(size, counts, p))
    return tuple(found)


def chi_square_tail(square: float, freedom: int) -> float:
    """The probability that chi-square of so many degrees of freedom is at least `square`.

    Abramowitz and Stegun, 26.4.4 and 26.4.5.
    """
    half = square / 2
    if freedom % 2:
        term, total, tail = math.sqrt(square), 0.0, math.erfc(math.sqrt(half))
        for number in range(1, freedom, 2):
            total += term
            term *= square / (number + 2)
        return tail + math.sqrt(2 / math.pi) * math.exp(-half) * total
    term = total = 1.0
    for number in range(1, freedom // 2):
        term *= half / number
        total += term
    return math.exp(-half) * total


def _constant(rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Whether each item's answer is the most frequent one of the others."""
    answers = [normalise(row["answer"]) for row in rows]
    first_two = _first_two(Counter(answers))
    return [_majority(first_two, answer) == answer for answer in answers]


def _by_question(rows: Sequence[Mapping[str, Any]]) -> tuple[Baseline, Baseline]:
    """By the majority of other items with the same question; and with the constant answer where there are none."""
    by_question: dict[str, Counter[str]] = {}
    pairs = [(normalise(row["question"] or ""), normalise(row["answer"])) for row in rows]
    for question, answer in pairs:
        by_question.setdefault(question, Counter())[answer] += 1
    first_two = {question: _first_two(counts) for question, counts in by_question.items()}
    told = [(question, answer, constant) for (question, answer), constant in zip(pairs, _constant(rows), strict=True)]
    asked_again = [one for one in told if one[0] and by_question[one[0]].total() > 1]
    right = sum(_majority(first_two[question], answer) == answer for question, answer, _ in asked_again)
    alone = sum(constant for question, _, constant in told if not question or by_question[question].total() == 1)
    return Baseline(len(asked_again), right), Baseline(len(rows), right + alone)


def _first_two(counts: Counter[str]) -> list[tuple[str, int]]:
    """The two most frequent answers; of ties the alphabetically first."""
    return nsmallest(2, counts.items(), key=lambda one: (-one[1], one[0]))


def _majority(first_two: Sequence[tuple[str, int]], left_out: str) -> str | None:
    """The most frequent answer when one occurrence of `left_out` is not counted."""
    left = [(count - (answer == left_out), answer) for answer, count in first_two]
    count, answer = min(left, key=lambda one: (-one[0], one[1]))
    return answer if count else None


def _showing(rows: Sequence[Mapping[str, Any]], places: Any) -> Showing:
    said = [(row, [text for text in places(row) if text]) for row in rows if _says_something(row["answer"])]
    there = [(row, texts) for row, texts in said if texts]
    hits = [row["eval_id"] for row, texts in there if any(_has(text, row["answer"]) for text in texts)]
    return Showing(len(hits), len(there), tuple(hits[:EXAMPLES]))


def _file_names(row: Mapping[str, Any]) -> list[str]:
    return [(image["uri"] or "").rpartition("/")[2].rpartition(".")[0] for image in row["images"] or ()]


def _says_something(answer: str) -> bool:
    return sum(sign.isalpha() for sign in answer) >= SHORTEST_ANSWER


def _has(text: str, answer: str) -> bool:
    """Whether the words of the answer stand in the text one after the other."""
    words = [re.split(r"[\W_]+", value.casefold()) for value in (text, answer)]
    whole, sought = (" ".join(word for word in some if word) for some in words)
    return bool(sought) and f" {sought} " in f" {whole} "
