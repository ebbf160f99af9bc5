"""Opening the pictures that items name."""

from pathlib import Path

import pytest

from dedup.evalsets.locating import find_evalset
from dedup.evalsets.pictures import EvalPictures
from dedup.evalsets.registry import known
from sources.readers.hf_library import datasets_library
from sources.storage import folder_at
from tests.dedup.evalsets.sets import KEY, rows, written
from tests.sources.hf_sets import png, save


def test_files_are_opened_by_their_stored_name_also_of_keyed_sets(tmp_path: Path) -> None:
    (tmp_path / "p10000032").mkdir()
    (tmp_path / "p10000032/a.png").write_bytes(b"the film")
    found = written(tmp_path, [{"question": "What?", "image": "p10000032/a.png"}], identifiers="keyed").keyed_under(KEY)
    [row] = rows(found)
    assert EvalPictures(found).open(row["images"][0]["uri"]) == b"the film"


def test_pictures_inside_a_saved_set_are_opened(tmp_path: Path) -> None:
    library = datasets_library()
    features = library.Features(
        {"image": library.Image(), "question": library.Value("string"), "answer": library.Value("string")}
    )
    columns = {
        "image": [{"bytes": png(n), "path": None} for n in range(3)],
        "question": [f"Number {n}?" for n in range(3)],
        "answer": ["yes"] * 3,
    }
    save(library.Dataset.from_dict(columns, features=features), tmp_path / "path_vqa")
    found = find_evalset(known("path_vqa"), [folder_at(tmp_path)])
    assert found is not None
    pictures = EvalPictures(found)
    assert [pictures.open(row["images"][0]["uri"]) for row in rows(found)] == [png(n) for n in range(3)]


def test_what_no_item_names_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    found = written(tmp_path, [{"question": "What?"}])
    with pytest.raises(FileNotFoundError):
        EvalPictures(found).open("secret.png")
