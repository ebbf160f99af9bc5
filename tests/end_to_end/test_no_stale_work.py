"""Work that is found again is exactly the work a fresh build would do: each case once went wrong."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml
from PIL import Image

from tests.end_to_end.runs import balances, curate, curate_json, published, verdict_of

CAPTION = "The same caption stands under every one of these drawn pictures."


def picture(path: Path, seed: int, **save: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (80, 80), np.uint8)).save(path, **save)


def build(place: Path, source: dict[str, Any], out: str, *more: object, status: int = 0) -> dict[str, Any]:
    entry = {"name": "corpus", "access": "open", "license": "CC0-1.0", "identifiers": "public"} | source
    (place / "recipe.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [entry]}))
    arguments = ("--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / out)
    answer = curate_json("build", *arguments, *more, status=status)
    assert status or balances(answer)
    return answer


def same_as_fresh(place: Path, source: dict[str, Any], change: Callable[[], None]) -> dict[str, Any]:
    """Build, change the corpus, build again, and compare with a build that never saw the corpus as it was."""
    build(place, source, "run")
    change()
    again = build(place, source, "run")
    build(place, source, "fresh")
    assert published(place / "run") == published(place / "fresh")
    return again


@pytest.fixture
def captions(tmp_path: Path) -> dict[str, Any]:
    data = tmp_path / "data"
    for name, seed in (("x", 1), ("y", 2), ("z", 1)):
        picture(data / f"{name}.png", seed)
    rows = [orjson.dumps({"id": name, "image": f"{name}.png", "text": CAPTION}) for name in "xyz"]
    (data / "rows.jsonl").write_bytes(b"\n".join(rows))
    fields = {"id": "id", "image": "image", "text": "text"}
    return {"reader": "jsonl", "path": "rows.jsonl", "task": "caption", "fields": fields}


def test_a_picture_that_becomes_another_one_of_the_corpus_is_compared_again(
    tmp_path: Path, captions: dict[str, Any]
) -> None:
    again = same_as_fresh(tmp_path, captions, lambda: picture(tmp_path / "data" / "z.png", 2))
    assert again["counts"]["dropped"] == {"exact.image_text": 1}
    assert verdict_of(tmp_path / "run", "corpus", "#x") == ("keep", None)


def test_a_folder_of_pictures_that_arrives_later_is_seen(tmp_path: Path, captions: dict[str, Any]) -> None:
    source = captions | {
        "task": "report",
        "images": "films",
        "fields": {"id": "id", "image": "image", "findings": "text"},
    }

    def arrive() -> None:
        for name, seed in (("x", 1), ("y", 2), ("z", 3)):
            picture(tmp_path / "data" / "films" / f"{name}.png", seed)

    assert same_as_fresh(tmp_path, source, arrive)["images"] == 3


def test_times_of_files_are_no_part_of_the_bytes(tmp_path: Path) -> None:
    for number in range(1200):  # several fragments, so that the cuts between tars are looked at
        place = tmp_path / "data" / "drawn" / f"{number:04d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((64, 64), 0, np.uint8) + np.arange(64, dtype=np.uint8) * 4).save(place)
    rows = ["file_name,text", *(f"{number:04d}.png,{CAPTION} {number}." for number in range(1200))]
    (tmp_path / "data" / "drawn" / "metadata.csv").write_text("\n".join(rows))
    source = {
        "reader": "image_folder",
        "path": "drawn",
        "task": "caption",
        "fields": {"image": "file_name", "text": "text"},
    }
    more = ("--set", "shards.max_samples=100")
    build(tmp_path, source, "one", *more)
    for path in (tmp_path / "data").rglob("*.png"):
        os.utime(path, ns=(1, 1))
    build(tmp_path, source, "two", *more)
    assert published(tmp_path / "one") == published(tmp_path / "two")


def test_another_picture_under_the_same_name_makes_another_fingerprint(
    tmp_path: Path, captions: dict[str, Any]
) -> None:
    build(tmp_path, captions, "one")
    picture(tmp_path / "data" / "y.png", 9)
    build(tmp_path, captions, "two")
    builds = [
        orjson.loads((tmp_path / run / "shards" / "manifest.json").read_bytes())["build"] for run in ("one", "two")
    ]
    assert builds[0] != builds[1]


@pytest.mark.parametrize(("policy", "samples"), [("first", 1), ("middle", 1), ("each", 5)])
def test_frames_of_a_picture_become_samples_as_the_recipe_says(tmp_path: Path, policy: str, samples: int) -> None:
    frames = [Image.fromarray(np.random.default_rng(n).integers(0, 255, (80, 80), np.uint8)) for n in range(5)]
    (tmp_path / "data").mkdir()
    frames[0].save(tmp_path / "data" / "film.tif", save_all=True, append_images=frames[1:])
    (tmp_path / "data" / "rows.jsonl").write_bytes(orjson.dumps({"id": "a", "image": "film.tif", "text": CAPTION}))
    fields = {"id": "id", "image": "image", "text": "text"}
    source = {"reader": "jsonl", "path": "rows.jsonl", "task": "caption", "fields": fields}
    answer = build(tmp_path, source, "run", "--set", f"steps.measure.frames={policy}")
    assert answer["samples_written"] == answer["counts"]["ingested"] == samples
    measure = next(step for step in answer["steps"] if step["name"] == "measure")
    assert measure["made"] == samples - 1
    assert curate_json("shards", "verify", tmp_path / "run" / "shards")["ok"]
    if policy == "each":
        told = curate_json("why", tmp_path / "run", "rows.jsonl#a@3")
        assert told["parent_id"] == curate_json("why", tmp_path / "run", "rows.jsonl#a")["sample_id"]
        assert told["images"][0]["frame"] == 3


def test_files_that_people_put_beside_the_shards_stay(tmp_path: Path, captions: dict[str, Any]) -> None:
    build(tmp_path, captions, "run")
    notes = tmp_path / "run" / "shards" / "NOTES.md"
    notes.write_text("ours")
    picture(tmp_path / "data" / "y.png", 9)
    build(tmp_path, captions, "run")
    assert notes.read_text() == "ours"


def test_cleaning_twice_and_while_nothing_runs_is_harmless(tmp_path: Path, captions: dict[str, Any]) -> None:
    build(tmp_path, captions, "run")
    assert curate_json("clean", tmp_path / "run")["freed_bytes"] > 0
    assert curate_json("clean", tmp_path / "run")["freed_bytes"] == 0


def test_a_corpus_without_a_single_record_is_built_and_explained(tmp_path: Path, captions: dict[str, Any]) -> None:
    (tmp_path / "data" / "rows.jsonl").write_bytes(b"")
    assert build(tmp_path, captions, "run")["counts"]["ingested"] == 0
    assert "no sample" in curate_json("why", tmp_path / "run", "x", status=2)["error"]
    assert curate("diff", tmp_path / "run", tmp_path / "run").stderr.strip() == "no difference"


def test_a_forbidden_licence_is_understood_however_it_is_spelled(tmp_path: Path, captions: dict[str, Any]) -> None:
    nc = captions | {"license": "CC-BY-NC-4.0"}
    answer = build(tmp_path, nc, "run", "--set", "steps.license.forbidden=[CC BY-NC 4.0]")
    assert answer["counts"]["dropped"] == {"license.forbidden": 3}
    said = build(tmp_path, nc, "other", "--set", "steps.license.forbidden=[my licence]", status=2)
    assert "no licence this version knows" in said["error"]


def test_a_dry_run_refuses_what_the_build_would(tmp_path: Path, captions: dict[str, Any]) -> None:
    build(tmp_path, captions, "run")
    said = build(tmp_path, captions, "run", "--dry-run", "--set", "steps.tokens.max=99", status=2)
    assert "other settings" in said["error"]


def test_a_tokenizer_that_cannot_be_had_is_a_usage_error(tmp_path: Path, captions: dict[str, Any]) -> None:
    said = build(tmp_path, captions, "run", "--set", "tokenizer=/nowhere/tokenizer.json", status=2)
    assert "/nowhere/tokenizer.json" in said["error"]


def test_the_run_may_lie_inside_the_data(tmp_path: Path, captions: dict[str, Any]) -> None:
    source = captions | {"path": "**/*.jsonl"}
    build(tmp_path, source, "data/run")
    first = published(tmp_path / "data" / "run")
    build(tmp_path, source, "data/run")
    assert published(tmp_path / "data" / "run") == first
    shutil.rmtree(tmp_path / "data" / "run")


def test_another_run_under_the_data_is_no_corpus(tmp_path: Path, captions: dict[str, Any]) -> None:
    source = captions | {"path": "**/*.jsonl"}
    build(tmp_path, source, "data/first")
    assert build(tmp_path, source, "data/second")["counts"]["ingested"] == 3


def test_a_split_called_test_is_left_out_unless_it_is_asked_for(tmp_path: Path, captions: dict[str, Any]) -> None:
    rows = [{"id": n, "text": f"{CAPTION} {n}.", "part": part} for n, part in enumerate(("train", "test", None))]
    (tmp_path / "data" / "texts.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    source = {"reader": "jsonl", "path": "texts.jsonl", "task": "text", "fields": {"id": "id", "text": "text"}}
    mapped = source | {"fields": {"id": "id", "text": "text", "split": "part"}}
    assert build(tmp_path, mapped, "run")["counts"]["dropped"] == {"record.split": 1}
    assert build(tmp_path, mapped | {"split": ["test"]}, "asked")["counts"]["dropped"] == {"record.split": 1}
    assert "no field tells a split" in build(tmp_path, source | {"split": ["train"]}, "blind", status=2)["error"]


def test_a_record_under_a_noncommercial_licence_is_not_open(tmp_path: Path, captions: dict[str, Any]) -> None:
    rows = [
        {"id": n, "text": f"{CAPTION} {n}.", "terms": terms} for n, terms in enumerate(("CC BY 4.0", "CC BY-NC 4.0"))
    ]
    (tmp_path / "data" / "texts.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    fields = {"id": "id", "text": "text", "license": "terms"}
    source = {"reader": "jsonl", "path": "texts.jsonl", "task": "text", "fields": fields}
    answer = build(tmp_path, source, "run", "--set", "steps.license.access=[open]")
    assert answer["counts"]["dropped"] == {"access.forbidden": 1}
    assert answer["sources"] == {"corpus": {"ingested": 2, "kept": 1}}
