"""The step `decontaminate`: samples in which eval items were found are dropped, as far as the recipe says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from dedup.decontamination.assemble import RANK
from dedup.decontamination.findings import Channel
from dedup.decontamination.grades import Grade
from filters.verdicts import decided, nulls_for_nan
from pipelines.audit.flow import Found, search, versions, with_evals
from pipelines.audit.protect import Protected
from pipelines.audit.settings import DecontaminateSettings
from pipelines.counts import tally
from pipelines.flow import Flow
from pipelines.session import Session
from pipelines.steps import own_fingerprint
from pipelines.view import View, alive_rows, kept_rows, numbered, rows_table
from pipelines.work import Commit, Part, key_of
from sources.schema import Verdict

STEP = "decontaminate"


class Decontaminate:
    """The step's settings, and what is protected."""

    name = STEP
    version = 1
    columns = ("sample_id",)

    def __init__(self, settings: DecontaminateSettings, protected: Protected) -> None:
        self.settings = settings
        self.protected = protected
        self.removed: Sequence[Mapping[str, Any]] = ()
        """Once it has run: the counts of what it found and drops, as `Found.counts`."""

    def parameters(self) -> dict[str, Any]:
        """The grades, the eval sets by their content, and the other names of their articles."""
        articles = self.protected.articles
        return {
            "drop": [grade.value for grade in self.settings.drop],
            "report": [grade.value for grade in self.settings.report],
            "eval_sets": self.protected.identity,
            "search": versions(),
            **({} if articles is None else {"articles": articles.digest}),
        }


@dataclass(frozen=True)
class DecontaminateTask:
    """Gives verdicts on the samples of one fragment. `made`: the eval sets that were made from its source."""

    step: Decontaminate
    view: View
    number: int
    found: Part
    made: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{STEP} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `verdicts` and `alive`."""
        work, view = session.work, self.view
        key = key_of(own_fingerprint(self.step), self.found.digest, self.made, view.digests(self.step.columns))
        found = work.find(STEP, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        by_row: dict[int, list[dict[str, Any]]] = {}
        for finding in work.read(self.found).to_pylist():
            by_row.setdefault(finding["row"], []).append(finding)
        provenance = self._provenance()
        chosen = [self._chosen([*by_row.get(row, ()), *provenance]) for row in rows.tolist()]
        drops = np.array([one is not None and one["grade"] in self.step.settings.drop for one in chosen], bool)
        reasons = [f"leak.{one['grade']}" if one and drop else None for one, drop in zip(chosen, drops, strict=True)]
        scores = [np.nan if one is None or one["score"] is None else one["score"] for one in chosen]
        table = nulls_for_nan(
            decided(
                np.where(drops, Verdict.DROP, Verdict.KEEP).astype(object),
                np.array(reasons, object),
                np.array(scores, np.float64),
                evidence=[None if one is None else _evidence(one) for one in chosen],
            )
        )
        tables = {"verdicts": numbered(rows, table), "alive": rows_table(kept_rows(rows, table))}
        return work.put(STEP, key, tables, {"counts": tally(len(rows), 0, table)})

    def _chosen(self, findings: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The strongest finding that drops the sample, else the strongest that is to be reported."""
        for grades in (self.step.settings.drop, self.step.settings.report):
            told = [one for one in findings if one["grade"] in grades]
            if told:
                return min(told, key=lambda one: RANK[one["grade"]])
        return None

    def _provenance(self) -> list[dict[str, Any]]:
        return [
            {"grade": Grade.PROVENANCE.value, "channel": Channel.PROVENANCE.value, "score": None, "transform": None,
             "eval_set": eval_set, "eval_id": "", "evidence": orjson.dumps({"path": path}).decode()}
            for eval_set, path in self.made
        ]  # fmt: skip


def decontaminate(flow: Flow, step: Decontaminate) -> Found:
    """Search all fragments and drop what the recipe says; workers have the build's session again afterwards."""
    own = flow.session
    try:
        with_evals(flow, step.protected)
        found = search(flow, step.protected)
    finally:
        flow.session = own
    flow.engine.start(own.without_files())
    made: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for one in found.derived:
        made.setdefault(one.source, []).append((one.eval_set, one.path))
    tasks = [
        DecontaminateTask(step, view, number, part, tuple(made.get(own.corpora[view.corpus].name, ())))
        for number, (view, part) in enumerate(zip(flow.views, found.strongest, strict=True))
    ]
    flow.decide_with(step.name, tasks)
    step.removed = tuple(row for row in found.counts if row["grade"] in step.settings.drop)
    return found


def _evidence(finding: dict[str, Any]) -> str:
    """JSON for the ledger: the item, how it was found, and what the channel measured."""
    names = ("grade", "channel", "eval_set", "eval_id", "transform")
    told = {name: finding[name] for name in names if finding[name] is not None}
    return orjson.dumps({**told, **orjson.loads(finding["evidence"] or b"{}")}, option=orjson.OPT_SORT_KEYS).decode()
