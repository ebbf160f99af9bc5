"""The files that inventories come in: CSV or Parquet of path, size and etag, and what S3 Inventory writes."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from sources.storage.bucket_requests import Bucket

COLUMNS = pa.schema([("key", pa.string()), ("size", pa.int64()), ("etag", pa.string())])
NAMES: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "key", "name"),
    "size": ("size",),
    "etag": ("etag", "e_tag"),
    "md5": ("md5hash", "md5_hash"),
    "bucket": ("bucket",),
}
"""What columns may be called, whatever their case. Google's own `etag` is not the one that its server sends with an
object: `md5Hash` is, but for its form (`bucket.stamp_of`); composite objects have none."""
BATCH_ROWS = 65_536
_ETAG = re.compile(r'"?[0-9a-f]{32}(-\d+)?"?')
_URL = r"^[a-z0-9]+://"


class InventoryError(Exception):
    """An inventory cannot be used. The message says what is wrong with it."""


def rows_of(file: Path, buckets: Sequence[Bucket]) -> Iterator[tuple[Bucket, pa.RecordBatch]]:
    """The rows (COLUMNS) of each of the buckets, batch after batch; other buckets' are left out.

    A path is a URL, or the key of an object in the bucket that the row names or that is the only one.

    Raises:
        InventoryError: the file is absent, in no such form, or lacks a column.
    """
    try:
        if file.suffix == ".parquet":
            yield from _of_parquet(file, buckets)
        else:
            yield from _of_csv(file, buckets)
    except (pa.ArrowException, UnicodeDecodeError, csv.Error):
        raise InventoryError(f"{file}: is neither CSV nor Parquet, or is damaged") from None
    except OSError as error:
        raise InventoryError(f"{file}: cannot be read ({error.strerror or 'damaged'})") from None


def _of_parquet(file: Path, buckets: Sequence[Bucket]) -> Iterator[tuple[Bucket, pa.RecordBatch]]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file) as table:
        columns = _columns(file, table.schema_arrow.names)
        for batch in table.iter_batches(BATCH_ROWS, columns=list(columns.values())):
            rows = {name: batch[column] for name, column in columns.items()}
            yield from _shared_out(file, rows, buckets)


def _of_csv(file: Path, buckets: Sequence[Bucket]) -> Iterator[tuple[Bucket, pa.RecordBatch]]:
    first = _first_row(file)
    without_header = bool(first) and first[0] in {bucket.name for bucket in buckets}
    names = [f"f{number}" for number in range(len(first))] if without_header else first
    columns = _columns_by_content(file, first) if without_header else _columns(file, first)
    kinds = {column: pa.int64() if name == "size" else pa.string() for name, column in columns.items()}
    with pa.input_stream(str(file), compression="detect") as stream:
        reader = pacsv.open_csv(
            stream,
            pacsv.ReadOptions(column_names=names, skip_rows=0 if without_header else 1),
            pacsv.ParseOptions(newlines_in_values=False),
            pacsv.ConvertOptions(include_columns=list(columns.values()), column_types=kinds, strings_can_be_null=False),
        )
        for batch in reader:
            rows = {name: batch[column] for name, column in columns.items()}
            if without_header:  # S3 writes keys as in a URL
                rows["path"] = _unquoted(rows["path"])
            yield from _shared_out(file, rows, buckets)


def _first_row(file: Path) -> list[str]:
    with pa.input_stream(str(file), compression="detect") as stream:
        line = io.BytesIO(stream.read(2**16)).readline().decode("utf-8-sig")
    return next(csv.reader([line]), [])


def _columns(file: Path, names: Sequence[str]) -> dict[str, str]:
    """Our name of a column -> the file's."""
    by_name = {name.strip().lower(): name for name in names}
    found = {ours: next((by_name[name] for name in theirs if name in by_name), None) for ours, theirs in NAMES.items()}
    if found["etag"] is None:
        found["etag"], found["md5"] = found["md5"], None
    lacking = [name for name in ("path", "size", "etag") if found[name] is None]
    if lacking:
        raise InventoryError(f"{file}: has no column {lacking[0]!r}; an inventory has path, size and etag")
    return {ours: name for ours, name in found.items() if name is not None}


def _columns_by_content(file: Path, first: Sequence[str]) -> dict[str, str]:
    """The columns of an S3 Inventory, which has no header: bucket, key, ..., size, ..., ETag, ..."""
    size = next((number for number in range(2, len(first)) if first[number].isdigit()), None)
    etag = next((number for number in range(2, len(first)) if _ETAG.fullmatch(first[number])), None)
    if size is None or etag is None:
        raise InventoryError(f"{file}: an S3 Inventory must have the fields Size and ETag")
    return {"bucket": "f0", "path": "f1", "size": f"f{size}", "etag": f"f{etag}"}


def _unquoted(keys: pa.Array) -> pa.Array:
    quoted = pc.match_substring_regex(keys, "[%+]")
    if not pc.any(quoted).as_py():
        return keys
    plain = [
        unquote_plus(key) if marked else key for key, marked in zip(keys.to_pylist(), quoted.to_pylist(), strict=True)
    ]
    return pa.array(plain, pa.string())


def _shared_out(
    file: Path, rows: Mapping[str, Any], buckets: Sequence[Bucket]
) -> Iterator[tuple[Bucket, pa.RecordBatch]]:
    path = pc.cast(rows["path"], pa.string())
    etag = pc.replace_substring(pc.cast(rows["etag"], pa.string()), '"', "")
    if "md5" in rows:
        md5 = pc.cast(rows["md5"], pa.string())
        etag = pc.if_else(pc.fill_null(pc.equal(md5, ""), fill_value=True), etag, md5)
    size = pc.cast(rows["size"], pa.int64())
    is_url = pc.match_substring_regex(path, _URL)
    if len(buckets) > 1 and "bucket" not in rows and not pc.all(is_url).as_py():
        raise InventoryError(f"{file}: say in a column `bucket`, or by URLs as paths, which bucket a key is of")
    for bucket in buckets:
        own = pc.or_(pc.starts_with(path, f"{bucket.url}/"), pc.invert(is_url))
        if "bucket" in rows:
            own = pc.and_(own, pc.equal(pc.cast(rows["bucket"], pa.string()), bucket.name))
        keys = pc.replace_substring_regex(path, f"^{re.escape(bucket.url)}/", "")
        is_folder = pc.or_(pc.ends_with(keys, "/"), pc.equal(keys, ""))  # marks that tools put down, no objects
        batch = pa.record_batch([keys, size, etag], schema=COLUMNS)
        yield bucket, batch.filter(pc.and_not(own, is_folder))
