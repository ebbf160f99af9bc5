"""The text channel over the fragments: an index of the eval items, the words that are rare, and the hits."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import orjson
import pyarrow as pa

from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_scan import COLUMNS, scan_texts
from dedup.decontamination.text_settings import TEXT_HITS, TextSettings
from pipelines.bisect import Failure, bisect
from pipelines.flow import Flow
from pipelines.isolation import isolated
from pipelines.session import Session
from pipelines.view import View, alive_rows, read_samples
from pipelines.work import Commit, Part, Work, key_of

VERSION = 3
ALIKE = "alike"
BACKGROUND_FRAGMENTS = 32
"""Fragments by whose words those of eval items are called rare: up to 131,072 samples, the same ones every time."""


@dataclass(frozen=True)
class TextParts:
    """The committed index, and how often its keys are in the data."""

    tables: tuple[tuple[str, Part], ...]
    about: tuple[tuple[str, str], ...]
    """What the index says of itself in the metadata of its tables, as JSON by table: commits keep columns only."""
    alike: Part
    """`item`: under which item hits of each item's question are given."""
    background: Part | None = None
    documents: int = 0

    @property
    def digests(self) -> list[str]:
        """What every hit depends on."""
        own = [part.digest for _, part in self.tables]
        return [
            *own,
            *(said for _, said in self.about),
            "" if self.background is None else self.background.digest,
            str(self.documents),
        ]

    def loaded(self, work: Work) -> TextIndex:
        """The index, read once a process."""
        key = tuple(self.digests)
        if key not in _held:
            _held.clear()
            about = {name: orjson.loads(said) for name, said in self.about}
            tables = {name: work.read(part).replace_schema_metadata(about.get(name)) for name, part in self.tables}
            index = TextIndex.from_tables(tables)
            if self.background is not None:
                counts = work.read(self.background)["df"].to_numpy()
                index = index.weighted(counts, self.documents)
            _held[key] = index
        return _held[key]


_held: dict[tuple[str, ...], TextIndex] = {}


@dataclass(frozen=True)
class TextIndexTask:
    """Makes the index of all items."""

    items: Part
    settings: TextSettings

    @property
    def label(self) -> str:
        """What is made."""
        return "text index"

    def run(self, session: Session) -> Commit:
        """Commit the tables of the index, and `alike`; their metadata is the fact `about`."""
        work, node = session.work, "audit_text_index"
        key = key_of(node, VERSION, self.items.digest, self.settings.model_dump(mode="json"))
        found = work.find(node, key)
        if found is not None:
            return found
        index = TextIndex.of(work.read(self.items), self.settings)
        tables = index.tables()
        about = {name: _metadata(table) for name, table in tables.items() if table.schema.metadata}
        return work.put(node, key, {**tables, ALIKE: pa.table({"item": index.alike})}, {"about": about})


@dataclass(frozen=True)
class DigestsTask:
    """Tells the texts of one fragment apart: copies in several fragments count once."""

    view: View
    number: int
    index: TextParts

    @property
    def label(self) -> str:
        """Fragment."""
        return f"audit_background_texts {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `digests`: one of each distinct text."""
        work, node = session.work, "audit_background_texts"
        key = key_of(node, VERSION, self.index.digests, self.view.digests(COLUMNS))
        found = work.find(node, key)
        if found is not None:
            return found
        samples = read_samples(work, self.view, alive_rows(work, self.view), COLUMNS)
        digests = self.index.loaded(work).text_digests(samples)
        return work.put(node, key, {"digests": pa.table({"digest": digests})})


@dataclass(frozen=True)
class BackgroundTask:
    """Counts the index's keys in the texts of one fragment that no fragment before it has."""

    view: View
    number: int
    index: TextParts
    before: tuple[Part, ...]
    """`digests` of the fragments that are counted before."""

    @property
    def label(self) -> str:
        """Fragment."""
        return f"audit_background {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `counts`: `df` of every key; the fact `documents` says of how many samples."""
        work, node = session.work, "audit_background"
        before = [part.digest for part in self.before]
        key = key_of(node, VERSION, self.index.digests, self.view.digests(COLUMNS), before)
        found = work.find(node, key)
        if found is not None:
            return found
        samples = read_samples(work, self.view, alive_rows(work, self.view), COLUMNS)
        known = [work.read(part)["digest"].to_numpy() for part in self.before]
        earlier = np.unique(np.concatenate([np.zeros(0, np.uint64), *known]))
        counts, documents = self.index.loaded(work).counted(samples, earlier)
        return work.put(node, key, {"counts": pa.table({"df": counts})}, {"documents": documents})


@dataclass(frozen=True)
class SumTask:
    """Adds up what was counted."""

    counts: tuple[Part, ...]

    @property
    def label(self) -> str:
        """What is added."""
        return "background"

    def run(self, session: Session) -> Commit:
        """Commit `counts` of all fragments together."""
        work, node = session.work, "audit_background_sum"
        key = key_of(node, VERSION, [part.digest for part in self.counts])
        found = work.find(node, key)
        if found is not None:
            return found
        total = np.zeros(self.counts[0].rows, np.int64)
        for part in self.counts:
            total += work.read(part)["df"].to_numpy()
        return work.put(node, key, {"counts": pa.table({"df": total})})


@dataclass(frozen=True)
class ScanTextsTask:
    """Looks the texts of one fragment up. `attempt` counts the workers it has killed."""

    view: View
    number: int
    index: TextParts
    attempt: int = 0

    @property
    def label(self) -> str:
        """Fragment."""
        return f"audit_texts {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `hits` (TEXT_HITS; `row` is the sample's number in the fragment); `failed` samples are a fact."""
        work, node = session.work, "audit_texts"
        key = key_of(node, VERSION, self.index.digests, self.view.digests(COLUMNS))
        found = work.find(node, key)
        if found is not None:
            return found
        rows = alive_rows(work, self.view)
        samples = read_samples(work, self.view, rows, COLUMNS)
        scan = partial(_scanned, work, self.index, samples)
        hits, failed = [TEXT_HITS.empty_table()], 0
        for piece in bisect(isolated(scan, self.attempt, self.index), len(rows)):
            if isinstance(piece.result, Failure):
                failed += piece.stop - piece.start
                continue
            numbers = rows[piece.result["row"].to_numpy() + piece.start]
            hits.append(piece.result.set_column(0, TEXT_HITS.field("row"), pa.array(numbers, pa.int32())))
        return work.put(node, key, {"hits": pa.concat_tables(hits)}, {"failed": failed})

    def again(self) -> "ScanTextsTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


def _metadata(table: pa.Table) -> str:
    return orjson.dumps({name.decode(): value.decode() for name, value in table.schema.metadata.items()}).decode()


def _scanned(work: Work, index: TextParts, samples: pa.Table, start: int, stop: int) -> pa.Table:
    return scan_texts(index.loaded(work), samples.slice(start, stop - start))


def text_parts(flow: Flow, items: Part, settings: TextSettings) -> TextParts:
    """The index of the items, and how often its keys are in a sample of the flow's fragments."""
    (made,) = flow.each("text index", [TextIndexTask(items, settings)])
    tables = tuple(sorted((name, part) for name, part in made.parts.items() if name != ALIKE))
    index = TextParts(tables, tuple(sorted(made.facts["about"].items())), made.parts[ALIKE])
    chosen = sorted(range(len(flow.views)), key=lambda number: (flow.views[number].digests(COLUMNS), number))
    chosen = chosen[:BACKGROUND_FRAGMENTS]
    if not chosen:
        return index
    told = flow.each("background texts", [DigestsTask(flow.views[number], number, index) for number in chosen])
    digests = tuple(commit.parts["digests"] for commit in told)
    tasks = [BackgroundTask(flow.views[number], number, index, digests[:at]) for at, number in enumerate(chosen)]
    counted = flow.each("background", tasks)
    (total,) = flow.each("background", [SumTask(tuple(commit.parts["counts"] for commit in counted))])
    documents = sum(commit.facts["documents"] for commit in counted)
    return replace(index, background=total.parts["counts"], documents=documents)


def text_hits(flow: Flow, index: TextParts) -> list[Commit]:
    """TEXT_HITS of every fragment."""
    return flow.each("texts", [ScanTextsTask(view, number, index) for number, view in enumerate(flow.views)])
