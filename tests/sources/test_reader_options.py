"""An option that a reader does not have is an error, whatever the reader."""

from pathlib import Path
from typing import Any

import pytest

from sources.cards import catalogue
from sources.readers.registry import READERS, expect_options, reader_named
from sources.records import CorpusError
from tests.sources.corpora import corpus_in


@pytest.mark.parametrize(
    ("reader", "given", "nearest"),
    [
        ("csv", "delimeter", "delimiter"),
        ("json", "item", "items"),
        ("image_folder", "metdata", "metadata"),
        ("archive", "macth", "match"),
        ("jsonl", "delimiter", "answer_base"),
        ("webdataset", "answerbase", "answer_base"),
        ("parquet", "anything", "answer_base"),
    ],
)
def test_an_unknown_option_names_the_nearest(tmp_path: Path, reader: str, given: str, nearest: str) -> None:
    (tmp_path / "file").write_bytes(b"{}")
    with pytest.raises(CorpusError, match=rf"options: '{given}' is no option of .*{reader}.*did you mean '{nearest}'"):
        corpus_in(tmp_path, reader, options={given: 1})


@pytest.mark.parametrize(
    ("reader", "options"),
    [
        ("csv", {"delimiter": ";", "quote": "", "encoding": "latin-1", "header": ["a"], "answer_base": 1}),
        ("llava", {"items": "data"}),
        ("image_folder", {"metadata": "m.csv", "match": "name", "delimiter": ";"}),
        ("archive", {"metadata": "m.csv", "match": "name", "delimiter": ";"}),
    ],
)
def test_a_reader_s_own_options_and_those_of_answers_are_taken(
    tmp_path: Path, reader: str, options: dict[str, Any]
) -> None:
    (tmp_path / "file").write_bytes(b"{}")
    assert corpus_in(tmp_path, reader, options=options).card.options == options


def test_every_card_of_the_catalogue_has_options_of_its_reader() -> None:
    for card in catalogue().values():
        expect_options(card)


def test_every_reader_of_ours_names_its_options() -> None:
    assert [name for name in READERS if not hasattr(reader_named(name), "options")] == []
