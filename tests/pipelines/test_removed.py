from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import CurateError
from pipelines.remove_work import sift_work
from pipelines.removed import CONTENT, NOTHING, Record, Removal, adopt, blanked, digest_of, matches, read_record
from sources.schema import SAMPLES
from sources.storage import LocalFolder


def entries(*pairs: tuple[str, str]) -> dict[str, frozenset[str]]:
    return {kind: frozenset({digest_of(kind, value)}) for kind, value in pairs}


def samples(*rows: dict[str, object]) -> pa.Table:
    schema = pa.schema([field.with_nullable(True) for field in SAMPLES])
    return pa.Table.from_pylist([dict.fromkeys(SAMPLES.names) | row for row in rows], schema=schema)


def test_a_record_is_read_back_and_equal_records_are_equal_bytes(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    assert read_record(folder) is NOTHING
    record = Record(entries(("patient", "p"), ("license", "MIT")), frozenset({"b", "a"}), ({"number": 1},))
    folder.write("removed.json", record.to_bytes())
    assert read_record(folder) == record
    assert read_record(folder).to_bytes() == record.to_bytes()
    assert b'"p"' not in record.to_bytes()


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"format": 2, "entries": {}, "samples": [], "batches": []}']
)
def test_a_damaged_record_stops_a_build_that_might_bring_back_what_it_names(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "removed.json").write_bytes(data)
    with pytest.raises(CurateError, match=r"removed\.json: damaged"):
        adopt(LocalFolder(tmp_path), ())


def test_a_value_matches_in_its_own_kind_only() -> None:
    table = samples(
        {"sample_id": "x", "source": "s", "groups": [{"kind": "patient", "id": "7"}]},
        {"sample_id": "y", "source": "7", "groups": [{"kind": "study", "id": "7"}], "parent_id": "x"},
        {"sample_id": "7", "source": "s", "images": [{"image_id": "7", "uri": "", "frame": None}]},
    )
    assert sorted(matches(entries(("patient", "7")), table)) == [0]
    assert sorted(matches(entries(("study", "7")), table)) == [1]
    assert sorted(matches(entries(("source", "7")), table)) == [1]
    assert sorted(matches(entries(("image_id", "7")), table)) == [2]
    assert sorted(matches(entries(("sample_id", "x")), table)) == [0, 1]  # what was made from it, too


def test_a_reused_run_s_record_joins_the_own_one_and_nothing_is_written_twice(tmp_path: Path) -> None:
    own, other = LocalFolder(tmp_path / "own"), LocalFolder(tmp_path / "other")
    assert adopt(own, (other,)) is None
    other.write("removed.json", Record(entries(("patient", "p")), frozenset({"a"}), ({"number": 1},)).to_bytes())
    removal = adopt(own, (other,))
    assert isinstance(removal, Removal)
    assert read_record(own).batches == ()  # what the other run did is its own lineage
    assert adopt(own, ()) == removal
    found = removal.matches(samples({"sample_id": "a"}, {"sample_id": "b"}))
    assert sorted(found) == [0]


def test_blanked_rows_say_nothing_and_others_all(tmp_path: Path) -> None:
    row = {"sample_id": "a", "turns": [{"role": "user", "text": "t"}], "question": "q", "options": ["o"],
           "answer": "a", "meta": "m", "source_key": "k"}  # fmt: skip
    table = blanked(samples(row, row, row), [1])
    assert table.slice(1, 1).to_pylist()[0]["source_key"] == "k"
    for number, gone in enumerate((False, True, False)):
        assert all((table.to_pylist()[number][name] is None) == gone for name in CONTENT)
    assert table.schema.names == SAMPLES.names


def test_work_that_nobody_knows_to_be_free_of_content_goes(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for path in (
        "tokens/aa/k.json",
        "their_facts/aa/k.json",
        "survey/aa/k.json",
        "removal/plan.json",
        "ingest/aa/x.samples.parquet",
    ):
        folder.write(f"work/{path}", b"{}")
    sift_work(folder, set(), set(), set(), "removal")
    left = {stat.path for stat in folder.files("work")}
    assert left == {"work/tokens/aa/k.json", "work/removal/plan.json"}  # the last one was part of no commit
