"""From records to items."""

import json
from pathlib import Path
from typing import Any

import pytest

from dedup.evalsets.locating import find_evalset
from dedup.evalsets.reading import EVERY_SPLIT, content_hash, items_of, plan_items, read_items
from dedup.evalsets.registry import known
from sources.identity import keyed_digest
from sources.storage import folder_at
from tests.dedup.evalsets.sets import KEY, described, placed, read, rows, written
from tests.sources.hf_sets import png, save

PLACED = {
    "medbullets_op4": 308, "medbullets_op5": 308, "medmcqa": 4183, "medqa": 1273, "medxpertqa_mm": 2000,
    "mmlu_med": 1089, "mts_dialog": 400, "pubmedqa": 500, "roco": 8791, "slake": 2094, "vqa_med_2019": 500,
    "vqa_med_2021": 500, "vqa_rad": 451,
}  # fmt: skip
"""Sets of the shared test data and their items (data/CATALOGUE.md; of MMLU six of the nine subjects are there)."""


@pytest.mark.parametrize("name", PLACED)
def test_sets_as_their_owners_publish_them_are_read_whole(name: str, shared_data: Path) -> None:
    got = placed(name, shared_data)
    assert (got.items.num_rows, dict(got.problems)) == (PLACED[name], {})
    assert len(set(got.items["eval_id"].to_pylist())) == PLACED[name]
    items = got.items.to_pylist()
    if known(name).task in ("vqa", "text_qa"):
        assert all(item["question"] and item["answer"] for item in items)
    assert all(len(item["options"]) >= 3 for item in items if item["options"])
    assert not any("Answer Choices" in (item["question"] or "") for item in items)


def test_answers_are_texts_of_options_whatever_names_them(shared_data: Path) -> None:
    """Letters (MedQA), indexes from 1 (MedMCQA), lists of letters (MedXpertQA) as published."""
    first: dict[str, dict[str, Any]] = {}
    for name in ("medqa", "medmcqa", "medxpertqa_mm"):
        items = placed(name, shared_data).items.to_pylist()
        assert all(item["answer"] in item["options"] for item in items)
        first[name] = items[0]
    assert first["medqa"]["answer"] == "Tell the attending that he cannot fail to disclose this mistake"
    assert first["medmcqa"]["answer"] == "Impulse through myelinated fibers is slower than non-myelinated fibers"
    assert first["medxpertqa_mm"]["answer"] == "Lateral collateral ligament complex repair or reconstruction"


@pytest.mark.parametrize(
    ("options", "answer", "base", "text"),
    [
        (["one", "two", "three"], "B", None, "two"),
        (["one", "two", "three"], 1, 0, "two"),
        (["one", "two", "three"], 1, 1, "one"),
        ({"A": "one", "B": "two"}, "two", None, "two"),
        ("['one', 'two', 'three']", "C", None, "three"),
        (["one", "two", "three"], "AC", None, "one; three"),
        (["one", "two", "three"], ["A", "C"], None, "one; three"),
        (["one", "two"], "CA", None, "CA"),
        (["AB", "two"], "AB", None, "AB"),
        (None, "AB", None, "AB"),
    ],
)
def test_an_answer_is_a_letter_an_index_or_a_text(
    tmp_path: Path, options: Any, answer: Any, base: int | None, text: str
) -> None:
    record = {"question": "Which of these numbers?", "options": options, "answer": answer}
    settings = {} if base is None else {"options": {"answer_base": base}}
    [row] = rows(written(tmp_path, [record], **settings))
    assert row["answer"] == text


def test_an_unreadable_record_is_counted_and_the_others_are_items(tmp_path: Path) -> None:
    records = [
        {"question": "Fine?", "answer": "yes"},
        {"question": "An index of nothing?", "options": ["a", "b"], "answer": 4},
        {"question": {"of": "a kind"}, "answer": "no"},
        {"answer": "to nothing"},
    ]
    got = read(written(tmp_path, records, options={"answer_base": 0}))
    assert got.items["question"].to_pylist() == ["Fine?"]
    assert dict(got.problems) == {"record.malformed": 2, "record.empty": 1}


def test_items_of_other_values_and_other_splits_are_left_out_and_counted(tmp_path: Path) -> None:
    records = [
        {"question": f"{field} {split}?", "discipline": field, "split": split}
        for field in ("Medicine", "Law")
        for split in ("train", "test")
    ]
    found = written(tmp_path, records, split="test", where={"discipline": ["Medicine"]})
    got = read(found)
    assert (got.items["question"].to_pylist(), got.other) == (["Medicine test?"], 3)
    assert len(rows(found, splits=EVERY_SPLIT)) == 2


def test_ids_that_come_again_are_told_apart_in_order(tmp_path: Path) -> None:
    records = [{"id": "1", "question": "first?"}, {"id": "1", "question": "second?"}, {"question": "third?"}]
    assert [row["eval_id"] for row in rows(written(tmp_path, records))] == ["1", "1~2", "items.jsonl#2"]


def test_pictures_that_are_not_there_are_counted_and_their_items_stay(tmp_path: Path) -> None:
    (tmp_path / "there.png").parent.mkdir(exist_ok=True)
    (tmp_path / "there.png").write_bytes(b"x")
    records = [
        {"question": "One of two?", "images": ["there.png", "gone.png"]},
        {"question": "The same one gone?", "image": "gone.png"},
        {"image": "gone.png"},
    ]
    got = read(written(tmp_path, records))
    assert (got.images_absent, dict(got.problems)) == (1, {"record.empty": 1})
    assert [len(images) for images in got.items["images"].to_pylist()] == [1, 0]


def test_ids_inside_names_become_groups(tmp_path: Path) -> None:
    records = [{"question": "Which film?", "id": "17506892_F1", "image": "films/MPX1009_synpic46283.png"}]
    [row] = rows(written(tmp_path, records))
    assert [(group["kind"], group["id"]) for group in row["groups"]] == [
        ("article", "PMID17506892"), ("figure", "PMID17506892_F1"), ("case", "synpic46283"), ("case", "MPX1009"),
    ]  # fmt: skip


def test_a_keyed_set_names_nobody_and_its_groups_are_those_of_keyed_training_data(tmp_path: Path) -> None:
    film = "files/p10/p10000032/s50414267/02aa804e.jpg"
    (tmp_path / film).parent.mkdir(parents=True)
    (tmp_path / film).write_bytes(b"x")
    records = [{"id": "study-77", "image": film, "findings": "Clear.", "impression": "No disease."}]
    found = written(tmp_path, records, task="report", identifiers="keyed", access="credentialed").keyed_under(KEY)
    [row] = rows(found)
    assert row["text"] == "Findings: Clear. Impression: No disease."
    assert len(row["images"]) == 1
    assert row["groups"] == [
        {"kind": "patient", "id": keyed_digest(KEY, "patient", "p10000032")},
        {"kind": "study", "id": keyed_digest(KEY, "study", "s50414267")},
    ]
    assert not {"study-77", "p10000032", "s50414267", "02aa804e"} & set(json.dumps(row))
    assert all(word not in json.dumps(row) for word in ("study-77", "10000032", "50414267", "02aa804e"))


def test_conversations_give_their_first_question_and_the_rest_as_text(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "<image>\nWhat organ is this?"}, {"from": "gpt", "value": "The liver."},
        {"from": "human", "value": "Is it enlarged?"}, {"from": "gpt", "value": "No."},
    ]  # fmt: skip
    tmp_path.joinpath("llava.json").write_text(json.dumps([{"id": "1", "conversations": turns}]))
    [row] = rows(described(tmp_path, name="talk", reader="llava"))
    assert (row["question"], row["answer"]) == ("What organ is this?", "The liver.")
    assert row["text"] == "Is it enlarged?\nNo."


def test_a_conversation_that_ends_with_a_question_is_protected_too(tmp_path: Path) -> None:
    """HealthBench: nothing is answered yet."""
    prompt = [{"role": "user", "content": "My knee hurts at night. What should I do?"}]
    [row] = rows(
        written(tmp_path, [{"id": "1", "prompt": prompt}], task="dialogue", fields={"conversations": "prompt"})
    )
    assert row["text"] == "My knee hurts at night. What should I do?"


def test_sets_saved_by_datasets_are_read_with_their_pictures(tmp_path: Path) -> None:
    from sources.readers.hf_library import datasets_library

    library = datasets_library()
    features = library.Features({
        "id": library.Value("string"), "question": library.Value("string"), "options": library.Value("string"),
        "answer": library.Value("string"), "explanation": library.Value("string"),
        **{f"image_{n}": library.Image() for n in range(1, 8)},
    })  # fmt: skip
    picture = {"bytes": png(1), "path": "1.png"}
    rows_of = {name: [None] * 2 for name in features} | {
        "id": ["validation_Pharmacy_1", "test_Pharmacy_2"], "question": ["See <image 1>.", "And <image 1>, <image 2>?"],
        "options": ["['up', 'down']", "[]"], "answer": ["B", "?"], "explanation": ["", ""],
        "image_1": [picture, {"bytes": png(2), "path": "2.png"}], "image_2": [None, {"bytes": png(3), "path": "3.png"}],
    }  # fmt: skip
    save(library.Dataset.from_dict(rows_of, features=features), tmp_path / "mmmu_med/Pharmacy/validation")
    found = find_evalset(known("mmmu_med"), [folder_at(tmp_path)])
    assert found is not None
    got = items_of(found)
    assert dict(got.problems) == {}
    items = got.items.to_pylist()
    assert [len(item["images"]) for item in items] == [1, 2]
    assert [item["answer"] for item in items] == ["down", None]
    assert [item["question"] for item in items] == ["See .", "And , ?"]


def test_items_do_not_depend_on_how_files_are_cut(tmp_path: Path) -> None:
    found = written(tmp_path, [{"id": str(n), "question": f"Number {n}?"} for n in range(5000)])
    fragments = plan_items(found)
    assert len(fragments) == 2
    apart = [read_items(found, fragment).items for fragment in fragments]
    assert sum(part.num_rows for part in apart) == 5000
    whole = items_of(found).items
    assert [row["eval_id"] for part in apart for row in part.to_pylist()] == whole["eval_id"].to_pylist()


def test_another_word_is_another_content(tmp_path: Path) -> None:
    record = {"id": "1", "question": "Where is the mass?", "answer": "left lung"}
    one = content_hash(read(written(tmp_path / "a", [record])).items)
    same = content_hash(read(written(tmp_path / "b", [record])).items)
    other = content_hash(read(written(tmp_path / "c", [{**record, "answer": "right lung"}])).items)
    assert one == same != other
