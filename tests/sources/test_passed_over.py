"""What of a record was in hand and is in no sample is told by kind, and nothing else is."""

import base64
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.mapping import to_sample
from sources.readers.registry import reader_named
from sources.records import Corpus, Record
from tests.sources.corpora import PROMPTS, corpus_in, planned
from tests.sources.packed_files import png

PICTURE = png(7)
LEFT = ["column x, not looked at"]


def sample(folder: Path, row: dict[str, Any], **card: Any) -> dict[str, Any]:
    """The sample of one record in JSON Lines of which everything is asked for."""
    (folder / "a.jsonl").write_bytes(orjson.dumps(row))
    corpus = corpus_in(folder, "jsonl", "a.jsonl", **{"task": "caption", "meta": ("*",), **card})
    (fragment,) = planned(corpus)
    (record,) = reader_named("jsonl").read(corpus, fragment)
    assert isinstance(record, Record)
    return to_sample(corpus, fragment.path, record, PROMPTS)


@pytest.mark.parametrize(("row", "told"), [
    ({"x": base64.b64encode(PICTURE).decode()}, LEFT),
    ({"x": [{"url": "data:image/png;base64," + base64.b64encode(PICTURE).decode()}]}, LEFT),
    ({"x": "![](data:image/png;base64," + base64.b64encode(PICTURE).decode() + ")"}, LEFT),
    ({"x": base64.b64encode(PICTURE).decode(), "image": "a.png"}, LEFT),
    ({"x": "films/a film 1.PNG"}, LEFT),
    ({"x": ["a.png"]}, LEFT),
    ({"an odd name": "a.png"}, ["column (other), not looked at"]),
    ({"x": "a.png", "image": "b.png"}, []),
    ({"x": "https://example.org/a.png"}, []),
    ({"x": "a.pdf", "y": "Words and words.", "z": 3, "w": None}, []),
    ({"x": "A" * 64}, []),
    ({"@passed_over": ["John Smith"]}, []),
])  # fmt: skip
def test_pictures_that_no_field_takes_are_told_by_their_column(
    tmp_path: Path, row: dict[str, Any], told: list[str]
) -> None:
    assert sample(tmp_path, {"text": "A film.", **row})["passed_over"] == told
    assert sample(tmp_path, {"text": "A film.", **row}, meta=())["passed_over"] == []


def test_columns_of_keyed_data_are_not_named(tmp_path: Path) -> None:
    assert sample(tmp_path, {"text": "A film.", "x": "a.png"}, identifiers="keyed")["passed_over"] == [
        "column (other), not looked at"
    ]


@pytest.mark.parametrize("name", ["picture", "picture_path", "img", "file_name", "images"])
def test_usual_names_of_pictures_are_taken_where_everything_is_asked_for(tmp_path: Path, name: str) -> None:
    assert [one["uri"] for one in sample(tmp_path, {"text": "A film.", name: "a.png"})["images"]] == ["a.png"]
    mapped = sample(tmp_path, {"text": "A film.", name: "a.png"}, fields={"text": "text"}, meta=())
    assert (mapped["images"], mapped["passed_over"]) == ([], [])


def test_a_sentence_in_an_id_is_looked_at_and_a_name_is_not(tmp_path: Path) -> None:
    said = "Which of the following enzymes is deficient in this newborn?"
    assert orjson.loads(sample(tmp_path, {"text": "A film.", "id": said, "license": "CC BY 4.0"})["meta"]) == {
        "id": said
    }


def taken(folder: Path, members: Sequence[tuple[str, bytes]], **card: Any) -> list[tuple[str, list[bytes], list[str]]]:
    """Of each sample of a tar its text, its pictures and what of it is told."""
    with tarfile.open(folder / "a.tar", "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    corpus = corpus_in(folder, "webdataset", "a.tar", **{"task": "caption", "meta": ("*",), **card})
    reader, found = reader_named("webdataset"), []
    for fragment in planned(corpus):
        for record in reader.read(corpus, fragment):
            assert isinstance(record, Record)
            row = to_sample(corpus, fragment.path, record, PROMPTS)
            pictures = [reader.open_picture(corpus, fragment, one["uri"]) for one in row["images"]]  # type: ignore[attr-defined]
            said = " ".join([*(turn["text"] for turn in row["turns"]), row["meta"] or ""])
            found.append((said.replace("<image>\n", ""), pictures, row["passed_over"]))
    return found


MEMBERS = [
    ("a.jpg", png(1)), ("a.second.jpg", png(2)), ("a.image", png(3)), ("a.npy", png(4)), ("a.txt", b"A film."),
    ("a.question", b"Why is it round?"), ("a.pyd", b"\x80\0\1"), ("b", png(5)), ("c/.hidden.txt", b"Hidden words."),
    ("._a.txt", b"\0\5"), ("__MACOSX/x.txt", b"\0\5"), (".DS_Store", b"\0\5"),
]  # fmt: skip


def test_every_member_of_a_tar_is_a_picture_a_text_or_told(tmp_path: Path) -> None:
    first, second, third = taken(tmp_path, MEMBERS)
    assert "A film." in first[0]
    assert "Why is it round?" in first[0]
    assert (first[1][0], sorted(first[1])) == (png(1), sorted(map(png, (1, 2, 3, 4))))
    assert first[2] == ["member .pyd, not looked at"]
    assert second[1:] == ([png(5)], [])
    assert "Hidden words." in third[0]


def test_a_build_takes_of_a_tar_what_it_always_took(tmp_path: Path) -> None:
    [(_, pictures, told)] = taken(tmp_path, MEMBERS, meta=())
    assert (pictures, told) == ([png(1)], [])


def shown(corpus: Corpus) -> tuple[list[bytes], list[str]]:
    """The pictures of the only record, and what of it is told."""
    reader, (fragment,) = reader_named(corpus.card.reader), planned(corpus)
    (record,) = reader.read(corpus, fragment)
    assert isinstance(record, Record)
    row = to_sample(corpus, fragment.path, record, PROMPTS)
    return [reader.open_picture(corpus, fragment, one["uri"]) for one in row["images"]], row["passed_over"]  # type: ignore[attr-defined]


def test_every_column_of_bytes_is_a_picture_where_everything_is_asked_for(tmp_path: Path) -> None:
    row = {"text": "A film.", "image": {"bytes": png(1), "path": None}, "view2": {"bytes": png(2), "path": None},
           "jpg": png(3), "deep": {"in": {"it": png(4)}}}  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    corpus = corpus_in(tmp_path, "parquet", "a.parquet", task="caption", meta=("*",))
    assert shown(corpus) == ([png(1), png(2), png(3)], ["column deep, not looked at"])


def test_every_picture_of_a_saved_set_is_taken_where_everything_is_asked_for(tmp_path: Path) -> None:
    features = datasets.Features(text=datasets.Value("string"), image_1=datasets.Image(), image_2=datasets.Image())
    row = {"text": "A film.", **{f"image_{n}": {"bytes": png(n), "path": None} for n in (1, 2)}}
    datasets.Dataset.from_list([row], features=features).save_to_disk(tmp_path)
    corpus = corpus_in(tmp_path, "hf", "**/*.arrow", task="caption", meta=("*",))
    assert shown(corpus) == ([png(1), png(2)], [])
