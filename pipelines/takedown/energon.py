"""What Megatron-Energon reads beside the shards, as it is after a takedown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.errors import CurateError
from pipelines.run_directory import OURS
from pipelines.takedown.apply import NEW
from shards.energon import INDEX, META, energon_files, tar_index, tar_index_name
from shards.energon_index import EnergonIndex, known_members, opened_index, write_index
from shards.manifest import Manifest, ShardEntry
from shards.members import MembersError, SampleMembers, members_of_tar, placed
from sources.storage import Folder


@dataclass(frozen=True)
class Companions:
    """Paths under the run: files that were written anew, under `work/removal/new`, and files that go."""

    files: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


def stage_energon(run: Folder, before: Manifest, after: Manifest, rewritten: Sequence[str]) -> Companions:
    """Write `.nv-meta` and the `.tar.idx` of rewritten shards for the manifest afterwards; nothing where there is none.

    The rewritten shards themselves lie in `work/removal/new` already. Of others the old index tells the members, so
    that no tar is read.

    Raises:
        CurateError: the old index is gone or damaged, and so is a shard; nothing was changed.
    """
    shards = run.inside("shards")
    old = f"shards/{META}"
    if not run.has_folder(old):
        return Companions()
    small = energon_files(after)
    with opened_index(shards) as index:
        members = _Members(run, before, after, index, frozenset(rewritten))
        try:
            _write(run, members, rewritten, small)
        except MembersError as error:
            raise CurateError(
                f"{shards.place}/{error}", "nothing was changed; `curate shards verify` says more"
            ) from None
    names = {*small, INDEX}
    gone = {entry.name for entry in before.every_shard} - set(members.entries)
    stale = {stat.path for stat in run.files(old) if OURS.fullmatch(stat.path)} - {f"{old}/{name}" for name in names}
    return Companions(
        (
            *(f"shards/{tar_index_name(name)}" for name in rewritten),
            *(f"{old}/{name}" for name in sorted(names)),
        ),
        (*(f"shards/{tar_index_name(name)}" for name in sorted(gone)), *sorted(stale)),
    )


def _write(run: Folder, members: "_Members", rewritten: Sequence[str], small: Mapping[str, bytes]) -> None:
    for name in rewritten:
        data = tar_index(placed(members.of(members.entries[name])))
        run.write(f"{NEW}/shards/{tar_index_name(name)}", data, last=False)
    for name, data in small.items():
        run.write(f"{NEW}/shards/{META}/{name}", data, last=False)
    with run.writing(f"{NEW}/shards/{META}/{INDEX}", last=False) as file:
        write_index(file, members.all())


class _Members:
    """Where the members of each shard are told."""

    def __init__(
        self, run: Folder, before: Manifest, after: Manifest, index: EnergonIndex | None, rewritten: frozenset[str]
    ) -> None:
        self.entries = {entry.name: entry for entry in after.every_shard}
        self._run = run
        self._numbers = {entry.name: number for number, entry in enumerate(before.every_shard)}
        self._index = index
        self._rewritten = rewritten

    def all(self) -> Iterator[list[SampleMembers]]:
        return (self.of(entry) for entry in self.entries.values())

    def of(self, entry: ShardEntry) -> list[SampleMembers]:
        if entry.name in self._rewritten:
            return members_of_tar(self._run.inside(f"{NEW}/shards"), entry)
        return known_members(self._run.inside("shards"), entry, self._index, self._numbers[entry.name])
