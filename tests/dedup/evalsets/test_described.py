"""Folders with evalset.yaml."""

from pathlib import Path

import pytest

from dedup.evalsets.described import described as described_by
from dedup.evalsets.registry import EvalSetError
from sources.storage import folder_at
from tests.dedup.evalsets.sets import described, read, rows, written


def test_a_folder_says_how_it_is_read(tmp_path: Path) -> None:
    records = [
        {"qid": 7, "q": "Which vessel is blocked?", "choices": {"A": "aorta", "B": "vena cava"}, "gold": "B",
         "why": "it is dilated", "film": "7.png", "half": "test", "pmc": "PMC1234567"},
        {"qid": 8, "q": "Unused?", "choices": {"A": "a", "B": "b"}, "gold": "A", "half": "train"},
    ]  # fmt: skip
    (tmp_path / "films").mkdir(parents=True)
    (tmp_path / "films/7.png").write_bytes(b"a picture")
    fields = {
        "id": "qid", "question": "q", "options": "choices", "answer": "gold", "rationale": "why", "image": "film",
        "split": "half", "article": "pmc",
    }  # fmt: skip
    found = written(
        tmp_path, records, version="2", license="CC-BY-4.0", split="test", images="films", fields=fields,
        made_from=["pmc_oa"], groups=["article"],
    )  # fmt: skip
    assert (found.evalset.version, found.evalset.made_from) == ("2", ("pmc_oa",))
    assert read(found).other == 1
    [row] = rows(found)
    assert row["eval_id"] == "7"
    assert (row["question"], row["options"]) == ("Which vessel is blocked?", ["aorta", "vena cava"])
    assert (row["answer"], row["rationale"], row["license"]) == ("vena cava", "it is dilated", "CC-BY-4.0")
    assert row["images"] == [{"image_id": None, "uri": "films/7.png", "frame": None}]
    assert row["groups"] == [{"kind": "article", "id": "PMC1234567"}]


@pytest.mark.parametrize(
    ("written_there", "message", "hint"),
    [
        ("name: x\nfeilds: {id: a}\n", "no key 'feilds'", "'fields'"),
        ("name: x\nfields: {qestion: a}\nreader: jsonl\n", "did you mean 'question'", "docs/eval_sets.md"),
        ("name: x\naccess: free\nreader: jsonl\n", "access", "docs/eval_sets.md"),
        ("version: 1\n", "name", "docs/eval_sets.md"),
        ("{", "is not YAML", "docs/eval_sets.md"),
        ("name: x\n", "no file of a form that is read", "reader: jsonl"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, written_there: str, message: str, hint: str) -> None:
    (tmp_path / "evalset.yaml").write_text(written_there)
    with pytest.raises(EvalSetError) as refused:
        described_by(folder_at(tmp_path))
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_without_a_description_a_folder_is_no_eval_set(tmp_path: Path) -> None:
    with pytest.raises(EvalSetError, match=r"no evalset\.yaml"):
        described_by(folder_at(tmp_path))


def test_the_reader_is_told_by_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,question,answer\n1,What is shown?,a heart\n")
    [row] = rows(described(tmp_path, name="mine"))
    assert (row["eval_id"], row["question"], row["answer"]) == ("1", "What is shown?", "a heart")


def test_pictures_in_folders_are_items_without_text(shared_data: Path, tmp_path: Path) -> None:
    testing = tmp_path / "Testing"
    testing.symlink_to(shared_data / "images/brain_mri_sartaj/Testing")
    inside = tmp_path / "set"
    inside.mkdir()
    for folder in sorted(testing.iterdir()):
        (inside / folder.name).mkdir()
        for film in sorted(folder.iterdir())[:5]:
            (inside / folder.name / film.name).write_bytes(film.read_bytes())
    found = described(inside, name="brain_mri", reader="image_folder", task="caption")
    items = rows(found)
    assert len(items) == 20
    assert all(len(item["images"]) == 1 and item["question"] is None and item["text"] is None for item in items)
    assert len({item["eval_id"] for item in items}) == 20


def test_without_fields_a_picture_is_taken_under_its_usual_names_or_told(tmp_path: Path) -> None:
    said = {"id": "1", "question": "What is it?", "answer": "a cyst"}
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"a picture")
    found = written(tmp_path / "a", [{**said, "picture": "1.png"}])
    assert [image["uri"] for image in rows(found)[0]["images"]] == ["1.png"]
    (tmp_path / "b").mkdir()
    assert read(written(tmp_path / "b", [{**said, "shot": "1.png"}])).problems == {"column shot, not looked at": 1}
