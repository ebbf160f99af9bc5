"""The flow of fragments through the steps: one step after the other, all fragments of a step in parallel."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from pipelines.counts import ErrorBudget, StepCounts, is_error
from pipelines.decide import DecideTask, ExchangeDecideTask
from pipelines.engines.engine import Engine
from pipelines.errors import BudgetError
from pipelines.exchange import KeysTask, exchanged
from pipelines.facts import FactTask, PictureTask
from pipelines.ingest import NAME as INGEST
from pipelines.ingest import IngestTask
from pipelines.join_matches import report_matches
from pipelines.progress import Reporter
from pipelines.session import Session, Task
from pipelines.steps import DecideStep, ExchangeStep, FactStep, KeyStep, PictureStep
from pipelines.view import View, read_samples
from pipelines.work import Commit
from sources.schema import Verdict

T = TypeVar("T", bound=Task)
EXAMPLES = 5


class Flow:
    """The fragments of a run and what the steps have said so far.

    After every deciding step the conservation law and the error budget are checked.
    """

    def __init__(self, engine: Engine, session: Session, budget: ErrorBudget, reporter: Reporter) -> None:
        self.engine = engine
        self.session = session
        self.budget = budget
        self.reporter = reporter
        self.views: list[View] = []
        self.steps: list[StepCounts] = []
        self.passed_over: list[dict[str, int]] = []
        """Of each fragment that was read: what of its records is in no sample, by kind."""
        self._seconds = 0.0
        """Spent on units that decide nothing; charged to the next step that does."""

    def ingest(self, tasks: Sequence[IngestTask]) -> None:
        """Read every fragment."""
        self.views = [View(task.corpus, task.fragment) for task in tasks]
        self.passed_over = [{} for _ in tasks]
        matches: dict[str, Counter[str]] = {}
        counts = StepCounts(INGEST)
        with self._step(counts) as advance:
            for number, commit in advance(tasks):
                view = self.views[number].with_parts(alive=commit.parts["alive"])
                self.views[number] = view.with_samples(commit.parts["samples"]).with_verdicts(
                    INGEST, commit.parts["verdicts"]
                )
                self._count(counts, number, commit)
                self.passed_over[number] = commit.facts["passed_over"]
                matches.setdefault(self._source(number), Counter()).update(commit.facts.get("matches", {}))
                self.budget.ingested[self._source(number)] += commit.facts["counts"]["in"]
        self._close(counts, counts.given)
        for source, found in sorted(matches.items()):
            report_matches(self.reporter, source, found)

    def facts(self, step: FactStep) -> None:
        """Compute facts of every fragment."""
        self._annotate(step.name, [FactTask(step, view, number) for number, view in enumerate(self.views)])

    def pictures(self, step: PictureStep) -> None:
        """Measure the pictures of every fragment; frames that became samples join the fragment."""
        self._annotate(step.name, [PictureTask(step, view, number) for number, view in enumerate(self.views)])

    def decide(self, step: DecideStep, errors: str | None, made: Sequence[int] = ()) -> None:
        """Run a filter on every fragment."""
        self._decide(
            step.name,
            [
                DecideTask(step, view, number, errors, made[number] if made else 0)
                for number, view in enumerate(self.views)
            ],
        )

    def exchange(self, step: KeyStep, facts: tuple[str, ...], answers: str) -> None:
        """Let rows with equal keys meet; each fragment's answers become its part `answers`."""
        keys = [KeysTask(step, facts, view, number) for number, view in enumerate(self.views)]
        sent = [commit.parts for commit in self._all(f"{step.name} keys", keys)]
        errors = f"{step.name}_key_errors"
        for number, followers in enumerate(exchanged(self.each, step.name, [parts["keys"] for parts in sent])):
            found = {answers: followers, errors: sent[number][errors]}
            self.views[number] = self.views[number].with_parts(**found)

    def decide_exchange(self, step: ExchangeStep) -> None:
        """Exchange, then decide from the answers."""
        self.exchange(step, ("images",), f"{step.name}_followers")
        tasks = [ExchangeDecideTask(step, view, number) for number, view in enumerate(self.views)]
        self._decide(step.name, tasks)

    def decide_with(self, name: str, tasks: Sequence[Task]) -> None:
        """Run deciding tasks of a step of its own shape; parts besides `verdicts` join the fragments."""
        self._decide(name, tasks)

    def each(self, name: str, tasks: Sequence[T]) -> list[Commit]:
        """Run tasks that neither decide nor annotate; their commits in order."""
        return self._all(name, tasks)

    def aside(self, name: str, tasks: Sequence[T]) -> list[Commit]:
        """As `each`, of work beside the steps: its time is no step's."""
        before = self._seconds
        commits = self._all(name, tasks)
        self._seconds = before
        return commits

    def _annotate(self, name: str, tasks: Sequence[Task]) -> None:
        for number, commit in enumerate(self._all(name, tasks)):
            parts = dict(commit.parts)
            made = parts.pop("made", None)
            view = self.views[number].with_parts(**parts)
            self.views[number] = view.with_samples(made) if made is not None and made.rows else view

    def _decide(self, name: str, tasks: Sequence[Task]) -> None:
        counts = StepCounts(name)
        with self._step(counts) as advance:
            for number, commit in advance(tasks):
                parts = dict(commit.parts)
                verdicts = parts.pop("verdicts")
                self.views[number] = self.views[number].with_parts(**parts).with_verdicts(name, verdicts)
                self._count(counts, number, commit)
        self._close(counts, self.steps[-1].kept)

    def _all(self, name: str, tasks: Sequence[Task]) -> list[Commit]:
        counts = StepCounts(name)
        commits: dict[int, Commit] = {}
        with self._step(counts) as advance:
            commits.update(advance(tasks))
        self._seconds += counts.seconds
        return [commits[number] for number in range(len(tasks))]

    def _step(self, counts: StepCounts) -> "_Timed":
        return _Timed(self, counts)

    def _count(self, counts: StepCounts, number: int, commit: Commit) -> None:
        counts.add(self._source(number), commit.facts["counts"])

    def _close(self, counts: StepCounts, came_in: int) -> None:
        counts.seconds += self._seconds
        self._seconds = 0.0
        self.steps.append(counts)
        counts.check(came_in)
        try:
            self.budget.spend(counts)
        except BudgetError as error:
            raise BudgetError(error.message, f"{error.hint}; for example {', '.join(self._failed())}") from None

    def _failed(self) -> list[str]:
        """Source keys (keyed where they identify) of the first few samples that errors quarantined, with reasons."""
        shown: list[str] = []
        for view in self.views:
            for _, part in view.verdicts:
                table = self.session.work.read(part, ["row", "verdict", "reason"])
                rows = [
                    row for row in table.to_pylist() if row["verdict"] == Verdict.QUARANTINE and is_error(row["reason"])
                ]
                numbers = np.array([row["row"] for row in rows[:EXAMPLES]], np.int32)
                keys = read_samples(self.session.work, view, numbers, ("source_key",))["source_key"].to_pylist()
                shown += [f"{key} ({row['reason']})" for key, row in zip(keys, rows, strict=False)]
                if len(shown) >= EXAMPLES:
                    return shown[:EXAMPLES]
        return shown

    def _source(self, number: int) -> str:
        return self.session.corpora[self.views[number].corpus].name


class _Timed:
    """Times a step and reports its units."""

    def __init__(self, flow: Flow, counts: StepCounts) -> None:
        self._flow = flow
        self._counts = counts

    def __enter__(self) -> Callable[[Sequence[Task]], Iterator[tuple[int, Commit]]]:
        self._started = time.monotonic()
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._counts.seconds += time.monotonic() - self._started

    def _advance(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Commit]]:
        reporter = self._flow.reporter
        reporter.begin(self._counts.name, len(tasks))
        for number, commit in self._flow.engine.run(tasks):
            self._counts.fragments += 1
            self._counts.reused += commit.reused
            reporter.advance(commit.facts.get("counts", {}).get("in", 0), commit.reused)
            yield number, commit
        reporter.end(reused=self._counts.reused)
