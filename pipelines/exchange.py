"""The exchange: rows with equal keys meet in one partition, whatever fragments they come from.

Each fragment sends its keys, sorted, as one file. Partitions are ranges of the key, so that a partition reads
its slice of every file and is solved alone in memory that its size bounds, not the corpus. The answer goes
back to the fragments as the rows that are not the first of their group. No group is ever expanded to pairs.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dedup.keys import FOLLOWERS, KEYS, followers, key_range, slice_range, sorted_keys
from pipelines.bisect import Failure, bisect
from pipelines.facts import errors_of, read_facts
from pipelines.isolation import isolated
from pipelines.session import Session
from pipelines.steps import KeyStep, own_fingerprint
from pipelines.view import View, alive_rows, read_samples
from pipelines.work import Commit, Part, Work, key_of

PARTITION_ROWS = 500_000
"""Keys solved at once: about 40 bytes each, some ten MB, and as much again a few times while they are sorted."""
VERSION = 1
NUMBERED_KEYS = KEYS.append(pa.field("fragment", pa.int32()))
"""Keys with the number of their fragment, as partitions see them."""


@dataclass(frozen=True)
class KeysTask:
    """Reduces one fragment to its sorted keys."""

    step: KeyStep
    facts: tuple[str, ...]
    view: View
    number: int
    attempt: int = 0

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.step.name} keys {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `keys` and `{step}_key_errors`."""
        work, view, step = session.work, self.view, self.step
        node = f"{step.name}_keys"
        key = key_of(own_fingerprint(step), view.digests(step.columns, *self.facts))
        found = work.find(node, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        samples = read_samples(work, view, rows, step.columns)
        facts = read_facts(session, view, self.facts, rows)

        def keys(start: int, stop: int) -> pa.Table:
            span = pa.array(rows[start:stop], pa.int32())
            return step.keys(samples.slice(start, stop - start), span, facts)

        pieces = list(bisect(isolated(keys, self.attempt), len(rows)))
        tables = [piece.result for piece in pieces if not isinstance(piece.result, Failure)]
        joined = sorted_keys(pa.concat_tables([KEYS.empty_table(), *tables]))
        return work.put(node, key, {"keys": joined, f"{step.name}_key_errors": errors_of(pieces, rows)})

    def again(self) -> "KeysTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class SolveTask:
    """Solves one partition: reads its range of every fragment's keys."""

    name: str
    partition: int
    partitions: int
    keys: tuple[Part, ...]
    """Of all fragments, in the order of the run: a fragment's place decides who comes first."""

    @property
    def label(self) -> str:
        """Step and partition."""
        return f"{self.name} partition {self.partition + 1} of {self.partitions}"

    def run(self, session: Session) -> Commit:
        """Commit `followers`."""
        work = session.work
        node = f"{self.name}_solve"
        key = key_of(self.name, VERSION, self.partition, self.partitions, [part.digest for part in self.keys])
        found = work.find(node, key)
        if found is not None:
            return found
        tables = [
            slice_.append_column("fragment", pa.array(np.full(slice_.num_rows, number, np.int32)))
            for number, part in enumerate(self.keys)
            for slice_ in [_read_range(work, part, self.partition, self.partitions)]
        ]
        return work.put(node, key, {"followers": followers(pa.concat_tables([NUMBERED_KEYS.empty_table(), *tables]))})


@dataclass(frozen=True)
class GatherTask:
    """Collects one fragment's answers from all partitions.

    Its key is their content, so that a fragment that nothing changed for is not decided again.
    """

    name: str
    solved: tuple[Part, ...]
    fragment: int

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.name} answers {self.fragment}"

    def run(self, session: Session) -> Commit:
        """Commit `followers`: FOLLOWERS without the fragment's number, which changes as corpora grow."""
        work = session.work
        tables = [work.read_where(part, "fragment", self.fragment) for part in self.solved if part.rows]
        joined = pa.concat_tables([FOLLOWERS.empty_table(), *tables]).sort_by("row").drop_columns(["fragment"])
        key = key_of(self.name, VERSION, [str(column.to_pylist()) for column in joined.columns])
        node = f"{self.name}_answers"
        return work.find(node, key) or work.put(node, key, {"followers": joined})


def partitions_for(keys: int) -> int:
    """How many partitions: a power of two that keeps each under `PARTITION_ROWS`."""
    partitions = 1
    while keys / partitions > PARTITION_ROWS:
        partitions *= 2
    return partitions


def _read_range(work: Work, part: Part, partition: int, partitions: int) -> pa.Table:
    """The partition's slice of one sorted file; only the row groups that reach into it are read."""
    low, high = key_range(partition, partitions)
    with work.parquet_file(part) as file:
        groups = range(file.metadata.num_row_groups)
        wanted = [number for number in groups if _reaches(file.metadata.row_group(number), low, high)]
        return slice_range(file.read_row_groups(wanted, use_threads=False), low, high)


def _reaches(group: pq.RowGroupMetaData, low: bytes, high: bytes | None) -> bool:
    """Whether a row group of sorted keys may hold some of `[low, high)`; one without statistics may."""
    statistics = group.column(KEYS.get_field_index("key")).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.max >= low and (high is None or statistics.min < high))
