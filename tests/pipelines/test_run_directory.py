import os
from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.run_directory import MANIFEST, RUN, changes, opened, publish, read_run
from sources.storage import LocalFolder

IDENTITY = {"recipe": {"stage": "mid"}, "limit": None, "site_key": None}


def committed(root: Path, **files: str) -> dict[str, str]:
    found = {}
    for name, text in files.items():
        place = root / "work" / "commits" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        found[part(name)] = f"work/commits/{name}"
    return found


def part(name: str) -> str:
    return f"tables/samples/part-{ord(name):06d}.parquet"


def run_document(**more: object) -> dict[str, object]:
    return {"format": 1, "identity": IDENTITY, "fingerprint": "f"} | more


def test_publishing_gives_names_and_removes_what_is_no_longer_part(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    publish(folder, committed(tmp_path, a="1", b="2"), b"{}", run_document())
    publish(folder, committed(tmp_path, b="2", c="3"), b"{ }", run_document(counts=1))
    names = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "tables").rglob("*.parquet"))
    assert names == [part("b"), part("c")]
    assert (tmp_path / MANIFEST).read_bytes() == b"{ }"
    assert read_run(LocalFolder(tmp_path))["counts"] == 1


def test_a_run_killed_while_it_publishes_does_not_count_as_published(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    publish(folder, committed(tmp_path, a="1"), b"{}", run_document())
    gone = committed(tmp_path, a="1", z="2")
    (tmp_path / gone[part("z")]).unlink()
    with pytest.raises(Exception, match="is gone"):
        publish(folder, gone, b"{}", run_document())
    (tmp_path / "work" / "commits" / "z").write_text("2")
    publish(folder, gone, b"{}", run_document())
    assert (tmp_path / RUN).exists()


def test_publishing_the_same_again_touches_nothing(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    files = committed(tmp_path, a="1")
    publish(folder, files, b"{}", run_document())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    publish(folder, files, b"{}", run_document())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_leftovers_of_a_killed_write_are_cleared_when_the_run_is_opened(tmp_path: Path) -> None:
    (tmp_path / "work" / "tmp").mkdir(parents=True)
    (tmp_path / "work" / "tmp" / "123-part").write_text("half")
    with opened(LocalFolder(tmp_path), IDENTITY):
        assert not list((tmp_path / "work" / "tmp").iterdir())


def test_a_run_is_opened_by_one_build_at_a_time(tmp_path: Path) -> None:
    with (
        opened(LocalFolder(tmp_path), IDENTITY),
        pytest.raises(UsageError, match="another build is running"),
        opened(LocalFolder(tmp_path), IDENTITY),
    ):
        pass
    with opened(LocalFolder(tmp_path), IDENTITY):
        pass


def test_an_unfinished_run_says_how_to_go_on(tmp_path: Path) -> None:
    with opened(LocalFolder(tmp_path), IDENTITY):
        pass
    with pytest.raises(UsageError, match="has not finished") as caught:
        read_run(LocalFolder(tmp_path))
    assert "resumes" in caught.value.hint


def test_a_run_of_another_format_version_is_refused_by_name(tmp_path: Path) -> None:
    publish(LocalFolder(tmp_path), {}, b"{}", run_document(format=99))
    with pytest.raises(UsageError, match="format 99, this version reads 1"):
        read_run(LocalFolder(tmp_path))


def test_changes_name_the_key_and_both_values() -> None:
    before = {"a": {"b": 1, "c": [1, 2]}, "same": 0}
    after = {"a": {"b": 2, "c": [1, 3]}, "same": 0, "new": True}
    assert changes(before, after, "") == ["a.b: 1 is now 2", "a.c.1: 2 is now 3", "new: null is now true"]


def test_a_file_with_two_names_takes_its_room_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(100_000))
    once = LocalFolder(tmp_path).bytes_used()
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert LocalFolder(tmp_path).bytes_used() == once
