"""Partitions of an exchange: ranges of the key, each solved alone from its slice of every run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.session import Session
from pipelines.sorted_runs import MAX_FRAGMENTS, Run, digest_of, put_rows, read_partition, spans_of
from pipelines.work import Commit, Part, key_of

VERSION = 1


@dataclass(frozen=True)
class Solver:
    """How the partitions of one exchange are solved. Small and picklable: every task carries it."""

    name: str
    what: str
    """What solving is called where people read of it, and in the names of nodes under `work/`."""
    version: int
    rows: pa.Schema
    """Of what a partition holds: the column `fragment` is the run's number x 128 + the fragment's in the run. It
    orders as the fragments do."""
    solve: Callable[[pa.Table], tuple[pa.Table, dict[str, Any]]]
    """A function of a module: all rows of a range of keys to their answer, whose rows stand by `fragment`, and facts.
    """


@dataclass(frozen=True)
class PartitionTask:
    """Solves one partition: reads its range of every run."""

    solver: Solver
    partition: int
    partitions: int
    runs: tuple[tuple[int, Part], ...]
    """Number and file of the runs that have rows in the range: their order decides who comes first."""
    digest: str
    """Stands for the content of the range."""

    @property
    def label(self) -> str:
        """Exchange and partition."""
        return f"{self.solver.name} {self.solver.what} {self.partition + 1} of {self.partitions}"

    def run(self, session: Session) -> Commit:
        """Commit `rows`, the answer, and as the fact `runs` the digest of each run's share of it."""
        work, solver = session.work, self.solver
        node = f"{solver.name}_{solver.what}"
        key = key_of(node, VERSION, solver.version, self.partition, self.partitions, self.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        tables = [
            _numbered(read_partition(work, part, self.partition, self.partitions), number) for number, part in self.runs
        ]
        answer, facts = solver.solve(pa.concat_tables([solver.rows.empty_table(), *tables]))
        return put_rows(work, node, key, answer, "fragment", {"runs": shares_of(answer), **facts})


def solved(
    each: Callable[[str, Sequence[Any]], list[Commit]], solver: Solver, runs: Sequence[Run], rows: int, most: int
) -> list[Commit]:
    """The answer of every partition of `rows` rows, at most `most` of them in each; `each` runs tasks."""
    count = partitions_for(rows, most)
    tasks = []
    for partition in range(count):
        digests = [run.digests(partition, count) for run in runs]
        reached = tuple((number, run.part) for number, run in enumerate(runs) if digests[number])
        tasks.append(PartitionTask(solver, partition, count, reached, key_of(digests)))
    return each(f"{solver.name} {solver.what}", tasks)


def partitions_for(rows: int, most: int) -> int:
    """How many partitions: a power of two that keeps each, as a rule, at `most` rows."""
    partitions = 1
    while rows / partitions > most:
        partitions *= 2
    return partitions


def shares_of(answer: pa.Table) -> dict[str, str]:
    """Run -> digest of the rows of an answer, sorted by `fragment`, that are for its fragments."""
    spans = spans_of(answer["fragment"].to_numpy(), MAX_FRAGMENTS)
    return {str(run): digest_of(answer.slice(start, stop - start)) for run, start, stop in spans}


def _numbered(rows: pa.Table, run: int) -> pa.Table:
    """The rows with the run's number in that of their fragment."""
    numbers = rows["fragment"].to_numpy() + np.int32(run * MAX_FRAGMENTS)
    index = rows.schema.get_field_index("fragment")
    field = pa.field("fragment", pa.int32(), nullable=False)
    return rows.set_column(index, field, pa.array(numbers, pa.int32()))
