"""The page's tables of numbers: rows made of a run's counts and its survey, long tails as one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.report.charts import Stacked, stacked
from pipelines.report.examples import excerpt
from pipelines.report.survey import DROPPED, OUTCOMES, Survey
from pipelines.words import SENTENCES

TOP = {"source": 30, "reason": 40}
TOP_OTHERWISE = 12
NAME_CHARACTERS = 48
"""Of a value that a record may have made up, such as a language."""
NAMED = 3
"""Sources or reasons that are named in one cell."""


@dataclass(frozen=True)
class Row:
    """A row of a table: samples by outcome, and the same as widths of a bar."""

    name: str
    given: int
    kept: int
    dropped: int
    quarantined: int
    bar: Stacked
    made: int = 0
    note: str = ""

    @property
    def share(self) -> float:
        """Per cent kept."""
        return 100 * self.kept / self.given if self.given else 0.0


@dataclass(frozen=True)
class Loss:
    """A reason, how many samples it cost, and which sources' they were."""

    reason: str
    outcome: str
    step: str
    samples: int
    share: float
    width: float
    sources: str
    words: str


def funnel(run: Mapping[str, Any]) -> list[Row]:
    """Step by step, on the scale of everything that was ingested."""
    whole = run["counts"]["ingested"]
    rows = []
    for step in run["steps"]:
        dropped, quarantined = sum(step["dropped"].values()), sum(step["quarantined"].values())
        reasons = {**step["dropped"], **step["quarantined"]}
        rows.append(
            Row(
                step["name"], step["in"], step["kept"], dropped, quarantined,
                stacked(step["kept"], dropped, quarantined, whole), step["made"], named(reasons),
            )
        )  # fmt: skip
    return rows


def by(survey: Survey, dimension: str) -> list[Row]:
    """The values of a dimension, the most frequent first."""
    lost = _reasons_of(survey) if dimension == "source" else {}
    rows = [_row(name, counts, named(lost.get(name, {}))) for name, counts in survey.groups[dimension].items()]
    rows.sort(key=lambda row: (-row.given, row.name))
    top = TOP.get(dimension, TOP_OTHERWISE)
    if len(rows) <= top + 1:
        return rows
    rest = [survey.groups[dimension][row.name] for row in rows[top:]]
    summed = [sum(counts[place] for counts in rest) for place in range(len(OUTCOMES))]
    return [*rows[:top], _row(f"{len(rest):,} others", summed, "")]


def losses(survey: Survey, words: Mapping[str, str]) -> list[Loss]:
    """Reasons, the most frequent first. `words`: reason -> a sentence of one example."""
    found: dict[str, list[tuple[str, str, str, str, int]]] = {}
    for row in survey.losses:
        found.setdefault(row[0], []).append(row)
    counts = {reason: sum(row[4] for row in rows) for reason, rows in found.items()}
    whole = sum(sum(counts[: len(OUTCOMES)]) for counts in survey.groups["source"].values())
    most = max(counts.values(), default=1)
    ordered = sorted(found, key=lambda reason: (-counts[reason], reason))
    rows = []
    for reason in ordered[: TOP["reason"]]:
        sources: dict[str, int] = {}
        for row in found[reason]:
            sources[row[3]] = sources.get(row[3], 0) + row[4]
        rows.append(
            Loss(
                reason, found[reason][0][2], ", ".join(sorted({row[1] for row in found[reason]})), counts[reason],
                100 * counts[reason] / whole, max(100 * counts[reason] / most, 0.5), named(sources),
                meaning(reason, words.get(reason, "")),
            )
        )  # fmt: skip
    rest = ordered[TOP["reason"] :]
    if rest:
        left = sum(counts[reason] for reason in rest)
        rows.append(Loss(f"{len(rest):,} others", DROPPED, "", left, 100 * left / whole, 100 * left / most, "", ""))
    return rows


def meaning(reason: str, example: str) -> str:
    """A reason in words; where its sentence has numbers, those of one example."""
    return f"for example: {example}" if "{" in SENTENCES.get(reason, "") else example


def named(counts: Mapping[str, int]) -> str:
    """The largest few with their counts, in one line."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{name}\u00a0{count:,}" for name, count in ordered[:NAMED]]
    rest = ordered[NAMED:]
    if rest:
        words.append(f"{len(rest)}\u00a0more\u00a0{sum(count for _, count in rest):,}")
    return "\u00a0· ".join(words)


def _reasons_of(survey: Survey) -> dict[str, dict[str, int]]:
    lost: dict[str, dict[str, int]] = {}
    for reason, _, _, source, samples in survey.losses:
        of_source = lost.setdefault(source, {})
        of_source[reason] = of_source.get(reason, 0) + samples
    return lost


def _row(name: str, counts: Sequence[int], note: str) -> Row:
    kept, dropped, quarantined = counts[: len(OUTCOMES)]
    given = kept + dropped + quarantined
    return Row(
        excerpt(name, NAME_CHARACTERS) or "(blank)",
        given,
        kept,
        dropped,
        quarantined,
        stacked(kept, dropped, quarantined, given),
        note=note,
    )
