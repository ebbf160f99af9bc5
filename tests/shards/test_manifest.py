from typing import Any

import orjson
import pytest

from shards.manifest import (
    MAX_MANIFEST_BYTES,
    Manifest,
    ManifestError,
    Mixture,
    ShardEntry,
    manifest_bytes,
    read_manifest,
)
from sources.storage import LocalFolder
from tests.shards.conftest import ShardFolder, key_of

ENTRY = ShardEntry(
    name="mid-demo-000000.tar",
    sha256="0" * 64,
    bytes=10_240,
    samples=1,
    tokens=9,
    first_key=key_of(1),
    last_key=key_of(1),
)


def manifest_of(weights: dict[str, float], *entries: ShardEntry) -> Manifest:
    return Manifest(
        build="fingerprint",
        stage="mid",
        tokenizer="o200k_harmony",
        context_tokens=131_072,
        mixture=Mixture(seed=3, epochs=2, weights=weights),
        shards=entries,
    )


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Any) -> None:
    manifest = manifest_of({"slake": 0.25, "vqa_rad": 1.0}, ENTRY)
    folder = LocalFolder(tmp_path)
    folder.write("manifest.json", manifest_bytes(manifest))
    assert read_manifest(folder) == manifest


def test_held_out_shards_stand_apart_and_only_where_there_is_a_hold_out(tmp_path: Any) -> None:
    plain = manifest_of({"slake": 1.0}, ENTRY)
    assert "validation" not in orjson.loads(manifest_bytes(plain))
    held = ENTRY.model_copy(update={"name": "validation-mid-demo-000000.tar"})
    folder = LocalFolder(tmp_path)
    for validation in ((), (held,)):
        manifest = plain.model_copy(update={"validation": validation})
        folder.write("manifest.json", manifest_bytes(manifest))
        assert read_manifest(folder) == manifest
        assert read_manifest(folder).shards == (ENTRY,)
    folder.write("manifest.json", manifest_bytes(plain.model_copy(update={"validation": (ENTRY,)})))
    with pytest.raises(ManifestError, match="twice"):
        read_manifest(folder)


def test_the_keys_are_those_of_the_contract_in_their_order() -> None:
    content = orjson.loads(manifest_bytes(manifest_of({}, ENTRY)))
    assert list(content) == [
        "format", "build", "stage", "tokenizer", "context_tokens", "mixture", "shards", "index", "plan", "audit",
    ]  # fmt: skip
    assert list(content["shards"][0]) == [
        "name", "sha256", "bytes", "samples", "tokens", "first_key", "last_key",
    ]  # fmt: skip
    assert (content["index"], content["plan"], content["audit"]) == (None, None, None)
    assert content["mixture"] == {"seed": 3, "epochs": 2, "weights": {}}


def test_equal_manifests_are_equal_bytes_whatever_the_order_of_sources() -> None:
    assert manifest_bytes(manifest_of({"a": 1, "b": 2})) == manifest_bytes(manifest_of({"b": 2, "a": 1}))


def test_a_build_that_kept_nothing_has_a_manifest_without_shards(tmp_path: Any) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("manifest.json", manifest_bytes(manifest_of({})))
    assert read_manifest(folder).shards == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "format 2 is newer than 1; use a newer curate"),
        ({"format": 0}, "format 0 is older than 1; build the shards again"),
        ({"format": None}, "no format number"),
        ({"format": "1"}, "no format number"),
        ({"build": None}, "build: "),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"index": "../../etc/passwd"}, "index: "),
        ({"context_tokens": 0}, "context_tokens: "),
    ],
)
def test_a_manifest_this_version_does_not_read_is_refused_by_name(
    shard_folder: ShardFolder, change: dict[str, Any], says: str
) -> None:
    shard_folder.change_manifest(lambda content: content.update(change))
    with pytest.raises(ManifestError, match=says) as caught:
        read_manifest(LocalFolder(shard_folder.root))
    assert str(shard_folder.root / "manifest.json") in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "../../../outside.tar"}, "shards.0.name"),
        ({"name": "/etc/x.tar"}, "shards.0.name"),
        ({"sha256": "0" * 63}, "shards.0.sha256"),
        ({"bytes": -1}, "shards.0.bytes"),
        ({"bytes": 10_240.5}, "shards.0.bytes"),
        ({"samples": 0}, "shards.0.samples"),
        ({"first_key": "a.b"}, "shards.0.first_key"),
        ({"name": "mid-demo-000001.tar"}, "names mid-demo-000001.tar twice"),
    ],
)
def test_an_entry_that_cannot_be_true_is_refused(shard_folder: ShardFolder, change: dict[str, Any], says: str) -> None:
    shard_folder.change_manifest(lambda content: content["shards"][0].update(change))
    with pytest.raises(ManifestError, match=says):
        read_manifest(LocalFolder(shard_folder.root))


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"[]", b'{"format": 1', b"[" * 100_000])
def test_what_is_no_manifest_at_all_is_refused(tmp_path: Any, data: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(ManifestError, match=r"not JSON|not a manifest"):
        read_manifest(LocalFolder(tmp_path))


def test_a_missing_manifest_says_which_folder_to_give(tmp_path: Any) -> None:
    with pytest.raises(ManifestError, match="shards/ folder of a finished build"):
        read_manifest(LocalFolder(tmp_path / "nowhere"))


def test_a_manifest_of_unbounded_size_is_not_loaded(tmp_path: Any) -> None:
    with (tmp_path / "manifest.json").open("wb") as file:
        file.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(ManifestError, match="at most"):
        read_manifest(LocalFolder(tmp_path))


def test_weights_are_finite_and_not_negative() -> None:
    for weight in (float("nan"), float("inf"), -0.5):
        with pytest.raises(ValueError, match="weights"):
            Mixture(seed=0, epochs=1, weights={"demo": weight})
