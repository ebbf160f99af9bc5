"""Checks what lies beside a shard and speaks of its samples: its rows of the member index, and its `.tar.idx`."""

import struct
from dataclasses import dataclass, field

import pyarrow as pa

from filters.tokens import HARMONY
from shards.energon import tar_index_name
from shards.harmony import UNRENDERABLE, RenderError
from shards.index_file import PART, IndexFileError, open_index
from shards.index_rows import IndexRows
from shards.samples import SampleJson
from sources.storage import Folder

MAX_TOLD = 5
_COUNTED = ("tokens", "loss_tokens")


@dataclass(frozen=True)
class IndexSlice:
    """Which rows of which index are a shard's: `count` from row `start` on, all of shard `number`."""

    name: str
    number: int
    start: int
    count: int
    tokenizer: str


@dataclass
class Sighted:
    """Where the samples of a shard were found, and what the index must say of them."""

    of_index: IndexSlice | None
    starts: list[int] = field(default_factory=list)
    end: int = 0
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rows = None if self.of_index is None else IndexRows(HARMONY)

    def add(self, content: SampleJson, start: int, end: int) -> None:
        """Take the next sample and the bytes of the tar that are its own."""
        self.starts.append(start)
        self.end = end
        if self._rows is not None:
            try:
                self._rows.add(content.model_dump(), start, end - start)
            except RenderError:  # its message may quote the sample
                self.faults.append(f"sample {content.sample_id}: {UNRENDERABLE}")

    def faults_of_index(self, folder: Folder) -> list[str]:
        """What the index says of the shard and the shard does not."""
        if self.of_index is None or self._rows is None:
            return []
        try:
            part = self.of_index
            found = open_index(folder, part.name).rows(part.start, part.start + part.count)
        except IndexFileError as error:
            return [str(error)]
        except OSError as error:
            return [f"cannot be read ({type(error).__name__})"]
        expected = self._rows.table()
        if found.num_rows != expected.num_rows:
            return [f"{found.num_rows} rows for a shard of {expected.num_rows} samples"]
        return _differences(found, expected, self.of_index)

    def faults_of_tar_index(self, folder: Folder, shard: str, *, expected: bool) -> list[str]:
        """Whether Energon would find the samples; a file that need not be there may be missing."""
        name = tar_index_name(shard)
        stat = folder.stat(name)
        if stat is None:
            return ["missing: Megatron-Energon cannot read the shard without it"] if expected else []
        places = struct.pack(f"<{len(self.starts) + 1}Q", *self.starts, self.end)
        if stat.size != len(places) or folder.read(name) != places:
            return [f"does not say where the {len(self.starts)} samples of {shard} begin; build again"]
        return []


def _differences(found: pa.Table, expected: pa.Table, part: IndexSlice) -> list[str]:
    faults = []
    numbers = found["shard"].to_pylist()
    if numbers != [part.number] * len(numbers):
        faults.append(f"its rows are not of shard number {part.number}")
    # A tokenizer of one's own is only known by its digest here: its counts cannot be made again.
    names = [name for name in PART.names if part.tokenizer == HARMONY or name not in _COUNTED]
    for name in names:
        column = found[name].cast(PART.field(name).type)
        if column.equals(expected[name]):
            continue
        told, true = column.to_pylist(), expected[name].to_pylist()
        place = next(row for row, pair in enumerate(zip(told, true, strict=True)) if pair[0] != pair[1])
        faults.append(f"sample {place}: {name} is {told[place]}, the shard says {true[place]}")
    return faults[:MAX_TOLD]
