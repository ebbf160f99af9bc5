"""JSON objects of columns."""

import json
from pathlib import Path

import pytest

from sources.records import CorpusError, Record, Unreadable
from tests.sources.corpora import corpus_in, planned, read


def test_rows_are_put_together_from_columns(tmp_path: Path) -> None:
    columns = {"q": {"0": "first?", "1": "second?"}, "a": {"0": "yes", "1": "no"}, "tags": {"1": ["x"]}}
    (tmp_path / "table.json").write_text(json.dumps(columns))
    found = read(corpus_in(tmp_path, "json_columns", fields={"question": "q", "answer": "a"}))
    assert found == [
        Record("0", {"q": "first?", "a": "yes"}),
        Record("1", {"q": "second?", "a": "no", "tags": ["x"]}),
    ]


def test_columns_may_be_lists(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"q": ["one", "two"]}')
    found = read(corpus_in(tmp_path, "json_columns", fields={"question": "q"}))
    assert [record.row for record in found if isinstance(record, Record)] == [{"q": "one"}, {"q": "two"}]


def test_a_file_cut_off_is_one_unreadable_record_and_an_array_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"q": {"0": "one"')
    assert isinstance(read(corpus_in(tmp_path, "json_columns", fields={"question": "q"}))[0], Unreadable)
    (tmp_path / "table.json").write_text('[{"q": "one"}]')
    with pytest.raises(CorpusError, match="no JSON object of columns"):
        planned(corpus_in(tmp_path, "json_columns", fields={"question": "q"}))


def test_a_misspelt_column_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"question": {"0": "one"}}')
    with pytest.raises(CorpusError, match="no column 'questoin'; did you mean 'question'"):
        planned(corpus_in(tmp_path, "json_columns", fields={"question": "questoin"}))
