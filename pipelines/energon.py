"""Publishes what Megatron-Energon reads beside the tars: `.nv-meta`, and a `.tar.idx` for each shard."""

from collections.abc import Iterable, Sequence
from typing import BinaryIO

import blake3

from pipelines.work import Commit, Part, Work, key_of, to_parquet
from shards.energon import INDEX, META, energon_files, tar_index, tar_index_name
from shards.energon_index import write_index
from shards.manifest import Manifest
from shards.members import MemberRows, SampleMembers, members_of_table, members_table, placed

NODE = "energon"
VERSION = 1
MEMBERS = "members"
TAR_INDEX = "idx"


def shard_parts(work: Work, node: str, key: str, members: MemberRows) -> dict[str, Part]:
    """Write what the commit of a tar holds for Energon: where samples begin, and the sizes of all members."""
    idx = tar_index(placed(members.samples))
    table = to_parquet(members_table(members.samples))
    rows = len(members.samples)
    return {
        TAR_INDEX: _put(work, work.path(node, key, "tar.idx"), idx, rows),
        MEMBERS: _put(work, work.path(node, key, f"{MEMBERS}.parquet"), table, rows),
    }


def energon_published(work: Work, manifest: Manifest, shards: Sequence[tuple[str, Commit]]) -> dict[str, str]:
    """Commit `.nv-meta` for these shards, in the manifest's order.

    Returns final name under the run -> where the content lies, as `publish` takes it.
    """
    files = {f"shards/{tar_index_name(name)}": commit.parts[TAR_INDEX].path for name, commit in shards}
    small = energon_files(manifest)
    digests = {name: _digest(data) for name, data in small.items()}
    key = key_of(NODE, VERSION, digests, [commit.parts[MEMBERS].digest for _, commit in shards])
    commit = work.find(NODE, key)
    if commit is None:
        parts = {name: _put(work, work.path(NODE, key, f"meta{name}"), data, 0) for name, data in small.items()}
        of_shards = (members_of_table(work.read(commit.parts[MEMBERS])) for _, commit in shards)
        parts[INDEX] = _put_index(work, work.path(NODE, key, INDEX), of_shards)
        commit = work.commit(NODE, key, parts, {})
    return files | {f"shards/{META}/{name}": part.path for name, part in commit.parts.items()}


class _Watched:
    """Passes on what is written, and knows its size and digest."""

    def __init__(self, file: BinaryIO) -> None:
        self.bytes = 0
        self.hash = blake3.blake3()
        self._file = file

    def write(self, data: bytes) -> int:
        """Append bytes."""
        self._file.write(data)
        self.hash.update(data)
        self.bytes += len(data)
        return len(data)


def _put_index(work: Work, path: str, shards: Iterable[Iterable[SampleMembers]]) -> Part:
    with work.folder.writing(path, last=False) as file:
        watched = _Watched(file)
        write_index(watched, shards)
    return Part(path, watched.hash.hexdigest()[:32], 0, watched.bytes)


def _put(work: Work, path: str, data: bytes, rows: int) -> Part:
    work.folder.write(path, data, last=False)
    return Part(path, _digest(data), rows, len(data))


def _digest(data: bytes) -> str:
    digest: str = blake3.blake3(data).hexdigest()[:32]
    return digest
