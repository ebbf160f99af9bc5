"""Many copies of one picture under few captions: of each caption one sample stays, whichever copies had met before."""

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import orjson
import yaml

from tests.end_to_end.runs import CURATE, WITHOUT_CONTRACTS, balances, curate_json, published
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


def corpus(root: Path, copies: int, captions: int) -> None:
    """So many files of one picture, each of another quality, and captions in turn."""
    picture = cv2.resize(scene(0), (192, 192), interpolation=cv2.INTER_AREA)
    (root / "all").mkdir(parents=True)
    rows = []
    for number in range(copies):
        cv2.imwrite(str(root / f"all/{number}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 38 + number])
        rows.append({"id": f"{number}", "text": CAPTIONS[number % captions], "file": f"{number}.jpg"})
    (root / "all/all.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    source = {"name": "all", "reader": "jsonl", "path": "all/*.jsonl", "task": "caption", "license": "MIT",
              "fields": {"id": "id", "text": "text", "image": "file"}, "images": "all", "access": "open"}  # fmt: skip
    (root / "recipe.yaml").write_text(yaml.safe_dump({"stage": "align", "sources": [source]}))


def build(root: Path, out: str, *more: object) -> dict[str, Any]:
    arguments = ("build", "--recipe", root / "recipe.yaml", "--data", root, "--out", root / out, *more)
    return curate_json(*arguments, near=True)


def killed_in(root: Path, out: str, node: str, commits: int) -> None:
    """Build, and kill all its processes as soon as a node has committed so much more."""
    arguments = ["build", "--recipe", root / "recipe.yaml", "--data", root, "--out", root / out, "--workers", 1]
    work = root / out / "work" / node
    before = len([*work.rglob("*.json")])
    process = subprocess.Popen(
        [*CURATE, *map(str, arguments), *WITHOUT_CONTRACTS], stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and len([*work.rglob("*.json")]) < before + commits:
        time.sleep(0.002)
    assert process.poll() is None, "it had ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_of_each_caption_one_sample_stays(tmp_path: Path) -> None:
    corpus(tmp_path, COPIES, len(CAPTIONS))
    assert balances(build(tmp_path, "run"))
    said = by_key(tmp_path / "run")
    kept = Counter(int(key) % len(CAPTIONS) for key, row in said.items() if row["verdict"] == "keep")
    assert kept == dict.fromkeys(range(len(CAPTIONS)), 1)


def test_killed_while_it_compares_and_groups_and_with_two_workers_it_leaves_the_same_bytes(tmp_path: Path) -> None:
    corpus(tmp_path, 12, 2)
    build(tmp_path, "undisturbed")
    expected = published(tmp_path / "undisturbed")
    for node in ("near_picture_gather", "near_picture_verify", "near_image_questions"):
        killed_in(tmp_path, "run", node, 1)
    build(tmp_path, "run", "--workers", 2)
    assert published(tmp_path / "run") == expected
