"""What the evaluated part of each eval set shares with the set's own other splits, where those lie beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from dedup.decontamination.items import ITEMS
from dedup.evalsets.checking import shared_splits
from dedup.evalsets.locating import FoundSet
from dedup.evalsets.reading import EVERY_SPLIT, ItemsRead, gathered, read_items
from pipelines.audit.reading import NODE as ITEMS_NODE
from pipelines.audit.reading import VERSION as ITEMS_VERSION
from pipelines.errors import CurateError
from pipelines.flow import Flow
from pipelines.ingest import corpus_parameters
from pipelines.plan import PlanIfReadableTask, plan_fragments
from pipelines.session import Session
from pipelines.work import Commit, Part, key_of
from sources.records import CorpusError, Fragment

VERSION = 1


@dataclass(frozen=True)
class EverySplitTask:
    """Reads the items of every split in one fragment of an eval set. `found` is as `ItemsTask` has it."""

    found: FoundSet
    corpus: int
    fragment: Fragment
    number: int

    @property
    def label(self) -> str:
        """Fragment."""
        return f"audit_splits {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `items`: what sharing is told by. A companion table that cannot be read leaves none."""
        work, corpus, node = session.work, session.corpora[self.corpus], "audit_splits"
        said = self.found.evalset.model_dump(include={"name", "split", "language"})
        there = corpus.splits.get(self.fragment.path)
        version = ITEMS_NODE, ITEMS_VERSION, session.reader_version(self.corpus)
        form, parameters = self.found.form.model_dump(), corpus_parameters(corpus)
        key = key_of(node, VERSION, version, said, form, parameters, there, self.fragment.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        try:
            items = read_items(replace(self.found, corpus=corpus), self.fragment, EVERY_SPLIT).items
        except CorpusError:
            items = ITEMS.empty_table()
        return work.put(node, key, {"items": items})


@dataclass(frozen=True)
class InsideTask:
    """Compares the splits of one eval set."""

    name: str
    evaluated: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def label(self) -> str:
        """Eval set."""
        return f"inside {self.name}"

    def run(self, session: Session) -> Commit:
        """Commit the fact `inside`: one entry for each other split."""
        work, node = session.work, "audit_inside"
        key = key_of(node, VERSION, self.name, self.evaluated, [part.digest for part in self.parts])
        found = work.find(node, key)
        if found is not None:
            return found
        items = gathered([ItemsRead(work.read(part)) for part in self.parts]).items
        return work.put(node, key, {"none": pa.table({})}, {"inside": shared_splits(items, self.evaluated)})


def shared_inside_sets(flow: Flow, founds: Sequence[FoundSet], plain: Sequence[FoundSet]) -> list[list[dict[str, Any]]]:
    """For each eval set, in order, what it shares with each of its other splits that is there.

    Empty where its evaluated splits are not told apart, or no other lies beside them. Other splits that are not in
    their form are not compared: an audit does not need them. `plain`: the sets as tasks carry them.
    """
    tasks: list[EverySplitTask] = []
    for number, found in enumerate(founds):
        if not found.evalset.split:
            continue
        only = [one.corpus if at == number else replace(one.corpus, files=()) for at, one in enumerate(founds)]
        try:
            planned = plan_fragments(flow.engine, flow.session, only, flow.reporter, PlanIfReadableTask)[number]
        except (CurateError, CorpusError):
            continue
        if planned.refused:
            continue
        for fragment in planned.fragments:
            tasks.append(EverySplitTask(plain[number], number, fragment, len(tasks)))
    read = flow.aside("eval splits", tasks)
    wanted = {task.corpus for task in tasks}
    compared = [
        InsideTask(
            founds[number].evalset.name,
            founds[number].evalset.split,
            tuple(commit.parts["items"] for task, commit in zip(tasks, read, strict=True) if task.corpus == number),
        )
        for number in sorted(wanted)
    ]
    told: list[list[dict[str, Any]]] = [[] for _ in founds]
    for number, commit in zip(sorted(wanted), flow.aside("inside eval sets", compared), strict=True):
        told[number] = commit.facts["inside"]
    return told
