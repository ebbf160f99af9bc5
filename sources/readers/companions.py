"""Joined tables in fragments, whatever their size: the rows that `sources/joins.py` reads at once where it can."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from sources.cards import Card, Join, Layout
from sources.columns import KEY, mapped_columns, required_columns, text_of
from sources.identifying import wanted_columns
from sources.joins import Companion, companion_path, companion_stat, delimiter_of, is_parquet
from sources.readers.csv_rows import CsvReader
from sources.readers.expected import FRAGMENTS_LOOKED_AT
from sources.readers.json_array import closed_fragments
from sources.readers.json_scan import split_elements
from sources.readers.jsonl import JsonlReader
from sources.readers.objects import parse_object
from sources.readers.parquet import ParquetReader
from sources.readers.ranges import Piece, opened, pieces
from sources.readers.text import text_start
from sources.records import Corpus, CorpusError, Fragment, Record, RecordError, Unreadable
from sources.schema import Reason
from sources.sealing import Seal

VERSION = 1
HEAD_BYTES = 2**20

Row = tuple[str | None, Mapping[str, Any]]
"""The text of a row's `right` value (None for a blank one), and the row."""


def awaiting_rows(corpus: Corpus) -> Corpus:
    """A corpus whose card joins a table by exchange, as it is planned: it has the columns, and no rows yet.

    Raises:
        CorpusError: the table is absent or not in its form, or has no column `right`.
    """
    columns = tuple(head_columns(corpus))
    wanted = wanted_columns(corpus)
    there = sorted(name for name in columns if name in wanted)
    digest = corpus.identity.name("columns", "\0".join(["joined by exchange", *there]))
    return replace(corpus, companion=Companion(columns, (), {}, digest, Seal(corpus.identity)))


def table_of(corpus: Corpus) -> Corpus:
    """The table that a card joins, as a corpus of its own; `right` is its field `id`."""
    join = join_of(corpus)
    path = companion_path(join, "")
    companion_stat(corpus, path)
    card = Card(
        name=corpus.name,
        reader="companion",
        layout=Layout(files=(path,)),
        options={} if is_parquet(path) else {"delimiter": _delimiter(corpus, path), "encoding": join.encoding},
        fields={"id": join.right},
        meta=tuple(sorted(mapped_columns(corpus.card))) if is_parquet(path) else (),
        task="text",
        access=corpus.card.access,
        identifiers="keyed" if corpus.identity.keyed else "public",
    )
    return Corpus(corpus.name, corpus.root, card, corpus.identity, (path,), sought=corpus.sought)


def table_fragments(corpus: Corpus) -> Iterator[Fragment]:
    """Cut the joined table into fragments, in its order.

    Raises:
        CorpusError: it is not in the form of its name, or JSON that ends before it is closed.
    """
    table = table_of(corpus)
    path = table.files[0]
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".parquet":
        return ParquetReader().plan(table, table.files)
    if suffix == ".jsonl":
        return JsonlReader().fragments(table, path)
    if suffix == ".json":
        return _json_fragments(table, join_of(corpus))
    return CsvReader().fragments(table, path)


def table_rows(corpus: Corpus, fragment: Fragment) -> Iterator[Row]:
    """The rows of a fragment, in their order.

    Raises:
        ChangedInputError: the table is not the planned one any more.
        CorpusError: a row cannot be read: a table that is damaged is joined to nothing.
    """
    table, join = table_of(corpus), join_of(corpus)
    path = table.files[0]
    for number, record in enumerate(_sound_records(table, join, fragment), fragment.first_row):
        try:
            yield text_of(record.key if join.right == KEY else record.row.get(join.right)), record.row
        except RecordError as error:
            raise CorpusError(f"{corpus.shown(path)}: row {number}: {error}, and rows are found by it") from None


def head_columns(corpus: Corpus) -> list[str]:
    """The columns of the joined table but `right`: those of its first rows, as far as needed to see all mapped ones.

    Raises:
        CorpusError: as `table_fragments` and `table_rows`, or the first row has no `right`.
    """
    table, join = table_of(corpus), join_of(corpus)
    path = table.files[0]
    needed = required_columns(corpus.card)
    columns: dict[str, None] = dict.fromkeys(_parquet_columns(table)) if is_parquet(path) else {}
    for fragment in islice(table_fragments(corpus), 0 if is_parquet(path) else FRAGMENTS_LOOKED_AT):
        for record in _sound_records(table, join, fragment):
            if not columns and join.right not in (*record.row, KEY):
                raise CorpusError(
                    f"{corpus.shown(path)}: no column {join.right!r}; it has {corpus.shown_columns(tuple(record.row))}"
                )
            columns.update(dict.fromkeys(record.row))
        if needed <= set(columns):
            break
    columns.pop(join.right, None)
    return list(columns)


def join_of(corpus: Corpus) -> Join:
    """The join of a card that has one."""
    if corpus.card.join is None:
        raise CorpusError(f"{corpus.name}: its card joins no table")
    return corpus.card.join


def _sound_records(table: Corpus, join: Join, fragment: Fragment) -> Iterator[Record]:
    for number, item in enumerate(_records(table, join, fragment), fragment.first_row):
        if isinstance(item, Unreadable):
            raise CorpusError(f"{table.shown(table.files[0])}: row {number}: {item.detail}; repair it")
        yield item


def _records(table: Corpus, join: Join, fragment: Fragment) -> Iterator[Record | Unreadable]:
    suffix = PurePosixPath(table.files[0]).suffix.lower()
    fragment = replace(fragment, path=table.files[0])
    if suffix == ".parquet":
        return ParquetReader().read(table, fragment)
    if suffix == ".jsonl":
        return JsonlReader().read(table, fragment)
    if suffix == ".json":
        stem = PurePosixPath(table.files[0]).stem
        found = pieces(table, fragment, split_elements)
        return (_json_row(key, piece, stem, by_name=join.right == KEY) for key, piece in found)
    return CsvReader().read(table, fragment)


def _parquet_columns(table: Corpus) -> list[str]:
    next(ParquetReader().plan(table, table.files), None)  # says what is wrong with it
    with opened(table, table.files[0]) as raw:
        names: list[str] = pq.ParquetFile(raw).schema_arrow.names
    return names


def _json_fragments(table: Corpus, join: Join) -> Iterator[Fragment]:
    path = table.files[0]
    begin = text_start(table, path)
    if begin.first not in (b"[", b"{"):
        raise CorpusError(f"{table.shown(path)}: is neither a JSON array nor an object")
    if (begin.first == b"{") != (join.right == KEY):
        what = f'its members are found by their names: write `right: "{KEY}"`'
        raise CorpusError(f"{table.shown(path)}: {what if begin.first == b'{' else f'no column {KEY!r}'}")
    return closed_fragments(table, path, begin.first_offset + 1)


def _json_row(key: str, piece: Piece, stem: str, *, by_name: bool) -> Record | Unreadable:
    """An element of an array, or a member of an object, whose key is its name."""
    try:
        if not by_name:
            return Record(key, parse_object(piece.content()))
        [(name, value)] = parse_object(b"{" + piece.content() + b"}").items()
    except RecordError as error:
        return Unreadable(key, error.reason, str(error))
    except ValueError:
        return Unreadable(key, Reason.RECORD_MALFORMED, "not one member of a JSON object")
    return Record(name, value if isinstance(value, dict) else {stem: value})


def _delimiter(corpus: Corpus, path: str) -> str:
    """As for companions in memory."""
    with opened(corpus, path) as file:
        return delimiter_of(file.readline(HEAD_BYTES).decode("latin-1"), join_of(corpus))
