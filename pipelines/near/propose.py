"""Which items may be near-duplicates: fragments send bands, equal bands meet in partitions and propose pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dedup.bands import BAND_KEYS, proposed_pairs
from pipelines.exchange import RUN_ROWS
from pipelines.near.kind import Kind
from pipelines.session import Session
from pipelines.sorted_runs import MAX_FRAGMENTS, Run, digest_of, merged_runs, put_rows, read_partition, spans_of
from pipelines.view import View
from pipelines.work import Commit, Part, key_of

PARTITION_ROWS = 2_000_000
"""Bands solved at once: 28 bytes each, and about four times as much while they are sorted."""
VERSION = 1


@dataclass(frozen=True)
class BandsTask:
    """Reduces one fragment to the bands of its items. What it commits is the index that later builds search."""

    kind: Kind
    view: View
    number: int

    @property
    def label(self) -> str:
        """Kind and fragment."""
        return f"{self.kind.name} bands {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `bands`."""
        work, node = session.work, f"{self.kind.name}_bands"
        key = key_of(node, VERSION, self.kind.parameters(), self.kind.inputs(self.view))
        found = work.find(node, key)
        if found is not None:
            return found
        return work.put(node, key, {"bands": self.kind.bands(session, self.view)})


@dataclass(frozen=True)
class BucketsTask:
    """Solves one partition: whoever shares a band is in one bucket, and buckets propose pairs."""

    name: str
    partition: int
    partitions: int
    runs: tuple[tuple[int, Part], ...]
    """Number and file of the runs that have bands in the range."""
    digest: str
    """Stands for the content of the range."""

    @property
    def label(self) -> str:
        """Kind and partition."""
        return f"{self.name} buckets {self.partition + 1} of {self.partitions}"

    def run(self, session: Session) -> Commit:
        """Commit `pairs`, PAIRS by the earlier item, and as facts the digest of each run's share and the buckets."""
        work, node = session.work, f"{self.name}_buckets"
        key = key_of(node, VERSION, self.partition, self.partitions, self.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        tables = [
            _numbered(read_partition(work, part, self.partition, self.partitions), number) for number, part in self.runs
        ]
        empty = BAND_KEYS.empty_table().append_column("fragment", pa.array([], pa.int32()))
        buckets = proposed_pairs(pa.concat_tables([empty, *tables]))
        spans = spans_of(buckets.pairs["fragment"].to_numpy(), MAX_FRAGMENTS)
        shares = {str(run): digest_of(buckets.pairs.slice(start, stop - start)) for run, start, stop in spans}
        facts = {"shares": shares, "largest": buckets.largest, "hot": buckets.hot}
        return put_rows(work, node, key, buckets.pairs, "fragment", facts)


@dataclass(frozen=True)
class Proposed:
    """Pairs of the items of a run's fragments with later ones."""

    runs: Sequence[Run]
    parts: Sequence[Part]
    """PAIRS, sorted by fragment; a pair may stand in several."""
    shares: Sequence[dict[str, str]]
    """For each part: run -> digest of its rows whose earlier item is in that run."""


def proposed(each: Callable[[str, Sequence[Any]], list[Commit]], kind: Kind, views: Sequence[View]) -> Proposed:
    """The pairs of all fragments; `each` runs tasks and gives their commits.

    In them a fragment's number is its run's times 128 plus its number in the run.
    """
    name = kind.name
    sent = each(f"{name} bands", [BandsTask(kind, view, number) for number, view in enumerate(views)])
    parts = [commit.parts["bands"] for commit in sent]
    runs = merged_runs(each, f"{name}_bands", parts, [part.rows for part in parts], RUN_ROWS)
    count = partitions_for(sum(part.rows for part in parts))
    tasks = []
    for partition in range(count):
        digests = [run.digests(partition, count) for run in runs]
        reached = tuple((number, run.part) for number, run in enumerate(runs) if digests[number])
        tasks.append(BucketsTask(name, partition, count, reached, key_of(digests)))
    solved = each(f"{name} buckets", tasks)
    return Proposed(runs, [commit.parts["rows"] for commit in solved], [commit.facts["shares"] for commit in solved])


def partitions_for(rows: int) -> int:
    """How many partitions: a power of two that keeps each under `PARTITION_ROWS`."""
    partitions = 1
    while rows / partitions > PARTITION_ROWS:
        partitions *= 2
    return partitions


def _numbered(bands: pa.Table, run: int) -> pa.Table:
    """The bands with the run's number in that of their fragment."""
    numbers = bands["fragment"].to_numpy() + np.int32(run * MAX_FRAGMENTS)
    index = bands.schema.get_field_index("fragment")
    return bands.set_column(index, "fragment", pa.array(numbers, pa.int32()))
