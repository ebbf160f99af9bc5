"""An inventory: a table of what is in buckets, which replaces listing them where that would take hours.

Its rows stay columns: the file is read once, in batches, into a temporary Arrow file that is mapped and not loaded. A
row becomes an object of Python only where a source's pattern matches it.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sources.storage.bucket import BucketFolder, stamp_of
from sources.storage.bucket_globs import Matches, fixed_part, is_wild
from sources.storage.bucket_requests import Bucket, Listed
from sources.storage.folder import FileStat, Folder, OutsideError
from sources.storage.globs import RUN_MARK, matcher
from sources.storage.inventory_file import COLUMNS, InventoryError, rows_of

AT_ONCE = 16


@dataclass(frozen=True)
class Inventory:
    """The rows of each bucket: key, size, ETag."""

    tables: Mapping[Bucket, pa.Table]

    def under(self, bucket: Bucket, prefix: str, wanted: str | None = None) -> Iterator[Listed]:
        """The rows whose key is under a prefix, and fits a regular expression (RE2) if there is one."""
        for batch in self._batches(bucket):
            inside = batch.filter(pc.starts_with(batch["key"], f"{prefix}/")) if prefix else batch
            if wanted is not None and inside.num_rows:
                inside = inside.filter(pc.match_substring_regex(inside["key"], wanted))
            yield from _listed(inside)

    def row(self, bucket: Bucket, key: str) -> Listed | None:
        """The row of one key, or None."""
        for batch in self._batches(bucket):
            place = pc.index(batch["key"], key).as_py()
            if place >= 0:
                return next(_listed(batch.slice(place, 1)))
        return None

    def _batches(self, bucket: Bucket) -> Iterable[pa.RecordBatch]:
        table = self.tables.get(bucket)
        return () if table is None else table.to_batches()


@dataclass(frozen=True)
class InventoryFolder(BucketFolder):
    """A folder whose files are those that an inventory lists. They are read, and so compared, as they are now.

    Sent elsewhere it is the plain folder.
    """

    inventory: Inventory = field(default_factory=lambda: Inventory({}), compare=False, repr=False)

    def inside(self, path: str) -> "InventoryFolder":
        """A folder in this one."""
        return self.beside(super().inside(path))

    def beside(self, folder: BucketFolder) -> "InventoryFolder":
        """Another folder that the same inventory speaks of."""
        return InventoryFolder(folder.bucket, folder.prefix, folder.boundary, self.inventory)

    def lists(self, folder: Folder) -> bool:
        """Whether the inventory speaks of a folder's bucket."""
        return isinstance(folder, BucketFolder) and folder.bucket in self.inventory.tables

    def exists(self) -> bool:
        """Whether a row is under it."""
        return next(self.inventory.under(self.bucket, self.prefix), None) is not None

    def has_folder(self, path: str) -> bool:
        """Whether a row is under the path."""
        try:
            return next(self.inventory.under(self.bucket, self.key(path.rstrip("/"))), None) is not None
        except (OutsideError, FileNotFoundError):
            return False

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """All rows that match any pattern, sorted by path."""
        found = {stat.path: stat for pattern in patterns for stat in map(self._stat_of, self._rows(pattern))}
        return [found[path] for path in sorted(found)]

    def names(self) -> list[str]:
        """What lies directly in the folder by the rows, sorted."""
        return sorted({stat.path.partition("/")[0] for stat in self.files()})

    def files(self, path: str = "") -> Iterator[FileStat]:
        """Every row under a path."""
        return map(self._stat_of, self.inventory.under(self.bucket, self.key(path)))

    def stat(self, path: str) -> FileStat | None:
        """Size and stamp as listed, or None where there is no row."""
        try:
            row = self.inventory.row(self.bucket, self.key(path))
        except (OutsideError, FileNotFoundError):
            return None
        return None if row is None else FileStat(path, row.size, stamp_of(row.etag))

    def changed(self, stats: Sequence[FileStat]) -> list[str]:
        """Those of these files that are not, or not any more, what the inventory says."""
        plain = BucketFolder(self.bucket, self.prefix, self.boundary)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            now = pool.map(plain.stat, [stat.path for stat in stats])
            return [stat.path for stat, found in zip(stats, now, strict=True) if stat != found]

    def __reduce__(self) -> tuple[type[BucketFolder], tuple[Bucket, str, str | None]]:
        return BucketFolder, (self.bucket, self.prefix, self.boundary)

    def _stat_of(self, row: Listed) -> FileStat:
        return FileStat(row.key[self._above :], row.size, stamp_of(row.etag))

    def _rows(self, pattern: str) -> list[Listed]:
        if not is_wild(pattern):
            try:
                row = self.inventory.row(self.bucket, self.key(pattern))
            except (OutsideError, FileNotFoundError):
                return []
            return [] if row is None else [row]
        top = fixed_part(self.prefix, pattern)
        if top is None:
            return []
        matches = Matches(top, self.prefix, pattern)
        wanted = f"(?s:{matcher(pattern).pattern})$|(^|/){RUN_MARK.replace('.', '[.]')}$"
        for row in self.inventory.under(self.bucket, top, wanted):
            matches.take(row)
        return list(matches.unmarked())


def with_inventory(folders: Iterable[Folder], file: Path) -> list[Folder]:
    """The folders, those of buckets with the inventory's listing instead of their own.

    Raises:
        InventoryError: the file cannot be used, or says nothing of a bucket. The message says what is wrong.
    """
    folders = list(folders)
    buckets = {folder.bucket for folder in folders if isinstance(folder, BucketFolder)}
    if not buckets:
        raise InventoryError("an inventory is of a bucket: give --data s3://bucket/prefix or gs://")
    inventory = Inventory(_mapped(file, buckets))
    for bucket in buckets:
        if not inventory.tables[bucket].num_rows:
            raise InventoryError(f"{file}: lists nothing of {bucket.url}")
    return [
        InventoryFolder(folder.bucket, folder.prefix, folder.boundary, inventory)
        if isinstance(folder, BucketFolder)
        else folder
        for folder in folders
    ]


def _mapped(file: Path, buckets: Iterable[Bucket]) -> dict[Bucket, pa.Table]:
    """The rows of each bucket, in temporary files that are gone with this process."""
    places: dict[Bucket, Path] = {}
    writers: dict[Bucket, Any] = {}
    try:
        for bucket in buckets:
            descriptor, name = tempfile.mkstemp(prefix="curate-inventory-")
            places[bucket] = Path(name)
            os.close(descriptor)
            writers[bucket] = pa.ipc.new_file(name, COLUMNS)
        for bucket, rows in rows_of(file, list(buckets)):
            writers[bucket].write_batch(rows)
        for writer in writers.values():
            writer.close()
        return {bucket: pa.ipc.open_file(pa.memory_map(str(place))).read_all() for bucket, place in places.items()}
    finally:
        for place in places.values():
            place.unlink(missing_ok=True)


def _listed(batch: pa.RecordBatch) -> Iterator[Listed]:
    for row in batch.to_pylist():
        yield Listed(row["key"], row["size"], row["etag"])
