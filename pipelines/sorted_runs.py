"""Sorted runs: what many fragments send to an exchange, merged so that a partition reads few files.

Consecutive fragments form a run: one Parquet file sorted by key, with the fragment's number in the run. Runs are
cut where the content of a fragment says, so that a new fragment changes the run it falls into and moves no other.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import blake3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dedup.keys import by_key, key_range, slice_range, slot_bounds, slots_of
from pipelines.session import Session
from pipelines.work import Commit, Part, Work, key_of, to_parquet

CUT_EVERY = 64
"""Mean number of fragments in a run."""
MAX_FRAGMENTS = 128
SLOTS = 256
"""Ranges of the key whose content a run tells apart: a partition none of whose slots changed is not solved again."""
GROUP_BYTES = 2**18
"""Of a row group: a partition's slice of a run is seldom smaller, and what is read beside it costs little."""
VERSION = 1

Reduce = Callable[[pa.Table], pa.Table]
"""Makes a run smaller than what was sent: a function of a module, or a `partial` of one with arguments that JSON can
hold, given all rows of each key in order."""


@dataclass(frozen=True)
class Run:
    """Consecutive fragments, `count` from the number `first`, whose rows lie in one file."""

    part: Part
    first: int
    count: int
    slots: Mapping[str, str] | None
    """Slot -> digest of its rows; None where a fragment's own file is the run."""

    def digests(self, partition: int, partitions: int) -> list[str]:
        """Stand for the rows in a partition's range; none where there are none."""
        if self.slots is None:
            return [self.part.digest] if self.part.rows else []
        first = partition * SLOTS // partitions
        last = max(first + 1, (partition + 1) * SLOTS // partitions)
        return [digest for slot in range(first, last) if (digest := self.slots.get(str(slot), ""))]


@dataclass(frozen=True)
class MergeTask:
    """Merges the rows of consecutive fragments, each sorted by key, into one run."""

    name: str
    number: int
    parts: tuple[Part, ...]
    reduce: Reduce | None = None
    compression: str = "zstd"

    @property
    def label(self) -> str:
        """Exchange and run."""
        return f"{self.name} run {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `rows`: those of all parts with the column `fragment`, by key, then fragment, then as they came."""
        work, node = session.work, f"{self.name}_runs"
        digests = [part.digest for part in self.parts]
        key = key_of(self.name, VERSION, digests, self.compression, named(self.reduce))
        found = work.find(node, key)
        if found is not None:
            return found
        tables = [in_fragment(work.read(part), number) for number, part in enumerate(self.parts)]
        merged = by_key(pa.concat_tables(tables))
        if self.reduce is not None:
            merged = self.reduce(merged)
        slots = _slots_of(merged.combine_chunks())
        return put_rows(work, node, key, merged, "key", {"slots": slots}, self.compression)


def merged_runs(
    each: Callable[[str, Sequence[MergeTask]], list[Commit]],
    name: str,
    parts: Sequence[Part],
    weights: Sequence[int],
    most: int,
    reduce: Reduce | None = None,
    compression: str = "zstd",
) -> list[Run]:
    """The runs of an exchange; `each` runs tasks. A run of one fragment is that fragment's file.

    `most` bounds the sum of `weights` (rows or bytes, one a part) in a run, and so the memory of who merges it.
    """
    spans = cut_runs(parts, weights, most)
    tasks = [
        MergeTask(name, number, tuple(parts[span.start : span.stop]), reduce, compression)
        for number, span in enumerate(spans)
        if len(span) > 1
    ]
    commits = dict(zip((task.number for task in tasks), each(f"{name} runs", tasks) if tasks else [], strict=True))
    return [
        Run(commits[number].parts["rows"], span.start, len(span), commits[number].facts["slots"])
        if number in commits
        else Run(parts[span.start], span.start, 1, None)
        for number, span in enumerate(spans)
    ]


def named(reduce: Reduce | None) -> list[Any] | None:
    """What stands for a reduction in keys: the function's name, and what it was given."""
    if reduce is None:
        return None
    function, *given = (reduce.func, reduce.args, reduce.keywords) if isinstance(reduce, partial) else (reduce,)
    return [getattr(function, "__module__", ""), getattr(function, "__qualname__", ""), *given]


def cut_runs(parts: Sequence[Part], weights: Sequence[int], most: int) -> list[range]:
    """Cut after parts that have rows and whose digest is a multiple of 64; at 128 parts or `most` at the latest."""
    spans, start, weight = [], 0, 0
    for number, (part, own) in enumerate(zip(parts, weights, strict=True)):
        if number > start and (number - start == MAX_FRAGMENTS or weight + own > most):
            spans.append(range(start, number))
            start, weight = number, 0
        weight += own
        if part.rows and int(part.digest[:8], 16) % CUT_EVERY == 0:
            spans.append(range(start, number + 1))
            start, weight = number + 1, 0
    return [*spans, range(start, len(parts))] if start < len(parts) else spans


def read_partition(work: Work, part: Part, partition: int, partitions: int) -> pa.Table:
    """A partition's rows of one run, with the column `fragment`."""
    low, high = key_range(partition, partitions)
    found = slice_range(read_between(work, part, "key", low, high), low, high)
    return found if "fragment" in found.column_names else in_fragment(found, 0)


def read_between(work: Work, part: Part, column: str, low: Any, high: Any) -> pa.Table:
    """The row groups of a table sorted by `column` that may hold values in `[low, high)`; `high` None is the end."""
    with work.parquet_file(part) as file:
        index = file.schema_arrow.get_field_index(column)
        groups = range(file.metadata.num_row_groups)

        def smallest(group: int) -> Any:
            return _statistics(file, group, index).min

        def largest(group: int) -> Any:
            return _statistics(file, group, index).max

        if not file.metadata.num_rows:
            return file.read(use_threads=False)
        start = bisect_left(groups, low, key=largest)
        stop = len(groups) if high is None else bisect_left(groups, high, key=smallest)
        return file.read_row_groups(list(groups[start:stop]), use_threads=False)


def _statistics(file: pq.ParquetFile, group: int, column: int) -> pq.Statistics:
    return file.metadata.row_group(group).column(column).statistics


def read_spans(work: Work, parts: Iterable[Part], column: str, low: int, high: int) -> list[pa.Table]:
    """The rows of solved partitions whose `column`, by which they are sorted, is in `[low, high)`."""
    tables = []
    for part in parts:
        found = read_between(work, part, column, low, high)
        start, stop = np.searchsorted(found[column].to_numpy(), [low, high])
        tables.append(found.slice(start, stop - start))
    return tables


def _slots_of(rows: pa.Table) -> dict[str, str]:
    """Slot -> `digest_of` its rows, of rows sorted by key."""
    if any(pa.types.is_binary(column.type) for column in rows.columns):
        return {str(slot): digest_of(own) for slot, own in slots_of(rows, SLOTS)}
    columns = [_bytes_of(column.chunk(0)) for column in rows.columns] if rows.num_rows else []
    found = {}
    for slot, start, stop in slot_bounds(rows, SLOTS):
        hasher = blake3.blake3()
        for data, width in columns:
            hasher.update(data[start * width : stop * width])
        found[str(slot)] = str(hasher.hexdigest())[:16]
    return found


def put_rows(
    work: Work, node: str, key: str, rows: pa.Table, by: str, facts: Mapping[str, Any], compression: str = "zstd"
) -> Commit:
    """Commit `rows`, sorted by the column `by`, in row groups small enough to be read apart."""
    data = to_row_groups(rows, by, compression)
    part = put_part(work, work.path(node, key, "rows.parquet"), data, rows.num_rows)
    return work.commit(node, key, {"rows": part}, facts)


def to_row_groups(rows: pa.Table, by: str, compression: str = "zstd") -> bytes:
    """Parquet with row groups of about 256 KiB and statistics of the column they are sorted by."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows,
        sink,
        compression=compression,
        compression_level=1 if compression == "zstd" else None,
        use_dictionary=False,  # keys and ids hardly repeat: a dictionary would only hold them a second time
        write_statistics=[by],
        row_group_size=max(1, GROUP_BYTES * rows.num_rows // max(1, rows.nbytes)),
    )
    return bytes(sink.getvalue())


def put_part(work: Work, path: str, data: bytes, rows: int) -> Part:
    """Write a part that a commit will name."""
    work.folder.write(path, data, last=False)
    return Part(path, blake3.blake3(data).hexdigest()[:32], rows, len(data))


def put_answers(work: Work, node: str, key: str, answers: Iterable[pa.Table]) -> Commit:
    """Commit the answers to a run's fragments: parts `0`, `1` ... in their order.

    A part is named after its content: equal answers are one file, and one that is there is not written again.
    """
    parts = {}
    for number, answer in enumerate(answers):
        data = to_parquet(answer)
        path = work.path(node, blake3.blake3(data).hexdigest()[:32], "answers.parquet")
        there = work.folder.stat(path)
        if there is None or there.size != len(data):
            work.folder.write(path, data, last=False)
        parts[str(number)] = Part(path, blake3.blake3(data).hexdigest()[:32], answer.num_rows, len(data))
    return work.commit(node, key, parts, {})


def digest_of(table: pa.Table) -> str:
    """Hash of the values of a table of fixed-width columns without nulls, and of binary ones: 16 hex digits."""
    hasher = blake3.blake3()
    for column in table.columns:
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        if pa.types.is_binary(array.type):
            hasher.update(pc.fill_null(pc.binary_length(array), -1).to_numpy().tobytes())
            hasher.update(b"".join(pc.fill_null(array, b"").to_pylist()))
        elif len(array):
            hasher.update(_bytes_of(array)[0])
    return str(hasher.hexdigest())[:16]


def _bytes_of(array: pa.Array) -> tuple[memoryview, int]:
    """The values of an array of fixed width, and the bytes of one."""
    width = array.type.byte_width
    start = array.offset * width
    return memoryview(array.buffers()[1])[start : start + len(array) * width], width


def spans_of(numbers: np.ndarray[Any, Any], width: int) -> list[tuple[int, int, int]]:
    """(number // width, start, stop) of each stretch of sorted numbers that share it."""
    runs, starts = np.unique(numbers // width, return_index=True)
    return list(zip(runs.tolist(), starts.tolist(), np.append(starts, len(numbers))[1:].tolist(), strict=True))


def in_fragment(rows: pa.Table, number: int) -> pa.Table:
    """The rows with the column `fragment`."""
    return rows.append_column(
        pa.field("fragment", pa.int32(), nullable=False), pa.array(np.full(rows.num_rows, number, np.int32))
    )
