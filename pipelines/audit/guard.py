"""Decontamination as a build sees it: which eval sets it protects, the step, and the audit of what it wrote.

What does the work is imported where there is something to protect: it takes a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from pipelines.audit.evals import Evals, find_evals
from pipelines.audit.places import AUDIT, CLEAN, REPORTS
from pipelines.audit.settings import DecontaminateSettings
from pipelines.engines.engine import Engine
from pipelines.flow import Flow
from pipelines.graph import Decontamination, Graph
from pipelines.private import Hidden
from pipelines.progress import Reporter
from pipelines.recipe import Recipe
from pipelines.session import Session
from pipelines.sources import site_key_in
from pipelines.work import Commit
from shards.manifest import Manifest
from sources.storage import Folder

if TYPE_CHECKING:
    from pipelines.audit.in_build import Audited

NOT_RUN = "not_run"


@dataclass(frozen=True)
class Guard:
    """The eval sets that a build protects, and how."""

    settings: DecontaminateSettings
    evals: Evals

    def tell(self, reporter: Reporter) -> None:
        """Say which eval sets are not there."""
        for one in self.evals.missing:
            need = "required: the audit will be incomplete" if one.required else "optional: not covered"
            reporter.say(f"eval set {one.name}: not found under --evals ({need})")

    def guarded(
        self, graph: Graph, engine: Engine, session: Session, reporter: Reporter
    ) -> "tuple[Guard | None, Graph]":
        """The guard and the graph with the step, after the eval sets were read; which of them are empty is said.

        None, and the graph without the step, where all that are there are optional and hold no item.
        """
        from pipelines.audit.in_build import step_of

        evals, step = step_of(self.settings, self.evals, engine, session, reporter)
        for sentence in (sentence for one in evals.missing for sentence in one.lacks):
            reporter.say(f"{sentence} (optional: not covered)")
        return (replace(self, evals=evals) if evals.asked else None), replace(graph, decontaminate=step)

    def audit(
        self,
        engine: Engine,
        session: Session,
        reporter: Reporter,
        manifest: Manifest,
        shards: Sequence[tuple[str, Commit]],
        graph: Graph,
        private: frozenset[str],
    ) -> "Audited":
        """Audit the tars that were written, read back; the manifest is as it will be published.

        `private`: the sources of which no page has text or pictures.
        """
        from pipelines.audit.in_build import audit_written

        removed = () if graph.decontaminate is None else graph.decontaminate.removed
        hidden = Hidden(private, graph.unshown)
        return audit_written(self.settings, self.evals, engine, session, reporter, manifest, shards, hidden, removed)


def guard_of(recipe: Recipe, roots: Sequence[Folder], id_key: Path | None) -> Guard | None:
    """What a build of the recipe protects; None where nothing is named, or nothing is there and all of it optional.

    Raises:
        UsageError: a name that is not registered, or an eval set that is keyed and no site key.
    """
    settings = recipe.steps.decontaminate
    if not settings.enabled or not settings.against:
        return None
    evals = find_evals(settings.against, settings.required, roots, site_key_in(id_key), settings.articles)
    return Guard(settings, evals) if evals.asked else None


def decontaminate(flow: Flow, deciding: Decontamination) -> None:
    """Run the step over all fragments."""
    from pipelines.audit.step import decontaminate as run_step

    run_step(flow, deciding.step)


def drop_reports(run: Folder) -> None:
    """Take away the reports of an audit that is not this run's any more: no eval set is protected now."""
    run.delete_tree(CLEAN)
    for path in REPORTS:
        run.delete(path)


def verdict_in(run: Folder) -> str:
    """The verdict of the audit that a finished run carries; `not_run` where it has none."""
    try:
        return str(orjson.loads(run.read(AUDIT))["verdict"])
    except FileNotFoundError:
        return NOT_RUN
