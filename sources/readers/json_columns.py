"""JSON objects of columns, as pandas writes a table: `{"question": {"0": ..., "1": ...}, "answer": {...}}`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, Literal

from sources.readers.expected import with_expected_columns
from sources.readers.objects import parse_object
from sources.readers.ranges import TOO_LONG, Piece, cut, pieces
from sources.readers.text import text_start
from sources.records import MAX_RECORD_BYTES, Corpus, CorpusError, Fragment, Record, RecordError, Unreadable


class JsonColumnsReader:
    """Reads files of at most 64 MiB, each held in memory as a whole: no row lies in one place.

    Columns are objects from row names, or lists. A record's key is its row name, or its number.
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 1
    options: frozenset[str] = frozenset()

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """One fragment a file.

        Raises:
            CorpusError: a file is no JSON object, or lacks a mapped column.
        """
        for path in paths:
            start = text_start(corpus, path)
            if start.first not in (b"{", b""):
                raise CorpusError(f"{corpus.shown(path)}: is no JSON object of columns")
            whole = (replace(found, counted="files") for found in cut(corpus, path, _whole, start.offset))
            yield from with_expected_columns(corpus, path, whole, self.read)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record a row, in the order of the first column.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        for key, piece in pieces(corpus, fragment, _whole):
            try:
                columns = {name: _by_row(values) for name, values in parse_object(piece.content()).items()}
            except RecordError as error:
                yield Unreadable(key, error.reason, str(error))
                continue
            named = [list(values) for values in columns.values()]
            if named and all(names == named[0] for names in named):  # as pandas writes them
                yield from (
                    Record(row, dict(zip(columns, values, strict=True)))
                    for row, *values in zip(named[0], *(values.values() for values in columns.values()), strict=True)
                )
                continue
            rows = dict.fromkeys(row for values in columns.values() for row in values)
            for row in rows:
                yield Record(row, {name: values[row] for name, values in columns.items() if row in values})


def _whole(file: BinaryIO, start: int, stop: int) -> Iterator[Piece]:
    if stop - start > MAX_RECORD_BYTES:
        yield Piece(start, stop, None, TOO_LONG)
        return
    file.seek(start)
    data = file.read(stop - start)
    if data.strip():
        yield Piece(start, stop, data)


def _by_row(values: Any) -> dict[str, Any]:
    if isinstance(values, dict):
        return values
    if isinstance(values, list):
        return {str(row): value for row, value in enumerate(values)}
    raise RecordError("a column is neither an object nor a list")
