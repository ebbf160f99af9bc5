import hashlib
import tarfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from shards import croissant as module
from shards.croissant import croissant_bytes
from shards.manifest import manifest_bytes
from shards.obligations import Terms
from tests.shards.companions import croissant, facts_of, manifest_in
from tests.shards.conftest import ShardFolder


def document_of(folder: ShardFolder, **more: Any) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(croissant_bytes(facts_of(manifest_in(folder.root), **more)))
    return content


def samples_in(folder: ShardFolder) -> set[str]:
    found = set()
    for path in sorted(folder.root.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    found.add(file.read().decode())
    return found


def test_mlcroissant_validates_it_and_reads_every_sample_by_it(shard_folder: ShardFolder, tmp_path: Path) -> None:
    (shard_folder.root / "croissant.json").write_bytes(croissant_bytes(facts_of(manifest_in(shard_folder.root))))
    found = croissant(shard_folder.root, tmp_path)
    assert found["errors"] == []
    assert len(found["rows"]) == 36
    assert set(found["rows"]) == samples_in(shard_folder)


def test_with_many_shards_the_manifest_s_digest_stands_for_theirs(
    shard_folder: ShardFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED_SHARDS", 2)
    data = croissant_bytes(facts_of(manifest_in(shard_folder.root)))
    (shard_folder.root / "croissant.json").write_bytes(data)
    assert croissant(shard_folder.root, tmp_path, "validate")["errors"] == []
    kinds = [part["@type"] for part in orjson.loads(data)["distribution"]]
    assert kinds == ["cr:FileObject", "cr:FileSet", "cr:FileSet"]


def test_sizes_and_digests_are_those_of_the_files(shard_folder: ShardFolder) -> None:
    files = [part for part in document_of(shard_folder)["distribution"] if part["@type"] == "cr:FileObject"]
    assert {part["name"] for part in files} == {
        "manifest.json",
        *(path.name for path in shard_folder.root.glob("*.tar")),
    }
    for part in files:
        data = (shard_folder.root / part["contentUrl"]).read_bytes()
        assert part["sha256"] == hashlib.sha256(data).hexdigest()
        assert part["contentSize"] == f"{len(data)} B"


def test_an_unstated_licence_is_no_assertion_and_others_are_their_spdx_pages(shard_folder: ShardFolder) -> None:
    terms = tuple(Terms("demo", name, "open", 1) for name in ("unknown", "CC-BY-4.0", "LicenseRef-CC-BY-NC"))
    assert document_of(shard_folder, terms=terms)["license"] == [
        "https://spdx.org/licenses/CC-BY-4.0.html", "LicenseRef-CC-BY-NC", "NOASSERTION",
    ]  # fmt: skip


def test_a_build_that_kept_nothing_is_valid(shard_folder: ShardFolder, tmp_path: Path) -> None:
    empty = manifest_in(shard_folder.root).model_copy(update={"shards": ()})
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(manifest_bytes(empty))
    (folder / "croissant.json").write_bytes(croissant_bytes(facts_of(empty, terms=(), languages={})))
    assert croissant(folder, tmp_path, "validate")["errors"] == []


def test_what_is_not_known_of_people_is_not_claimed(shard_folder: ShardFolder) -> None:
    said = document_of(shard_folder)
    assert "not searched for identifiers" in said["rai:personalSensitiveInformation"][0]
    steps = ({"name": "phi", "in": 1, "made": 0, "kept": 1, "dropped": {}, "quarantined": {}},)
    assert "rai:personalSensitiveInformation" not in document_of(shard_folder, steps=steps)
