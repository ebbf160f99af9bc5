"""Decisions of reviewers on pictures of a source that is not searched for identifiers: no page shows what they hide."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
import yaml
from PIL import Image

from pipelines.report.examples import data_uri
from tests.end_to_end.runs import curate_json

NAMES = ("plain", "masked", "dropped")
SIDE = 160
FACE = [[0, 0, 60, 60]]


def film(name: str) -> Image.Image:
    """A picture of its own, with a white square where a face would be."""
    low = np.random.default_rng(NAMES.index(name)).integers(0, 200, (20, 20), np.uint8)
    pixels = np.asarray(Image.fromarray(low).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).copy()
    pixels[:50, :50] = 255
    return Image.fromarray(pixels)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for folder in (tmp_path / "data", tmp_path / "evals" / "mine"):
        folder.mkdir(parents=True)
        for name in NAMES:
            film(name).save(folder / f"{name}.png")
        rows = [{"id": name, "q": f"What is on the {name} film of the knee?", "a": "a fracture of the patella",
                 "image": f"{name}.png"} for name in NAMES]  # fmt: skip
        (folder / "all.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    fields = {"id": "id", "question": "q", "answer": "a"}
    evals = {"name": "mine", "version": "1", "license": "CC0-1.0", "reader": "jsonl", "path": "all.jsonl",
             "fields": {**fields, "images": "image"}}  # fmt: skip
    (tmp_path / "evals" / "mine" / "evalset.yaml").write_text(yaml.safe_dump(evals))
    source = {"name": "films", "reader": "jsonl", "path": "*.jsonl", "task": "vqa", "license": "CC0-1.0",
              "access": "open", "identifiers": "public", "fields": {**fields, "image": "image"}}  # fmt: skip
    steps = {
        "phi": {"names": "rules", "ocr": "none"}, "tokens": {"enabled": False},
        "decontaminate": {"against": ["mine"], "drop": [], "calibrate": {"enabled": False}},
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": steps}))
    return tmp_path


def build(place: Path, *more: object) -> dict[str, Any]:
    return curate_json(
        "build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--evals", place / "evals", "--out",
        place / "run", *more,
    )  # fmt: skip


def pictures(run: Path) -> dict[str, dict[str, Any]]:
    """Id and thumbnail of each picture, by the name of its file."""
    images = pl.read_parquet(run / "tables/images/*.parquet").select("image_id", "thumbnail")
    samples = pl.read_parquet(run / "tables/samples/*.parquet").select(pl.col("images").list.first().struct.unnest())
    return {row["uri"].removesuffix(".png"): row for row in samples.join(images, "image_id").to_dicts()}


def reviewed(place: Path, ids: dict[str, str], **rulings: str) -> tuple[object, ...]:
    decisions = [
        {"image": ids[name], "decision": ruling, "who": "M. Reviewer", "why": "a face",
         **({"boxes": FACE} if ruling == "mask" else {})}
        for name, ruling in rulings.items()
    ]  # fmt: skip
    (place / "review.yaml").write_text(yaml.safe_dump({"decisions": decisions}))
    return "--set", f"steps.phi.review={place / 'review.yaml'}"


def shown_faces(page: Path) -> int:
    """Pictures on a page with something white where the face is."""
    pieces = page.read_text().split("data:image/jpeg;base64,")[1:]
    shown = [Image.open(io.BytesIO(base64.b64decode(piece.split('"')[0]))).convert("L") for piece in pieces]
    return sum(np.asarray(one.resize((SIDE, SIDE)))[10:40, 10:40].mean() > 240 for one in shown)


def test_a_picture_that_a_reviewer_masks_or_drops_is_on_no_page_and_has_no_thumbnail(place: Path) -> None:
    run = place / "run"
    build(place)
    before = pictures(run)
    ids = {name: row["image_id"] for name, row in before.items()}
    assert all(data_uri(row["thumbnail"]) in (run / "reports/build.html").read_text() for row in before.values())
    assert shown_faces(run / "reports/contamination.html") == 6

    answer = build(place, *reviewed(place, ids, plain="accept", masked="mask", dropped="drop"))
    assert answer["counts"]["dropped"] == {"phi.reviewed": 1}
    after = pictures(run)
    assert {name: row["thumbnail"] for name, row in after.items()} == {
        "plain": before["plain"]["thumbnail"], "masked": None, "dropped": None,
    }  # fmt: skip
    page = (run / "reports/build.html").read_text()
    assert [data_uri(before[name]["thumbnail"]) in page for name in NAMES] == [True, False, False]
    assert shown_faces(run / "reports/contamination.html") == 2, "both sides of the accepted picture"
    (pictures_step,) = (step for step in answer["steps"] if step["name"] == "ingest")
    assert pictures_step["reused"]

    build(place, *reviewed(place, ids, masked="accept", dropped="drop"))
    assert {name: row["thumbnail"] is None for name, row in pictures(run).items()} == {
        "plain": False, "masked": False, "dropped": True,
    }  # fmt: skip
