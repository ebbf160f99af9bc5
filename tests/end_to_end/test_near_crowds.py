"""Many copies of one picture under few captions: of each caption one sample stays, whichever copies had met before."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import orjson
import pytest
import yaml

from tests.end_to_end.runs import balances, curate_json, published
from tests.end_to_end.test_near_pictures import by_key, scene

COPIES = 60
CAPTIONS = (
    "Axial section at the level of the third ventricle with a ring enhancing lesion in the frontal lobe",
    "Slide of the lecture on tumours of childhood as it was shown to students in the spring term",
    "Photograph of the wound on the day after surgery before the dressing was changed once more",
    "Overview of the specimen as it arrived from the theatre, cut surface turned towards the camera",
    "Cover of the journal in which the series of cases had been published by the same group",
    "Screenshot of the viewer with the measuring tool open and the histogram of grey values beside it",
    "Teaching file of the department, shown to everybody who begins to read such examinations",
    "Supplementary figure of the trial, from the arm that received the drug by mouth twice a day",
)


def corpus(root: Path, names: Sequence[int]) -> None:
    """60 files of one picture, each of another quality, and 8 captions in turn; records in the given order."""
    picture = scene(0)
    (root / "all").mkdir(parents=True)
    rows = []
    for number in names:
        cv2.imwrite(str(root / f"all/{number}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 38 + number])
        rows.append({"id": f"{number}", "text": CAPTIONS[number % len(CAPTIONS)], "file": f"{number}.jpg"})
    (root / "all/all.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    source = {"name": "all", "reader": "jsonl", "path": "all/*.jsonl", "task": "caption", "license": "MIT",
              "fields": {"id": "id", "text": "text", "image": "file"}, "images": "all", "access": "open"}  # fmt: skip
    (root / "recipe.yaml").write_text(yaml.safe_dump({"stage": "align", "sources": [source]}))


def build(root: Path, out: str, *more: object) -> dict[str, Any]:
    arguments = ("build", "--recipe", root / "recipe.yaml", "--data", root, "--out", root / out, *more)
    return curate_json(*arguments, near=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("near-crowds")
    corpus(root, range(COPIES))
    assert balances(build(root, "run"))
    return root


def test_of_each_caption_one_sample_stays(built: Path) -> None:
    said = by_key(built / "run")
    kept = Counter(int(key) % len(CAPTIONS) for key, row in said.items() if row["verdict"] == "keep")
    assert kept == dict.fromkeys(range(len(CAPTIONS)), 1)
