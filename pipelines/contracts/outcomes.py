"""What a gate found: the outcomes of its rules, merged over all parts of the table, and as a report says them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.contracts.columns import Gate
from pipelines.contracts.rules import Rule

EXAMPLES = 5


@dataclass
class Found:
    """What a rule found in the rows seen so far."""

    rule: Rule
    checked: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    """Source -> rows that break the rule; of tables without sources the only key is empty."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """Source -> ids of the first few of them."""
    failed: bool = False
    """Of rules on a table as a whole, which no row breaks."""

    @property
    def unexpected(self) -> int:
        """Rows that break the rule."""
        return sum(self.broken.values())

    @property
    def success(self) -> bool:
        """Whether the rule holds: of the rows looked at, the share it asks for complies."""
        return not self.failed and self.unexpected <= (1.0 - self.rule.mostly) * self.checked + 1e-9

    @property
    def first(self) -> list[str]:
        """Ids of the first few rows that break it, source after source by name."""
        return [name for source in sorted(self.examples) for name in self.examples[source]][:EXAMPLES]

    def add(self, checked: int, broken: Mapping[str, int], examples: Mapping[str, Sequence[str]]) -> None:
        """Add another part of the table."""
        self.checked += checked
        for source, number in broken.items():
            self.broken[source] = self.broken.get(source, 0) + number
            named = [*self.examples.get(source, ()), *examples[source]]
            self.examples[source] = named[:EXAMPLES]

    def rows(self) -> list[dict[str, Any]]:
        """JSON: one entry, or of a rule that fails one for each source it fails in."""
        if self.success or not any(self.broken) or self.rule.source is not None:
            return [self._row(self.rule.source, self.unexpected, self.first)]
        return [self._row(source, number, self.examples[source]) for source, number in sorted(self.broken.items())]

    def _row(self, source: str | None, unexpected: int, examples: list[str]) -> dict[str, Any]:
        return {
            "expectation": self.rule.expect,
            "column": self.rule.column,
            "source": source,
            "severity": self.rule.severity,
            "success": self.success,
            "unexpected": unexpected,
            "examples": examples,
        }


@dataclass(frozen=True)
class GateReport:
    """A gate that was passed or not."""

    gate: Gate
    rows: int
    found: tuple[Found, ...]

    @property
    def failures(self) -> list[Found]:
        """Rules that do not hold."""
        return [found for found in self.found if not found.success]

    @property
    def critical(self) -> list[Found]:
        """Rules that do not hold and stop the build."""
        return [found for found in self.failures if found.rule.severity == "critical"]


def contracts_json(reports: Sequence[GateReport]) -> dict[str, Any]:
    """`reports/contracts.json`: depends on nothing but the data and the contracts."""
    gates: list[dict[str, Any]] = [
        {
            "gate": report.gate.value,
            "rows": report.rows,
            "expectations": [row for found in report.found for row in found.rows()],
        }
        for report in reports
    ]
    return {"ok": not any(report.critical for report in reports), "gates": gates}
