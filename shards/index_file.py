"""`index.arrow`: where each sample lies in which tar, how long it is, and what a mixture asks of it.

An uncompressed Arrow IPC file, one row a sample in the order of the manifest and of the tars, held-out shards last,
in record batches of 65,536 rows: of a file on this machine nothing is read but what is asked for. One read of
`size` bytes at `offset` of the shard gives the sample's members.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import BinaryIO

import blake3
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from shards.manifest import Manifest
from sources.schema import ACCESS, MODALITIES, TASKS
from sources.storage import Folder, LocalFolder

INDEX_NAME = "index.arrow"
INDEX_FORMAT = 1
ABOUT = b"curate"
CHECKSUM = b"checksum"
BATCH_ROWS = 65_536
NO_PICTURE = ""
_RESTORE = "restore it or build again"

SIZES = pa.list_(pa.struct([pa.field("width", pa.int32()), pa.field("height", pa.int32())]))
_WORD = pa.dictionary(pa.int16(), pa.string())
_PLACES = [
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("size", pa.int64(), nullable=False),
    pa.field("tokens", pa.int32(), nullable=False),
    pa.field("loss_tokens", pa.int32(), nullable=False),
    pa.field("images", SIZES, nullable=False),
]
WORDS = ("source", "task", "modality", "license", "access")
PART = pa.schema([*_PLACES, *(pa.field(name, pa.string(), nullable=False) for name in WORDS)])
"""The rows of one shard, before its number is known.

`offset` is the first byte of the sample's first header, `size` goes to the end of its last member's padding; `tokens`
is the rendered length (`shards.harmony`) without tokens of pictures; `modality` is the first picture's, "" without.
"""
INDEX = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        *_PLACES,
        *(pa.field(name, _WORD, nullable=False) for name in WORDS),
    ]
)
"""`shard` is the number in `Manifest.every_shard`."""


class IndexFileError(Exception):
    """There is no index, or not one this version reads. The message names the file and what to do."""


class IndexAbout(BaseModel):
    """What the index says of itself: `build` and `tokenizer` are those of its manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: int = INDEX_FORMAT
    build: str
    tokenizer: str


def write_index(file: BinaryIO, about: IndexAbout, shards: Sequence[pa.Table | Callable[[], pa.Table]]) -> None:
    """Write the index of these shards: the rows (of schema PART) of each in order, or what is asked for them, twice.

    Equal rows make equal bytes. Memory is one batch and one shard's rows. `file` is not closed.
    """
    words = _dictionaries(shards)
    schema = INDEX.with_metadata({ABOUT: about.model_dump_json().encode()})
    with pa.ipc.new_file(file, schema) as writer:
        for number, rows in enumerate(_batched(_numbered(shards, words))):
            batch = rows.replace_schema_metadata(schema.metadata)
            writer.write_batch(batch, {CHECKSUM: _checksum(number, batch)})


class Index:
    """An index that is open, of which only what is looked at is read."""

    def __init__(self, file: pa.ipc.RecordBatchFileReader, about: IndexAbout, place: str = INDEX_NAME) -> None:
        self.about = about
        self.place = place
        self._file = file

    def is_of(self, manifest: Manifest) -> bool:
        """Whether it says that it was made with this manifest."""
        return (self.about.build, self.about.tokenizer) == (manifest.build, manifest.tokenizer)

    @property
    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, at most 65,536 at a time, each held against its checksum (older indexes have none).

        Raises:
            IndexFileError: some are damaged.
        """
        return map(self._batch, range(self._file.num_record_batches))

    def rows(self, start: int, stop: int) -> pa.Table:
        """Some rows, as far as there are any; no batches are read but theirs. Raises as `batches`."""
        first, last = start // BATCH_ROWS, min(-(-stop // BATCH_ROWS), self._file.num_record_batches)
        batches = [self._batch(number) for number in range(first, last)]
        return pa.Table.from_batches(batches, INDEX).slice(start - first * BATCH_ROWS, stop - start)

    def _batch(self, number: int) -> pa.RecordBatch:
        told = f"{self.place}: batch {number} is damaged"
        with _told(told):
            batch, metadata = self._file.get_batch_with_custom_metadata(number)
            batch.validate(full=True)
            expected = None if metadata is None else metadata.get(CHECKSUM)
            sound = expected is None or expected == _checksum(number, batch)
        if not sound:
            raise IndexFileError(f"{told}; {_RESTORE}")
        return batch

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, or some columns of all rows. Raises as `batches`."""
        names = INDEX.names if columns is None else list(columns)
        batches = [batch.select(names) for batch in self.batches]
        return pa.Table.from_batches(batches, pa.schema([INDEX.field(name) for name in names]))


def open_index(folder: Folder, name: str = INDEX_NAME) -> Index:
    """The index of a folder of shards.

    Raises:
        IndexFileError: it is missing, damaged, or of another format.
    """
    place = f"{folder.place}/{name}"
    if folder.stat(name) is None:
        raise IndexFileError(f"{place}: there is none; build the shards again with this version")
    with _told(f"{place}: damaged, or no index of curate"):
        data = (
            pa.memory_map(str(folder.root / name))
            if isinstance(folder, LocalFolder)
            else pa.PythonFile(folder.open(name), mode="r")
        )
        file = pa.ipc.open_file(data)
        about = IndexAbout.model_validate_json((file.schema.metadata or {}).get(ABOUT, b""))
    if about.format != INDEX_FORMAT or not file.schema.equals(INDEX):
        raise IndexFileError(f"{place}: format {about.format}, this version reads {INDEX_FORMAT}; build again")
    return Index(file, about, place)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What Arrow says of bytes that are none of its own, as ours; what storage says passes."""
    try:
        yield
    except (pa.ArrowException, ValidationError, MemoryError, SystemError, UnicodeDecodeError):
        raise IndexFileError(f"{what}; {_RESTORE}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise IndexFileError(f"{what}; {_RESTORE}") from None


def _checksum(number: int, batch: pa.RecordBatch) -> bytes:
    """Of the rows of a batch, its words and its number: a flipped bit in a plan's numbers is seen nowhere else."""
    digest = blake3.blake3(b"%d\0" % number)
    digest.update(batch.serialize())
    digest.update(orjson.dumps([batch.column(name).dictionary.to_pylist() for name in WORDS]))
    return digest.hexdigest(16).encode()


def part_without(rows: pa.Table, gone: Sequence[int]) -> pa.Table:
    """The rows of a shard (PART) after the samples at these places in it were taken out and the others moved up."""
    removed = set(gone)
    left = rows.take(pa.array([place for place in range(rows.num_rows) if place not in removed], pa.int64()))
    sizes = left["size"].combine_chunks()
    offsets = pc.subtract(pc.cumulative_sum(sizes), sizes)
    return left.set_column(left.schema.get_field_index("offset"), PART.field("offset"), offsets)


def parts_of(index: Index, manifest: Manifest) -> list[pa.Table]:
    """The rows of each shard of a manifest, as PART: what another index is made of.

    Raises:
        IndexFileError: it is damaged, or the index of other shards.
    """
    rows = index.table()
    numbers = [row["values"] for row in pc.value_counts(rows["shard"]).to_pylist()]
    counts = [row["counts"] for row in pc.value_counts(rows["shard"]).to_pylist()]
    samples = [entry.samples for entry in manifest.every_shard]
    if not index.is_of(manifest) or (numbers, counts) != (list(range(len(samples))), samples):
        raise IndexFileError(f"{index.place}: is of other shards than the manifest; {_RESTORE}")
    plain = pa.table([rows[name].cast(PART.field(name).type) for name in PART.names], schema=PART)
    starts = accumulate(samples, initial=0)
    return [plain.slice(start, count) for start, count in zip(starts, samples, strict=False)]


def _dictionaries(shards: Sequence[pa.Table | Callable[[], pa.Table]]) -> dict[str, pa.Array]:
    """The words of each column: fixed ones as they are listed, others sorted."""
    found: dict[str, set[str]] = {"source": set(), "license": set()}
    for shard in shards:
        rows = shard() if callable(shard) else shard
        for name, words in found.items():
            words.update(pc.unique(rows[name]).to_pylist())
    fixed = {"task": TASKS, "modality": (NO_PICTURE, *MODALITIES), "access": ACCESS}
    return {name: pa.array(fixed.get(name) or sorted(found[name]), pa.string()) for name in WORDS}


def _numbered(shards: Sequence[pa.Table | Callable[[], pa.Table]], words: dict[str, pa.Array]) -> Iterator[pa.Table]:
    for number, shard in enumerate(shards):
        rows = (shard() if callable(shard) else shard).select(PART.names).combine_chunks()
        columns = {name: rows[name] for name in PART.names}
        columns["shard"] = pa.repeat(pa.scalar(number, pa.int32()), rows.num_rows)
        for name, values in words.items():
            codes = pc.index_in(rows[name].combine_chunks(), values).cast(pa.int16())
            columns[name] = pa.DictionaryArray.from_arrays(codes, values)
        yield pa.table([columns[name] for name in INDEX.names], schema=INDEX)


def _batched(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    """The rows in batches of 65,536, whatever the tables' sizes."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(part.num_rows for part in waiting) >= BATCH_ROWS:
            joined = pa.concat_tables(waiting)
            yield _one_batch(joined.slice(0, BATCH_ROWS))
            waiting = [joined.slice(BATCH_ROWS)]
    if sum(part.num_rows for part in waiting):
        yield _one_batch(pa.concat_tables(waiting))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    (batch,) = table.combine_chunks().to_batches()
    return batch
