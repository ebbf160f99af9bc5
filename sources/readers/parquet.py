"""Parquet: row groups cut to fragments, and only the columns that the card names are read."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import blake3
import pyarrow as pa
import pyarrow.parquet as pq

from sources.cards import Card
from sources.columns import mapped_columns
from sources.readers.expected import expect_columns
from sources.readers.ranges import READ_BYTES, check_unchanged, found, framed, opened, sealed, surroundings
from sources.records import (
    FRAGMENT_BYTES,
    FRAGMENT_RECORDS,
    ChangedInputError,
    Corpus,
    CorpusError,
    Fragment,
    Record,
    Unreadable,
)
from sources.schema import Reason

BUFFER_BYTES = 2**20
"""Column chunks are read through buffers of this size, so that a row group is never whole in memory."""


class ParquetReader:
    """Reads Parquet. A record's key is its row number in the file, from 0.

    A fragment's `start:stop` are the numbers of the row groups it touches.
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 1

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut files at row groups, and these at 4,096 rows or about 16 MiB of the columns that are read.

        Raises:
            CorpusError: a file is not Parquet, is truncated, or lacks a mapped column.
        """
        for path in paths:
            with opened(corpus, path) as raw:
                file = _open(corpus, path, raw)
                expect_columns(corpus, path, file.schema_arrow.names)
                _expect_text(corpus, path, file)
                yield from _cut(corpus, path, file)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record a row.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        check_unchanged(corpus, fragment)
        yield from _records(corpus, fragment)


@dataclass(frozen=True)
class _Group:
    """A row group: its first row in the file, and its bytes in the columns that are read."""

    number: int
    first_row: int
    rows: int
    size: int
    digest: bytes


def _open(corpus: Corpus, path: str, raw: Any) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(raw, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError, ValueError):
        raise CorpusError(f"{corpus.shown(path)}: is not a Parquet file, or is truncated") from None


def _columns(corpus: Corpus, file: pq.ParquetFile) -> list[str]:
    wanted = mapped_columns(corpus.card)
    return [name for name in file.schema_arrow.names if name in wanted]


def _expect_text(corpus: Corpus, path: str, file: pq.ParquetFile) -> None:
    for name in _columns(corpus, file):
        kind = file.schema_arrow.field(name).type
        children = [kind.field(number).name for number in range(kind.num_fields)]
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or "bytes" in children:
            raise CorpusError(
                f"{corpus.shown(path)}: column {name!r} holds bytes, which this version does not read: map a column"
                " of text, or of paths to picture files"
            )


def _cut(corpus: Corpus, path: str, file: pq.ParquetFile) -> Iterator[Fragment]:
    stat = found(corpus, path)
    held: list[_Group] = []
    for group in _groups(corpus, path, file):
        full = sum(other.rows for other in held) + group.rows > FRAGMENT_RECORDS
        heavy = sum(other.size for other in held) + group.size > FRAGMENT_BYTES
        if held and (full or heavy):
            yield from _fragments(corpus, path, held)
            held = []
        if group.rows:
            held.append(group)
    if found(corpus, path) != stat:
        raise ChangedInputError(f"{corpus.shown(path)}: changed while the build was planned; run it again")
    if held:
        yield from _fragments(corpus, path, held)


def _groups(corpus: Corpus, path: str, file: pq.ParquetFile) -> Iterator[_Group]:
    names = _columns(corpus, file)
    schema = str(file.schema_arrow).encode()
    first_row = 0
    with opened(corpus, path) as raw:
        for number in range(file.num_row_groups):
            meta = file.metadata.row_group(number)
            hasher = blake3.blake3(framed(schema, *(name.encode() for name in names)))
            for chunk in _chunks(meta, names):
                begin = min(chunk.dictionary_page_offset or chunk.data_page_offset, chunk.data_page_offset)
                _hash_range(hasher, raw, begin, begin + chunk.total_compressed_size)
            yield _Group(number, first_row, meta.num_rows, _bytes_of(meta, names), hasher.digest())
            first_row += meta.num_rows


def _chunks(group: pq.RowGroupMetaData, names: Collection[str]) -> Iterator[pq.ColumnChunkMetaData]:
    """The column chunks of a row group that are read."""
    chunks = (group.column(column) for column in range(group.num_columns))
    return (chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] in names)


def _bytes_of(group: pq.RowGroupMetaData, names: Collection[str]) -> int:
    return sum(chunk.total_uncompressed_size for chunk in _chunks(group, names))


def _rows_at_once(rows: int, size: int) -> int:
    """Rows of a large row group that are a fragment, and that are decoded together."""
    return max(1, min(FRAGMENT_RECORDS, FRAGMENT_BYTES // max(1, size // max(1, rows))))


def _hash_range(hasher: blake3.blake3, raw: Any, start: int, stop: int) -> None:
    raw.seek(start)
    while start < stop and (part := raw.read(min(READ_BYTES, stop - start))):
        hasher.update(part)
        start += len(part)


def _fragments(corpus: Corpus, path: str, groups: list[_Group]) -> Iterator[Fragment]:
    """Several small row groups as one fragment, or one large group in equal parts."""
    stat = found(corpus, path)
    first, rows, size = (
        groups[0].first_row,
        sum(group.rows for group in groups),
        sum(group.size for group in groups),
    )
    row_bytes = max(1, size // rows)
    step = _rows_at_once(rows, size) if len(groups) == 1 else rows
    named = corpus.identity.name("path", path).encode("utf-8", "surrogatepass")
    for begin in range(first, first + rows, step):
        records = min(step, first + rows - begin)
        numbers = f"{begin} {records}".encode()
        contents = [group.digest for group in groups]
        hasher = blake3.blake3(framed(named, numbers, surroundings(corpus, path), *contents))
        yield Fragment(
            path=path,
            digest=sealed(corpus, hasher),
            start=groups[0].number,
            stop=groups[-1].number + 1,
            first_row=begin,
            records=records,
            size=records * row_bytes,
            file_size=stat.size,
            file_stamp=stat.stamp,
        )


_cursors: dict[tuple[Any, ...], tuple[Card, Iterator[Record | Unreadable]]] = {}
"""Where reading stopped, for the fragment that follows: a large row group is decoded once, not once a fragment."""


def _records(corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
    """The records of a fragment, going on from where the last one read ended if that is where this one begins.

    They are the same either way: which rows are decoded together depends on their row group alone.
    """
    place = (corpus.root, fragment.path, fragment.file_size, fragment.file_stamp, fragment.start, fragment.stop)
    held = _cursors.pop((*place, fragment.first_row), None)
    _cursors.clear()
    records = held[1] if held and held[0] is corpus.card else _records_from(corpus, fragment)
    yield from islice(records, fragment.records)
    _cursors[(*place, fragment.first_row + fragment.records)] = (corpus.card, records)


def _records_from(corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
    """All records of the fragment's row groups from its first row on.

    A page that does not decode costs the rows that are decoded with it, and all later ones of its row group.
    """
    with opened(corpus, fragment.path) as raw:
        file = _open(corpus, fragment.path, raw)
        number = sum(file.metadata.row_group(group).num_rows for group in range(fragment.start))
        names = _columns(corpus, file)
        for group in range(fragment.start, fragment.stop):
            meta = file.metadata.row_group(group)
            end = number + meta.num_rows
            at_once = _rows_at_once(meta.num_rows, _bytes_of(meta, names))
            with _damage_suppressed():
                for batch in file.iter_batches(at_once, [group], names, use_threads=False):
                    skip = min(max(fragment.first_row - number, 0), batch.num_rows)
                    yield from _rows(batch.slice(skip), number + skip)
                    number += batch.num_rows
            for lost in range(max(number, fragment.first_row), end):
                yield Unreadable(str(lost), Reason.RECORD_MALFORMED, "its Parquet page does not decode")
            number = end


@contextmanager
def _damage_suppressed() -> Iterator[None]:
    """Pass over what Arrow says of damaged pages, but not over a disk that fails: only that has an error number."""
    try:
        yield
    except pa.ArrowException:
        pass
    except OSError as error:
        if error.errno is not None:
            raise


def _rows(batch: pa.RecordBatch, first: int) -> Iterator[Record | Unreadable]:
    """The rows of a batch; where its text is not UTF-8, one by one, so that only bad rows are lost."""
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            yield Unreadable(str(first), Reason.RECORD_ENCODING, "not UTF-8")
            return
        for number in range(batch.num_rows):
            yield from _rows(batch.slice(number, 1), first + number)
    else:
        for number, row in enumerate(rows, first):
            yield Record(str(number), row)
