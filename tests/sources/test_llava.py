import json
from pathlib import Path
from typing import Any

import pytest

from sources.records import Corpus, CorpusError, Record
from tests.sources.corpora import corpus_in, planned, read, samples

TURNS = [{"from": "human", "value": "What is shown?\n<image>"}, {"from": "gpt", "value": "A chest film."}]


def corpus_of(folder: Path, records: list[dict[str, Any]], form: str) -> Corpus:
    text = json.dumps(records) if form == "json" else "\n".join(json.dumps(record) for record in records)
    (folder / f"llava.{form}").write_text(text, encoding="utf-8")
    return corpus_in(folder, "llava", f"llava.{form}", task="instruct", images="images")


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize("spelling", ["conversations", "conversatons"])
def test_both_published_spellings_are_read_in_both_forms(tmp_path: Path, form: str, spelling: str) -> None:
    corpus = corpus_of(tmp_path, [{"id": "17506892_F1", "image": "1.jpg", spelling: TURNS}], form)
    [sample] = samples(corpus)
    assert sample["source_key"] == f"llava.{form}#17506892_F1"
    assert [image["uri"] for image in sample["images"]] == ["images/1.jpg"]
    assert sample["turns"] == [
        {"role": "user", "text": "What is shown?\n<image>"}, {"role": "assistant", "text": "A chest film."},
    ]  # fmt: skip


def test_the_spelling_makes_no_other_sample(tmp_path: Path) -> None:
    ids = set()
    for spelling in ("conversations", "conversatons"):
        [sample] = samples(corpus_of(tmp_path, [{"id": "1", "image": "1.jpg", spelling: TURNS}], "json"))
        ids.add(sample["sample_id"])
    assert len(ids) == 1


def test_several_pictures_are_a_list(tmp_path: Path) -> None:
    [sample] = samples(corpus_of(tmp_path, [{"images": ["1.jpg", "2.jpg"], "conversations": TURNS}], "jsonl"))
    assert [image["uri"] for image in sample["images"]] == ["images/1.jpg", "images/2.jpg"]
    assert sample["turns"][0]["text"].count("<image>") == 2


def test_a_file_without_conversations_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no column 'conversations'; did you mean 'conversion'"):
        planned(corpus_of(tmp_path, [{"id": "1", "conversion": []}], "json"))


def test_records_of_two_spellings_in_one_file_are_all_read(tmp_path: Path) -> None:
    records = read(corpus_of(tmp_path, [{"conversations": TURNS}, {"conversatons": TURNS}], "jsonl"))
    assert all(isinstance(record, Record) and record.row["conversations"] == TURNS for record in records)


@pytest.mark.parametrize("nothing", [None, [], ""])
def test_of_both_spellings_in_one_record_the_one_with_something_is_read(tmp_path: Path, nothing: object) -> None:
    records = [
        {"id": "1", "conversations": nothing, "conversatons": TURNS, "image": nothing, "images": ["1.jpg"]},
        {"id": "2", "conversations": TURNS, "conversatons": nothing, "image": "1.jpg", "images": nothing},
    ]
    for sample in samples(corpus_of(tmp_path, records, "json")):
        assert [turn["text"] for turn in sample["turns"]] == ["What is shown?\n<image>", "A chest film."]
        assert [image["uri"] for image in sample["images"]] == ["images/1.jpg"]
