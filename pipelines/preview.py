"""The preview page: samples as the trainer sees them, and how the first steps are packed, on one page.

It loads nothing and runs nothing. Of sources that are credentialed or keyed, or of which nobody says that they are
not, it has numbers and no content: no text, no picture, no key.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import CurateError, UsageError
from pipelines.private import private_sources
from pipelines.replan import Shards, opened, run_of
from pipelines.report.page_templates import page_templates
from pipelines.run_directory import read_run
from shards.image_tokens import FIXED
from shards.index_file import Index, IndexFileError, open_index
from shards.plan_file import PLAN_NAME, Plan, PlanAbout, PlanError, open_plan
from shards.plan_samples import place_numbers
from shards.preview import facts_of, seen, spread
from sources.storage import Folder

STEPS = 3
ROWS = 12
"""Of each step that is shown."""
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8f00", "#6a51a3")
"""Okabe and Ito's, told apart by the colour-blind; sources beyond the eighth share them."""


@dataclass(frozen=True)
class Shown:
    """What a person may see of sources: which are private."""

    private: frozenset[str]
    known: bool
    """Whether a run says which are private; else all are that are not allowed: a recipe may override a card."""
    allowed: frozenset[str]

    def hides(self, source: str, access: str) -> bool:
        """Whether the content of a sample stays off the page."""
        if access == "credentialed" or source in self.private:
            return True
        return not self.known and source not in self.allowed


def preview_page(given: Folder, plan: str = PLAN_NAME, samples: int = 24, allowed: Collection[str] = ()) -> str:
    """The page for a folder of shards, or for those of a run.

    Raises:
        UsageError: no shards there, or no such plan.
        CurateError: the index is missing or damaged.
    """
    shards = opened(given)
    try:
        return _page(given, shards, plan, samples, frozenset(allowed))
    except IndexFileError as error:
        raise CurateError(str(error), "`curate shards verify` says more") from None


def _page(given: Folder, shards: Shards, plan: str, samples: int, allowed: frozenset[str]) -> str:
    index = open_index(shards.folder, shards.manifest.index or "index.arrow")
    packing = _plan(shards, plan)
    policy = FIXED if packing is None else packing.about.images
    may_see = _shown(given, shards.folder, allowed)
    training = len(shards.manifest.shards)
    facts = facts_of(index, policy, spread(index, training, samples))
    content = [
        None if may_see.hides(fact.source, fact.access) else seen(shards.folder, shards.manifest, fact, policy)
        for fact in facts
    ]
    sources = sorted(pc.unique(index.table(["source"])["source"].cast(pa.string())).to_pylist())
    colours = {source: COLOURS[number % len(COLOURS)] for number, source in enumerate(sources)}
    return (
        page_templates()
        .get_template("preview.html.j2")
        .render(
            manifest=shards.manifest,
            place=shards.folder.place,
            samples=list(zip(facts, content, strict=True)),
            colours=colours,
            about=None if packing is None else packing.about,
            steps=[] if packing is None else _steps(packing, index),
            hidden=sorted({fact.source for fact, one in zip(facts, content, strict=True) if one is None}),
        )
    )


def _plan(shards: Shards, name: str) -> Plan | None:
    if shards.folder.stat(name) is None:
        if name != PLAN_NAME:
            raise UsageError(
                f"{shards.folder.place}/{name}: no such plan", "make one: curate shards plan DIR --out NAME"
            )
        return None
    try:
        plan = open_plan(shards.folder, name)
    except PlanError as error:
        raise CurateError(str(error), "make another: curate shards plan DIR") from None
    if plan.about.manifest != shards.sha256:
        raise CurateError(f"{shards.folder.place}/{name}: is of other shards", "make another: curate shards plan DIR")
    return plan


def _shown(given: Folder, folder: Folder, allowed: frozenset[str]) -> Shown:
    """What the run that these are the shards of says of its sources."""
    run = run_of(given, folder)
    if run is None:
        return Shown(frozenset(), known=False, allowed=allowed)
    return Shown(private_sources(read_run(run)), known=True, allowed=allowed)


def _steps(plan: Plan, index: Index) -> list[dict[str, Any]]:
    """The first steps, row by row: for each document its source, its tokens, and what share of the context it takes."""
    about: PlanAbout = plan.about
    rows = index.table(["shard", "offset", "source"])
    shard_n, offset_n = rows["shard"].to_numpy(), rows["offset"].to_numpy()
    sources = rows["source"]
    keys_n = place_numbers(shard_n, offset_n)
    found = []
    for step in range(min(STEPS, about.steps)):
        start = step * about.rows_per_step
        shown = plan.rows(start, start + min(ROWS, about.rows_per_step))
        lines: list[dict[str, Any]] = []
        for row in shown:
            shard_p, offset_p = (np.array(numbers, np.int64) for numbers in list(zip(*row.samples, strict=True))[:2])
            wanted = place_numbers(shard_p, offset_p)
            names = sources.take(np.searchsorted(keys_n, wanted)).to_pylist()
            documents = [
                {"source": name, "tokens": place.tokens, "share": 100 * place.tokens / about.context}
                for name, place in zip(names, row.samples, strict=True)
            ]
            lines.append({"documents": documents, "tokens": row.tokens, "cost": row.cost})
        costs: Sequence[float] = [line["cost"] for line in lines]
        found.append({"number": step, "rows": lines, "dearest": max(costs) / (sum(costs) / len(costs)) if costs else 0})
    return found
