"""A join by exchange gives every record what the join in memory gives it, and what a search over all rows would."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import join_rows, join_solve, joins, sorted_runs
from pipelines.ingest import IngestTask
from pipelines.joined_rows import with_joined_rows
from pipelines.joins import plan_tables, with_tables
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources import joins as in_memory
from sources.joins import joined
from sources.readers import ranges
from sources.readers.companions import awaiting_rows
from sources.readers.registry import reader_named
from sources.records import Corpus, CorpusError, Record, RecordError
from sources.storage import LocalFolder
from tests.pipelines.in_process import flow_of
from tests.sources.corpora import corpus_in, planned

FIELDS = {"text": "body", "license": "cc", "images": "file"}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many fragments, runs and partitions of a few rows each."""
    monkeypatch.setattr(ranges, "FRAGMENT_RECORDS", 3)
    monkeypatch.setattr(sorted_runs, "CUT_EVERY", 3)
    monkeypatch.setattr(sorted_runs, "GROUP_BYTES", 100)
    monkeypatch.setattr(joins, "PARTITION_ROWS", 5)
    monkeypatch.setattr(joins, "PARTITION_BYTES", 200)
    monkeypatch.setattr(joins, "COLLECTED_BYTES", 300)
    monkeypatch.setattr(join_solve, "PARTITION_BYTES", 200)


class Join:
    """A corpus of records that joins a table, in a folder; `run` holds the work of its build."""

    def __init__(
        self, folder: Path, many: bool = False, identifiers: str = "public", table: str = "side.jsonl"
    ) -> None:
        self.folder, self.many, self.identifiers, self.table = folder, many, identifiers, table
        self.session: Session | None = None
        self.said: dict[str, Any] = {}

    def write(self, records: list[dict[str, Any]], rows: list[dict[str, Any]]) -> "Join":
        (self.folder / "notes.jsonl").write_bytes(b"\n".join(map(orjson.dumps, records)))
        (self.folder / self.table).write_bytes(b"\n".join(map(orjson.dumps, rows)))
        return self

    def corpus(self) -> Corpus:
        join = {"path": self.table, "left": "uid", "right": "id", "many": self.many}
        return corpus_in(self.folder, "jsonl", "notes.jsonl", fields=FIELDS, join=join, identifiers=self.identifiers)

    def by_exchange(self) -> list[dict[str, Any] | str]:
        corpus = awaiting_rows(self.corpus())
        recipe = Recipe(stage="mid", sources=(SourceEntry(name="test"),))
        self.session = Session(recipe, (corpus,), Work(LocalFolder(self.folder / "run")), (None,))
        flow = flow_of(self.session)
        tables = plan_tables(flow.engine, self.session)
        flow.reporter.event = lambda kind, **facts: self.said.update(facts) if kind == "joined" else None  # type: ignore[method-assign]
        tasks = [IngestTask(0, fragment, number) for number, fragment in enumerate(planned(corpus))]
        self.tasks = with_tables(flow, tables, tasks)
        return [
            found
            for task in self.tasks
            for found in _joined(with_joined_rows(self.session.work, corpus, task.fragment), [task.fragment])
        ]

    def at_once(self) -> list[dict[str, Any] | str]:
        corpus = self.corpus()
        return list(_joined(corpus, planned(corpus)))


def _joined(corpus: Corpus, fragments: Any) -> Iterator[dict[str, Any] | str]:
    for fragment in fragments:
        for record in reader_named(corpus.card.reader).read(corpus, fragment):
            assert isinstance(record, Record)
            try:
                yield joined(corpus, fragment.path, record).row
            except RecordError as error:
                yield str(error)


def searched(records: list[dict[str, Any]], rows: list[dict[str, Any]], many: bool) -> list[dict[str, Any]]:
    """What each record is joined to, by looking at every row for every record."""

    def text(value: Any) -> str | None:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        return str(value).replace("\r\n", "\n").replace("\r", "\n").strip() or None

    columns = list(dict.fromkeys(name for row in rows if text(row.get("id")) for name in row if name in ("cc", "file")))
    answers = []
    for record in records:
        value = text(record.get("uid"))
        found = [row for row in rows if value is not None and text(row.get("id")) == value]
        added: dict[str, Any] = {}
        if many:
            added = {name: [row.get(name) for row in found] for name in columns}
        elif found:
            added = {name: found[0].get(name) for name in columns}
        answers.append({**added, **record})
    return answers


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


@pytest.mark.parametrize("identifiers", ["public", "keyed"])
@pytest.mark.parametrize(("most_rows", "most_bytes"), [(7, 2**20), (1000, 8 * len('{"cc":"000","file":null}') - 1)])
def test_a_record_that_too_many_rows_match_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identifiers: str, most_rows: int, most_bytes: int
) -> None:
    for module in (in_memory, join_rows):
        monkeypatch.setattr(module, "MAX_JOINED_ROWS", most_rows)
        monkeypatch.setattr(module, "MAX_JOINED_BYTES", most_bytes)
    rows = [{"id": "hot", "cc": f"{n:03}", "file": None} for n in range(8)] * 20
    rows += [{"id": "warm", "cc": f"{n:03}", "file": None} for n in range(7)]
    join = Join(tmp_path, many=True, identifiers=identifiers)
    join.write([{"uid": uid, "body": "x"} for uid in ("hot", "warm", "hot", "cold")], rows)
    found = join.by_exchange()
    assert found == join.at_once()
    assert [row if isinstance(row, str) else len(row["cc"]) for row in found] == [found[0], 7, found[0], 0]
    assert "rows of the joined table" in str(found[0])
    assert join.said == join.said | {"rows": 167, "matched": 167, "unmatched": 0, "records": 4, "records_unmatched": 1}


@pytest.mark.parametrize("run_bytes", [1, 20_000])
def test_a_value_that_many_rows_have_is_never_together_in_a_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bytes: int
) -> None:
    for module in (in_memory, join_rows):
        monkeypatch.setattr(module, "MAX_JOINED_ROWS", 10)
    monkeypatch.setattr(ranges, "FRAGMENT_RECORDS", 50)
    monkeypatch.setattr(joins, "RUN_BYTES", run_bytes)
    monkeypatch.setattr(joins, "PARTITION_BYTES", 50_000)
    monkeypatch.setattr(join_solve, "PARTITION_BYTES", 4000)
    held: list[int] = []
    solve = join_solve.joined_tables

    def watched(tables: Any, reduce: Any, most: int) -> pa.Table:
        def counted(table: pa.Table) -> pa.Table:
            held.append(table.num_rows)
            return reduce(table)

        return solve(tables, counted, most)

    monkeypatch.setattr(join_solve, "joined_tables", watched)
    rows = [{"id": "hot", "cc": "y" * 50, "file": n} for n in range(1000)]
    Join(tmp_path, many=True).write([{"uid": "hot", "body": "x"}], rows).by_exchange()
    assert max(held) <= 2 * 50 + 1


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


def test_nothing_that_travels_of_a_keyed_source_is_in_the_clear(tmp_path: Path) -> None:
    records = [{"uid": f"ACC{n:07}", "body": "x"} for n in range(20)]
    rows = [{"id": f"ACC{n:07}", "cc": f"seen by DOE JANE, {n}", "file": None} for n in range(20)]
    found: dict[str, bool] = {}
    for identifiers in ("public", "keyed"):
        folder = tmp_path / identifiers
        folder.mkdir()
        join = Join(folder, identifiers=identifiers).write(records, rows)
        assert [row["cc"] for row in join.by_exchange() if isinstance(row, dict)] == [row["cc"] for row in rows]
        held = [
            path.read_bytes() + (repr(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else b"")
            for path in (folder / "run").rglob("*")
            if path.is_file()
        ]
        assert not any(b"ACC0000" in data for data in held)
        found[identifiers] = any(b"DOE JANE" in data for data in held)
    assert found == {"public": True, "keyed": False}


def test_the_same_rows_are_sealed_to_the_same_bytes_and_another_site_key_opens_none(tmp_path: Path) -> None:
    join = Join(tmp_path, identifiers="keyed").write([{"uid": 1, "body": "x"}], [{"id": 1, "cc": "MIT", "file": None}])
    join.by_exchange()
    digests = [task.fragment.joined for task in join.tasks]
    (tmp_path / "run").rename(tmp_path / "before")
    join.by_exchange()
    assert [task.fragment.joined for task in join.tasks] == digests
    assert join.session is not None
    corpus = join.session.corpora[0]
    other = replace(corpus.identity, site_key=b"another key of a site")
    assert corpus.companion is not None
    assert corpus.companion.seal is not None
    stranger = replace(corpus, companion=replace(corpus.companion, seal=replace(corpus.companion.seal, identity=other)))
    with pytest.raises(Exception, match=r"^$") as raised:
        with_joined_rows(join.session.work, stranger, join.tasks[0].fragment)
    assert type(raised.value).__name__ == "InvalidTag"


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
