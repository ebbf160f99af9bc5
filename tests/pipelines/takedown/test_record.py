from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import CurateError
from pipelines.takedown.apply import removal_of
from pipelines.takedown.record import NOTHING, Record, Removal, digest_of, matches, read_record
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
    record = Record(
        entries(("patient", "p"), ("license", "MIT")), frozenset({"b", "a"}), frozenset("c"), ({"number": 1},)
    )
    folder.write("removed.json", record.to_bytes())
    assert read_record(folder) == record
    assert read_record(folder).to_bytes() == record.to_bytes()
    assert b'"p"' not in record.to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"format": 1, "entries": {}, "samples": [], "batches": []}',
        b'{"format": 2, "entries": {}, "samples": [], "pictures": [], "batches": []}',
    ],
)
def test_a_damaged_record_stops_a_build_that_might_bring_back_what_it_names(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "removed.json").write_bytes(data)
    with pytest.raises(CurateError, match=r"removed\.json: damaged"):
        removal_of(LocalFolder(tmp_path), ())


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
    assert removal_of(own, (other,)) is None
    record = Record(entries(("patient", "p")), frozenset({"a"}), frozenset({"c"}), ({"number": 1},))
    other.write("removed.json", record.to_bytes())
    removal = removal_of(own, (other,))
    assert isinstance(removal, Removal)
    assert read_record(own) == Record(record.entries, record.samples, record.pictures, ())  # no lineage of the other
    before = (tmp_path / "own" / "removed.json").stat()
    assert removal_of(own, (other,)) == removal_of(own, ()) == removal
    assert (tmp_path / "own" / "removed.json").stat() == before
    found = removal.matches(samples({"sample_id": "a"}, {"sample_id": "b"}))
    assert sorted(found) == [0]


def test_pictures_that_were_listed_or_went_with_their_samples_are_hidden(tmp_path: Path) -> None:
    record = Record(entries(("image_id", "a"), ("pixel_hash", "p")), frozenset(), frozenset({"b"}), ())
    LocalFolder(tmp_path).write("removed.json", record.to_bytes())
    removal = removal_of(LocalFolder(tmp_path), ())
    assert removal is not None
    images = pa.table({"image_id": ["a", "b", "c", "d", "p"], "pixel_hash": ["x", "x", "p", None, "y"]})
    assert removal.hidden(images) == [0, 1, 2]
