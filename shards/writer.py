"""Writes one shard: a stream of samples in, a tar and what the manifest says of it out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from shards.names import JSON_SUFFIX
from shards.samples import ShardSample, json_bytes
from shards.tar import TarWriter


@dataclass(frozen=True)
class ShardSummary:
    """What the manifest says of a shard, its name aside. `bytes` is the size of the file."""

    sha256: str
    bytes: int
    samples: int
    tokens: int
    first_key: str
    last_key: str


def write_shard(
    file: BinaryIO,
    samples: Iterable[ShardSample],
    written: Callable[[ShardSample, int, int], None] | None = None,
) -> ShardSummary:
    """Write the samples in order: each its JSON, then its pictures, side by side.

    `written` is told of each sample where it begins in the tar and how many bytes it takes there.

    The bytes depend on the samples alone. Memory is one sample, 5 MiB, and the names. `file` is neither flushed to
    disk nor closed: a whole file under a final name is its opener's work (`Folder.writing`).

    Raises:
        ValueError: there is no sample at all.
        TarError: two samples have one key, a name breaks the rule, or a member has 8 GiB or more.
    """
    tar = TarWriter(file)
    first_key = last_key = None
    count = tokens = 0
    for sample in samples:
        start = tar.bytes
        tar.add(f"{sample.key}.{JSON_SUFFIX}", json_bytes(sample.json))
        for suffix, data in sample.members:
            tar.add(f"{sample.key}.{suffix}", data)
        count += 1
        tokens += sample.json["tokens"]
        last_key = sample.key
        first_key = first_key or sample.key
        if written is not None:
            written(sample, start, tar.bytes - start)
    if first_key is None or last_key is None:
        raise ValueError("a shard without samples: leave it out of the plan")
    sha256 = tar.finish()
    return ShardSummary(sha256, tar.bytes, count, tokens, first_key, last_key)
