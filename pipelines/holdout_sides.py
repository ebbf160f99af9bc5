"""Carrying out the hold-out: the step over all fragments, and each fragment's kept samples by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.flow import Flow
from pipelines.holdout import STEP, Holdout, HoldoutTask, LinksTask, SolveTask
from pipelines.session import Session
from pipelines.view import View, alive_rows, rows_table
from pipelines.work import Commit, key_of


@dataclass(frozen=True)
class SidesTask:
    """Tells the kept samples of one fragment apart."""

    view: View
    number: int

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{STEP} sides {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit the row numbers of `training` and `validation`; the fact `components` names the latter's."""
        work, node = session.work, f"{STEP}_sides"
        key = key_of(node, self.view.digests((), "held"))
        found = work.find(node, key)
        if found is not None:
            return found
        alive = alive_rows(work, self.view)
        held = work.read(self.view.parts["held"])
        stays = np.isin(held["row"].to_numpy(), alive)
        rows = held["row"].to_numpy()[stays]
        roots = sorted({f"{root:016x}" for root in held["root"].to_numpy()[stays].tolist()})
        tables = {"training": rows_table(np.setdiff1d(alive, rows)), "validation": rows_table(rows)}
        return work.put(node, key, tables, {"components": roots})


@dataclass(frozen=True)
class Sides:
    """The fragments as training sees them, and as validation does."""

    training: Sequence[View]
    validation: Sequence[View]
    held: dict[str, int]
    """`samples` and `groups` (components) that are held out."""


def hold_out(flow: Flow, step: Holdout) -> None:
    """Run the step: every kept sample stays kept, and the ledger says which are for validation."""
    links = flow.each(f"{STEP} links", [LinksTask(step, view, number) for number, view in enumerate(flow.views)])
    solve = SolveTask(step, tuple(commit.parts["links"] for commit in links))
    (solved,) = flow.each(f"{STEP} components", [solve])
    roots = solved.parts["roots"]
    flow.decide_with(STEP, [HoldoutTask(step, view, number, roots) for number, view in enumerate(flow.views)])


def sides_of(flow: Flow) -> Sides:
    """Both sides of every fragment, of what is kept after the last step."""
    commits = flow.each(f"{STEP} sides", [SidesTask(view, number) for number, view in enumerate(flow.views)])
    pairs = list(zip(flow.views, commits, strict=True))
    components: set[str] = set().union(*(commit.facts["components"] for commit in commits))
    return Sides(
        [view.with_parts(alive=commit.parts["training"]) for view, commit in pairs],
        [view.with_parts(alive=commit.parts["validation"]) for view, commit in pairs],
        {"samples": sum(commit.parts["validation"].rows for commit in commits), "groups": len(components)},
    )


def held_facts(held: dict[str, int] | None) -> dict[str, Any]:
    """What `run.json` says of the hold-out, where there is one."""
    return {} if held is None else {STEP: held}
