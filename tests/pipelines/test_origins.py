from pathlib import Path
from typing import Any

import pytest

from pipelines.origins import Origins, origin_lines
from sources.cards import Card
from sources.identity import Identity
from sources.records import Corpus, Record
from sources.storage import Folder, LocalFolder


def origins_of(folder: Folder, *rows: dict[str, Any], **card: Any) -> dict[str, Any]:
    settings = {"name": "mix", "reader": "jsonl", "layout": {"files": ["*"]}, "task": "text", "access": "open"}
    seen = Origins(Corpus("mix", folder, Card.model_validate(settings | card), Identity("mix"), ()))
    for number, row in enumerate(rows):
        seen.see(Record(str(number), row))
    return seen.answer()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return LocalFolder(tmp_path)


def test_origins_are_told_with_their_counts_beside_what_the_card_says(folder: Folder) -> None:
    rows = [{"source": name, "text": "made up"} for name in ("MedQA", "PubMedQA", "PubMedQA", "", None)]
    found = origins_of(folder, *rows, made_from=["umls"], holds=["medqa"])
    assert found == {
        "made_from": ["umls"],
        "holds": ["medqa"],
        "columns": [{"column": "source", "distinct": 2, "values": {"PubMedQA": 2, "MedQA": 1}}],
    }
    assert origin_lines(found) == [
        "  column 'source' names 2 origins: PubMedQA (2), MedQA (1) (the card: made from umls; holds medqa)"
    ]


def test_of_many_origins_ten_are_told_and_of_more_than_fifty_none(folder: Folder) -> None:
    several = origins_of(folder, *({"Dataset": f"set {number % 12:02d}"} for number in range(24)))
    assert list(several["columns"][0]["values"]) == [f"set {number:02d}" for number in range(10)]
    assert "12 origins: set 00 (2)," in origin_lines(several)[0]
    assert origin_lines(several)[0].endswith("set 09 (2) and 2 more (the card: names none)")
    assert origins_of(folder, *({"origin": f"{number}"} for number in range(50)))["columns"][0]["distinct"] == 50
    many = origins_of(folder, *({"origin": f"{number}"} for number in range(51)))
    assert many["columns"] == [{"column": "origin", "distinct": None, "values": {}}]
    assert origin_lines(many) == ["  column 'origin' names more than 50 origins (the card: names none)"]


@pytest.mark.parametrize("value", ["x" * 81, 17, ["a"], "two\nlines"])
def test_a_column_with_anything_but_short_strings_names_no_origin(folder: Folder, value: Any) -> None:
    assert origins_of(folder, {"source": "Medline"}, {"source": value})["columns"] == []


@pytest.mark.parametrize("card", [{"identifiers": "keyed"}, {"access": "credentialed", "identifiers": "public"}])
def test_of_a_keyed_or_credentialed_corpus_no_value_is_told(folder: Folder, card: dict[str, str]) -> None:
    assert origins_of(folder, {"source": "Doe"}, **card)["columns"] == []
