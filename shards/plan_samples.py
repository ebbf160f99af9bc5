"""What planning has to know of the samples to be trained on: columns of the index, as arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shards.image_tokens import tiles_of
from shards.index_file import Index
from shards.mixture import KINDS, Coded, Kind
from shards.plan_file import ImagePolicy

_COLUMNS = ("shard", "offset", "size", "tokens", "images", *KINDS)


@dataclass(frozen=True)
class Samples:
    """One entry a sample, in the order of the index. `tokens` has those of the pictures, too."""

    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    tokens: NDArray[np.int64]
    tiles: NDArray[np.int64]
    words: dict[Kind, Coded]

    @property
    def is_text(self) -> NDArray[np.bool_]:
        """Which are long texts without a picture: what may be cut."""
        tasks = self.words["task"]
        text = [number for number, word in enumerate(tasks.words) if word == "text"]
        found: NDArray[np.bool_] = np.isin(tasks.codes, text) & (self.tiles == 0)
        return found


def samples_of(index: Index, shards: int, policy: ImagePolicy) -> Samples:
    """The samples of the first so many shards: those to be trained on, since held-out shards come last."""
    rows = index.table(_COLUMNS)
    rows = rows.slice(0, pc.sum(pc.less(rows["shard"], shards)).as_py() or 0)
    tiles = _tiles(rows["images"], policy)
    numbers = {name: rows[name].to_numpy() for name in ("shard", "offset", "size", "tokens")}
    return Samples(
        numbers["shard"],
        numbers["offset"],
        numbers["size"],
        numbers["tokens"] + tiles * policy.tokens_per_tile,
        tiles,
        {kind: coded_words(rows[kind]) for kind in KINDS},
    )


def _tiles(images: pa.ChunkedArray, policy: ImagePolicy) -> NDArray[np.int64]:
    """Tiles of all pictures of each sample."""
    found = [np.zeros(0, np.int64)]
    for chunk in images.chunks:
        pictures = chunk.flatten()
        sizes = [pictures.field(name).to_numpy().astype(np.int64) for name in ("width", "height")]
        running = np.concatenate([[0], np.cumsum(tiles_of(policy, *sizes))])
        ends = np.cumsum(chunk.value_lengths().to_numpy())
        found.append(np.diff(running[ends], prepend=0))
    return np.concatenate(found)


def place_numbers(shard: NDArray[np.integer[Any]], offset: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for shard and offset, in the order of both: tars stay far below 2^40 bytes."""
    numbers: NDArray[np.int64] = (shard.astype(np.int64) << 40) + offset
    return numbers


def coded_words(column: pa.ChunkedArray) -> Coded:
    """A column of words: all its chunks have one dictionary."""
    words = tuple(column.chunk(0).dictionary.to_pylist()) if column.num_chunks else ()
    codes = [np.zeros(0, np.int16), *(chunk.indices.to_numpy() for chunk in column.chunks)]
    return Coded(np.concatenate(codes), words)
