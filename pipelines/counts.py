"""The conservation law and the error budget: every record is kept, dropped with a reason, or quarantined."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipelines.errors import BudgetError, ConservationError
from sources.schema import Reason, Verdict

ALWAYS_TOLERATED = 20
SELDOM = "this is seldom the data's fault"
CURES: Mapping[str, str] = {
    Reason.RECORD_ENCODING: "convert the files to UTF-8, or name the encoding of CSV in the recipe's source"
    " (`options: {encoding: windows-1252}`)"
}
"""What to do about an error that most records have."""
ERROR_REASONS = frozenset({Reason.RECORD_MALFORMED, Reason.RECORD_ENCODING, Reason.IMAGE_UNDECODABLE})


def is_error(reason: str) -> bool:
    """Whether a quarantine with this reason spends the error budget: policy quarantines (`phi.*`) never do."""
    return reason in ERROR_REASONS or reason.endswith(".error")


def tally(given: int, made: int, verdicts: pa.Table) -> dict[str, Any]:
    """Counts of one step on one fragment, as a commit keeps them.

    Raises:
        ConservationError: not every sample got exactly one verdict, or a verdict lacks its reason.
    """
    kinds: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    both = Counter(zip(verdicts["verdict"].to_pylist(), verdicts["reason"].to_pylist(), strict=True))
    for (verdict, reason), number in both.items():
        kinds[verdict] += number
        if verdict in (Verdict.DROP, Verdict.QUARANTINE):
            if reason is None:
                raise ConservationError(f"a sample was to be {verdict} without a reason")
            (dropped if verdict == Verdict.DROP else quarantined)[reason] += number
    counts = {
        "in": given,
        "made": made,
        "kept": kinds[Verdict.KEEP] + kinds[Verdict.EDIT],
        "dropped": dict(dropped),
        "quarantined": dict(quarantined),
    }
    balance(counts)
    return counts


def balance(counts: Mapping[str, Any]) -> None:
    """Check `in + made = kept + dropped + quarantined`.

    Raises:
        ConservationError: it does not hold.
    """
    given = counts["in"] + counts["made"]
    decided = counts["kept"] + sum(counts["dropped"].values()) + sum(counts["quarantined"].values())
    if given != decided:
        raise ConservationError(f"{given} samples went in, {decided} came out")


@dataclass
class StepCounts:
    """Counts of one step over the whole run."""

    name: str
    given: int = 0
    made: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Quarantines that spend the error budget, by source and reason."""
    ended: Counter[str] = field(default_factory=Counter)
    """Samples dropped or quarantined, by source."""
    given_by_source: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    fragments: int = 0
    reused: int = 0

    def add(self, source: str, counts: Mapping[str, Any]) -> None:
        """Add one fragment's counts."""
        self.given += counts["in"]
        self.made += counts["made"]
        self.kept += counts["kept"]
        self.dropped.update(counts["dropped"])
        self.quarantined.update(counts["quarantined"])
        self.given_by_source[source] += counts["in"] + counts["made"]
        self.ended[source] += counts["in"] + counts["made"] - counts["kept"]
        self.errors.update({(source, reason): n for reason, n in counts["quarantined"].items() if is_error(reason)})

    def check(self, came_in: int) -> None:
        """Check the law for the step, and that it was given exactly what the step before kept.

        Raises:
            ConservationError: samples were lost or invented between or within steps.
        """
        if self.given != came_in:
            raise ConservationError(f"step {self.name} was given {self.given} samples, {came_in} were kept before it")
        balance({"in": self.given, "made": self.made, "kept": self.kept, "dropped": self.dropped,
                 "quarantined": self.quarantined})  # fmt: skip

    def identity(self) -> dict[str, Any]:
        """The counts as `run.json` keeps them: nothing that depends on time or place."""
        return {
            "name": self.name,
            "in": self.given,
            "made": self.made,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "quarantined": dict(sorted(self.quarantined.items())),
            "fragments": self.fragments,
        }


def by_source(steps: Sequence[StepCounts]) -> dict[str, dict[str, int]]:
    """Source -> samples ingested and kept."""
    made: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for number, step in enumerate(steps):
        ended.update(step.ended)
        if number:
            before = steps[number - 1]
            made.update(step.given_by_source - (before.given_by_source - before.ended))
    ingested = steps[0].given_by_source + made
    return {source: {"ingested": number, "kept": number - ended[source]} for source, number in ingested.items()}


@dataclass
class ErrorBudget:
    """How many records errors may quarantine: a share of what was ingested, by source where it has its own."""

    share: float
    own: Mapping[str, float]
    ingested: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)

    def spend(self, step: StepCounts) -> None:
        """Charge a step's errors.

        Raises:
            BudgetError: more than the budget, or a step in which everything failed.
        """
        failed = step.errors.total()
        if step.given and failed == step.given + step.made:
            raise BudgetError(
                f"step {step.name}: every one of {step.given} samples failed",
                f"{_worst(step.errors)}; {_cure(step.errors, SELDOM)}",
            )
        self.errors.update(step.errors)
        for source, share in self.own.items():
            self._check({source}, share)
        self._check(set(self.ingested) - set(self.own), self.share)

    def _check(self, sources: AbstractSet[str], share: float) -> None:
        spent = Counter({key: number for key, number in self.errors.items() if key[0] in sources})
        errors, ingested = spent.total(), sum(self.ingested[source] for source in sources)
        if errors > max(ALWAYS_TOLERATED, share * ingested):
            raise BudgetError(
                f"{errors} of {ingested} records could not be read or processed, more than the budget of {share:.1%}: "
                f"{_worst(spent)}",
                f"{_cure(spent, 'repair the corpus')}, or raise budget.quarantined (or the source's own budget)"
                " if the loss is acceptable",
            )


def _cure(errors: Counter[tuple[str, str]], otherwise: str) -> str:
    """What to do about the error that is most frequent."""
    [((_, reason), _)] = errors.most_common(1)
    return CURES.get(reason, otherwise)


def _worst(errors: Counter[tuple[str, str]]) -> str:
    """Where most errors are, in words."""
    return "; ".join(f"source {source}, {reason} {number} times" for (source, reason), number in errors.most_common(3))
