"""What work on pictures is stored under, and what becomes of it where a picture of an eval set went away."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dedup.decontamination.pictures import PictureIndex
from pipelines.audit import pictures
from pipelines.audit.pictures import IndexPicturesTask, PictureParts, ScanPicturesTask
from pipelines.view import View
from pipelines.work import Part
from tests.dedup.test_fingerprints import scene

PART = Part("some/table", "digest", 1, 1)


def key_of_task(task: Any) -> str:
    asked: list[str] = []
    found = SimpleNamespace(find=lambda _, key: asked.append(key) or "found")
    assert task.run(SimpleNamespace(work=found)) == "found"
    return asked[0]


def test_indexes_and_hits_are_stored_under_all_that_they_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = dict.fromkeys(("images", "images_followers", "links"), PART)
    index = PictureParts((("parts", PART),), PART, 100)
    tasks = [IndexPicturesTask(0, 1, PART, 100), ScanPicturesTask(View(0, None, parts=parts), 0, index)]  # type: ignore[arg-type]
    before = [key_of_task(task) for task in tasks]

    monkeypatch.setattr(pictures, "parameters", lambda: {"radius": -1})

    assert not set(before) & {key_of_task(task) for task in tasks}


def test_a_picture_of_an_eval_set_that_went_away_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    film = scene(1, 300, 280)
    index = PictureIndex.of([(7, film, "a", "a")])
    parts: Any = SimpleNamespace(loaded=lambda _: index, pictures=None, max_pixels=100)
    monkeypatch.setattr(pictures, "EvalOpener", lambda *_: lambda _: None)
    monkeypatch.setattr(pictures, "opened", lambda *_: np.ascontiguousarray(film[:, ::-1]))
    row = {"uri": "u", "frame": None, "pixel_hash": None, "modality": "xray"}
    rows = [{**row, "image_id": "one"}, {**row, "image_id": "two"}]
    anything: Any = SimpleNamespace()

    hits, unopened, of_evals = pictures._scanned(anything, parts, anything, anything, rows, 0, 2)

    assert (hits.num_rows, unopened, of_evals) == (0, 0, {7})
