"""The text channel over the fragments: an index of the eval items, the words that are rare, and the hits."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import orjson
import pyarrow as pa

from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_sample import chosen_for_background, halvings_of
from dedup.decontamination.text_scan import COLUMNS, scan_texts
from dedup.decontamination.text_settings import TEXT_HITS, TextSettings
from pipelines.bisect import Failure, bisect
from pipelines.flow import Flow
from pipelines.isolation import isolated
from pipelines.session import Session
from pipelines.view import View, alive_rows, read_samples
from pipelines.work import Commit, Part, Work, key_of

VERSION = 4
ALIKE = "alike"


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
    """Tells the texts of one fragment's background samples apart: copies in several fragments count once."""

    view: View
    number: int
    index: TextParts
    halvings: int
    """One sample of every 2^halvings is in the background."""

    @property
    def label(self) -> str:
        """Fragment."""
        return f"audit_background_texts {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `digests`: one of each distinct text."""
        work, node = session.work, "audit_background_texts"
        key = key_of(node, VERSION, self.index.digests, self.halvings, self.view.digests(COLUMNS))
        found = work.find(node, key)
        if found is not None:
            return found
        digests = self.index.loaded(work).text_digests(_background(work, self.view, self.halvings))
        return work.put(node, key, {"digests": pa.table({"digest": digests})})


@dataclass(frozen=True)
class FirstsTask:
    """Says which fragment counts each text: the first that has it."""

    digests: tuple[Part, ...]
    """Of every fragment, in order."""

    @property
    def label(self) -> str:
        """What is decided."""
        return "audit_background_firsts"

    def run(self, session: Session) -> Commit:
        """Commit `firsts`: each text's `digest`, rising, and the `number` of its fragment."""
        work, node = session.work, "audit_background_firsts"
        key = key_of(node, VERSION, [part.digest for part in self.digests])
        found = work.find(node, key)
        if found is not None:
            return found
        values = [work.read(part)["digest"].to_numpy() for part in self.digests]
        numbers = np.repeat(np.arange(len(values), dtype=np.int32), [len(some) for some in values])
        digests, firsts = np.unique(np.concatenate(values), return_index=True)
        return work.put(node, key, {"firsts": pa.table({"digest": digests, "number": numbers[firsts]})})


@dataclass(frozen=True)
class BackgroundTask:
    """Counts the index's keys in the background texts of one fragment that no fragment before it has."""

    view: View
    number: int
    index: TextParts
    halvings: int
    firsts: Part

    @property
    def label(self) -> str:
        """Fragment."""
        return f"audit_background {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `counts`: `df` of every key; the fact `documents` says of how many samples."""
        work, node = session.work, "audit_background"
        said = [self.index.digests, self.halvings, self.view.digests(COLUMNS)]
        key = key_of(node, VERSION, *said, self.number, self.firsts.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        firsts = work.read(self.firsts)
        others = firsts["digest"].to_numpy()[firsts["number"].to_numpy() != self.number]
        samples = _background(work, self.view, self.halvings)
        counts, documents = self.index.loaded(work).counted(samples, others)
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


def _background(work: Work, view: View, halvings: int) -> pa.Table:
    samples = read_samples(work, view, alive_rows(work, view), COLUMNS)
    return samples.take(pa.array(chosen_for_background(samples, halvings)))


def _scanned(work: Work, index: TextParts, samples: pa.Table, start: int, stop: int) -> pa.Table:
    return scan_texts(index.loaded(work), samples.slice(start, stop - start))


def text_parts(flow: Flow, items: Part, settings: TextSettings) -> TextParts:
    """The index of the items, and how often its keys are in a sample of the flow's samples."""
    (made,) = flow.each("text index", [TextIndexTask(items, settings)])
    tables = tuple(sorted((name, part) for name, part in made.parts.items() if name != ALIKE))
    index = TextParts(tables, tuple(sorted(made.facts["about"].items())), made.parts[ALIKE])
    if not flow.views:
        return index
    halvings = halvings_of(sum(view.parts["alive"].rows for view in flow.views))
    views = list(enumerate(flow.views))
    told = flow.each("background texts", [DigestsTask(view, number, index, halvings) for number, view in views])
    (first,) = flow.each("background texts", [FirstsTask(tuple(commit.parts["digests"] for commit in told))])
    firsts = first.parts["firsts"]
    tasks = [BackgroundTask(view, number, index, halvings, firsts) for number, view in views]
    counted = flow.each("background", tasks)
    (total,) = flow.each("background", [SumTask(tuple(commit.parts["counts"] for commit in counted))])
    documents = sum(commit.facts["documents"] for commit in counted)
    return replace(index, background=total.parts["counts"], documents=documents)


def text_hits(flow: Flow, index: TextParts) -> list[Commit]:
    """TEXT_HITS of every fragment."""
    return flow.each("texts", [ScanTextsTask(view, number, index) for number, view in enumerate(flow.views)])
