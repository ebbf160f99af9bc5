"""Committed work: what resume, incremental builds and `--reuse` find again.

A commit is the output of one unit of work (a step on a fragment, a partition of an exchange): some tables as
Parquet and, put last, a small JSON that lists them. It is found by its key, which is the hash of everything
the output depends on, so a commit can never be stale: it is right, or it is not looked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import blake3
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import CurateError
from sources.schema import FORMAT_VERSION
from sources.storage import Folder, LocalFolder

ROW_GROUP_ROWS = 16_384
Compression = Literal["zstd", "lz4", "none"]
"""What many steps read is "lz4": of texts it is read in half the time, and takes 1.6 times the room. "none" is for
what is read once or twice: writing it takes a fifth of the time."""


@dataclass(frozen=True)
class Part:
    """One table of a commit. `digest` is BLAKE3 of the file: what depends on it names it by this."""

    path: str
    digest: str
    rows: int
    size: int


@dataclass(frozen=True)
class Commit:
    """What one unit of work left behind: tables by name, and `facts` (JSON values: counts, a tar's summary)."""

    node: str
    key: str
    parts: dict[str, Part]
    facts: dict[str, Any]
    reused: bool = False


def key_of(*ingredients: Any) -> str:
    """Hash of JSON-able ingredients: 32 hex digits."""
    return blake3.blake3(orjson.dumps(ingredients, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def to_parquet(table: pa.Table, compression: Compression = "zstd") -> bytes:
    """The table as Parquet bytes: equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(None),
        sink,
        compression=compression,
        compression_level=1 if compression == "zstd" else None,
        use_dictionary=compression == "zstd",  # where reading must be fast: texts hardly repeat
        row_group_size=ROW_GROUP_ROWS,
    )
    return bytes(sink.getvalue())


class Work:
    """The commits of a run, and those of other runs that may be used."""

    def __init__(self, folder: Folder, reuse: Sequence[Folder] = (), versions: Mapping[str, str] | None = None) -> None:
        """`versions` of libraries are part of every key: after an upgrade all work is done anew."""
        self.folder = folder
        self.reuse = tuple(reuse)
        self._salt = key_of(dict(versions or {}))

    def find(self, node: str, key: str, accept: "Callable[[Work, Commit], bool] | None" = None) -> Commit | None:
        """The commit, whole, or None. One found in another run becomes this run's own.

        `accept` is asked first, with the work that holds the commit: one that it refuses is not there.
        """
        key = self._salted(key)
        for folder in (self.folder, *self.reuse):
            commit = self._load(folder, node, key)
            if commit is None or (accept is not None and not accept(Work(folder), commit)):
                continue
            if folder != self.folder:
                for part in commit.parts.values():
                    self.folder.take(folder, part.path, part.path)
                self._write(commit)
            return commit
        return None

    def put(
        self,
        node: str,
        key: str,
        tables: Mapping[str, pa.Table],
        facts: Mapping[str, Any] | None = None,
        compression: Compression = "zstd",
    ) -> Commit:
        """Write tables, then the commit that makes them count."""
        key = self._salted(key)
        parts = {}
        for name, table in tables.items():
            data = to_parquet(table, compression)
            path = f"{_stem(node, key)}.{name}.parquet"
            self.folder.write(path, data, last=False)
            parts[name] = Part(path, blake3.blake3(data).hexdigest()[:32], table.num_rows, len(data))
        return self._made(node, key, parts, facts or {})

    def commit(self, node: str, key: str, parts: dict[str, Part], facts: Mapping[str, Any]) -> Commit:
        """Make parts that are already written count."""
        return self._made(node, self._salted(key), parts, facts)

    def path(self, node: str, key: str, suffix: str) -> str:
        """Where a part of a commit belongs."""
        return f"{_stem(node, self._salted(key))}.{suffix}"

    def _salted(self, key: str) -> str:
        return key_of(key, self._salt)

    def _made(self, node: str, key: str, parts: dict[str, Part], facts: Mapping[str, Any]) -> Commit:
        commit = Commit(node, key, parts, dict(facts))
        self._write(commit)
        return commit

    def read(self, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        """A table of a commit."""
        # A small file takes a third of the time that `pq.read_table`, made for folders of them, takes.
        with pq.ParquetFile(self._whole(part)) as file:
            return file.read(None if columns is None else list(columns), use_threads=False)

    def parquet_file(self, part: Part) -> pq.ParquetFile:
        """The part as a file of which only what is asked for is read; close it."""
        if isinstance(self.folder, LocalFolder):
            return pq.ParquetFile(self.folder.root / part.path)
        return pq.ParquetFile(self.folder.open(part.path))

    def _whole(self, part: Part) -> Any:
        """The part for Arrow to read at once."""
        if isinstance(self.folder, LocalFolder):
            return self.folder.root / part.path
        return pa.BufferReader(self.folder.read(part.path))

    def _load(self, folder: Folder, node: str, key: str) -> Commit | None:
        path = f"{_stem(node, key)}.json"
        try:
            document = orjson.loads(folder.read(path))
        except FileNotFoundError:
            return None
        except orjson.JSONDecodeError:
            raise CurateError(
                f"{path} in {folder.place} is damaged", "delete it and run the same command again"
            ) from None
        if document["format"] != FORMAT_VERSION:
            return None
        parts = {name: Part(**part) for name, part in document["parts"].items()}
        for part in parts.values():
            stat = folder.stat(part.path)
            if stat is None or stat.size != part.size:
                return None
        return Commit(node, key, parts, document["facts"], reused=True)

    def _write(self, commit: Commit) -> None:
        document = {
            "format": FORMAT_VERSION,
            "parts": {name: vars(part) for name, part in commit.parts.items()},
            "facts": commit.facts,
        }
        self.folder.write(f"{_stem(commit.node, commit.key)}.json", orjson.dumps(document, option=orjson.OPT_SORT_KEYS))


def _stem(node: str, key: str) -> str:
    return f"work/{node}/{key[:2]}/{key}"
