"""The gates of a build: contracts are checked between its steps, and a broken one ends it."""

from collections.abc import Sequence
from typing import Any

from pipelines.contracts.columns import Gate
from pipelines.contracts.outcomes import Found, GateReport, contracts_json
from pipelines.contracts.publish import REPORT, publish_contracts
from pipelines.contracts.rules import Rule
from pipelines.contracts.suites import TOTALS, suite
from pipelines.contracts.units import ManifestTask, WholeTask, batches
from pipelines.errors import CurateError
from pipelines.exchange import exchanged
from pipelines.flow import Flow
from pipelines.work import Commit

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
        """Validate a table batch by batch, then as a whole."""
        name = f"contracts {gate}"
        rules = suite(gate, self.recipe, self.flow.session.corpora, expected)
        by_row = tuple(rule for rule in rules if rule.shape in BY_ROW)
        of_whole = tuple(rule for rule in rules if rule.shape not in BY_ROW)
        parts = self.flow.aside(name, batches(gate, by_row, self.flow.views))
        rows = sum(commit.facts["rows"] for commit in parts)
        by_source: dict[str, int] = {}
        for commit in parts:
            self._tokens += commit.facts.get("tokens", 0)
            for source, number in commit.facts["sources"].items():
                by_source[source] = by_source.get(source, 0) + number
        keys = [commit.parts["keys"] for commit in parts]
        repeated = tuple(part for part in exchanged(self.flow.aside, f"contracts_{gate}", keys) if part.rows)
        whole = WholeTask(gate, of_whole, rows, tuple(sorted(by_source.items())), repeated)
        (answer,) = self.flow.aside(f"{name} whole", [whole])
        found = {id(one.rule): one for one in (*_merged(by_row, parts), *_merged(of_whole, [answer]))}
        self._close(gate, rows, [found[id(rule)] for rule in rules])

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


def _merged(rules: Sequence[Rule], commits: Sequence[Commit]) -> list[Found]:
    """What every rule found in all parts together, in the order of the run."""
    found = [Found(rule) for rule in rules]
    for commit in commits:
        for one, outcome in zip(found, commit.facts["outcomes"], strict=True):
            one.add(outcome["checked"], outcome["broken"], outcome["examples"])
            one.failed = one.failed or outcome.get("failed", False)
    return found
