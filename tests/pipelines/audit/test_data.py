"""Data of any form is recognised as corpora with cards."""

import shutil
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.audit.data import Data, names_for, recognised
from pipelines.audit.fields import GivenFields, fields_by_name, read_fields
from pipelines.errors import UsageError
from sources.mapping import Prompts, to_sample
from sources.readers.registry import reader_named
from sources.records import Record
from tests.pipelines.audit.forms import ROWS, write_csv, write_llava, write_parquet, write_pictures, write_tars


def samples(data: Data) -> list[dict[str, object]]:
    """The rows that ingest would make."""
    found = []
    for corpus in data.corpora:
        reader = reader_named(corpus.card.reader)
        for fragment in reader.plan(corpus, corpus.files):
            for record in reader.read(corpus, fragment):
                assert isinstance(record, Record)
                found.append(to_sample(corpus, fragment.path, record, Prompts()))
    return found


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_llava, write_tars])
def test_the_same_questions_and_pictures_come_out_of_every_form(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    place = write(tmp_path)
    found = samples(recognised(str(place), "data", None, None))
    assert len(found) == len(ROWS)
    for row, sample in zip(ROWS, found, strict=True):
        said = " ".join(turn["text"] for turn in sample["turns"])  # type: ignore[attr-defined]
        assert row["question"] in said
        assert row["answer"] in said
        assert len(sample["images"]) == 1  # type: ignore[arg-type]


def test_pictures_in_a_folder_beside_the_records_are_found(tmp_path: Path) -> None:
    place = write_llava(tmp_path)
    (tmp_path / "pictures").mkdir()
    for path in sorted(tmp_path.glob("*.png")):
        shutil.move(path, tmp_path / "pictures" / path.name)
    (corpus,) = recognised(str(place), "data", None, None).corpora
    assert corpus.card.layout.images == "pictures"


def test_a_folder_of_pictures_with_its_metadata(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    lines = ["file_name,caption", *(f"{row['image']},{row['answer']}" for row in ROWS)]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    found = samples(recognised(str(tmp_path), "data", None, None))
    said = [sample["turns"][-1]["text"] for sample in found]  # type: ignore[index]
    assert sorted(said) == sorted(row["answer"] for row in ROWS)


def test_pictures_without_any_table(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    found = samples(recognised(str(tmp_path), "data", None, None))
    assert [len(sample["images"]) for sample in found] == [1] * len(ROWS)  # type: ignore[arg-type]


def test_records_of_other_columns_in_one_folder_are_corpora_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(orjson.dumps({"question": "What is it?", "answer": "a cyst"}))
    (tmp_path / "b.jsonl").write_bytes(orjson.dumps({"text": "A note of some length."}))
    data = recognised(str(tmp_path), "data", None, None)
    assert sorted(corpus.card.task for corpus in data.corpora) == ["text", "text_qa"]
    assert len({corpus.name for corpus in data.corpora}) == 2


def test_text_of_columns_that_no_field_is_for_is_kept_beside_the_sample(tmp_path: Path) -> None:
    row = {"question": "What is it?", "answer": "a cyst", "Complex_CoT": "It is round.", "n": 3}
    (tmp_path / "a.jsonl").write_bytes(orjson.dumps(row))
    (sample,) = samples(recognised(str(tmp_path / "a.jsonl"), "data", None, None))
    assert orjson.loads(sample["meta"]) == {"Complex_CoT": "It is round."}  # type: ignore[arg-type]


def test_files_that_no_reader_is_for_are_told_and_what_goes_with_data_is_not(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "more.xlsx").write_bytes(b"PK")
    assert recognised(str(tmp_path), "data", None, None).left_out == {".xlsx": 1}


def test_columns_are_known_whatever_their_case_and_by_usual_names() -> None:
    found = fields_by_name(["Question", "ANSWER", "file_name", "pmcid", "Complex_CoT"])
    assert found == {"question": "Question", "answer": "ANSWER", "image": "file_name", "article": "pmcid"}


def test_a_map_says_what_columns_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,a\nWhat is it?,a cyst\n")
    with pytest.raises(UsageError, match="no column that is known"):
        recognised(str(tmp_path / "a.csv"), "data", None, None)
    (tmp_path / "fields.yaml").write_text("question: q\nanswer: a\n")
    given = read_fields(tmp_path / "fields.yaml")
    (sample,) = samples(recognised(str(tmp_path / "a.csv"), "data", given, None))
    assert (sample["question"], sample["answer"]) == ("What is it?", "a cyst")


def test_answers_that_are_numbers_of_nobody_knows_what_do_not_lose_the_question(tmp_path: Path) -> None:
    row = {"question": "What is it?", "options": ["a cyst", "a stone"], "answer": 1}
    (tmp_path / "a.jsonl").write_bytes(orjson.dumps(row))
    (sample,) = samples(recognised(str(tmp_path / "a.jsonl"), "data", None, None))
    assert (sample["question"], sample["answer"]) == ("What is it?", None)
    based = GivenFields(columns={"question": "question", "options": "options", "answer": "answer"}, answer_base=0)
    (sample,) = samples(recognised(str(tmp_path / "a.jsonl"), "data", based, None))
    assert sample["answer"] == "a stone"


@pytest.mark.parametrize("text", ["[1, 2]", "colour: x", "question: 3", "answer_base: 7\nquestion: q"])
def test_a_map_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "fields.yaml").write_text(text)
    with pytest.raises(UsageError):
        read_fields(tmp_path / "fields.yaml")


def test_nothing_there_and_nothing_readable_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        recognised(str(tmp_path / "absent"), "data", None, None)
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    with pytest.raises(UsageError, match="nothing here that can be read"):
        recognised(str(tmp_path), "data", None, None)


def test_every_place_has_a_name_of_its_own() -> None:
    assert names_for(["runs/mid", "other/Mid/shards/", "s3://b/LLaVA-Med.json"]) == ["mid", "mid_2", "llava_med"]


def test_parquet_with_pictures_inside(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    pictures = [{"bytes": (tmp_path / str(row["image"])).read_bytes(), "path": row["image"]} for row in ROWS]
    table = pa.table({"image": pictures, "question": [row["question"] for row in ROWS],
                      "answer": [row["answer"] for row in ROWS]})  # fmt: skip
    (tmp_path / "inside").mkdir()
    pq.write_table(table, tmp_path / "inside" / "part.parquet")
    found = samples(recognised(str(tmp_path / "inside"), "data", None, None))
    assert [len(sample["images"]) for sample in found] == [1] * len(ROWS)  # type: ignore[arg-type]
    assert Image.open(tmp_path / str(ROWS[0]["image"])).size == (160, 160)
