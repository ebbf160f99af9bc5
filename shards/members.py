"""Where every member of a tar lies, told from names and sizes alone: the tars of `shards.tar` leave no choice."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from shards.manifest import ShardEntry
from shards.names import JSON_SUFFIX, split_member
from shards.samples import ShardSample, json_bytes
from shards.tar import BLOCK_BYTES, TarError, member_bytes, parse_header
from sources.storage import Folder

MEMBERS = pa.schema(
    [("key", pa.string()), ("members", pa.list_(pa.struct([("suffix", pa.string()), ("bytes", pa.int64())])))]
)
"""One row a sample, in the order of the tar."""


class MembersError(Exception):
    """A tar is not one of ours, or not what the manifest says. The message names it."""


@dataclass(frozen=True)
class SampleMembers:
    """A sample's key, and suffix and size of the data of its members, in order."""

    key: str
    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class PlacedMember:
    """A member's suffix, where its data starts in the tar, and how long it is."""

    suffix: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class PlacedSample:
    """A sample's key, where its first header starts, how many bytes all of it takes, and its members."""

    key: str
    offset: int
    bytes: int
    members: tuple[PlacedMember, ...]


def placed(samples: Iterable[SampleMembers]) -> Iterator[PlacedSample]:
    """The samples of one tar, in order, with the places they have in it."""
    position = 0
    for sample in samples:
        start = position
        members = []
        for suffix, size in sample.members:
            members.append(PlacedMember(suffix, position + BLOCK_BYTES, size))
            position += member_bytes(size)
        yield PlacedSample(sample.key, start, position - start, tuple(members))


class MemberRows:
    """Collects the members of one shard while it is written."""

    def __init__(self) -> None:
        self.samples: list[SampleMembers] = []

    def add(self, sample: ShardSample) -> None:
        """Take the next sample of the tar."""
        pictures = ((suffix, len(data)) for suffix, data in sample.members)
        self.samples.append(SampleMembers(sample.key, ((JSON_SUFFIX, len(json_bytes(sample.json))), *pictures)))


def members_table(samples: Sequence[SampleMembers]) -> pa.Table:
    """The samples of a tar as a table of schema `MEMBERS`."""
    rows = [
        {"key": sample.key, "members": [{"suffix": suffix, "bytes": size} for suffix, size in sample.members]}
        for sample in samples
    ]
    return pa.Table.from_pylist(rows, schema=MEMBERS)


def members_of_table(table: pa.Table) -> Iterator[SampleMembers]:
    """The inverse of `members_table`."""
    for row in table.to_pylist():
        yield SampleMembers(row["key"], tuple((member["suffix"], member["bytes"]) for member in row["members"]))


def members_of_tar(folder: Folder, entry: ShardEntry) -> list[SampleMembers]:
    """Read the headers of a shard, and nothing between them.

    Raises:
        MembersError: it is missing, another program wrote it, or it holds another number of samples than it should.
    """
    if folder.stat(entry.name) is None:
        raise MembersError(f"{entry.name}: is missing")
    samples: list[SampleMembers] = []
    with folder.open(entry.name) as file:
        position = 0
        while (block := file.read(BLOCK_BYTES)) != bytes(BLOCK_BYTES):
            try:
                name, size = parse_header(block)
            except TarError as error:
                raise MembersError(f"{entry.name}: the header at byte {position}: {error}") from None
            split = split_member(name)
            if split is None:
                raise MembersError(f"{entry.name}: member {name!a} is none of a sample")
            key, suffix = split
            if samples and samples[-1].key == key:
                samples[-1] = SampleMembers(key, (*samples[-1].members, (suffix, size)))
            else:
                samples.append(SampleMembers(key, ((suffix, size),)))
            position += member_bytes(size)
            file.seek(position)
    if len(samples) != entry.samples:
        raise MembersError(f"{entry.name}: holds {len(samples)} samples, the manifest says {entry.samples}")
    return samples
