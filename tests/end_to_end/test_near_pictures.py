"""Near-duplicate pictures in a build: a sample goes only where its pictures and its text are copies of a kept one's."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import polars as pl
import pytest
import yaml

from tests.end_to_end.runs import balances, curate, curate_json, published

CAPTION = "Axial section at the level of the third ventricle with a ring enhancing lesion in the frontal lobe"
AGAIN = "Slide of the lecture on lesions of the frontal lobe, as it was shown to students of the third year"
OTHER = "Photograph of the wound on the day after surgery, before the dressing was changed again"


def scene(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture with structure at every scale: no two seeds are alike."""
    chance = np.random.default_rng(seed)
    noise = sum(cv2.resize(chance.normal(size=(n, n)), (480, 480), interpolation=cv2.INTER_CUBIC) for n in (5, 11, 40))
    return cv2.normalize(noise, np.zeros(0), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def copies_of(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, np.ndarray[Any, Any]]:
    window = np.clip((picture.astype(np.float32) - 60) * 1.6, 0, 255).astype(np.uint8)
    framed = cv2.copyMakeBorder(picture, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    smaller = cv2.resize(picture, (300, 300), interpolation=cv2.INTER_AREA)
    return {
        "smaller": smaller,
        "mirrored": picture[:, ::-1],
        "inverted": 255 - picture,
        "window": window,
        "framed": framed,
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("near-pictures")
    records: dict[str, list[dict[str, str]]] = {"first": [], "second": []}
    for corpus in records:
        (root / corpus).mkdir()
    pictures = {f"scene-{seed}": scene(seed) for seed in range(6)}
    for name, picture in pictures.items():
        cv2.imwrite(str(root / "first" / f"{name}.png"), picture)
        records["first"].append({"id": name, "text": CAPTION, "file": f"{name}.png"})
    for name, picture in copies_of(pictures["scene-0"]).items():
        cv2.imwrite(str(root / "second" / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
        records["second"].append({"id": name, "text": CAPTION, "file": f"{name}.jpg"})
    records["second"].append({"id": "other words", "text": OTHER, "file": "smaller.jpg"})
    records["second"].append({"id": "again, smaller", "text": AGAIN, "file": "smaller.jpg"})
    records["second"].append({"id": "again, mirrored", "text": AGAIN, "file": "mirrored.jpg"})
    for corpus, rows in records.items():
        (root / corpus / "all.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    sources = [
        {"name": name, "reader": "jsonl", "path": f"{name}/*.jsonl", "task": "caption", "license": "MIT",
         "fields": {"id": "id", "text": "text", "image": "file"}, "images": name, "access": "open"} for name in records
    ]  # fmt: skip
    (root / "recipe.yaml").write_text(yaml.safe_dump({"stage": "align", "sources": sources}))
    return root, curate_json(*arguments(root, "run", "--workers", 1), near=True)


def arguments(root: Path, out: str, *more: object) -> list[object]:
    return ["build", "--recipe", root / "recipe.yaml", "--data", root, "--out", root / out, *more]


def by_key(run: Path) -> dict[str, dict[str, Any]]:
    """What near_image said of each sample, by the id of its record."""
    samples = pl.read_parquet(run / "tables/samples/*.parquet").select("sample_id", "source_key")
    ledger = pl.read_parquet(run / "tables/ledger/*.parquet").filter(pl.col("step") == "near_image")
    rows = ledger.join(samples, on="sample_id").to_dicts()
    return {row["source_key"].partition("#")[2]: row for row in rows}


def test_copies_go_and_other_scenes_with_the_same_caption_stay(built: tuple[Path, dict[str, Any]]) -> None:
    root, answer = built
    assert balances(answer)
    said = by_key(root / "run")
    gone = {key for key, row in said.items() if row["reason"] == "near.image_text"}
    assert gone == {"scene-0", "smaller", "mirrored", "inverted", "window", "again, smaller"}  # more pixels survive


def test_two_copies_of_a_third_picture_go_with_each_other_where_they_were_compared(
    built: tuple[Path, dict[str, Any]],
) -> None:
    said = by_key(built[0] / "run")
    dropped, kept = said["again, smaller"], said["again, mirrored"]
    assert orjson.loads(dropped["evidence"])["kept"] == kept["sample_id"]
    (ours,), (theirs,) = (orjson.loads(row["evidence"])["pictures"] for row in (dropped, kept))
    assert ours["copy_of"] == theirs["image"]  # how it lies on the kept sample's picture, and not on the third
    assert ours["ncc"] >= 0.75
    third = orjson.loads(said["smaller"]["evidence"])["pictures"][0]["copy_of"]
    assert theirs["copy_of"] == third
    assert third not in {ours["image"], theirs["image"]}


def test_the_same_picture_with_another_text_stays_and_is_linked(built: tuple[Path, dict[str, Any]]) -> None:
    row = by_key(built[0] / "run")["other words"]
    assert row["verdict"] == "keep"
    (picture,) = orjson.loads(row["evidence"])["pictures"]
    assert picture["ncc"] >= 0.75
    assert picture["inliers"] >= 12


def test_why_shows_the_transform_and_the_kept_sample(built: tuple[Path, dict[str, Any]]) -> None:
    root, _ = built
    row = by_key(root / "run")["mirrored"]
    told = curate_json("why", root / "run", row["sample_id"])
    assert told["verdicts"][-1]["evidence"]["pictures"][0]["mirrored"]
    assert told["kept"]["sample_id"] == orjson.loads(row["evidence"])["kept"]
    assert (
        "kept in its place"
        in curate("why", root / "run", row["sample_id"]).stderr + curate("why", root / "run", row["sample_id"]).stdout
    )


def test_two_workers_write_the_same_bytes(built: tuple[Path, dict[str, Any]]) -> None:
    root, _ = built
    curate_json(*arguments(root, "two", "--workers", 2), near=True)
    assert published(root / "two") == published(root / "run")


def test_the_rule_that_others_publish_can_be_chosen_and_finds_less(built: tuple[Path, dict[str, Any]]) -> None:
    root, _ = built
    answer = curate_json(*arguments(root, "phash", "--set", "steps.near_image.method=phash"), near=True)
    assert balances(answer)
    assert answer["counts"]["dropped"].get("near.image_text", 0) < 5


def test_the_page_shows_the_group(built: tuple[Path, dict[str, Any]]) -> None:
    page = (built[0] / "run/reports/build.html").read_text()
    assert "Near-duplicates" in page
    assert "5 dropped for it" in page


def test_the_page_shows_how_the_pictures_of_dropped_samples_lie_on_others(built: tuple[Path, dict[str, Any]]) -> None:
    page = (built[0] / "run/reports/build.html").read_text()
    said = by_key(built[0] / "run")
    best = orjson.loads(said["mirrored"]["evidence"])["kept"]
    dropped = [row for row in said.values() if orjson.loads(row["evidence"] or b"{}").get("kept") == best]
    assert len(dropped) == 5
    for row in sorted(dropped, key=lambda row: row["sample_id"])[:4]:
        for shown in orjson.loads(row["evidence"]).get("pictures", ()):
            assert f"copy of picture {shown['copy_of'][:8]}: correlation {shown['ncc']:.2f}" in page
    assert "correlation" in page
