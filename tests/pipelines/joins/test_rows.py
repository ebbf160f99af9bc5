"""A joined table that is damaged is an error that says where, and never what."""

from pathlib import Path

import pytest

from sources.records import CorpusError
from tests.pipelines.joins.joining import DEEP, Join


def test_a_row_that_cannot_travel_as_json_is_an_error_in_both_kinds_of_join(tmp_path: Path) -> None:
    join = Join(tmp_path, many=True).write([{"uid": 1, "body": "x"}], [])
    (tmp_path / join.table).write_bytes(b'{"id": 1, "cc": %s, "file": "DOE-JANE"}' % DEEP)
    for run in (join.by_exchange, join.at_once):
        with pytest.raises(CorpusError, match="lists more than 250 deep") as error:
            run()
        assert "DOE-JANE" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "side", "said"),
    [
        ("side.csv", b"uid,cc,file\n1,MIT,a\n", "no column 'id'"),
        ("side.csv", b"id,cc,file\n1,MIT\n", "row 0: 2 fields where the header has 3"),
        ("side.csv", b"id,cc,file\n1,MIT,a\n1,\xff,a\n", "row 1: not utf-8"),
        ("side.json", b"7", "neither a JSON array nor an object"),
        ("side.json", b'{"a": 1}', "@key"),
        ("side.jsonl", b'{"id": 1, "cc": 1, "file": 1}\n[1]', "row 1: not a JSON object"),
        ("side.jsonl", b'{"id": {"a": 1}, "cc": 1, "file": 1}', "row 0: a text field holds dict"),
        ("side.jsonl", b'{"id": %s, "cc": 1, "file": 1}' % DEEP, "row 0: a text field holds lists nested more than 32"),
        ("side.json", b'[{"id": %s, "cc": 1, "file": 1}]' % DEEP, "row 0: a text field holds lists nested more than"),
        ("side.json", b'[{"id": 1, "cc": 1, "file": 1},', "ends before its JSON array or object is closed: download"),
        ("side.json", b'[{"id": 1, "cc": 1, "file": 1}', "ends before its JSON array or object is closed: download"),
        ("side.json", b'[{"id": 1, "cc": 1, "file": 1}]{"id', "goes on after its JSON array or object ends"),
        ("side.parquet", b"PAR1", "is not a Parquet file"),
    ],
)
def test_a_damaged_table_is_an_error_that_names_it_and_no_value(
    tmp_path: Path, name: str, side: bytes, said: str
) -> None:
    join = Join(tmp_path, table=name).write([{"uid": 1, "body": "x"}], [])
    (tmp_path / name).write_bytes(side)
    with pytest.raises(CorpusError, match=f"test: {name}: ") as error:
        join.by_exchange()
    assert said in str(error.value)
