"""CSV and TSV: one record a row, fields with quoted delimiters and line ends included."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, Literal

from sources.cards import ascii_based
from sources.columns import mapped_columns, takes_rest
from sources.readers.expected import expect_columns
from sources.readers.ranges import (
    AT_ONCE_BYTES,
    READ_BYTES,
    TOO_LONG,
    Piece,
    cut,
    found,
    framed,
    line_end,
    opened,
    pieces,
    whole,
)
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
from sources.schema import Reason

UNCLOSED = "a quoted field is not closed"


@dataclass(frozen=True)
class Dialect:
    """How a file separates fields. `quote` empty: quotes are characters like others (`header` names columns)."""

    delimiter: str
    quote: str
    encoding: str

    @classmethod
    def of(cls, corpus: Corpus, path: str) -> "Dialect":
        """The card's options; the delimiter is a tab in `.tsv` files and a comma elsewhere by default.

        Raises:
            CorpusError: an option that this reader does not have.
        """
        options = corpus.card.options
        default = "\t" if path.lower().endswith(".tsv") else ","
        dialect = cls(
            str(options.get("delimiter", default)),
            str(options.get("quote", '"')),
            str(options.get("encoding", "utf-8")),
        )
        if len(dialect.delimiter.encode()) != 1 or len(dialect.quote.encode()) > 1:
            raise CorpusError(f"{corpus.name}: options: delimiter and quote are one ASCII character each")
        if ascii_based(dialect.encoding) is None:
            raise CorpusError(
                f"{corpus.name}: options: encoding: {dialect.encoding!r} is unknown or not built on ASCII;"
                " convert the files to UTF-8"
            )
        return dialect

    def split(self, file: BinaryIO, start: int, stop: int) -> Iterator[Piece]:
        """The rows in `start:stop`."""
        return split_rows(file, start, stop, self)

    def fields(self, data: bytes) -> list[str]:
        """The fields of one row.

        Raises:
            RecordError: the bytes are not in the encoding, or not one row.
        """
        csv.field_size_limit(MAX_RECORD_BYTES)
        try:
            text = data.decode(self.encoding)
        except UnicodeDecodeError:
            detail = f"not {self.encoding} (`options: {{encoding: ..}}` of the recipe's source names another)"
            raise RecordError(detail, Reason.RECORD_ENCODING) from None
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
        rows = csv.reader([text], delimiter=self.delimiter, quotechar=self.quote or None, quoting=quoting)
        try:
            return next(rows)
        except csv.Error:
            raise RecordError("not one row of CSV") from None


class CsvReader:
    """Reads CSV and TSV. A record's key is its row number, from 0, the header and blank lines not counted.

    Options: `delimiter`, `quote` (`""` where quotes mean nothing), `encoding`, `header: [names]` for files
    without one.
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 2
    options: frozenset[str] = frozenset({"delimiter", "quote", "encoding", "header"})

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut files between rows.

        Raises:
            CorpusError: a file is compressed or UTF-16, lacks a mapped column or has it twice.
        """
        for path in paths:
            header, _ = _header(corpus, path, Dialect.of(corpus, path))
            if header:
                expect_columns(corpus, path, header)
            yield from self.fragments(corpus, path)

    def fragments(self, corpus: Corpus, path: str) -> Iterator[Fragment]:
        """The fragments of one file, the presence of its columns unchecked."""
        dialect = Dialect.of(corpus, path)
        header, start = _header(corpus, path, dialect)
        _expect_once(corpus, path, header)
        yield from cut(corpus, path, dialect.split, start, _meaning(header))

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record a row, as a mapping of the header's names to text.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        dialect = Dialect.of(corpus, fragment.path)
        header, _ = _header(corpus, fragment.path, dialect)
        rows = _all_at_once(corpus, fragment, dialect, header)
        if rows is not None:
            for number, row in enumerate(rows, fragment.first_row):
                yield _record(str(number), row, header)
            return
        for key, piece in pieces(corpus, fragment, dialect.split, _meaning(header)):
            try:
                row = dialect.fields(piece.content())
            except RecordError as error:
                yield Unreadable(key, error.reason, str(error))
                continue
            yield _record(key, row, header)


def _record(key: str, row: list[str], header: list[str]) -> Record | Unreadable:
    if len(row) == len(header):
        return Record(key, dict(zip(header, row, strict=True)))
    lines = sum(field.count("\n") for field in row) + 1
    over = f", over {lines} lines" if lines > 1 else ""
    return Unreadable(key, Reason.RECORD_MALFORMED, f"{len(row)} fields where the header has {len(header)}{over}")


def _all_at_once(corpus: Corpus, fragment: Fragment, dialect: Dialect, header: list[str]) -> list[list[str]] | None:
    """The rows of a fragment as Python's `csv` takes them apart, eight times as fast as one by one.

    None where a row must be looked at alone: bytes that are no text, a quote amiss, or another number of rows than
    were planned.
    """
    if fragment.passed_over or fragment.size > AT_ONCE_BYTES:
        return None
    csv.field_size_limit(MAX_RECORD_BYTES)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    try:
        text = io.StringIO(whole(corpus, fragment, _meaning(header)).decode(dialect.encoding), newline="")
        rows = csv.reader(
            text, delimiter=dialect.delimiter, quotechar=dialect.quote or None, quoting=quoting, strict=True
        )
        found = [row for row in rows if len(row) > 1 or (row and row[0].strip(" "))]
    except (UnicodeDecodeError, csv.Error):
        return None
    return found if len(found) == fragment.records else None


def split_rows(
    file: BinaryIO, start: int, stop: int, dialect: Dialect, chunk_bytes: int = READ_BYTES
) -> Iterator[Piece]:
    """The non-blank rows in `start:stop`, cut exactly where Python's `csv` cuts them, but where a quote was lost.

    A quoted field that does not end within 64 MiB, or by `stop`, costs only its first line: rows go on after it. So
    does one of several lines whose closing quote other text follows: that quote opens a field of a later row.
    """
    file.seek(start)
    buffer, base = b"", start
    place = start
    while True:
        chunk = file.read(min(max(chunk_bytes, len(buffer)), stop - place))
        place += len(chunk)
        buffer += chunk
        ended = not chunk or place >= stop
        used = 0
        while used < len(buffer):
            row = _next_row(buffer, used, dialect, ended=ended)
            if row is None:
                break
            yield from _piece(buffer, base, used, row)
            used = row.after
        base += used
        buffer = buffer[used:]
        if ended:
            return
        if len(buffer) > MAX_RECORD_BYTES and b"\n" not in buffer:
            end = line_end(file, place, stop)
            yield Piece(base, end, None, TOO_LONG)
            buffer, base, place = b"", end, end
            file.seek(end)


@dataclass(slots=True)
class _Row:
    """Where a row ends in the buffer, without and with its line end."""

    stop: int
    after: int
    flaw: str = ""


def _next_row(buffer: bytes, start: int, dialect: Dialect, *, ended: bool) -> _Row | None:
    """The row at `start`; None where its end has not been read yet.

    The answer does not depend on how much has been read: a row has at most 64 MiB, whatever the buffer holds.
    """
    limit = start + MAX_RECORD_BYTES + 1
    match = _row_pattern(dialect).match(buffer, start, limit)
    if match is not None:
        undecided = match.end() == len(buffer) and buffer.endswith(b"\r") and not ended
        return None if undecided else _Row(match.end(1), match.end())
    if not ended and len(buffer) < limit and not _lost_pattern(dialect).match(buffer, start, limit):
        return None
    if ended and _whole_pattern(dialect).fullmatch(buffer, start, limit):
        return _Row(len(buffer), len(buffer))
    line_feed = buffer.find(b"\n", start)
    if line_feed >= 0:
        return _Row(line_feed, line_feed + 1, UNCLOSED)
    return _Row(len(buffer), len(buffer), UNCLOSED) if ended else None


def _piece(buffer: bytes, base: int, start: int, row: _Row) -> Iterator[Piece]:
    data = buffer[start : row.stop]
    if row.stop - start > MAX_RECORD_BYTES:
        yield Piece(base + start, base + row.stop, None, TOO_LONG)
    elif row.flaw:
        yield Piece(base + start, base + row.stop, None, row.flaw)
    elif data.strip(b" "):
        yield Piece(base + start, base + row.stop, data)


@lru_cache(maxsize=16)
def _row_pattern(dialect: Dialect) -> re.Pattern[bytes]:
    """A row and its line end, as the states of Python's `csv` reader take it."""
    return re.compile(b"(" + _row(dialect) + rb")(?:\r\n|\n|\r)")


@lru_cache(maxsize=16)
def _whole_pattern(dialect: Dialect) -> re.Pattern[bytes]:
    return re.compile(_row(dialect))


@lru_cache(maxsize=16)
def _lost_pattern(dialect: Dialect) -> re.Pattern[bytes]:
    """A row up to the text that follows the closing quote of a field of several lines."""
    if not dialect.quote:
        return re.compile(rb"(?!)")
    field, delimiter = _field(dialect), re.escape(dialect.delimiter.encode())
    one_line, several = _quoted(dialect, rb"\r\n"), _quoted(dialect)
    before = rb"(?:" + field + delimiter + rb")*+"
    return re.compile(
        before + rb"(?!" + one_line + rb")" + several + _blanks(dialect) + rb"[^ \r\n" + delimiter + rb"]"
    )


def _row(dialect: Dialect) -> bytes:
    field = _field(dialect)
    return field + rb"(?:" + re.escape(dialect.delimiter.encode()) + field + rb")*+"


def _field(dialect: Dialect) -> bytes:
    """A quote opens a field only at its start; what follows its closing quote on the same line belongs to the field."""
    delimiter = re.escape(dialect.delimiter.encode())
    plain = rb"[^\r\n" + delimiter + rb"]*+"
    if not dialect.quote:
        return plain
    several = _quoted(dialect) + _blanks(dialect) + rb"(?=[\r\n" + delimiter + rb"]|\Z)"
    unquoted = rb"(?!" + re.escape(dialect.quote.encode()) + rb")" + plain
    return rb"(?:" + _quoted(dialect, rb"\r\n") + plain + rb"|" + several + rb"|" + unquoted + rb")"


def _quoted(dialect: Dialect, without: bytes = b"") -> bytes:
    quote = re.escape(dialect.quote.encode())
    inside = rb"[^" + quote + without + rb"]*+"
    return quote + inside + rb"(?:" + quote * 2 + inside + rb")*+" + quote


def _blanks(dialect: Dialect) -> bytes:
    return b"" if dialect.delimiter == " " else rb" *+"


def _header(corpus: Corpus, path: str, dialect: Dialect) -> tuple[list[str], int]:
    """The column names (stripped) and where the rows begin; no names for an empty file."""
    start = text_start(corpus, path)
    if not start.first:
        return [], start.offset
    named = corpus.card.options.get("header")
    if named:
        return [str(name) for name in named], start.offset
    stop = found(corpus, path).size
    with opened(corpus, path) as file:
        piece = next(dialect.split(file, start.offset, stop), None)
    if piece is None or piece.data is None:
        raise CorpusError(f"{corpus.shown(path)}: has no readable header line")
    try:
        return [name.strip() for name in dialect.fields(piece.data)], piece.stop
    except RecordError as error:
        raise CorpusError(f"{corpus.shown(path)}: the header is {error}; say `options: {{encoding: ...}}`") from None


def _expect_once(corpus: Corpus, path: str, header: list[str]) -> None:
    twice, mapped = {name for name in header if header.count(name) > 1}, mapped_columns(corpus.card)
    used = {name for name in twice if takes_rest(corpus.card) or name in mapped}
    if used:
        raise CorpusError(f"{corpus.shown(path)}: has more than one column {min(used)!r}")


def _meaning(header: list[str]) -> bytes:
    return framed(*(name.encode() for name in header))
