import io

import pytest

from shards.manifest import read_manifest
from shards.members import (
    MemberRows,
    MembersError,
    members_of_table,
    members_of_tar,
    members_table,
    placed,
)
from shards.samples import ShardSample
from shards.writer import write_shard
from sources.storage import LocalFolder
from tests.shards.conftest import MIXED, ShardFolder, sample_of


def test_places_are_those_of_the_tar_that_is_written() -> None:
    samples = [sample_of(1, "png"), sample_of(2, "jpg", "png"), sample_of(3)]
    rows, file = MemberRows(), io.BytesIO()
    told: list[tuple[int, int]] = []

    def note(sample: ShardSample, start: int, size: int) -> None:
        rows.add(sample)
        told.append((start, size))

    write_shard(file, samples, note)
    places = list(placed(rows.samples))
    assert [(place.offset, place.bytes) for place in places] == told
    data = file.getvalue()
    for sample, place in zip(samples, places, strict=True):
        assert [member.suffix for member in place.members] == ["json", *(suffix for suffix, _ in sample.members)]
        for (_, content), member in zip(sample.members, place.members[1:], strict=True):
            assert data[member.offset : member.offset + member.bytes] == content


def test_members_come_back_from_a_table_and_from_the_headers_of_the_tar(shard_folder: ShardFolder) -> None:
    folder = LocalFolder(shard_folder.root)
    for entry in read_manifest(folder).shards:
        rows = MemberRows()
        for sample in shard_folder.samples[entry.name]:
            rows.add(sample)
        assert members_of_tar(folder, entry) == rows.samples
        assert list(members_of_table(members_table(rows.samples))) == rows.samples


def test_a_tar_that_is_missing_foreign_or_of_another_size_is_an_error(shard_folder: ShardFolder) -> None:
    folder = LocalFolder(shard_folder.root)
    entry = read_manifest(folder).shards[0]
    with pytest.raises(MembersError, match=f"{MIXED}: holds 4 samples, the manifest says 5"):
        members_of_tar(folder, entry.model_copy(update={"samples": 5}))
    whole = shard_folder.place(MIXED).read_bytes()
    for size in (0, 100, len(whole.rstrip(b"\0")) // 512 * 512 + 512):  # the last: without its end of archive
        shard_folder.place(MIXED).write_bytes(whole[:size])
        with pytest.raises(MembersError, match=f"{MIXED}: the header at byte .* the archive ends"):
            members_of_tar(folder, entry)
    shard_folder.place(MIXED).write_bytes(b"x" * 10_240)
    with pytest.raises(MembersError, match=f"{MIXED}: the header at byte 0"):
        members_of_tar(folder, entry)
    shard_folder.place(MIXED).unlink()
    with pytest.raises(MembersError, match=f"{MIXED}: is missing"):
        members_of_tar(folder, entry)
