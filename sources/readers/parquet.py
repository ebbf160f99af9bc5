"""Parquet: row groups cut to fragments, and only the columns that the card names are read."""

import errno
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import blake3
import pyarrow as pa
import pyarrow.parquet as pq

from sources.cards import Card
from sources.columns import takes_rest
from sources.identifying import wanted_columns
from sources.readers.expected import expect_columns
from sources.readers.parquet_pictures import PictureColumns, picture_in, place_of
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
from sources.uris import inner_name

BUFFER_BYTES = 2**20
"""Column chunks are read through buffers of this size, so that a row group is never whole in memory."""


class ParquetReader:
    """Reads Parquet. A record's key is its row number in the file, from 0.

    Pictures may lie in it: columns of bytes or of `struct<bytes, path>`, or lists of these, that are mapped to `image`.
    A fragment's `start:stop` are the numbers of the row groups it touches.
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 2
    options: frozenset[str] = frozenset()

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut files at row groups, and these at 4,096 rows or about 16 MiB of the columns that are read.

        Raises:
            CorpusError: a file is not Parquet, is truncated, or lacks a mapped column.
        """
        for path in paths:
            with opened(corpus, path) as raw:
                file = _open(corpus, path, raw)
                expect_columns(corpus, path, file.schema_arrow.names)
                PictureColumns.of(corpus, path, file.schema_arrow, _columns(corpus, file))
                yield from _cut(corpus, path, file)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record a row.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        check_unchanged(corpus, fragment)
        yield from _records(corpus, fragment)

    def open_picture(self, corpus: Corpus, fragment: Fragment, uri: str) -> bytes:
        """The bytes of a picture. Raises as `PictureReader`."""
        row, column, number = place_of(inner_name(fragment.path, uri) or "")
        for first, batch in _pictures(corpus, fragment):
            if first <= row < first + batch.num_rows and column in batch.schema.names:
                return picture_in(batch, row - first, column, number)
        raise FileNotFoundError(errno.ENOENT, "no such picture in the fragment")


@dataclass(frozen=True)
class _Group:
    """A row group: its first row in the file, and its bytes in the columns that are read."""

    number: int
    first_row: int
    rows: int
    size: int
    digest: bytes


def parquet_columns(corpus: Corpus, path: str) -> list[str]:
    """The outermost columns of a file, whether the card reads them or not.

    Raises:
        CorpusError: it is no Parquet file.
    """
    with opened(corpus, path) as raw:
        names: list[str] = _open(corpus, path, raw).schema_arrow.names
    return names


def _open(corpus: Corpus, path: str, raw: Any) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(raw, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError, ValueError):
        raise CorpusError(f"{corpus.shown(path)}: is not a Parquet file, or is truncated") from None


def _columns(corpus: Corpus, file: pq.ParquetFile) -> list[str]:
    wanted, every = wanted_columns(corpus), takes_rest(corpus.card)
    return [name for name in file.schema_arrow.names if every or name in wanted]


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
    schema = file.schema_arrow.serialize().to_pybytes()  # its text form cuts metadata, in which labels have names
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
        names = _columns(corpus, file)
        pictures = PictureColumns.of(corpus, fragment.path, file.schema_arrow, names)
        number = fragment.first_row
        for first, batch in _batches(file, fragment, names, names):
            for lost in range(number, first):
                yield Unreadable(str(lost), Reason.RECORD_MALFORMED, "its Parquet page does not decode")
            yield from _rows(corpus, fragment.path, pictures, batch, first)
            number = first + batch.num_rows


def _batches(
    file: pq.ParquetFile, fragment: Fragment, names: list[str], wanted: list[str]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of the fragment's row groups from its first row on, each batch with its first row.

    As many together as the columns `names` allow, whichever of them are `wanted`. Where a page does not decode, an
    empty batch says with which row it goes on.
    """
    number = sum(file.metadata.row_group(group).num_rows for group in range(fragment.start))
    nothing = pa.RecordBatch.from_pylist([], schema=pa.schema([]))
    for group in range(fragment.start, fragment.stop):
        meta = file.metadata.row_group(group)
        end = number + meta.num_rows
        at_once = _rows_at_once(meta.num_rows, _bytes_of(meta, names))
        with _damage_suppressed():
            for batch in file.iter_batches(at_once, [group], wanted, use_threads=False):
                skip = max(fragment.first_row - number, 0)
                if skip < batch.num_rows:
                    yield number + skip, batch.slice(skip)
                number += batch.num_rows
        if number < end:
            yield end, nothing
        number = end


Batches = Iterator[tuple[int, pa.RecordBatch]]

_picture_cursors: dict[tuple[Any, ...], tuple[Card, Batches]] = {}
_pictures_held: dict[tuple[Any, ...], tuple[Card, list[tuple[int, pa.RecordBatch]]]] = {}
"""The pictures of the fragment that this process is reading, and where the next ones are: see `_cursors`."""


def _pictures(corpus: Corpus, fragment: Fragment) -> list[tuple[int, pa.RecordBatch]]:
    """The fragment's rows in the columns that hold pictures, each batch with its first row."""
    place = (corpus.root, fragment.path, fragment.file_size, fragment.file_stamp, fragment.start, fragment.stop)
    here, end = (*place, fragment.first_row), fragment.first_row + fragment.records
    held = _pictures_held.get(here)
    if held is not None and held[0] is corpus.card:
        return held[1]
    _pictures_held.clear()
    check_unchanged(corpus, fragment)
    cursor = _picture_cursors.pop(here, None)
    _picture_cursors.clear()
    batches = cursor[1] if cursor and cursor[0] is corpus.card else _pictures_from(corpus, fragment)
    found_here = []
    for first, batch in batches:
        found_here.append((first, batch))
        if first + batch.num_rows >= end:
            break
    _pictures_held[here] = (corpus.card, found_here)
    _picture_cursors[(*place, end)] = (corpus.card, batches)
    return found_here


def _pictures_from(corpus: Corpus, fragment: Fragment) -> Batches:
    with opened(corpus, fragment.path) as raw:
        file = _open(corpus, fragment.path, raw)
        names = _columns(corpus, file)
        held = PictureColumns.of(corpus, fragment.path, file.schema_arrow, names).mapped
        if held:
            yield from _batches(file, fragment, names, sorted(held))


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


def _rows(
    corpus: Corpus, path: str, pictures: PictureColumns, batch: pa.RecordBatch, first: int
) -> Iterator[Record | Unreadable]:
    """The rows of a batch; where its text is not UTF-8, one by one, so that only bad rows are lost."""
    try:
        rows = pictures.rows(corpus, path, batch, first)
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            yield Unreadable(str(first), Reason.RECORD_ENCODING, "not UTF-8")
            return
        for number in range(batch.num_rows):
            yield from _rows(corpus, path, pictures, batch.slice(number, 1), first + number)
    else:
        for number, row in enumerate(rows, first):
            yield Record(str(number), row)
