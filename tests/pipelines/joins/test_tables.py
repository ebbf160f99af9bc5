"""A join by exchange gives every record what the join in memory gives it, and what a search over all rows would."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.joins import tables as driven
from sources.joins import match
from sources.records import Record
from tests.pipelines.joins.joining import DEEP, Join, searched
from tests.sources.corpora import corpus_in

values = st.one_of(
    st.none(),
    st.integers(-2, 6),
    st.sampled_from(["", " ", "1", " 2", "2.0", "é", "e\u0301", "\u00a0x", "a\r\nb"]),
    st.floats(0, 3, width=16),
    st.text(max_size=2),
    st.booleans(),
)
record = st.fixed_dictionaries({"uid": values, "body": st.just("x")}, optional={"cc": st.just("own")})
row = st.fixed_dictionaries(
    {"id": values}, optional={"cc": st.text(max_size=9), "file": st.integers(-3, 2**63 - 1), "more": values}
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(record, min_size=1, max_size=30),
    st.lists(row, min_size=1, max_size=40),
    st.booleans(),
    st.sampled_from(["public", "keyed"]),
)
def test_every_record_is_joined_as_in_memory_and_as_by_a_search_over_all_rows(
    records: list[dict[str, Any]], rows: list[dict[str, Any]], many: bool, identifiers: str
) -> None:
    rows = [{"id": "first", "cc": "", "file": 0}, *rows]  # the mapped columns are there
    with TemporaryDirectory() as folder:
        join = Join(Path(folder), many, identifiers).write(records, rows)
        expected = searched(records, rows, many)
        assert join.at_once() == expected
        assert join.by_exchange() == expected
        held = {str(row["id"]).strip() for row in rows}
        assert join.said["rows"] == len(rows)
        assert join.said["rows"] == join.said["matched"] + join.said["unmatched"] + join.said["blank"]
        assert join.said["records_unmatched"] >= sum(
            str(record["uid"]).strip() not in held for record in records
        ) - sum(record["uid"] in (None, "", " ") or not str(record["uid"]).strip() for record in records)


@pytest.mark.parametrize("run_bytes", [1, 20_000])
@pytest.mark.parametrize("identifiers", ["public", "keyed"])
def test_records_whose_rows_differ_are_counted_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identifiers: str, run_bytes: int
) -> None:
    monkeypatch.setattr(driven, "RUN_BYTES", run_bytes)
    records = [{"uid": uid, "body": "x"} for uid in ("same", "other", "late", "other", "", "cold", "mixed")]
    rows = [{"id": uid, "cc": "MIT", "file": None, "more": n} for n, uid in enumerate(("same", "other", "late") * 2)]
    rows += [{"file": None, "cc": "CC0", "id": "other"}, {"id": "unasked", "cc": "a"}, {"id": "unasked", "cc": "b"}]
    rows += [{"id": f"{n}", "cc": "MIT"} for n in range(90)] + [{"id": "late", "cc": "MIT", "file": 7}, {"id": "same"}]
    rows[-1] |= {"file": None, "cc": "MIT"}
    rows += [{"id": "mixed", "file": 1}, {"id": "mixed", "file": 1.0}]  # equal in Python, written differently
    join = Join(tmp_path, identifiers=identifiers).write(records, rows)
    corpus = join.corpus()
    found = Counter(match(corpus, "notes.jsonl", Record(str(n), record)) for n, record in enumerate(records))
    join.by_exchange()
    told = {name: join.said[f"records_{name}"] for name in ("several", "unmatched", "blank")}
    assert told == {"several": found["several"], "unmatched": found["none"], "blank": found["blank"]}
    assert told == {"several": 4, "unmatched": 1, "blank": 1}
    assert join.said["records"] == len(records)


def test_first_rows_are_those_of_a_join_by_polars(tmp_path: Path) -> None:
    records = [{"uid": number % 30, "body": "x"} for number in range(60)]
    rows = [{"id": number % 20, "cc": f"c{number}", "file": None} for number in range(50)]
    found = Join(tmp_path).write(records, rows).by_exchange()
    table = pl.DataFrame(rows).unique("id", keep="first", maintain_order=True)
    oracle = pl.DataFrame(records).join(table, left_on="uid", right_on="id", how="left", maintain_order="left")
    assert [row.get("cc") for row in found if isinstance(row, dict)] == oracle["cc"].to_list()


TABLES = {
    "side.csv": b"id,cc,file,more\n1,MIT,a,-\n2,\"CC,0\",b,-\n1,x,c,-\n,x,d,-\n",
    "side.txt": b"\xef\xbb\xbfid\tcc\tfile\tmore\r\n1\tMIT\ta\t-\r\n2\tCC,0\tb\t-\r\n1\tx\tc\t-\r\n\tx\td\t-",
    "side.jsonl": b'{"id": 1, "cc": "MIT", "file": "a"}\n{"id": "2", "cc": "CC,0", "file": "b"}\n'
    b'{"id": 1, "cc": "x", "file": "c"}\n{"cc": "x"}\n',
    "side.json": b'[{"id": 1, "cc": "MIT", "file": "a"}, {"id": "2", "cc": "CC,0", "file": "b"},'
    b' {"id": " 1 ", "cc": "x", "file": "c"}, {"id": null, "cc": "x"}]',
}  # fmt: skip


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", [*TABLES, "side.parquet"])
def test_every_form_of_table_is_joined(tmp_path: Path, name: str, many: bool) -> None:
    join = Join(tmp_path, many, table=name).write([{"uid": n, "body": "x"} for n in (2, "1", 3, 1)], [])
    rows = {"id": ["1", "2", "1", None], "cc": ["MIT", "CC,0", "x", "x"], "file": ["a", "b", "c", "d"]}
    if name == "side.parquet":
        pq.write_table(pa.table(rows), tmp_path / name, row_group_size=2)
    else:
        (tmp_path / name).write_bytes(TABLES[name])
        assert join.at_once() == join.by_exchange()
    found = [(row.get("cc"), row.get("file")) for row in join.by_exchange() if isinstance(row, dict)]
    one = (["MIT", "x"], ["a", "c"]) if many else ("MIT", "a")
    none: Any = ([], []) if many else (None, None)
    assert found == [(["CC,0"], ["b"]) if many else ("CC,0", "b"), one, none, one]
    assert join.said["rows"] == 4
    assert join.said["blank"] == 1


def test_members_of_an_object_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_bytes(b'{"body": "x"}\n{"body": "y"}\n')
    (tmp_path / "side.json").write_bytes(b'{"0": "yes", "1": {"cc": "MIT"}, "7": "no"}')
    settings_of = {
        "fields": {"text": "body", "answer": "side"},
        "join": {"path": "side.json", "left": "@key", "right": "@key"},
    }
    join = Join(tmp_path, table="side.json")
    join.corpus = lambda: corpus_in(tmp_path, "jsonl", "notes.jsonl", **settings_of)  # type: ignore[method-assign]
    assert join.by_exchange() == join.at_once() == [{"side": "yes", "body": "x"}, {"side": None, "body": "y"}]


def test_one_changed_row_changes_the_answer_of_the_fragments_that_match_it_and_no_other(tmp_path: Path) -> None:
    records = [{"uid": n, "body": "x"} for n in range(30)]
    rows = [{"id": n, "cc": f"c{n}", "file": None, "more": n} for n in range(60)]
    join = Join(tmp_path).write(records, rows)
    join.by_exchange()
    assert join.session is not None
    before = {task.key(join.session) for task in join.tasks}
    rows[7]["cc"] = "changed"
    rows[50]["cc"] = "matches no record"
    rows[9]["more"] = "not mapped"
    rows.insert(0, {"id": "new", "cc": "moves all rows by one", "file": None})
    join.write(records, rows).by_exchange()
    after = {task.key(join.session) for task in join.tasks}
    assert len(before) == len(after) == 10
    assert len(before - after) == 1


def test_a_value_to_join_by_that_breaks_costs_its_record_and_no_other(tmp_path: Path) -> None:
    join = Join(tmp_path).write([], [{"id": "ACC1", "cc": "MIT", "file": None}])
    lines = [b'{"uid": "ACC1", "body": "x"}', b'{"uid": %s, "body": "x"}' % DEEP, b'{"uid": ["ACC1"], "body": "x"}']
    (tmp_path / "notes.jsonl").write_bytes(b"\n".join(lines))
    found = join.by_exchange()
    assert found == join.at_once()
    assert [row if isinstance(row, str) else row["cc"] for row in found] == [
        "MIT",
        "a text field holds lists nested more than 32 deep",
        "MIT",
    ]
    assert join.session is not None
    commit = join.tasks[0].run(join.session)
    verdicts = join.session.work.read(commit.parts["verdicts"])
    assert verdicts["verdict"].to_pylist() == ["keep", "quarantine", "keep"]
    assert verdicts["reason"].to_pylist()[1] == "record.malformed"
