"""Files of saved HF data sets: batches cut to fragments, and of large batches only the rows of one read."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, BinaryIO

import blake3
import pyarrow as pa

from sources.readers.expected import expect_columns
from sources.readers.hf_arrow import Message, Stream, StreamError, batches, open_stream, read_rows
from sources.readers.hf_features import Feature, features_of, has_labels, named_labels
from sources.readers.hf_library import datasets_library
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


@dataclass(frozen=True)
class _Batch:
    """A batch, its first row in the file, and the BLAKE3 of its bytes."""

    message: Message
    first_row: int
    digest: bytes

    @property
    def size(self) -> int:
        return self.message.stop - self.message.start


def plan_saved(corpus: Corpus, path: str) -> Iterator[Fragment]:
    """Cut a file between batches, and these at 4,096 rows or about 16 MiB.

    A fragment's `start` is where its first batch begins in the file, its `stop` how many rows of that batch come
    before its own.

    Raises:
        CorpusError: it is cut off or no Arrow stream, or lacks a mapped column.
    """
    stat = found(corpus, path)
    with _stream(corpus, path) as (file, stream):
        expect_columns(corpus, path, stream.schema.names)
        _columns(corpus, path, stream)
        held: list[_Batch] = []
        row = 0
        for message in batches(file, stream.start, stat.size):
            batch = _Batch(message, row, _digest(file, message))
            row += message.rows
            full = sum(other.message.rows for other in held) + message.rows > FRAGMENT_RECORDS
            if held and (full or sum(other.size for other in held) + batch.size > FRAGMENT_BYTES):
                yield from _fragments(corpus, path, stream, held)
                held = []
            if message.rows:
                held.append(batch)
    if found(corpus, path) != stat:
        raise ChangedInputError(f"{corpus.shown(path)}: changed while the build was planned; run it again")
    if held:
        yield from _fragments(corpus, path, stream, held)


def read_saved(corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
    """Yield one record a row; the bytes of pictures are left where they are.

    Raises:
        ChangedInputError: the file is not the planned one any more.
    """
    check_unchanged(corpus, fragment)
    with _stream(corpus, fragment.path) as (file, stream):
        features, pictures = _columns(corpus, fragment.path, stream)
        wanted = {name: name not in pictures.held for name in features}
        labelled = {name: feature for name, feature in features.items() if has_labels(feature)}
        for first_row, rows in _windows(file, stream, fragment, wanted):
            for first, found in _rows(corpus, fragment.path, pictures, rows, first_row):
                if isinstance(found, Unreadable):
                    yield found
                elif labelled:
                    yield from (named_labels(labelled, str(number), row) for number, row in enumerate(found, first))
                else:
                    yield from map(Record, map(str, count(first)), found)


def open_saved_picture(corpus: Corpus, fragment: Fragment, uri: str) -> bytes:
    """The bytes of a picture of the fragment, whose pictures are then held until another fragment is asked for.

    Raises:
        FileNotFoundError: it has no such picture.
        ChangedInputError: the file is not the planned one any more.
    """
    check_unchanged(corpus, fragment)
    row, name, number = place_of(inner_name(fragment.path, uri) or "")
    for first_row, rows in _pictures(corpus, fragment):
        if first_row <= row < first_row + rows.num_rows and name in rows.schema.names:
            one = rows.slice(row - first_row, 1)
            if _flaw(one) is None:
                return picture_in(one, 0, name, number)
    raise FileNotFoundError(errno.ENOENT, "no such picture in the fragment")


@contextmanager
def _stream(corpus: Corpus, path: str) -> Iterator[tuple[BinaryIO, Stream]]:
    """Open a file and read its schema.

    Raises:
        CorpusError: it is damaged, at any time while it is open.
    """
    datasets_library()  # it defines column types of its own, which Arrow must know before it meets them
    with opened(corpus, path) as file:
        try:
            yield file, open_stream(file)
        except StreamError as error:
            raise CorpusError(f"{corpus.shown(path)}: {error}") from None


def _columns(corpus: Corpus, path: str, stream: Stream) -> tuple[dict[str, Feature], PictureColumns]:
    """The mapped columns: what they mean, and which of them hold pictures."""
    features = features_of(corpus, path, stream.schema)
    return features, PictureColumns.of(corpus, path, stream.schema, list(features))


def _digest(file: BinaryIO, message: Message) -> bytes:
    hasher = blake3.blake3()
    file.seek(message.start)
    left = message.stop - message.start
    while left and (part := file.read(min(READ_BYTES, left))):
        hasher.update(part)
        left -= len(part)
    return hasher.digest()


def _fragments(corpus: Corpus, path: str, stream: Stream, held: list[_Batch]) -> Iterator[Fragment]:
    """Several small batches as one fragment, or one large batch in equal parts."""
    stat = found(corpus, path)
    first, rows, size = held[0].first_row, sum(batch.message.rows for batch in held), sum(batch.size for batch in held)
    step = rows
    if len(held) == 1:
        step = max(1, min(FRAGMENT_RECORDS, FRAGMENT_BYTES // max(1, size // rows)))
    named = corpus.identity.name("path", path).encode("utf-8", "surrogatepass")
    for begin in range(first, first + rows, step):
        records = min(step, first + rows - begin)
        numbers = f"{begin} {records}".encode()
        contents = [stream.header, *(batch.digest for batch in held)]
        hasher = blake3.blake3(framed(named, numbers, surroundings(corpus, path), *contents))
        yield Fragment(
            path=path,
            digest=sealed(corpus, hasher),
            start=held[0].message.start,
            stop=begin - first,
            first_row=begin,
            records=records,
            size=records * max(1, size // rows),
            file_size=stat.size,
            file_stamp=stat.stamp,
        )


def _windows(
    file: BinaryIO, stream: Stream, fragment: Fragment, columns: dict[str, bool]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The fragment's rows batch by batch, each with the number of its first row in the file."""
    row, skip, left = fragment.first_row, fragment.stop, fragment.records
    for message in batches(file, fragment.start, fragment.file_size):
        taken = min(message.rows - skip, left)
        yield row, read_rows(file, message, stream.schema, (skip, skip + taken), columns)
        row, skip, left = row + taken, 0, left - taken
        if not left:
            return


_held: dict[tuple[Any, ...], list[tuple[int, pa.RecordBatch]]] = {}
"""The pictures of the fragment that was asked for last."""


def _pictures(corpus: Corpus, fragment: Fragment) -> list[tuple[int, pa.RecordBatch]]:
    key = (corpus.root, fragment.path, fragment.digest)
    if key not in _held:
        _held.clear()
        with _stream(corpus, fragment.path) as (file, stream):
            mapped = _columns(corpus, fragment.path, stream)[1].mapped
            wanted = dict.fromkeys(sorted(mapped), True)
            _held[key] = list(_windows(file, stream, fragment, wanted)) if wanted else []
    return _held[key]


def _rows(
    corpus: Corpus, path: str, pictures: PictureColumns, batch: pa.RecordBatch, first_row: int
) -> Iterator[tuple[int, list[dict[str, Any]] | Unreadable]]:
    """The rows of a batch by the number of the first. Arrow is trusted with offsets and text only once checked."""
    flaw = _flaw(batch)
    if flaw is None:
        yield first_row, pictures.rows(corpus, path, batch, first_row)
    elif batch.num_rows == 1:
        yield first_row, Unreadable(str(first_row), *flaw)
    else:
        for number in range(batch.num_rows):
            yield from _rows(corpus, path, pictures, batch.slice(number, 1), first_row + number)


def _flaw(batch: pa.RecordBatch) -> tuple[Reason, str] | None:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            return Reason.RECORD_ENCODING, "not UTF-8"
        return Reason.RECORD_MALFORMED, "its Arrow values are damaged"
    return None
