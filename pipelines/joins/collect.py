"""A join by exchange, collected: each fragment gets the rows that its records match.

What is held at once is bounded by the rows that are matched, however many a value has: a few fragments' at a time, and
a fragment whose records match more than a build can hold is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.joins.solve import ANSWERS, frame_of, matching_rows, spans_of_keys, taken
from pipelines.session import Session
from pipelines.sorted_runs import put_answers, read_spans
from pipelines.work import Commit, Part, Work, key_of
from sources.records import CorpusError

VERSION = 2
HELD_BYTES = 128 * 2**20
"""Rows held at once to be given to fragments, but for those of a single fragment."""
MAX_FRAGMENT_BYTES = 512 * 2**20
"""What the records of one fragment (4,096 at most) may be joined to, a row counted for each record that has it: their
samples hold it all. With 4,096 records it is 128 KiB each."""


@dataclass(frozen=True)
class CollectTask:
    """Collects the rows that one run's fragments match from all partitions."""

    corpus: int
    number: int
    fragments: int
    wanted: Part
    """The run: which fragment has which values."""
    solved: tuple[Part, ...]
    """Of the partitions that have an answer for it, in order."""
    digest: str
    """Stands for the run and the answers."""

    @property
    def label(self) -> str:
        """Run."""
        return f"join answers {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit for each fragment the columns `key` and `sealed` of ANSWERS by key, as parts `0`, `1` ...

        Raises:
            CorpusError: the records of a fragment match more than 512 MiB.
        """
        work, node = session.work, "join_answers"
        key = key_of(VERSION, self.fragments, self.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        return put_answers(work, node, key, self._answers(work, session.corpora[self.corpus].name))

    def _answers(self, work: Work, name: str) -> Iterator[pa.Table]:
        sizes, held = self._looked_at(work)
        wanted = self._wanted(work).join(sizes, on="key", how="inner")
        loads = _loads(wanted)
        _expect_bounded(name, loads)
        bytes_of = dict(zip(loads["fragment"].to_list(), loads["held"].to_list(), strict=True))
        for start, stop in stretches([bytes_of.get(number, 0) for number in range(self.fragments)], HELD_BYTES):
            some = wanted.filter(pl.col("fragment").is_between(start, stop - 1)).select("key", "fragment")
            distinct = some.select("key").unique()
            shares = (matching_rows(share, distinct) for share in (self._shares(work) if held is None else held))
            rows = pa.concat_tables([_NONE, *shares]).combine_chunks()
            answers = some.join(spans_of_keys(rows), on="key", how="inner").sort("fragment", "key")
            bounds = np.searchsorted(answers["fragment"].to_numpy(), np.arange(start, stop + 1))
            for first, last in pairwise(bounds):
                yield taken(rows, answers[int(first) : int(last)])

    def _wanted(self, work: Work) -> pl.DataFrame:
        """The values of each fragment, and how many of its records have them."""
        wanted = work.read(self.wanted)
        if "fragment" not in wanted.column_names:
            wanted = wanted.append_column("fragment", pa.array(np.zeros(wanted.num_rows, np.int32)))
        return frame_of(wanted.select(["key", "fragment", "records"]))

    def _shares(self, work: Work) -> Iterator[pa.Table]:
        """What each partition answers to the run."""
        for part in self.solved:
            [share] = read_spans(work, (part,), "run", self.number, self.number + 1)
            yield share.drop_columns(["run"])

    def _looked_at(self, work: Work) -> tuple[pl.DataFrame, list[pa.Table] | None]:
        """Rows and bytes of each value, and the answers themselves where they may be held all at once."""
        sizes = [_sizes(_NONE)]
        held: list[pa.Table] | None = []
        size = 0
        for share in self._shares(work):
            sizes.append(_sizes(share))
            size += share.nbytes
            held = [*held, share] if held is not None and size <= HELD_BYTES else None
        return pl.concat(sizes), held


_NONE = ANSWERS.empty_table().drop_columns(["run"])


def stretches(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Cut places with these sizes into stretches (start, stop) of at most `most`, but for a single larger one."""
    found, start, held = [], 0, 0
    for place, size in enumerate(sizes):
        if place > start and held + size > most:
            found.append((start, place))
            start, held = place, 0
        held += size
    return [*found, (start, len(sizes))] if start < len(sizes) else found


def _sizes(share: pa.Table) -> pl.DataFrame:
    """Of each value its rows, and their bytes."""
    lengths = pc.cast(pc.fill_null(pc.binary_length(share["sealed"]), 0), pa.int64())
    frame = frame_of(pa.table({"key": share["key"], "bytes": lengths}))
    return frame.group_by("key").agg(pl.len().cast(pl.Int64).alias("rows"), pl.col("bytes").sum())


def _loads(wanted: pl.DataFrame) -> pl.DataFrame:
    """Of each fragment the bytes it is given, the rows and bytes its records are joined to, and the most of a value."""
    return (
        wanted.group_by("fragment")
        .agg(
            held=pl.col("bytes").sum(),
            rows=(pl.col("rows") * pl.col("records")).sum(),
            joined=(pl.col("bytes") * pl.col("records")).sum(),
            records=pl.col("records").cast(pl.Int64).sum(),
            most=pl.col("rows").max(),
        )
        .sort("fragment")
    )


def _expect_bounded(name: str, loads: pl.DataFrame) -> None:
    over = loads.filter(pl.col("joined") > MAX_FRAGMENT_BYTES)
    if over.is_empty():
        return
    first = over.row(0, named=True)
    raise CorpusError(
        f"{name}: {first['records']:,} records that are read at once match {first['rows']:,} rows of the joined table,"
        f" {-(-first['joined'] // 2**20):,} MiB where {MAX_FRAGMENT_BYTES >> 20:,} are the most; one value alone has"
        f" {first['most']:,} rows. Join by a value that fewer rows have, or map fewer of the table's columns"
    )
