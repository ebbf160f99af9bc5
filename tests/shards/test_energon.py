import io
import sqlite3
import struct

import orjson
import pytest
import yaml

from shards import energon_sample_loader as loader
from shards.energon import INDEX, META, energon_files, tar_index
from shards.energon_index import known_members, opened_index, write_index
from shards.manifest import Manifest, read_manifest
from shards.members import MembersError, SampleMembers, members_of_tar, placed
from sources.storage import LocalFolder
from tests.shards.conftest import MIXED, OTHER, TEXTS, ShardFolder, key_of


def all_members(folder: LocalFolder, manifest: Manifest) -> list[list[SampleMembers]]:
    return [members_of_tar(folder, entry) for entry in manifest.every_shard]


def index_bytes(shards: list[list[SampleMembers]]) -> bytes:
    file = io.BytesIO()
    write_index(file, shards)
    return file.getvalue()


@pytest.fixture
def manifest(shard_folder: ShardFolder) -> Manifest:
    """With one shard held out."""
    whole = read_manifest(LocalFolder(shard_folder.root))
    held = whole.shards[2].model_copy(update={"name": "validation-mid-other-000000.tar"})
    (shard_folder.root / OTHER).rename(shard_folder.root / held.name)
    return whole.model_copy(update={"shards": whole.shards[:2], "validation": (held,)})


def test_training_shards_are_train_held_out_ones_val_and_test_is_there_and_empty(manifest: Manifest) -> None:
    files = energon_files(manifest)
    split = yaml.safe_load(files["split.yaml"])
    held = "validation-mid-other-000000.tar"
    assert split == {"split_parts": {"train": [MIXED, TEXTS], "val": [held], "test": []}, "exclude": []}
    assert orjson.loads(files[".info.json"])["shard_counts"] == {MIXED: 4, TEXTS: 30, held: 2}
    assert yaml.safe_load(files["split-demo.yaml"])["split_parts"] == {"train": [MIXED, TEXTS], "val": [], "test": []}
    assert yaml.safe_load(files["split-other.yaml"])["split_parts"] == {"train": [], "val": [held], "test": []}


def test_a_blend_draws_sources_by_their_samples_times_the_weight_of_the_recipe(shard_folder: ShardFolder) -> None:
    manifest = read_manifest(LocalFolder(shard_folder.root))
    blend = yaml.safe_load(energon_files(manifest)["blend.yaml"])["splits"]["train"]["blend"]
    assert [(row["subflavors"]["source"], row["weight"]) for row in blend] == [("demo", 34.0), ("other", 1.0)]
    without = manifest.mixture.model_copy(update={"weights": {"demo": 1.0, "other": 0.0}})
    files = energon_files(manifest.model_copy(update={"mixture": without}))
    assert [row["split_config"] for row in yaml.safe_load(files["blend.yaml"])["splits"]["train"]["blend"]] == [
        "split-demo.yaml"
    ]


def test_the_id_follows_from_the_bytes_of_the_shards_and_from_nothing_else(manifest: Manifest) -> None:
    of_these = energon_files(manifest)["index.uuid"]
    other_build = manifest.model_copy(update={"build": "c" * 64})
    assert energon_files(other_build)["index.uuid"] == of_these
    changed = manifest.shards[0].model_copy(update={"sha256": "0" * 64})
    other_shard = manifest.model_copy(update={"shards": (changed, *manifest.shards[1:])})
    assert energon_files(other_shard)["index.uuid"] != of_these


def test_where_samples_begin_and_the_last_ends_are_64_bit_numbers(shard_folder: ShardFolder) -> None:
    folder = LocalFolder(shard_folder.root)
    entry = read_manifest(folder).shards[0]
    places = list(placed(members_of_tar(folder, entry)))
    numbers = struct.unpack("<5Q", tar_index(places))
    data = shard_folder.place(MIXED).read_bytes()
    assert [data[number : number + 32].decode() for number in numbers[:-1]] == [key_of(n) for n in (1, 2, 3, 4)]
    assert not data[numbers[-1] :].strip(b"\0")


def test_the_index_finds_every_member_of_every_shard(shard_folder: ShardFolder, manifest: Manifest) -> None:
    folder = LocalFolder(shard_folder.root)
    place = shard_folder.root / "index"
    place.write_bytes(index_bytes(all_members(folder, manifest)))
    database = sqlite3.connect(place)
    names = [entry.name for entry in manifest.every_shard]
    rows = database.execute(
        "SELECT tar_file_id, sample_key, part_name, content_byte_offset, content_byte_size"
        " FROM samples JOIN sample_parts USING (tar_file_id, sample_index)"
    ).fetchall()
    held = [sample for group in shard_folder.samples.values() for sample in group]
    by_name = {(sample.key, suffix): data for sample in held for suffix, data in sample.members}
    assert len(rows) == len(by_name) + len(held)
    for shard, key, suffix, offset, size in rows:
        data = (shard_folder.root / names[shard]).read_bytes()[offset : offset + size]
        if suffix == "json":
            assert orjson.loads(data)["sample_id"] == key
        else:
            assert data == by_name[key, suffix]
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for number, entry in enumerate(manifest.every_shard):
        (count,) = database.execute("SELECT count(*) FROM samples WHERE tar_file_id = ?", (number,)).fetchone()
        assert count == entry.samples


def test_equal_shards_have_equal_indexes(shard_folder: ShardFolder, manifest: Manifest) -> None:
    shards = all_members(LocalFolder(shard_folder.root), manifest)
    assert index_bytes(shards) == index_bytes(shards)
    assert index_bytes(shards) != index_bytes(shards[:-1])


def test_an_index_gives_back_the_members_it_was_made_from(shard_folder: ShardFolder, manifest: Manifest) -> None:
    folder = LocalFolder(shard_folder.root)
    shards = all_members(folder, manifest)
    with opened_index(folder) as index:
        assert index is None
    folder.write(f"{META}/{INDEX}", index_bytes(shards))
    with opened_index(folder) as index:
        assert index is not None
        assert [index.members(number) for number in range(3)] == shards
        assert index.members(3) == []


def test_members_come_from_the_headers_where_an_index_is_damaged_or_of_other_shards(
    shard_folder: ShardFolder, manifest: Manifest
) -> None:
    folder = LocalFolder(shard_folder.root)
    shards = all_members(folder, manifest)
    data = index_bytes(shards)
    entries = manifest.every_shard
    other_size = [[SampleMembers(sample.key, (*sample.members, ("jpg", 9000))) for sample in own] for own in shards]
    for damaged in (b"no database", data[: len(data) // 2], index_bytes(shards[1:]), index_bytes(other_size)):
        folder.write(f"{META}/{INDEX}", damaged)
        with opened_index(folder) as index:
            assert [known_members(folder, entry, index, n) for n, entry in enumerate(entries)] == shards
    folder.delete(entries[0].name)
    with opened_index(folder) as index, pytest.raises(MembersError, match="is missing"):
        known_members(folder, entries[0], index, 0)


def test_a_key_that_two_shards_hold_is_an_error() -> None:
    shard = [SampleMembers(key_of(1), (("json", 5),))]
    with pytest.raises(MembersError, match="shard number 1: a sample of it is in another shard too"):
        index_bytes([shard, shard])


def test_energon_gets_turns_with_pictures_where_they_belong() -> None:
    content = {
        "images": [{"member": "0.png"}, {"member": "1.jpg"}],
        "turns": [
            {"role": "user", "text": "<image>\n<image>Which is older?"},
            {"role": "assistant", "text": "The first."},
        ],
    }
    made = loader.sample_loader({"json": content, "0.png": "A", "1.jpg": "B"})
    assert made == {"sequence": ["user: ", "A", "\n", "B", "Which is older?", "assistant: The first."]}


def test_what_energon_runs_imports_nothing_of_ours(manifest: Manifest) -> None:
    source = energon_files(manifest)["sample_loader.py"].decode()
    assert "import" not in [word for line in source.splitlines() for word in line.split()[:1]]
    namespace: dict[str, object] = {}
    exec(compile(source, "sample_loader.py", "exec"), namespace)
    assert callable(namespace["sample_loader"])
    assert callable(namespace["part_filter"])
