"""What happens to shards where writing goes wrong or data comes in between, and what keys they have."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import webdataset
import yaml
from PIL import Image

from shards.manifest import read_manifest
from sources.storage import LocalFolder
from tests.end_to_end.runs import curate_json, published

UID = "1.2.840.113619.2.55.3.604688119.969.{}"
FILMS = 40


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films named by DICOM UIDs, each of 120 kB that do not compress, and their recipe."""
    place = tmp_path_factory.mktemp("films")
    (place / "data").mkdir()
    rows = []
    for number in range(FILMS):
        uid = UID.format(number)
        noise = np.random.default_rng(number).integers(0, 255, (200, 200, 3), np.uint8)
        Image.fromarray(noise).save(place / "data" / f"{uid}.png")
        rows.append({"id": uid, "image": f"{uid}.png", "text": f"Film number {number} of a series of many films."})
    (place / "data" / "films.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    source = {
        "name": "films", "reader": "jsonl", "path": "films.jsonl", "images": ".", "task": "caption", "license": "MIT",
        "access": "open", "identifiers": "public", "fields": {"id": "id", "image": "image", "text": "text"},
    }  # fmt: skip
    recipe = {"stage": "mid", "sources": [source], "shards": {"max_samples": 10}}
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return place


def build(place: Path, out: Path, *more: str, status: int = 0) -> dict[str, Any]:
    return curate_json(
        "build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", out, *more, status=status
    )


@pytest.fixture(scope="module")
def undisturbed(films: Path) -> Path:
    build(films, films / "run")
    return films / "run"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that holds all that comes before shards, and one shard of four."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "curate", str(disk)], check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_disk_that_is_full_in_the_middle_of_a_shard_is_said_and_the_rest_is_written_when_there_is_room(
    films: Path, undisturbed: Path, small_disk: Path
) -> None:
    answer = build(films, small_disk / "run", status=1)
    assert answer["error"].startswith("write of 10 samples: No space left on device")
    assert answer["hint"] == "free some space, then run the same command again: it resumes"
    finished = list((small_disk / "run" / "work" / "write").rglob("*.tar"))
    assert 1 <= len(finished) < FILMS // 10
    assert not (small_disk / "run" / "shards").exists()
    before = {path: path.stat().st_mtime_ns for path in finished}
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    build(films, small_disk / "run")
    assert published(small_disk / "run") == published(undisturbed)
    assert {path: path.stat().st_mtime_ns for path in finished} == before


def test_keys_of_records_that_are_called_by_dicom_uids_hold_no_dot(undisturbed: Path) -> None:
    shards = undisturbed / "shards"
    names = [str(shards / entry.name) for entry in read_manifest(LocalFolder(shards)).shards]
    samples = list(webdataset.WebDataset(names, shardshuffle=False))
    assert len(samples) == FILMS
    assert {tuple(sorted(name for name in sample if not name.startswith("__"))) for sample in samples} == {
        ("json", "png")
    }
    uids = {orjson.loads(sample["json"])["source_key"].rpartition("#")[2] for sample in samples}
    assert uids == {UID.format(number) for number in range(FILMS)}


def test_new_data_rewrites_the_tars_it_falls_into_and_no_others(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()

    def write(name: str, first: int) -> None:
        rows = [
            {"id": str(number), "text": f"Note {number} tells of {number * 7919 % 99991} findings of that day."}
            for number in range(first, first + 6)
        ]
        (data / name).write_bytes(b"\n".join(map(orjson.dumps, rows)))

    for number in range(20):
        write(f"notes{number:03d}.jsonl", 10 * number)
    source = {
        "name": "notes", "reader": "jsonl", "path": "notes*.jsonl", "task": "text", "license": "MIT", "access": "open",
        "identifiers": "public", "fields": {"id": "id", "text": "text"},
    }  # fmt: skip
    recipe = {"stage": "mid", "sources": [source], "shards": {"max_samples": 10}, "steps": {"tokens": {"min": 1}}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    build(tmp_path, tmp_path / "run")
    before = read_manifest(LocalFolder(tmp_path / "run" / "shards")).shards
    write("notes010a.jsonl", 5000)
    build(tmp_path, tmp_path / "run")
    after = read_manifest(LocalFolder(tmp_path / "run" / "shards")).shards
    new = {entry.sha256 for entry in after} - {entry.sha256 for entry in before}
    assert len(before) >= 10
    assert 1 <= len(new) <= 2
    assert sum(entry.samples for entry in after) == 126
