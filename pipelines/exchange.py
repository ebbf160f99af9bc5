"""The exchange: rows with equal keys meet in one partition, whatever fragments they come from.

Each fragment sends its keys, sorted; those of consecutive fragments are merged into runs (`sorted_runs.py`).
Partitions are ranges of the key, so that a partition reads its slice of every run and is solved alone in memory
that its size bounds, not the corpus. The answer goes back, run by run, to the fragments as the rows that are not
the first of their group. No group is ever expanded to pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.keys import FOLLOWERS, KEYS, SENT_KEYS, followers, sent_keys
from pipelines.bisect import Failure, bisect
from pipelines.facts import errors_of, read_facts
from pipelines.isolation import isolated
from pipelines.partitions import Solver, solved
from pipelines.session import Session
from pipelines.sorted_runs import (
    MAX_FRAGMENTS,
    merged_runs,
    put_answers,
    read_spans,
)
from pipelines.steps import KeyStep, own_fingerprint
from pipelines.view import View, alive_rows, read_samples
from pipelines.work import Commit, Part, key_of

PARTITION_ROWS = 500_000
"""Keys solved at once: about 40 bytes each, some ten MB, and as much again a few times while they are sorted."""
RUN_ROWS = 2**19
"""Most keys of a run: as many as 128 fragments of 4,096 samples send."""
VERSION = 3
NUMBERED_KEYS = SENT_KEYS.append(pa.field("fragment", pa.int32(), nullable=False))
"""Keys as partitions see them."""


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
        key = key_of(own_fingerprint(step), view.corpus, view.digests(step.columns, *self.facts))
        found = work.find(node, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        samples = read_samples(work, view, rows, step.columns)
        facts = read_facts(session, view, self.facts, rows)
        keys = partial(_keys, step, samples, rows, facts)
        pieces = list(bisect(isolated(keys, self.attempt, step), len(rows)))
        tables = [piece.result for piece in pieces if not isinstance(piece.result, Failure)]
        joined = sent_keys(pa.concat_tables([KEYS.empty_table(), *tables]), view.corpus)
        return work.put(node, key, {"keys": joined, f"{step.name}_key_errors": errors_of(pieces, rows)})

    def again(self) -> "KeysTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class GatherTask:
    """Collects the answers of one run's fragments from all partitions.

    An answer's part is named after its content, so that a fragment that nothing changed for is not decided again.
    """

    name: str
    number: int
    fragments: int
    solved: tuple[Part, ...]
    """Of the partitions that have an answer for the run."""
    digest: str
    """Stands for those answers."""
    answer: pa.Schema = FOLLOWERS
    """Has the columns `fragment` and `row`."""

    @property
    def label(self) -> str:
        """Step and run."""
        return f"{self.name} answers {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit the answers without the fragment's number, which changes as corpora grow, as parts `0`, `1` ..."""
        work, node = session.work, f"{self.name}_answers"
        key = key_of(self.name, VERSION, self.fragments, self.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        first = self.number * MAX_FRAGMENTS
        tables = read_spans(work, self.solved, "fragment", first, first + MAX_FRAGMENTS)
        joined = pa.concat_tables([self.answer.empty_table(), *tables]).sort_by(
            [("fragment", "ascending"), ("row", "ascending")]
        )
        bounds = np.searchsorted(joined["fragment"].to_numpy(), np.arange(first, first + self.fragments + 1))
        rows = joined.drop_columns(["fragment"])
        answers = (rows.slice(start, stop - start) for start, stop in pairwise(bounds))
        return put_answers(work, node, key, answers)


def exchanged(each: Callable[[str, Sequence[Any]], list[Commit]], name: str, keys: Sequence[Part]) -> list[Part]:
    """Each fragment's followers, of the keys that all fragments sent; `each` runs tasks and gives their commits."""
    return answered_by(each, Solver(name, "solve", VERSION, NUMBERED_KEYS, _followers), keys, FOLLOWERS)


def answered_by(
    each: Callable[[str, Sequence[Any]], list[Commit]], solver: Solver, keys: Sequence[Part], answer: pa.Schema
) -> list[Part]:
    """Each fragment's rows of `answer` (columns `fragment` and `row`), of what all fragments sent, sorted by key."""
    name = solver.name
    runs = merged_runs(each, name, keys, [part.rows for part in keys], RUN_ROWS)
    answered = solved(each, solver, runs, sum(part.rows for part in keys), PARTITION_ROWS)
    gather = []
    for number, run in enumerate(runs):
        shares = [(commit.parts["rows"], commit.facts["runs"].get(str(number))) for commit in answered]
        used = tuple(part for part, share in shares if share is not None)
        gather.append(GatherTask(name, number, run.count, used, key_of([share for _, share in shares]), answer))
    answers = each(f"{name} answers", gather)
    return [commit.parts[str(number)] for run, commit in zip(runs, answers, strict=True) for number in range(run.count)]


def _keys(
    step: KeyStep, samples: pa.Table, rows: npt.NDArray[np.int32], facts: Mapping[str, pa.Table], start: int, stop: int
) -> pa.Table:
    span = pa.array(rows[start:stop], pa.int32())
    return step.keys(samples.slice(start, stop - start), span, facts)


def _followers(keys: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    return followers(keys), {}
