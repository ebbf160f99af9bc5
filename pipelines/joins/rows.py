"""What a join sends through the exchange: hashes of the records' values, and sealed rows of the joined table."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.keys import KEY_BYTES, by_key, words_of
from pipelines.bisect import FATAL_ERRORS, CrashedError
from pipelines.errors import CurateError
from pipelines.ingest import corpus_parameters
from pipelines.isolation import KILLS_BEFORE_ISOLATION, Apart, answered, reach
from pipelines.plan import NUMBERS
from pipelines.plan_apart import PLAN_S
from pipelines.session import Session
from pipelines.sorted_runs import Reduce
from pipelines.suspect_records import Item, Lost, answers
from pipelines.work import Commit, key_of
from sources.identifying import wanted_columns
from sources.joins import (
    MAX_JOINED_BYTES,
    MAX_JOINED_ROWS,
    NO_JSON,
    added_columns,
    companion_path,
    companion_stat,
    left_value,
    row_bytes,
    shown_companion,
)
from sources.readers.companions import VERSION as TABLE_VERSION
from sources.readers.companions import Row, join_of, table_fragments, table_rows
from sources.records import Corpus, CorpusError, Fragment, Record
from sources.sealing import Seal

VERSION = 3
WANTED = pa.schema(
    [
        pa.field("key", pa.binary(KEY_BYTES), nullable=False),
        pa.field("records", pa.int32(), nullable=False),
    ]
)
"""What a fragment sends: the hash of each value its records are joined by, and how many records have it."""
ROWS = pa.schema(
    [
        pa.field("key", pa.binary(KEY_BYTES), nullable=False),
        pa.field("rows", pa.int32(), nullable=False),
        pa.field("differ", pa.int8(), nullable=False),
        pa.field("sealed", pa.binary()),
    ]
)
"""What the table sends: the hash of `right`, how many of its rows this one stands for, 1 where one of these says
something else, and the row as JSON, sealed where the source is keyed; null where a value has more rows than a record
may be joined to."""


BLANK = ""


@dataclass(frozen=True)
class TablePlanTask:
    """Cuts the table that a corpus joins. The commit holds numbers and digests, no names."""

    corpus: int
    attempt: int = 0

    @property
    def label(self) -> str:
        """What is planned."""
        return f"plan of the table that source {self.corpus + 1} joins"

    def run(self, session: Session) -> Commit:
        """Commit the fragments, found again while the table's size and time are the same."""
        if self.attempt >= KILLS_BEFORE_ISOLATION:
            return answered(partial(_apart(self, session, PLAN_S), 0, 0), _table(session, self.corpus))
        corpus, node = session.corpora[self.corpus], "join_plan"
        stat = companion_stat(corpus, companion_path(join_of(corpus), ""))
        key = key_of(VERSION, TABLE_VERSION, corpus_parameters(corpus), stat.size, stat.stamp)
        found = session.work.find(node, key)
        if found is not None:
            return found
        rows = []
        for part in table_fragments(corpus):
            rows.append({name: getattr(part, name) for name in NUMBERS})
            reach(None)
        return session.work.commit(node, key, {}, {"fragments": rows, "bytes": stat.size})

    def again(self) -> "TablePlanTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class WantedTask:
    """Reads one fragment of a corpus for the values its records are joined by; `limit` and `attempt` as for ingest.

    A record that cannot be read or asked for its value, or kills who does, is left out: ingest meets it again, and
    quarantines it.
    """

    corpus: int
    fragment: Fragment
    number: int
    limit: int | None = None
    attempt: int = 0

    @property
    def label(self) -> str:
        """Fragment."""
        return f"join keys {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `rows`: WANTED by key. Facts: `blank`, how many records have nothing to be joined by."""
        corpus, node = session.corpora[self.corpus], "join_wanted"
        version = session.reader_version(self.corpus)
        key = key_of(VERSION, version, corpus_parameters(corpus), self.fragment.digest, self.limit)
        found = session.work.find(node, key)
        if found is not None:
            return found
        seal = Seal(corpus.identity)
        counts: dict[bytes, int] = {}
        blank = 0
        for value in answers(session, self.corpus, self.fragment, self.limit, _value, self.attempt):
            if value == BLANK:
                blank += 1
            elif value is not None and not isinstance(value, Lost):
                hashed = seal.key(value)
                counts[hashed] = counts.get(hashed, 0) + 1
        table = pa.table(
            [pa.array(list(counts), pa.binary(KEY_BYTES)), pa.array(list(counts.values()), pa.int32())], schema=WANTED
        )
        return session.work.put(node, key, {"rows": by_key(table)}, {"blank": blank})

    def again(self) -> "WantedTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


def _value(_session: Session, _number: int, corpus: Corpus, _path: str, item: Item) -> str | None:
    """What a record is joined by, BLANK where it has nothing; None of what cannot be asked."""
    if not isinstance(item, Record):
        return None
    try:
        return left_value(join_of(corpus), item) or BLANK
    except FATAL_ERRORS:
        raise
    except Exception:  # noqa: BLE001 - ingest meets the record again, and quarantines it
        return None


@dataclass(frozen=True)
class RowsTask:
    """Reads one fragment of the table that a corpus joins. `attempt` counts the workers it has killed."""

    corpus: int
    fragment: Fragment
    number: int
    attempt: int = 0

    @property
    def label(self) -> str:
        """Fragment of the table."""
        return f"joined table {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `rows`: ROWS by key, then in the table's order; without `many` the first of each value.

        Facts: rows read, how many have a blank `right`, how many different values the others have, the mapped columns
        they have, bytes sent.

        Raises:
            CorpusError: a row cannot be read.
            CurateError: a row kills who reads it: a table that is damaged is joined to nothing.
        """
        if self.attempt >= KILLS_BEFORE_ISOLATION:
            return self._apart(session)
        corpus, node = session.corpora[self.corpus], "join_rows"
        join, wanted = join_of(corpus), wanted_columns(corpus)
        parameters = corpus_parameters(corpus)
        settings = (parameters["name"], parameters["site_key"], join.model_dump(), sorted(wanted.mapped), wanted.sought)
        key = key_of(VERSION, TABLE_VERSION, settings, self.fragment.digest)
        found = session.work.find(node, key)
        if found is not None:
            return found
        sent = _Sent(corpus)
        for value, row in _told(self.fragment, table_rows(corpus, self.fragment)):
            sent.add(value, row)
        table = sent.table()
        facts = {**sent.counts, "columns": list(sent.columns), "bytes": table.nbytes}
        return session.work.put(node, key, {"rows": by_key(table)}, facts)

    def again(self) -> "RowsTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)

    def _apart(self, session: Session) -> Commit:
        table = _table(session, self.corpus)
        try:
            return answered(partial(_apart(self, session), 0, self.fragment.records), table)
        except CrashedError as crash:
            raise CurateError(
                f"{table}: row {crash.reached} kills the process that reads it, or hangs it",
                "repair the row, or take it out; if memory ran out, use fewer --workers; the same command resumes",
            ) from None


class _Sent:
    """ROWS of a fragment of the table, while it is read."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus, self._join, self._wanted = corpus, join_of(corpus), wanted_columns(corpus)
        self._seal = Seal(corpus.identity)
        self._keys: list[bytes] = []
        self._rows: list[int] = []
        self._differ: list[int] = []
        self._sealed: list[bytes] = []
        self._places: dict[bytes, int] = {}
        self._blank = 0
        self.columns: dict[str, None] = {}

    def add(self, value: str | None, row: Mapping[str, Any]) -> None:
        """Send a row; without `many` the first of its value, which then stands for this one, too."""
        if value is None:
            self._blank += 1
            return
        added = added_columns(row, self._join, self._wanted)
        self.columns.update(dict.fromkeys(added))
        hashed = self._seal.key(value)
        said = self._seal.seal(hashed, _json(self._corpus, added))
        place = self._places.get(hashed)
        if place is not None and not self._join.many:
            self._rows[place] += 1
            self._differ[place] |= said != self._sealed[place]
            return
        self._places[hashed] = len(self._keys)
        self._keys.append(hashed)
        self._rows.append(1)
        self._differ.append(0)
        self._sealed.append(said)

    @property
    def counts(self) -> dict[str, int]:
        """Rows read, those with a blank `right`, and how many different values the others have."""
        return {"rows": sum(self._rows) + self._blank, "blank": self._blank, "values": len(self._places)}

    def table(self) -> pa.Table:
        """ROWS in the order in which they were added."""
        columns = (self._keys, self._rows, self._differ, self._sealed)
        return pa.table([pa.array(one, field.type) for one, field in zip(columns, ROWS, strict=True)], schema=ROWS)


def _apart(task: TablePlanTask | RowsTask, session: Session, least_s: float = 0.0) -> Apart[Commit]:
    """The task as in a worker, in a process of its own."""
    return Apart(partial(_run, replace(task, attempt=0), session), least_s)


def _run(task: TablePlanTask | RowsTask, session: Session, _start: int, _stop: int) -> Commit:
    return task.run(session)


def _table(session: Session, number: int) -> str:
    """The table that a corpus joins, as messages may show it."""
    corpus = session.corpora[number]
    return shown_companion(corpus, companion_path(join_of(corpus), ""))


def _told(fragment: Fragment, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows; apart, the number of each in the table is told before it is read."""
    stop = fragment.first_row + fragment.records
    for number in count(fragment.first_row):
        reach(number if number < stop else None)
        row = next(rows, None)
        if row is None:
            return
        yield row


def _json(corpus: Corpus, row: dict[str, Any]) -> bytes:
    try:
        return row_bytes(row)
    except TypeError:
        raise CorpusError(f"{corpus.name}: the joined table {NO_JSON}") from None


def reduction(corpus: Corpus) -> Reduce:
    """What a corpus's join makes of all rows of each value: the first one, or as many as a record may have."""
    if not join_of(corpus).many:
        return first_rows
    return partial(bounded_rows, overhead=len(Seal(corpus.identity).seal(b"", b"")))


def first_rows(table: pa.Table) -> pa.Table:
    """Of ROWS by key the first of each, standing for all of them."""
    starts = _starts(table)
    lengths = np.diff(np.append(starts, table.num_rows))
    others = np.delete(np.arange(table.num_rows), starts)
    leaders = np.repeat(starts, lengths - 1)
    said = table["sealed"]
    differ = table["differ"].to_numpy().copy()
    differ[others] |= pc.not_equal(said.take(pa.array(others)), said.take(pa.array(leaders))).to_numpy().astype(np.int8)
    first = table.take(pa.array(starts))
    first = _with(first, "rows", _sums(table["rows"].to_numpy(), starts))
    return _with(first, "differ", _sums(differ.astype(np.int64), starts) > 0)


def bounded_rows(table: pa.Table, overhead: int) -> pa.Table:
    """ROWS by key as they are; where a value has more than a record may be joined to, one null row for all.

    `overhead` is what sealing adds to the bytes of a row.
    """
    starts = _starts(table)
    lengths = np.diff(np.append(starts, table.num_rows))
    sizes = pc.fill_null(pc.binary_length(table["sealed"]), MAX_JOINED_BYTES + overhead + 1).to_numpy()
    over = (lengths > MAX_JOINED_ROWS) | (_sums(sizes.astype(np.int64) - overhead, starts) > MAX_JOINED_BYTES)
    if not over.any():
        return table
    emptied = np.zeros(table.num_rows, bool)
    emptied[starts[over]] = True
    counts = table["rows"].to_numpy().copy()
    counts[starts[over]] = _sums(counts, starts)[over]
    table = _with(table, "rows", counts)
    sealed = pc.if_else(pa.array(emptied), pa.scalar(None, pa.binary()), table["sealed"])
    table = table.set_column(table.column_names.index("sealed"), ROWS.field("sealed"), sealed)
    return table.filter(pa.array(emptied | ~np.repeat(over, lengths)))


def _with(table: pa.Table, name: str, values: "np.ndarray[Any, np.dtype[Any]]") -> pa.Table:
    """ROWS with other values in a column."""
    field = ROWS.field(name)
    return table.set_column(table.column_names.index(name), field, pa.array(values, field.type))


def joined_tables(tables: Iterable[pa.Table], reduce: Reduce, most_bytes: int) -> pa.Table:
    """ROWS of consecutive runs as one table by key, reduced whenever `most_bytes` have come together."""
    held: list[pa.Table] = [ROWS.empty_table()]
    size = 0
    for table in tables:
        held.append(table.select(ROWS.names))
        size += table.nbytes
        if size > most_bytes:
            held, size = [reduce(by_key(pa.concat_tables(held)))], 0
    return reduce(by_key(pa.concat_tables(held)))


def _starts(table: pa.Table) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Where each key of a table sorted by it begins."""
    words = words_of(table)
    return np.flatnonzero(np.append(np.ones(min(1, len(words)), bool), (words[1:] != words[:-1]).any(axis=1)))


def _sums(
    values: "np.ndarray[Any, np.dtype[Any]]", starts: "np.ndarray[Any, np.dtype[np.int64]]"
) -> "np.ndarray[Any, np.dtype[Any]]":
    return np.add.reduceat(values, starts) if len(starts) else values[:0]
