"""`.nv-meta/index.sqlite`: where every member of every shard lies, for Energon's random access and joins.

The tables and indexes are those of Energon 7.4.1. SQLite lays one content out alike on every machine, as long as the
settings below are the same; what it stamps into the header, its own version, is overwritten with a constant.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from shards.energon import INDEX, META
from shards.manifest import ShardEntry
from shards.members import MembersError, SampleMembers, members_of_tar, placed
from shards.tar import archive_bytes
from sources.storage import Folder, LocalFolder

_SETTINGS = (
    "PRAGMA page_size = 4096",
    "PRAGMA encoding = 'UTF-8'",
    "PRAGMA auto_vacuum = NONE",
    "PRAGMA secure_delete = OFF",
    "PRAGMA journal_mode = OFF",  # a file that is not finished is thrown away
    "PRAGMA synchronous = OFF",  # whoever publishes the copy syncs it
)
_TABLES = """
CREATE TABLE samples (tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE, sample_index INTEGER NOT NULL,
    byte_offset INTEGER, byte_size INTEGER);
CREATE TABLE sample_parts (tar_file_id INTEGER, sample_index INTEGER, part_name TEXT, content_byte_offset INTEGER,
    content_byte_size INTEGER)
"""
_INDEXES = """
CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index);
CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset);
CREATE INDEX idx_sample_parts_full
    ON sample_parts(tar_file_id, sample_index, part_name, content_byte_offset, content_byte_size)
"""
_VERSION_AT = 96  # "SQLITE_VERSION_NUMBER of the library that wrote the file last" (sqlite.org/fileformat.html, 1.3)
_VERSION = (3_040_001).to_bytes(4, "big")
_COPY_BYTES = 2**20


class Writable(Protocol):
    """A file as far as it is written to."""

    def write(self, data: bytes, /) -> int:
        """Append bytes."""
        ...


def write_index(file: Writable, shards: Iterable[Iterable[SampleMembers]]) -> None:
    """Write the index of shards, given in the manifest's order, each with its samples in order.

    SQLite needs a disk of its own meanwhile: about 250 bytes a sample in the folder for temporary files.

    Raises:
        MembersError: two shards hold one key.
    """
    with tempfile.TemporaryDirectory(prefix="curate-energon-") as place:
        path = Path(place) / INDEX
        _fill(path, shards)
        with path.open("r+b") as made:
            made.seek(_VERSION_AT)
            made.write(_VERSION)
            made.seek(0)
            shutil.copyfileobj(made, file, _COPY_BYTES)


def _fill(path: Path, shards: Iterable[Iterable[SampleMembers]]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in (*_SETTINGS, "BEGIN", *_TABLES.split(";")):
            database.execute(statement)
        for number, samples in enumerate(shards):
            try:
                _add(database, number, samples)
            except sqlite3.IntegrityError:
                raise MembersError(f"shard number {number}: a sample of it is in another shard too") from None
        for statement in (*_INDEXES.split(";"), "COMMIT"):
            database.execute(statement)


def _add(database: sqlite3.Connection, number: int, samples: Iterable[SampleMembers]) -> None:
    """Add one shard, of which the places are held in memory."""
    places = list(placed(samples))
    database.executemany(
        "INSERT INTO samples VALUES (?, ?, ?, ?, ?)",
        ((number, sample.key, position, sample.offset, sample.bytes) for position, sample in enumerate(places)),
    )
    database.executemany(
        "INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)",
        (
            (number, position, member.suffix, member.offset, member.bytes)
            for position, sample in enumerate(places)
            for member in sample.members
        ),
    )


class EnergonIndex:
    """An index that was written before: what a takedown or a merge takes over without reading tars."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def samples(self) -> dict[int, int]:
        """Number of each shard -> how many samples it has."""
        return dict(self._database.execute("SELECT tar_file_id, count(*) FROM samples GROUP BY 1 ORDER BY 1"))

    def members(self, number: int) -> list[SampleMembers]:
        """The samples of shard `number`, in order; none where the index knows no such shard."""
        rows = self._database.execute(
            "SELECT sample_key, part_name, content_byte_size FROM samples JOIN sample_parts USING"
            " (tar_file_id, sample_index) WHERE tar_file_id = ? ORDER BY sample_index, content_byte_offset",
            (number,),
        )
        found: dict[str, list[tuple[str, int]]] = {}
        for key, suffix, size in rows:
            found.setdefault(key, []).append((suffix, size))
        return [SampleMembers(key, tuple(members)) for key, members in found.items()]

    def places(self, number: int) -> list[tuple[str, str, int, int]]:
        """Of every member of shard `number`, in order: key, suffix, where its data begin in the tar, how many bytes."""
        rows = self._database.execute(
            "SELECT sample_key, part_name, content_byte_offset, content_byte_size FROM samples JOIN sample_parts USING"
            " (tar_file_id, sample_index) WHERE tar_file_id = ? ORDER BY sample_index, content_byte_offset",
            (number,),
        )
        return list(rows)


def known_members(folder: Folder, entry: ShardEntry, index: EnergonIndex | None, number: int) -> list[SampleMembers]:
    """The samples of a shard: as the index has them at `number` where that fits the manifest, else by its headers.

    Everything in an index follows from the tars, so a damaged one is as good as none.

    Raises:
        MembersError: the index does not help, and the shard is missing or damaged.
    """
    try:
        known = [] if index is None else index.members(number)
        if known and _fits(known, entry):
            return known
    except (sqlite3.DatabaseError, TypeError):  # values of another kind than were written
        pass
    return members_of_tar(folder, entry)


def _fits(samples: Sequence[SampleMembers], entry: ShardEntry) -> bool:
    keys = [sample.key for sample in samples]
    size = archive_bytes(sum(sample.bytes for sample in placed(samples)))
    return (len(keys), keys[0], keys[-1], size) == (entry.samples, entry.first_key, entry.last_key, entry.bytes)


@contextmanager
def opened_index(shards: Folder) -> Iterator[EnergonIndex | None]:
    """The index of a folder of shards, or None where there is none; one in a bucket is copied first.

    Raises:
        sqlite3.DatabaseError: sooner or later, where it is damaged.
    """
    path = f"{META}/{INDEX}"
    if shards.stat(path) is None:
        yield None
        return
    if isinstance(shards, LocalFolder):
        with closing(_read_only(shards.root / path)) as database:
            yield EnergonIndex(database)
        return
    with tempfile.TemporaryDirectory(prefix="curate-energon-") as place:
        copy = Path(place) / INDEX
        with shards.open(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)
        with closing(_read_only(copy)) as database:
            yield EnergonIndex(database)


def _read_only(place: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
