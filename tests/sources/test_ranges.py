"""Records that killed who read them are passed over; planning looks at no more records than it must."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sources.readers.expected import with_expected_columns
from sources.readers.registry import reader_named
from sources.records import Corpus, Fragment, Record, Unreadable
from tests.sources.corpora import corpus_in, planned
from tests.sources.packed_files import captioned, write_tar

FILES = {
    "jsonl": ("a.jsonl", '{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n'),
    "json": ("a.json", '[{"text": "a"}, {"text": "b"}, {"text": "c"}]'),
    "csv": ("a.csv", "text\na\nb\nc\n"),
}


def corpus_of(folder: Path, reader: str) -> Corpus:
    if reader == "webdataset":
        write_tar(folder / "a.tar", captioned(3))
        return corpus_in(folder, reader, "a.tar", task="caption")
    name, text = FILES[reader]
    (folder / name).write_text(text)
    return corpus_in(folder, reader, name, fields={"text": "text"})


@pytest.mark.parametrize("reader", [*FILES, "webdataset"])
def test_a_record_to_be_passed_over_is_unreadable_under_its_key_and_the_others_are_as_they_were(
    reader: str, tmp_path: Path
) -> None:
    corpus = corpus_of(tmp_path, reader)
    (fragment,) = planned(corpus)
    whole = list(reader_named(reader).read(corpus, fragment))
    without = list(reader_named(reader).read(corpus, replace(fragment, passed_over=frozenset({1}))))
    assert [without[0], without[2]] == [whole[0], whole[2]]
    assert isinstance(without[1], Unreadable)
    assert without[1].key == whole[1].key


def test_a_file_is_planned_from_the_first_records_that_have_every_column(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "jsonl")
    read: list[int] = []

    def records(_: Corpus, fragment: Fragment) -> Iterator[Record]:
        for number, row in enumerate(({"other": "x"}, {"text": "a"}, {"text": "b"})):
            read.append(number)
            yield Record(str(number), row)

    fragments = list(with_expected_columns(corpus, "a.jsonl", iter(planned(corpus)), records))
    assert fragments == planned(corpus)
    assert read == [0, 1]
