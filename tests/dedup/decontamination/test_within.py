"""Leaks inside an eval set."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dedup.decontamination.within import shared_inside
from dedup.evalsets.reading import EVERY_SPLIT
from tests.dedup.evalsets.sets import placed, read, written


def test_every_test_picture_of_vqa_rad_is_a_training_picture(shared_data: Path) -> None:
    found = shared_inside(placed("vqa_rad", shared_data, EVERY_SPLIT).items, ["test"])
    assert (found.images, found.images_shared) == (203, 203)
    assert (found.items, found.items_shared) == (451, 451)
    assert found.by_group == {"case": (203, 203)}
    with (shared_data / "leaks/vqa_rad_train_test_images.jsonl").open() as file:
        leaks = [json.loads(line) for line in file]
    asked_twice = {str(pair[1]) for leak in leaks for pair in leak["same_question"]}
    rows = found.rows.to_pylist()
    assert {row["eval_id"] for row in rows if row["kind"] == "question"} >= asked_twice
    pictures = {row["shared"].rpartition("/")[2].partition("#")[0] for row in rows if row["kind"] == "image"}
    assert pictures == {leak["image"].rpartition("/")[2] for leak in leaks}


def test_slake_leaks_across_languages(shared_data: Path) -> None:
    items = placed("slake", shared_data, EVERY_SPLIT).items
    found = shared_inside(items, ["test"], ["train"])
    assert found.by_group == {"case": (142, 180)}
    assert (found.items, found.items_shared) == (2094, 1517)
    language, split = items["language"], items["split"]
    english_test = pc.and_(pc.equal(language, "en"), pc.equal(split, "test"))
    english = items.filter(pc.or_(english_test, pc.and_(pc.equal(language, "en"), pc.equal(split, "train"))))
    across = items.filter(pc.or_(english_test, pc.and_(pc.equal(language, "zh"), pc.equal(split, "train"))))
    assert shared_inside(english, ["test"]).by_group == {"case": (0, 96)}
    assert shared_inside(across, ["test"]).by_group == {"case": (72, 96)}
    assert shared_inside(across, ["test"]).items_shared == 781


@pytest.fixture
def small(tmp_path: Path) -> pa.Table:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(name.encode())
    records = [
        {"id": "1", "split": "train", "question": "Is this an X-ray?", "image": "a.png"},
        {"id": "2", "split": "train", "question": "Where is the mass?", "image": "b.png"},
        {"id": "3", "split": "test", "question": "is this an  X-RAY?", "image": "a.png"},
        {"id": "4", "split": "test", "question": "Is this an X-ray?", "image": "c.png"},
        {"id": "5", "split": "dev", "question": "Is this an X-ray?", "image": "c.png"},
    ]
    return read(written(tmp_path, records), splits=EVERY_SPLIT).items


def test_a_stock_question_is_shared_only_with_its_picture(small: pa.Table) -> None:
    found = shared_inside(small, ["test"], ["train"])
    assert found.by_kind == {"image": 1, "question": 1}
    assert {row["eval_id"]: row["example"] for row in found.rows.to_pylist()} == {"3": "1"}


def test_every_other_split_counts_unless_some_are_named(small: pa.Table) -> None:
    found = shared_inside(small, ["test"])
    assert (found.items_shared, found.images_shared) == (2, 2)
    assert found.rows.to_pylist()[-1]["splits"] == ["dev"]
    assert shared_inside(small, ["test", "train", "dev"]).items_shared == 0
