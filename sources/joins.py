"""Companion tables: a second file whose columns are added to each record (licences, projections, test ids)."""

import csv
import gzip
import io
import unicodedata
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import blake3
import orjson

from sources.cards import Card, Join
from sources.columns import KEY, lookup, text_of
from sources.identifying import Wanted, wanted_columns
from sources.records import MAX_RECORD_BYTES, Corpus, CorpusError, Record, RecordError
from sources.sealing import Seal
from sources.storage import FileStat, Folder

IN_MEMORY_BYTES = 64 * 2**20
"""A companion is held in the memory of every worker, as Python objects of about five times its size: a larger one
is joined by exchange."""
MAX_COMPANION_BYTES = 256 * 2**20
"""Of the companions of `{folder}`, which are always held in memory."""
MAX_JOINED_ROWS = 10_000
MAX_JOINED_BYTES = 64 * 2**20
"""What one record may be joined to with `many`: rows, and their bytes as JSON."""
_JSON = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
NO_JSON = "holds a value that JSON does not have: a number of more than 64 bits, or lists more than 250 deep"
_FORM = {"L": "A", "N": "9", "C": "?", "M": "?"}
"""What is told of a character, by its Unicode category; of punctuation and spaces they themselves."""
KEY_SHOWN = 24
"""Characters of a value's form that are told."""
PACKED = ".gz"
"""A companion may lie there in gzip although the card names it plain: it is then always held in memory."""
LEFT = "@left"
"""Column in which a reader gives the value to join by, where no sample may ever hold it; gone after the join."""


@dataclass(frozen=True)
class Companion:
    """A companion table: the wanted columns of its rows, by the text of their `right` value."""

    columns: tuple[str, ...]
    """All columns of the table but `right`, mapped or not."""
    kept: tuple[str, ...]
    rows: Mapping[str | bytes, list[tuple[Any, ...]] | None]
    """None where they are more than a record may be joined to."""
    digest: str
    seal: Seal | None = None
    """Where rows came by exchange: they are found by the hash of the value."""
    differing: frozenset[str] = frozenset()
    """The values of which several rows do not say the same (`row_bytes`), where the first alone is taken."""

    def matching(self, value: str | None) -> list[tuple[Any, ...]]:
        """The rows of a value.

        Raises:
            RecordError: there are too many.
        """
        if value is None:
            return []
        rows = self.rows.get(value if self.seal is None else self.seal.key(value), [])
        if rows is None:
            raise RecordError(
                f"more than {MAX_JOINED_ROWS:,} rows of the joined table, or {MAX_JOINED_BYTES >> 20} MiB, match"
            )
        return rows


def joined(corpus: Corpus, path: str, record: Record) -> Record:
    """The record with the companion's columns added; its own columns win.

    Whether the companion is still the same file is looked at once a fragment, when `companion` is asked.

    Raises:
        CorpusError: the companion is absent, too large or not in its form.
        RecordError: more rows match than a record may be joined to, or `left` holds no text.
    """
    join = corpus.card.join
    table = table_of_record(corpus, path)
    if join is None or table is None:
        return record
    rows = table.matching(left_value(join, record))
    if join.many:
        added: dict[str, Any] = {name: [row[n] for row in rows] for n, name in enumerate(table.kept)}
    else:
        added = dict(zip(table.kept, rows[0], strict=True)) if rows else {}
    row = {**added, **record.row}
    row.pop(LEFT, None)
    return Record(record.key, row)


def table_of_record(corpus: Corpus, path: str) -> Companion | None:
    """The companion of the records of a file, without a look at whether it is still the same.

    Raises:
        CorpusError: as `joined`.
    """
    join = corpus.card.join
    if join is None:
        return None
    held = _held.get((corpus.root, companion_path(join, path)))
    return corpus.companion or (held[1] if held and held[0] is corpus.card else companion(corpus, path))


def match(corpus: Corpus, path: str, record: Record) -> str | None:
    """What the join of a record finds: `blank` (nothing to join by), `none`, `one`, `several`; None without a join.

    `several` are rows of which the first alone is taken although others say something else.

    Raises:
        CorpusError, RecordError: as `joined`.
    """
    join, table = corpus.card.join, table_of_record(corpus, path)
    if join is None or table is None:
        return None
    value = left_value(join, record)
    rows = table.matching(value)
    if not rows:
        return "blank" if value is None else "none"
    return "several" if value in table.differing else "one"


def form_of(value: str) -> str:
    """How a value is written, without what it says: `9` for a digit, `A` for a letter, leading zeros as they are."""
    zeros = len(value) - len(value.lstrip("0")) if value.strip("0") else 0
    whole = "0" * zeros + "".join(_FORM.get(unicodedata.category(one)[0], one) for one in value[zeros:])
    return whole if len(whole) <= KEY_SHOWN else f"{whole[:KEY_SHOWN]}.."


def left_value(join: Join, record: Record) -> str | None:
    """The text that a record is joined by.

    Raises:
        RecordError: it is no text.
    """
    return text_of(record.row[LEFT] if LEFT in record.row else lookup(record, join.left))


def by_exchange(corpus: Corpus) -> bool:
    """Whether the card joins a table that is not held in memory: one of more than 64 MiB, or Parquet."""
    join = corpus.card.join
    if join is None or "{folder}" in join.path:
        return False
    stat = corpus.root.stat(companion_path(join, ""))
    return stat is not None and (stat.size > IN_MEMORY_BYTES or is_parquet(stat.path))


def is_parquet(path: str) -> bool:
    """Whether a companion is Parquet, by its name."""
    return path.lower().endswith(".parquet")


def companion(corpus: Corpus, path: str) -> Companion | None:
    """The companion table of a record file, or None where the card names none. Kept in memory, never on disk.

    Of a table that is joined by exchange: its rows for the fragment that is being read.

    Raises:
        CorpusError: as `joined`.
    """
    join = corpus.card.join
    if join is None or corpus.companion is not None:
        return corpus.companion
    place = companion_path(join, path)
    stat = companion_stat(corpus, place)
    shown = shown_companion(corpus, place)
    if is_parquet(place):
        raise CorpusError(f"{shown}: Parquet is joined in builds only, and by a path without {{folder}}")
    if stat.size > MAX_COMPANION_BYTES:
        raise CorpusError(
            f"{shown}: a joined table that is read at once may have {MAX_COMPANION_BYTES >> 20} MiB, this"
            f" one has {stat.size >> 20}; builds join larger ones by a path without {{folder}}"
        )
    try:
        table = _load(corpus.root, stat, join, wanted_columns(corpus))
    except _FormError as error:
        columns = "" if error.columns is None else f"; it has {corpus.shown_columns(error.columns)}"
        cure = f"; {error.cure}" if error.cure else ""
        raise CorpusError(f"{shown}: {error}{columns}{cure}") from None
    _held.clear()
    _held[(corpus.root, place)] = (corpus.card, table)
    return table


def companion_stat(corpus: Corpus, place: str) -> FileStat:
    """Size and time of a companion.

    Raises:
        CorpusError: it is not there.
    """
    stat = corpus.root.stat(place) or (None if place.endswith(PACKED) else corpus.root.stat(place + PACKED))
    if stat is None:
        raise CorpusError(f"{shown_companion(corpus, place)}: the table that the card joins is not there; put it there")
    return stat


def shown_companion(corpus: Corpus, place: str) -> str:
    """A companion as messages name it: of a keyed corpus as its card or recipe does, which holds no one's name."""
    join = corpus.card.join
    keyed = join is not None and corpus.identity.keyed
    return f"{corpus.name}: {join.path if join is not None and keyed else place}"


_held: dict[tuple[Folder, str], tuple[Card, Companion]] = {}
"""The companion of the fragment that is being read."""


def companion_path(join: Join, path: str) -> str:
    """Where the companion of a record file lies under the corpus."""
    return join.path.replace("{folder}", path.rpartition("/")[0] or ".").removeprefix("./")


@lru_cache(maxsize=2)
def _load(root: Folder, stat: FileStat, join: Join, wanted: Wanted) -> Companion:
    data = _unpacked(root, stat)
    path = stat.path.removesuffix(PACKED)
    columns: dict[str, None] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    try:
        for key, row in _rows(path, data, join):
            if key is None:
                continue
            columns.update(dict.fromkeys(row))
            rows.setdefault(key, []).append({name: row[name] for name in row if name in wanted})
    except UnicodeDecodeError:
        said = "UTF-8" if join.encoding == "utf-8" else join.encoding
        raise _FormError(f"not {said}", cure=f"{_SETTING} encoding (`encoding: windows-1252`)") from None
    except _FormError:
        raise
    except RecordError as error:
        raise _FormError(f"a value of {join.right!r}: {error}, and rows are found by it") from None
    except (ValueError, csv.Error, RecursionError):
        raise _FormError("damaged, or not in the form of its file name") from None
    kept = tuple(name for name in columns if name in wanted and name != join.right)
    try:
        held: dict[str | bytes, list[tuple[Any, ...]] | None] = {
            key: None
            if join.many and _too_many(found, join)
            else [tuple(row.get(name) for name in kept) for row in found]
            for key, found in rows.items()
        }
        differing = frozenset(() if join.many else (key for key, found in rows.items() if _differ(found, join)))
    except TypeError:
        raise _FormError(NO_JSON) from None
    columns.pop(join.right, None)
    return Companion(tuple(columns), kept, held, blake3.blake3(data).hexdigest(), differing=differing)


def _unpacked(root: Folder, stat: FileStat) -> bytes:
    """The bytes of a companion, of one in gzip as many as may be held.

    Raises:
        _FormError: it is damaged, or unpacks to more.
    """
    data = root.read(stat.path)
    if not stat.path.endswith(PACKED):
        return data
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MAX_COMPANION_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise _FormError("damaged gzip") from None
    if len(unpacked) > MAX_COMPANION_BYTES:
        raise _FormError(f"unpacks to more than {MAX_COMPANION_BYTES >> 20} MiB")
    return unpacked


def _too_many(rows: Sequence[Mapping[str, Any]], join: Join) -> bool:
    if len(rows) > MAX_JOINED_ROWS:
        return True
    return sum(len(row_bytes(added_columns(row, join, frozenset(row)))) for row in rows) > MAX_JOINED_BYTES


def _differ(rows: Sequence[Mapping[str, Any]], join: Join) -> bool:
    """Whether rows of one value say different things, as the exchange would tell it."""
    if len(rows) == 1:
        return False
    return len({row_bytes(added_columns(row, join, frozenset(row))) for row in rows}) > 1


def added_columns(row: Mapping[str, Any], join: Join, wanted: Container[str]) -> dict[str, Any]:
    """What a companion's row adds to a record: the wanted columns but `right`."""
    return {name: row[name] for name in row if name in wanted and name != join.right}


def row_bytes(row: Mapping[str, Any]) -> bytes:
    """A row as JSON; what JSON does not have is text, as a record's own columns of its kind are.

    Rows that say the same have the same bytes: columns are in the order of their names, empty ones left out. `1`,
    `1.0`, `true` and `"1"` do not say the same: as a sample's text they are written differently.

    Raises:
        TypeError: NO_JSON says why.
    """
    said = {name: row[name] for name in sorted(row) if row[name] is not None}
    return orjson.dumps(said, default=str, option=_JSON)


class _FormError(ValueError):
    """What is wrong with a companion, without its content; `columns` are not to be shown as they are."""

    def __init__(self, detail: str, columns: tuple[str, ...] | None = None, cure: str = "") -> None:
        super().__init__(detail)
        self.columns = columns
        self.cure = cure


_SETTING = "name in `join` of the card, or of the source in the recipe, its"


def delimiter_of(header: str, join: Join) -> str:
    """What stands between the fields of a companion: as the card says, else as the header tells."""
    if join.delimiter is not None:
        return join.delimiter
    return "\t" if "\t" in header else ";" if header.count(";") > header.count(",") else ","


def _rows(path: str, data: bytes, join: Join) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    suffix, right = PurePosixPath(path).suffix.lower(), join.right
    if suffix == ".json":
        yield from _json_rows(orjson.loads(data), PurePosixPath(path).stem, right)
    elif suffix == ".jsonl":
        yield from _keyed((orjson.loads(line) for line in data.splitlines() if line.strip()), right)
    else:
        text = data.decode("utf-8-sig" if join.encoding == "utf-8" else join.encoding)
        yield from _keyed(_csv_rows(text, join), right)


def _json_rows(document: Any, stem: str, right: str) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    if isinstance(document, list):
        yield from _keyed(document, right)
    elif right != KEY:
        raise _FormError(f'its members are found by their names: write `right: "{KEY}"`')
    else:
        for name, value in document.items():
            yield name, value if isinstance(value, dict) else {stem: value}


def _csv_rows(text: str, join: Join) -> Iterator[dict[str, str]]:
    csv.field_size_limit(MAX_RECORD_BYTES)
    delimiter = delimiter_of(text.partition("\n")[0], join)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip() for name in next(rows, [])]
    for number, row in enumerate(rows):
        if not row:
            continue
        if len(row) != len(header):
            raise _FormError(
                f"row {number} has {len(row)} fields, the header {len(header)}",
                cure=f"repair it, or {_SETTING} delimiter (read with {delimiter!r})",
            )
        yield dict(zip(header, row, strict=True))


def _keyed(rows: Iterable[Any], right: str) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise _FormError(f"row {number} is not an object")
        if number == 0 and right not in row:
            raise _FormError(f"no column {right!r}", tuple(row), cure=f"{_SETTING} column to find rows by as `right`")
        yield text_of(row.get(right)), row


def joined_columns(corpus: Corpus, paths: Sequence[str]) -> frozenset[str]:
    """Columns that the companions of these files add."""
    tables = [companion(corpus, path) for path in paths]
    return frozenset(name for table in tables if table is not None for name in table.columns)
