from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from pipelines.errors import CurateError
from pipelines.work import Commit, Part, Work, key_of, to_parquet
from sources.storage import LocalFolder

TABLE = pa.table({"row": pa.array([1, 2, 3], pa.int32()), "text": ["a", "b", None]})


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(LocalFolder(tmp_path / "run"))


def place_of(work: Work, part: Part) -> Path:
    assert isinstance(work.folder, LocalFolder)
    return work.folder.root / part.path


def test_a_commit_is_found_again_with_its_tables_and_facts(work: Work) -> None:
    work.put("tokens", "ab12", {"verdicts": TABLE}, {"counts": {"in": 3}})
    found = work.find("tokens", "ab12")
    assert found is not None
    assert found.facts == {"counts": {"in": 3}}
    assert work.read(found.parts["verdicts"]).equals(TABLE)
    assert work.read(found.parts["verdicts"], ["text"]).column_names == ["text"]


def test_nothing_is_found_under_another_key_or_step(work: Work) -> None:
    work.put("tokens", "ab12", {"verdicts": TABLE})
    assert work.find("tokens", "ab13") is None
    assert work.find("license", "ab12") is None


def test_a_commit_that_is_refused_is_neither_used_nor_copied_from_another_run(tmp_path: Path) -> None:
    first, second, own = (LocalFolder(tmp_path / name) for name in ("first", "second", "own"))
    for folder, text in ((first, "a"), (second, "b")):
        Work(folder).put("ingest", "ab12", {"samples": pa.table({"text": [text]})})
    work = Work(own, (first, second))

    def of_no_a(held: Work, commit: Commit) -> bool:
        return held.read(commit.parts["samples"])["text"].to_pylist() != ["a"]

    found = work.find("ingest", "ab12", of_no_a)
    assert found is not None
    assert work.read(found.parts["samples"])["text"].to_pylist() == ["b"]
    assert work.find("ingest", "ab12", lambda *_: False) is None


def test_a_commit_whose_table_is_cut_or_gone_does_not_count(work: Work) -> None:
    part = work.put("tokens", "ab12", {"verdicts": TABLE}).parts["verdicts"]
    place_of(work, part).write_bytes(place_of(work, part).read_bytes()[:-1])
    assert work.find("tokens", "ab12") is None
    place_of(work, part).unlink()
    assert work.find("tokens", "ab12") is None


def test_tables_without_the_commit_do_not_count(work: Work) -> None:
    work.put("tokens", "ab12", {"verdicts": TABLE})
    (work.folder.root / work.path("tokens", "ab12", "json")).unlink()
    assert work.find("tokens", "ab12") is None


def test_a_commit_of_another_format_version_is_not_used(work: Work) -> None:
    work.put("tokens", "ab12", {"verdicts": TABLE})
    path = work.folder.root / work.path("tokens", "ab12", "json")
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"format": 99}))
    assert work.find("tokens", "ab12") is None


def test_a_damaged_commit_says_which_file_to_delete(work: Work) -> None:
    work.put("tokens", "ab12", {"verdicts": TABLE})
    (work.folder.root / work.path("tokens", "ab12", "json")).write_text("{")
    with pytest.raises(CurateError, match=r"work/tokens/.*\.json in .* is damaged"):
        work.find("tokens", "ab12")


def test_work_of_a_named_run_is_taken_over_and_then_stands_alone(work: Work, tmp_path: Path) -> None:
    other = Work(LocalFolder(tmp_path / "other"), [work.folder])
    part = work.put("tokens", "ab12", {"verdicts": TABLE}).parts["verdicts"]
    assert other.find("tokens", "ab12") is not None
    place_of(work, part).unlink()
    alone = Work(LocalFolder(tmp_path / "other")).find("tokens", "ab12")
    assert alone is not None
    assert other.read(alone.parts["verdicts"]).equals(TABLE)


def test_equal_tables_give_equal_bytes_however_they_are_chunked() -> None:
    chunked = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])
    assert to_parquet(chunked.combine_chunks()) == to_parquet(TABLE)


def test_keys_depend_on_values_and_not_on_the_order_of_mappings() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    assert key_of("a", "b") != key_of("ab") != key_of(["a", "b"])
