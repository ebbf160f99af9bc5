"""What verification holds at once, and where it opens pictures: a keyed corpus is read when the first is opened."""

import pickle
from pathlib import Path

import numpy as np
import orjson
import pytest

from pipelines.errors import CurateError
from pipelines.near.kind import Place
from pipelines.near.verify import OpenedLate, batches
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.records import CorpusError
from sources.storage import LocalFolder
from tests.sources.corpora import corpus_in, planned
from tests.sources.packed_files import png

NAME = "DOE-JANE.png"


def late(folder: Path) -> tuple[OpenedLate, str]:
    """The pictures of a keyed corpus of one record, and the stored name of its picture."""
    (folder / NAME).write_bytes(png(1))
    (folder / "all.jsonl").write_bytes(orjson.dumps({"id": "1", "image": NAME, "text": "a film"}))
    corpus = corpus_in(folder, "jsonl", "all.jsonl", task="caption", identifiers="keyed")
    session = Session(Recipe(stage="mid", sources=(SourceEntry(name="test"),)), (corpus,), Work(LocalFolder(folder)))
    return OpenedLate(session, Place(0, planned(corpus)[0]), 0), corpus.identity.name("path", NAME)


def test_a_picture_is_opened_by_its_keyed_name_also_in_another_process(tmp_path: Path) -> None:
    pictures, name = late(tmp_path)
    assert name != NAME
    assert pictures.open(name) == png(1)
    assert pickle.loads(pickle.dumps(late(tmp_path)[0])).open(name) == png(1)


def test_records_are_read_once_and_only_for_a_picture(tmp_path: Path) -> None:
    pictures, name = late(tmp_path)
    pictures.open(name)
    (tmp_path / "all.jsonl").unlink()
    assert pictures.open(name) == png(1)


def test_records_and_pictures_that_are_gone_end_the_run(tmp_path: Path) -> None:
    pictures, name = late(tmp_path)
    (tmp_path / NAME).unlink()
    with pytest.raises(CurateError, match="source test: a picture that was measured before is not there") as no_picture:
        pictures.open(name)
    pictures, _ = late(tmp_path)
    (tmp_path / "all.jsonl").unlink()
    with pytest.raises(CorpusError, match="not there any more") as no_record:
        pictures.open(name)
    assert not any("DOE" in str(caught.value) for caught in (no_picture, no_record))


def test_a_picture_that_no_record_names_any_more_ends_the_run(tmp_path: Path) -> None:
    pictures, name = late(tmp_path)
    (tmp_path / "all.jsonl").write_bytes(orjson.dumps({"id": "1", "image": "other.png", "text": "a film"}))
    with pytest.raises((CurateError, CorpusError)):
        pictures.open(name)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1, 1, 1, 1, 1], [(0, 3), (3, 5)]),
        ([4, 6, 1, 20, 0, 10, 0], [(0, 2), (2, 3), (3, 4), (4, 7)]),
        ([0, 0, 0, 0], [(0, 3), (3, 4)]),
    ],
)
def test_batches_hold_three_items_and_ten_bytes_or_one_item(sizes: list[int], expected: list[tuple[int, int]]) -> None:
    assert list(batches(np.array(sizes, np.int64), 3, 10)) == expected
