"""JSON Lines: one object a line."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Literal

from sources.readers.expected import with_expected_columns
from sources.readers.objects import parse_object
from sources.readers.ranges import AT_ONCE_BYTES, TOO_LONG, Piece, cut, line_end, pieces, whole
from sources.readers.text import text_start
from sources.records import (
    MAX_RECORD_BYTES,
    Corpus,
    CorpusError,
    Fragment,
    Record,
    RecordError,
    Unreadable,
)


class JsonlReader:
    """Reads JSON Lines. A record's key is its number among the file's non-blank lines, from 0."""

    unit: Literal["file", "folder"] = "file"
    version: int = 1
    options: frozenset[str] = frozenset()

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut files at line ends.

        Raises:
            CorpusError: a file is compressed, UTF-16 or one JSON array, or lacks a mapped column.
        """
        for path in paths:
            yield from with_expected_columns(corpus, path, self.fragments(corpus, path), self.read)

    def fragments(self, corpus: Corpus, path: str) -> Iterator[Fragment]:
        """The fragments of one file, its columns unchecked."""
        start = text_start(corpus, path)
        if start.first == b"[":
            raise CorpusError(f"{corpus.shown(path)}: begins with '[', so it is a JSON array: use `reader: json`")
        yield from cut(corpus, path, split_lines, start.offset)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record a non-blank line.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        if fragment.passed_over or fragment.size > AT_ONCE_BYTES:
            for key, piece in pieces(corpus, fragment, split_lines):
                yield json_record(key, piece)
            return
        lines = (line for line in whole(corpus, fragment).split(b"\n") if line and not line.isspace())
        for number, line in enumerate(lines, fragment.first_row):
            yield object_record(str(number), line.rstrip(b"\r"))


def json_record(key: str, piece: Piece) -> Record | Unreadable:
    """The record of a piece that should be one JSON object."""
    try:
        return object_record(key, piece.content())
    except RecordError as error:
        return Unreadable(key, error.reason, str(error))


def object_record(key: str, data: bytes) -> Record | Unreadable:
    """The record of bytes that should be one JSON object."""
    try:
        return Record(key, parse_object(data))
    except RecordError as error:
        return Unreadable(key, error.reason, str(error))


def split_lines(file: BinaryIO, start: int, stop: int) -> Iterator[Piece]:
    """The non-blank lines in `start:stop`, without their ends; of one longer than 64 MiB only where it lies."""
    file.seek(start)
    while start < stop:
        line = file.readline(min(MAX_RECORD_BYTES + 1, stop - start))
        if not line:
            return
        end = start + len(line)
        if len(line) > MAX_RECORD_BYTES and not line.endswith(b"\n"):
            end = line_end(file, end, stop)
            yield Piece(start, end, None, TOO_LONG)
        elif not line.isspace():
            data = line.rstrip(b"\r\n")
            yield Piece(start, start + len(data), data)
        start = end
