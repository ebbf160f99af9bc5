"""Near-duplicate slices in a build: a series repeats where its slices do, and neighbours are no copies."""

from typing import Any

import cv2
import numpy as np
import orjson
import pytest
import yaml

from tests.end_to_end.runs import curate_json
from tests.end_to_end.test_near_pictures import arguments, by_key, scene

CAPTION = "Axial computed tomography of the chest with contrast, lung window, as sent by the referring hospital"
SLICES = 4


def slices() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Slices of one body: each is the one before it, a little further on."""
    below, above = scene(20).astype(np.float32), scene(21).astype(np.float32)
    return [(below + 0.02 * step * (above - below)).astype(np.uint8) for step in range(SLICES)]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = tmp_path_factory.mktemp("near-series")
    pictures = slices()
    records = {
        "first": [("slice", "1.2.1", [number]) for number in range(SLICES)] + [("whole", "1.2.1", list(range(SLICES)))],
        "again": [("copied slice", "9.9.9", [0]), ("copied whole", "9.9.9", list(range(SLICES))),
                  ("part", "9.9.9", list(range(SLICES - 1)))],
        "loose": [("loose slice", None, [number]) for number in (0, 1)],
    }  # fmt: skip
    for corpus, some in records.items():
        (root / corpus).mkdir()
        # in other bytes, and loose ones darker: equal pixels are left to the series
        shown = [one - one // 16 if corpus == "loose" else one for one in pictures]
        for number, picture in enumerate(shown):
            level = [cv2.IMWRITE_PNG_COMPRESSION, len(corpus) + (corpus == "again")]
            cv2.imwrite(str(root / corpus / f"{number}.png"), picture, level)
        lines = [
            {"id": f"{name} {numbers[0]}", "text": CAPTION, "file": [f"{number}.png" for number in numbers]}
            | ({"uid": uid} if uid else {})
            for name, uid, numbers in some
        ]
        (root / corpus / "all.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    sources = [
        {"name": name, "reader": "jsonl", "path": f"{name}/*.jsonl", "task": "caption", "license": "MIT",
         "modality": "ct", "access": "open", "images": name, "groups": [] if name == "loose" else ["series"],
         "fields": {"id": "id", "text": "text", "image": "file"} | ({} if name == "loose" else {"series": "uid"})}
        for name in records
    ]  # fmt: skip
    (root / "recipe.yaml").write_text(yaml.safe_dump({"stage": "align", "sources": sources}))
    steps = ("--set", "steps.exact.enabled=false")
    curate_json(*arguments(root, "run", "--workers", 1, *steps), near=True)
    return by_key(root / "run")


def test_neighbours_of_a_series_stay(said: dict[str, dict[str, Any]]) -> None:
    assert [said[f"slice {number}"]["verdict"] for number in range(1, SLICES)] == ["keep"] * (SLICES - 1)


def test_a_slice_and_a_series_of_equal_pixels_are_copies(said: dict[str, dict[str, Any]]) -> None:
    for one, other in (("slice 0", "copied slice 0"), ("whole 0", "copied whole 0")):
        (gone,) = [name for name in (one, other) if said[name]["verdict"] == "drop"]
        (kept,) = {one, other} - {gone}
        assert orjson.loads(said[gone]["evidence"])["kept"] == said[kept]["sample_id"]


def test_part_of_a_series_stays_and_its_slices_are_linked(said: dict[str, dict[str, Any]]) -> None:
    assert said["part 0"]["verdict"] == "keep"
    # of each two equal slices one is the copy, whichever has the larger id
    linked = [orjson.loads(said[name]["evidence"] or b"{}").get("pictures", []) for name in ("part 0", "whole 0")]
    assert sum(map(len, linked)) in {SLICES - 1, SLICES}
    assert all(picture["pixels"] == "equal" for pictures in linked for picture in pictures)


def test_slices_without_a_series_are_compared_like_any_picture(said: dict[str, dict[str, Any]]) -> None:
    assert {said[f"loose slice {number}"]["verdict"] for number in (0, 1)} == {"keep", "drop"}
