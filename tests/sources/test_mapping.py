import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sources.identity import keyed_digest
from sources.mapping import Prompts, image_uris, to_sample, unreadable_sample
from sources.records import Corpus, Record, RecordError, Unreadable
from sources.schema import SAMPLES, Reason
from tests.sources.corpora import KEY, PROMPTS, corpus_in

QUESTION = {"id": "qid", "question": "q", "answer": "a", "image": "img", "patient": "subject"}
ROW = {"qid": "Q7", "q": "Where?", "a": "Left", "img": "7.jpg", "subject": "P12", "year": 2020, "secret": "x"}


def corpus_of(folder: Path, **card: Any) -> Corpus:
    (folder / "notes.jsonl").write_text("{}", encoding="utf-8")
    return corpus_in(folder, "jsonl", "notes.jsonl", **{"task": "vqa", "fields": QUESTION, **card})


def sample(corpus: Corpus, row: dict[str, Any], key: str = "0", prompts: Prompts = PROMPTS) -> dict[str, Any]:
    return to_sample(corpus, "notes.jsonl", Record(key, row), prompts)


def test_a_record_becomes_a_row_of_the_samples_table(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, images="img", meta=("year",), license="cc-by-4.0", language="en", access="gated")
    row = sample(corpus, ROW)
    assert row == {
        "sample_id": row["sample_id"],
        "source": "test",
        "source_key": "notes.jsonl#Q7",
        "split": None,
        "task": "vqa",
        "turns": [{"role": "user", "text": "<image>\nWhere?"}, {"role": "assistant", "text": "Left"}],
        "images": [{"image_id": None, "uri": "img/7.jpg", "frame": None}],
        "groups": [{"kind": "patient", "id": "P12"}],
        "license": "CC-BY-4.0",
        "access": "gated",
        "language": "en",
        "question": "Where?",
        "options": None,
        "answer": "Left",
        "parent_id": None,
        "meta": '{"year":2020}',
        "passed_over": [],
    }
    assert pa.Table.from_pylist([row], schema=SAMPLES).num_rows == 1


def test_a_record_without_id_is_known_by_its_key(tmp_path: Path) -> None:
    row = sample(corpus_of(tmp_path, fields={"question": "q", "answer": "a"}), ROW, key="41")
    assert row["source_key"] == "notes.jsonl#41"


def test_an_id_is_the_same_on_every_machine() -> None:
    """Changing this value changes every id of every build: it takes a new format version."""
    corpus = corpus_in(Path(__file__).parent, "jsonl", "test_mapping.py", task="vqa", fields=QUESTION)
    assert sample(corpus, ROW)["sample_id"] == "9352519a015dcfc6645244adf8d8693f"


@pytest.mark.parametrize("field", ["q", "a", "img", "qid"])
def test_an_id_depends_on_key_content_and_pictures(tmp_path: Path, field: str) -> None:
    corpus = corpus_of(tmp_path)
    assert sample(corpus, {**ROW, field: "other"})["sample_id"] != sample(corpus, ROW)["sample_id"]


def test_an_id_depends_on_nothing_else(tmp_path: Path) -> None:
    expected = sample(corpus_of(tmp_path), ROW)["sample_id"]
    others = {"license": "MIT", "language": "fr", "images": "elsewhere", "meta": ("year",), "access": "gated"}
    same = sample(
        corpus_of(tmp_path, **others),
        {**dict(reversed(ROW.items())), "subject": "P13"},
        prompts=Prompts(caption=("Other.",)),
    )
    assert same["sample_id"] == expected


def test_a_keyed_corpus_stores_no_raw_name(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, identifiers="keyed")
    row = sample(corpus, ROW)
    assert row["source_key"] == keyed_digest(KEY, "key", "notes.jsonl#Q7")
    assert row["images"][0]["uri"] == keyed_digest(KEY, "path", "7.jpg")
    assert row["groups"] == [{"kind": "patient", "id": keyed_digest(KEY, "patient", "P12")}]
    assert not any(raw in json.dumps(row) for raw in ("Q7", "7.jpg", "P12", "notes"))
    assert row["sample_id"] != sample(corpus_of(tmp_path), ROW)["sample_id"]
    assert image_uris(corpus, "notes.jsonl", Record("0", ROW)) == ["7.jpg"]


def test_an_unreadable_record_has_an_id_and_says_nothing(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    row = unreadable_sample(corpus, "notes.jsonl", Unreadable("3", Reason.RECORD_MALFORMED, "not valid JSON"))
    assert (row["source_key"], row["turns"], row["task"]) == ("notes.jsonl#3", [], "vqa")
    assert row["sample_id"] == corpus.identity.sample_id("notes.jsonl#3", None)
    assert pa.Table.from_pylist([row], schema=SAMPLES).num_rows == 1
    assert row.keys() == sample(corpus, ROW).keys()


@pytest.mark.parametrize(
    ("answer", "options", "stored", "shown"),
    [
        ("B", {}, "blue", "B. blue"),
        ("blue", {}, "blue", "B. blue"),
        (1, {"answer_base": 0}, "blue", "B. blue"),
        ("2", {"answer_base": 1}, "blue", "B. blue"),
        (["A", "B"], {}, "red; blue", "A. red\nB. blue"),
        ("green", {}, "green", "green"),
    ],
)
def test_an_answer_is_stored_as_text_and_shown_with_its_letter(
    tmp_path: Path, answer: Any, options: dict[str, int], stored: str, shown: str
) -> None:
    fields = {"question": "q", "options": ("opa", "opb", "opc"), "answer": "a"}
    row = sample(
        corpus_of(tmp_path, fields=fields, options=options),
        {"q": "Which?", "opa": "red", "opb": "blue", "a": answer},
    )
    assert (row["options"], row["answer"]) == (["red", "blue"], stored)
    assert row["turns"][-1]["text"] == shown


@pytest.mark.parametrize(
    "row",
    [
        {**ROW, "q": {"nested": "Roe"}},
        {**ROW, "o": "Roe", "a": "A"},
        {**ROW, "o": ["red", "blue"], "a": "Z"},
        {**ROW, "img": "Roe" * 5000},
    ],
)
def test_a_field_that_cannot_be_one_is_refused_without_being_quoted(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(RecordError) as error:
        sample(corpus_of(tmp_path, fields={**QUESTION, "options": "o"}), row)
    assert "Roe" not in str(error.value)


def test_a_report_keeps_its_indication_as_the_question_and_a_caption_none(tmp_path: Path) -> None:
    fields = {"findings": "f", "indication": "i", "question": "q"}
    report = sample(corpus_of(tmp_path, task="report", fields=fields), {"f": "Clear.", "i": "Cough.", "q": "x"})
    assert report["question"] == "Cough."
    caption = sample(corpus_of(tmp_path, task="caption", fields={"text": "f", "question": "q"}), {"f": "A.", "q": "x"})
    assert (caption["question"], caption["answer"]) == (None, None)


def test_a_licence_of_the_record_goes_before_the_cards_and_its_absence_is_unknown(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, fields={**QUESTION, "license": "cc"}, license="MIT")
    stated = [sample(corpus, {**ROW, "cc": cc})["license"] for cc in ("CC BY", "NO-CC CODE", "", None)]
    assert stated == ["LicenseRef-CC-BY", "unknown", "unknown", "unknown"]
    assert sample(corpus_of(tmp_path, license="MIT"), ROW)["license"] == "MIT"


def test_groups_are_told_apart_by_kind_and_a_list_gives_several(tmp_path: Path) -> None:
    fields = {**QUESTION, "study": "studies", "article": {"field": "figure", "pattern": r"^(PMC\d+)_"}}
    row = sample(corpus_of(tmp_path, fields=fields), {**ROW, "studies": ["S1", "S2", "S1"], "figure": "PMC9_f.jpg"})
    assert {(group["kind"], group["id"]) for group in row["groups"]} == {
        ("patient", "P12"), ("study", "S1"), ("study", "S2"), ("article", "PMC9"),
    }  # fmt: skip
    assert len(row["groups"]) == 4


def test_a_split_comes_from_the_file_or_from_a_field(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}", encoding="utf-8")
    corpus = corpus_in(tmp_path, "jsonl", {"train": ("train.jsonl",)}, task="vqa", fields={**QUESTION, "split": "s"})
    row = {**ROW, "s": "test"}
    assert to_sample(corpus, "train.jsonl", Record("0", row), PROMPTS)["split"] == "train"
    assert sample(corpus_of(tmp_path, fields={**QUESTION, "split": "s"}), row)["split"] == "test"


def test_a_dialogue_in_one_text_is_cut_at_its_speakers(tmp_path: Path) -> None:
    speakers = {"pattern": r"(\w+):", "roles": {"doctor": "assistant"}}
    corpus = corpus_of(tmp_path, task="dialogue", fields={"text": "d"}, speakers=speakers)
    assert sample(corpus, {"d": "Patient: I cough.\nDoctor: Since when?"})["turns"] == [
        {"role": "user", "text": "I cough."}, {"role": "assistant", "text": "Since when?"},
    ]  # fmt: skip


def test_the_frame_of_a_picture_is_part_of_the_sample(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, task="caption", fields={"text": "t"})
    first, second = (
        to_sample(corpus, "", Record("scan.dcm", {"@picture": "scan.dcm", "t": "CT.", "frame": frame}), PROMPTS)
        for frame in (None, 3)
    )
    assert first["images"][0]["frame"] is None
    assert (first["source_key"], second["images"][0]["frame"]) == ("scan.dcm", 3)
    assert first["sample_id"] != second["sample_id"]
