"""A join by exchange, solved: each partition finds the rows that its values match."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import blake3
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dedup.keys import KEY_BYTES
from pipelines.joins.rows import WANTED, joined_tables
from pipelines.session import Session
from pipelines.sorted_runs import GROUP_BYTES, Reduce, digest_of, read_partition
from pipelines.work import Commit, Part, key_of

VERSION = 2
PARTITION_BYTES = 64 * 2**20
"""Rows of the table that a partition holds at once; a few times as much while they are sorted."""
ANSWERS = pa.schema(
    [
        pa.field("run", pa.int32(), nullable=False),
        pa.field("key", pa.binary(KEY_BYTES), nullable=False),
        pa.field("sealed", pa.binary()),
    ]
)
"""What a partition answers: for each run of fragments, the rows that its values match, by run, then key."""


@dataclass(frozen=True)
class MatchTask:
    """Solves one partition of a join."""

    partition: int
    partitions: int
    wanted: tuple[tuple[int, Part], ...]
    """Number and file of the runs of fragments that have values in the range."""
    rows: tuple[Part, ...]
    """The runs of the table that have rows in it."""
    reduce: Reduce
    digest: str
    """Stands for the content of the range, on both sides, and for `reduce`."""

    @property
    def label(self) -> str:
        """Partition."""
        return f"join partition {self.partition + 1} of {self.partitions}"

    def run(self, session: Session) -> Commit:
        """Commit `rows`: ANSWERS.

        Facts: `runs` (number -> digest of its share), `matched` (rows of the table that some record is joined
        by), `records` (that have a value), `unmatched` (of these, without a row) and `several` (with rows that differ,
        of which the first is taken).
        """
        work, node = session.work, "join_solve"
        key = key_of(VERSION, self.partition, self.partitions, self.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        wanted = (
            pl.concat([_wanted(self._read(session, part), number) for number, part in self.wanted])
            if (self.wanted)
            else _wanted(WANTED.empty_table(), 0)
        )
        distinct = wanted.select("key").unique()
        rows = joined_tables(
            (matching_rows(self._read(session, part), distinct) for part in self.rows), self.reduce, PARTITION_BYTES
        )
        spans = spans_of_keys(rows)
        answers = wanted.join(spans, on="key", how="inner").unique(["run", "key"]).sort("run", "key")
        path = work.path(node, key, "rows.parquet")
        with work.folder.writing(path, last=False) as file:
            part, runs = _write(file, path, rows, answers)
        missed = wanted.join(spans, on="key", how="anti")["records"].sum()
        differing = frame_of(rows.select(["key", "differ"])).filter(pl.col("differ") > 0)
        facts = {
            "runs": runs,
            "matched": int(pc.sum(rows["rows"]).as_py() or 0),
            "records": int(wanted["records"].sum()),
            "unmatched": int(missed),
            "several": int(wanted.join(differing, on="key", how="semi")["records"].sum()),
        }
        return work.commit(node, key, {"rows": part}, facts)

    def _read(self, session: Session, part: Part) -> pa.Table:
        return read_partition(session.work, part, self.partition, self.partitions)


def _wanted(table: pa.Table, run: int) -> pl.DataFrame:
    return frame_of(table.select(WANTED.names)).with_columns(run=pl.lit(run, pl.Int32))


def matching_rows(table: pa.Table, distinct: pl.DataFrame) -> pa.Table:
    """The rows of a run of the table whose value some record has."""
    keys = frame_of(table.select(["key"])).with_row_index()
    places = keys.join(distinct, on="key", how="semi")["index"].sort()
    return table.take(places.to_arrow())


def spans_of_keys(rows: pa.Table) -> pl.DataFrame:
    """Where the rows of each key begin, and how many there are."""
    return frame_of(rows.select(["key"])).with_row_index("start").group_by("key").agg(pl.col("start").min(), pl.len())


def taken(rows: pa.Table, answers: pl.DataFrame) -> pa.Table:
    """The rows that the spans name, span after span."""
    starts, lengths = answers["start"].to_numpy().astype(np.int64), answers["len"].to_numpy().astype(np.int64)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return rows.take(pa.array(np.repeat(starts, lengths) + offsets))


def _write(file: BinaryIO, path: str, rows: pa.Table, answers: pl.DataFrame) -> tuple[Part, dict[str, str]]:
    """Write ANSWERS run by run, each run's rows in memory at once and no more; digests of the runs' shares."""
    sink = _Hashed(file)
    shares: dict[str, str] = {}
    count = 0
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}
    with pq.ParquetWriter(sink, ANSWERS, write_statistics=["run"], **options) as writer:
        held: list[pa.Table] = []
        for (run,), span in answers.group_by("run", maintain_order=True):
            own = taken(rows.select(["key", "sealed"]), span)
            column = pa.array(np.full(own.num_rows, run, np.int32))
            share = own.add_column(0, ANSWERS.field("run"), column).cast(ANSWERS)
            shares[str(run)] = digest_of(share)
            count += share.num_rows
            held.append(share)
            if sum(table.nbytes for table in held) > GROUP_BYTES:
                _write_groups(writer, held)
                held = []
        _write_groups(writer, held)
    return Part(path, sink.digest(), count, sink.size), shares


def _write_groups(writer: pq.ParquetWriter, tables: Sequence[pa.Table]) -> None:
    if tables:
        table = pa.concat_tables(tables)
        writer.write_table(table, row_group_size=max(1, GROUP_BYTES * table.num_rows // max(1, table.nbytes)))


class _Hashed(io.RawIOBase):
    """Passes bytes on, and hashes and counts them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self.size = file, blake3.blake3(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def digest(self) -> str:
        return self._hash.hexdigest()[:32]


def frame_of(table: pa.Table) -> pl.DataFrame:
    """The table as Polars has it."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
