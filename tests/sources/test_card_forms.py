"""Several forms of one corpus, several spellings of one column, and tables that are joined in gzip."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from sources.cards import Card
from sources.choices import options_of
from sources.find import find_corpus
from sources.identity import Identity
from sources.records import Corpus, CorpusError
from sources.storage import LocalFolder
from tests.sources.corpora import corpus_in, samples

CARD: dict[str, Any] = {
    "name": "quiz",
    "reader": "jsonl",
    "task": "text_qa",
    "access": "open",
    "groups": ("case",),
    "layout": {"roots": ["quiz"], "files": {"train": ["train.jsonl"], "test": ["test.jsonl"]}},
    "fields": {
        "question": "q",
        "answer": {"first": ["answer", "anwser"]},
        "case": ["c", {"field": "d", "prefix": "d-"}],
    },
    "forms": [
        {
            "reader": "csv",
            "layout": {"roots": ["quiz"], "files": {"train": ["train.csv"]}},
            "fields": {"question": "Q", "answer": "A"},
        }
    ],
}


def found(folder: Path, splits: list[str] | None = None) -> Corpus | None:
    return find_corpus(Card.model_validate(CARD), "quiz", [LocalFolder(folder)], Identity("quiz"), splits=splits)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_first_form_that_is_there_is_the_corpus(tmp_path: Path) -> None:
    put(tmp_path / "quiz/train.csv", "Q,A\nMade up?,Yes\n")
    corpus = found(tmp_path)
    assert corpus is not None
    assert (corpus.card.reader, corpus.card.groups, corpus.card.forms) == ("csv", (), ())
    assert samples(corpus)[0]["answer"] == "Yes"
    put(tmp_path / "quiz/train.jsonl", '{"q": "Made up?", "answer": "No", "c": "1", "d": "2"}\n')
    corpus = found(tmp_path)
    assert corpus is not None
    assert corpus.card.reader == "jsonl"


def test_a_split_that_one_form_has_is_sought_in_that_one_and_one_that_none_has_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "quiz/train.csv", "Q,A\nMade up?,Yes\n")
    assert found(tmp_path, ["test"]) is None
    with pytest.raises(CorpusError, match="no split 'dev'"):
        found(tmp_path, ["dev"])


def test_either_spelling_of_a_column_will_do_and_neither_is_told(tmp_path: Path) -> None:
    put(
        tmp_path / "quiz/train.jsonl",
        '{"q": "a", "anwser": "x", "c": "1", "d": "2"}\n{"q": "b", "answer": "y", "c": "1"}\n',
    )
    corpus = found(tmp_path)
    assert corpus is not None
    first, second = samples(corpus)
    assert (first["answer"], second["answer"]) == ("x", "y")
    assert [group["id"] for group in first["groups"]] == ["1", "d-2"]
    put(tmp_path / "quiz/train.jsonl", '{"q": "a", "c": "1", "d": "2", "reply": "x"}\n')
    corpus = found(tmp_path)
    assert corpus is not None
    with pytest.raises(CorpusError, match="no column 'answer or anwser'"):
        samples(corpus)


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        ({"tset": "{id}.jpg"}, "'tset' is not a split of `files`; did you mean 'test'"),
        ({"test": "pictures"}, "'pictures' is no template"),
    ],
)
def test_pictures_of_a_split_that_the_card_does_not_have_or_without_a_template_are_refused(
    pictures: dict[str, str], said: str
) -> None:
    layout = {**CARD["layout"], "images": "{id}.png"}
    assert Card.model_validate({**CARD, "layout": {**layout, "split_images": {"test": "{id}.jpg"}}})
    with pytest.raises(ValueError, match=said):
        Card.model_validate({**CARD, "layout": {**layout, "split_images": pictures}})


def test_a_joined_table_may_lie_there_in_gzip(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", '{"q": "a", "n": "1"}\n')
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"n,said\n1,yes\n"))
    card = {
        "task": "text_qa",
        "fields": {"question": "q", "answer": "said"},
        "join": {"path": "t.csv", "left": "n", "right": "n"},
    }
    assert samples(corpus_in(tmp_path, "jsonl", "a.jsonl", **card))[0]["answer"] == "yes"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"n,said\n1,yes\n")[:-9])
    with pytest.raises(CorpusError, match="damaged gzip"):
        samples(corpus_in(tmp_path, "jsonl", "a.jsonl", **card))


def test_a_heading_above_lettered_options_is_none_of_them() -> None:
    assert options_of("Answer Choices:\nA. One\nB. Two") == ["One", "Two"]
