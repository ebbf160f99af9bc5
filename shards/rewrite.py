"""A shard without some of its samples: the others keep their bytes and their order."""

from collections.abc import Iterator
from typing import BinaryIO

import orjson

from shards.manifest import ShardEntry
from shards.names import JSON_SUFFIX, split_member
from shards.samples import ShardSample
from shards.tar import MAX_MEMBER_BYTES, TarError
from shards.tar_reader import TarReader
from shards.writer import ShardSummary, write_shard
from sources.storage import Folder


class RewriteError(Exception):
    """A shard is not what the manifest says, or lacks what was to be removed. The message names the shard."""


def rewrite_shard(
    folder: Folder, entry: ShardEntry, file: BinaryIO, removed: frozenset[str], places: list[int] | None = None
) -> ShardSummary:
    """Write the samples of a shard whose keys are not among `removed` to `file`, and say what it is now.

    `places` is given the numbers in the shard (from 0) of the samples that were left out. Memory is one
    sample. `file` is neither flushed to disk nor closed.

    Raises:
        RewriteError: the shard is damaged, not the one of the manifest, or lacks one of `removed`.
        ValueError: no sample would be left.
    """
    stat = folder.stat(entry.name)
    if stat is None:
        raise RewriteError(f"{entry.name}: is missing")
    with folder.open(entry.name) as shard:
        reader = TarReader(shard, stat.size, MAX_MEMBER_BYTES)
        left = set(removed)
        try:
            summary = write_shard(file, _kept(reader, left, [] if places is None else places))
        except TarError as error:
            raise RewriteError(f"{entry.name}: {error}") from None
        sha256, _ = reader.drain()
    if sha256 != entry.sha256:
        raise RewriteError(f"{entry.name}: sha256 is {sha256}, the manifest says {entry.sha256}")
    if left:
        raise RewriteError(f"{entry.name}: has no sample {min(left)}, which the tables say it holds")
    return summary


def _kept(reader: TarReader, removed: set[str], places: list[int]) -> Iterator[ShardSample]:
    """The samples that stay, in order; takes from `removed` the keys of those that go, and notes their places."""
    sample: ShardSample | None = None
    gone: str | None = None
    number = -1
    for member in reader.members():
        split = split_member(member.name)
        if split is None or member.data is None:
            raise TarError(f"member {member.name!a} is none of a sample")
        key, suffix = split
        number += suffix == JSON_SUFFIX
        if key == gone or key in removed:
            if key != gone:
                places.append(number)
            gone = key
            removed.discard(key)
        elif suffix == JSON_SUFFIX:
            if sample is not None:
                yield sample
            sample = ShardSample(key, orjson.loads(member.data), ())
        elif sample is not None and sample.key == key:
            sample = ShardSample(key, sample.json, (*sample.members, (suffix, member.data)))
        else:
            raise TarError(f"sample {key}: begins with a picture")
    if sample is not None:
        yield sample
