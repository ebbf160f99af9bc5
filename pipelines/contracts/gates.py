"""The gates of a build: contracts are checked between its steps, and a broken one ends it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipelines.contracts.columns import Gate
from pipelines.contracts.outcomes import Found, GateReport, contracts_json
from pipelines.contracts.publish import REPORT, publish_contracts
from pipelines.contracts.rules import Rule
from pipelines.contracts.suites import TOTALS, suite
from pipelines.contracts.summaries import Columns, batches, column_sets, portions
from pipelines.contracts.units import CheckTask, ManifestTask, WholeTask
from pipelines.errors import CurateError
from pipelines.exchange import exchanged
from pipelines.flow import Flow
from pipelines.work import Commit, Part

BY_ROW = ("column", "pair")
SAID = 5
"""Warnings of a gate that are said; the report has all."""


class ContractError(CurateError):
    """A contract does not hold: the data is not what the recipe, the cards or this program promise."""


class Gates:
    """The contracts of one build. With `contracts.enabled: false` every gate is open."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.recipe = flow.session.recipe
        self.enabled = self.recipe.contracts.enabled
        self.reports: list[GateReport] = []
        self._tokens = 0

    def ingested(self) -> None:
        """Check the samples: every record, as ingest left it.

        Raises:
            ContractError: a critical contract does not hold.
        """
        if self.enabled:
            self._rows(Gate.SAMPLES, self.flow.steps[0].given)

    def before_shards(self) -> None:
        """Check the pictures and the samples that will be written.

        Raises:
            ContractError: a critical contract does not hold.
        """
        if self.enabled:
            pictures = sum(view.parts["images"].rows - view.parts["images_followers"].rows for view in self.flow.views)
            self._rows(Gate.IMAGES, pictures)
            self._rows(Gate.KEPT, self.flow.steps[-1].kept)

    def before_publishing(self, manifest: bytes, run: dict[str, Any]) -> None:
        """Check the manifest against itself and against `run.json`, and write the reports.

        Raises:
            ContractError: a critical contract does not hold.
        """
        if not self.enabled:
            return
        counted = {
            "shards": run["shards"],
            "samples": run["counts"]["kept"],
            "bytes": run["bytes_written"],
            "tokens": self._tokens,
        }
        rules = suite(Gate.MANIFEST, self.recipe, (), run["shards"])
        task = ManifestTask(manifest, rules, tuple(counted.items()))
        (commit,) = self.flow.aside(task.label, [task])
        self._close(Gate.MANIFEST, commit.facts["rows"], _merged((*rules, *TOTALS), [commit]))
        self._publish()

    def _rows(self, gate: Gate, expected: int) -> None:
        """Summarise a table batch by batch, then check its values, its ids and its length."""
        name, aside = f"contracts {gate}", self.flow.aside
        rules = suite(gate, self.recipe, self.flow.session.corpora, expected)
        if gate is Gate.KEPT and all(len(view.samples) == 1 for view in self.flow.views):
            # no sample was made since the ids were compared: those of all samples are unique, so these are
            rules = tuple(rule for rule in rules if rule.shape != "unique")
        by_row = tuple(rule for rule in rules if rule.shape in BY_ROW)
        of_whole = tuple(rule for rule in rules if rule.shape not in BY_ROW)
        sets = column_sets(by_row)
        compared = any(rule.shape == "unique" for rule in rules)
        parts = aside(name, batches(gate, sets, self.flow.views, with_keys=compared))
        checks = [
            CheckTask(gate, by_row, _values(sets, portion), number) for number, portion in enumerate(portions(parts))
        ]
        checked = aside(f"{name} checks", checks)
        keys = [commit.parts["keys"] for commit in parts if compared]
        followers = exchanged(aside, f"contracts_{gate}", keys) if compared else []
        repeated = tuple(part for part in followers if part.rows)
        by_source: Counter[str] = Counter()
        for commit in parts:
            self._tokens += commit.facts.get("tokens", 0)
            by_source.update(commit.facts["sources"])
        whole = WholeTask(gate, of_whole, by_source.total(), tuple(sorted(by_source.items())), repeated)
        answers = aside(f"{name} whole", [whole])
        found = {id(one.rule): one for one in (*_merged(by_row, checked), *_merged(of_whole, answers))}
        self._close(gate, by_source.total(), [found[id(rule)] for rule in rules])

    def _close(self, gate: Gate, rows: int, found: Sequence[Found]) -> None:
        """Tell people what does not hold, and end the build where it must not go on."""
        report = GateReport(gate, rows, tuple(found))
        self.reports.append(report)
        lesser = [one for one in report.failures if one.rule.severity != "critical"]
        for one in lesser[:SAID]:
            self.flow.reporter.say(f"{one.rule.severity}: contract {gate}: {told(one)}")
        if len(lesser) > SAID:
            self.flow.reporter.say(f"contract {gate}: {len(lesser) - SAID} more; see {REPORT}")
        if report.critical:
            self._publish()
            raise _broken(report, self.flow.session.work.folder.place)

    def _publish(self) -> None:
        publish_contracts(self.flow, self.reports, contracts_json(self.reports))


def told(found: Found) -> str:
    """What does not hold, in words: names of expectations and columns, counts, sources and ids; no value."""
    where = "the table" if found.rule.column is None else found.rule.column
    text = f"{found.rule.expect} on {where} does not hold"
    if not found.unexpected:
        return text
    sources = [source for source in sorted(found.broken) if source] or [found.rule.source or ""]
    of = f" of source {', '.join(sources[:3])}" if sources[0] else ""
    more = " and others" if len(sources) > 3 else ""
    shown = f"; for example {', '.join(found.first)}" if found.first else ""
    return f"{text} for {found.unexpected:,} of {found.checked:,} rows{of}{more}{shown}"


def _broken(report: GateReport, run: str) -> ContractError:
    first, *others = report.critical
    more = f" (and {len(others)} more)" if others else ""
    why = f"; {first.rule.why}" if first.rule.why else ""
    return ContractError(
        f"contract {report.gate}: {told(first)}{more}{why}",
        f"no shards were written; {run}/reports/contracts/index.html shows every contract. Repair the corpus or its "
        "card, or change the recipe (`severity: warning` on an expectation of yours goes on; docs/contracts.md)",
    )


def _values(sets: Sequence[Columns], portion: Sequence[Commit]) -> tuple[tuple[Columns, tuple[Part, ...]], ...]:
    """The summaries of a portion by set of columns."""
    return tuple(
        (columns, tuple(commit.parts[f"values_{number}"] for commit in portion)) for number, columns in enumerate(sets)
    )


def _merged(rules: Sequence[Rule], commits: Sequence[Commit]) -> list[Found]:
    """What every rule found in all parts together, in the order of the run."""
    found = [Found(rule) for rule in rules]
    for commit in commits:
        for one, outcome in zip(found, commit.facts["outcomes"], strict=True):
            one.add(outcome["checked"], outcome["broken"], outcome["examples"])
            one.failed = one.failed or outcome.get("failed", False)
    return found
