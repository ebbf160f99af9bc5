from pathlib import Path

import pytest

from sources.storage import Folder, OutsideError


def files(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")


TREE = (
    "top.json",
    "data/a.json",
    "data/b.txt",
    "data/deep/er/c.json",
    ".hidden/d.json",
    "data/.e.json",
    "other/f.json",
)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*.json"], ["top.json"]),
        (["**/*.json"], ["data/a.json", "data/deep/er/c.json", "other/f.json", "top.json"]),
        (["data/*.json"], ["data/a.json"]),
        (["data/**/*.json"], ["data/a.json", "data/deep/er/c.json"]),
        (["data/a.json"], ["data/a.json"]),
        (["*/?.json"], ["data/a.json", "other/f.json"]),
        (["data/a.json", "data/*", "absent/*", "absent.json"], ["data/a.json", "data/b.txt"]),
    ],
)
def test_globs_list_what_they_match_once_and_in_order(tmp_path: Path, patterns: list[str], expected: list[str]) -> None:
    files(tmp_path, *TREE)
    assert [stat.path for stat in Folder(tmp_path).glob(patterns)] == expected


def test_a_folder_that_no_pattern_can_reach_is_not_visited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    files(tmp_path, "data/a.json", "huge/x/y.json")
    visited = []
    walk = os.walk

    def watched(top: Path) -> object:
        for place, folders, names in walk(top):
            visited.append(Path(place).relative_to(tmp_path).as_posix())
            yield place, folders, names

    monkeypatch.setattr("sources.storage.os.walk", watched)
    Folder(tmp_path).glob(["data/*.json", "*.json"])
    assert visited == ["data", "."]


def test_links_are_followed_inside_the_boundary_and_reported_outside_it(tmp_path: Path) -> None:
    files(tmp_path, "blobs/1", "corpus/real.json", "elsewhere/2")
    (tmp_path / "corpus/inside.json").symlink_to("../blobs/1")
    (tmp_path / "corpus/dangling.json").symlink_to("nothing")
    (tmp_path / "data").mkdir()
    (tmp_path / "corpus/outside.json").symlink_to("/etc/passwd")
    folder = Folder(tmp_path / "corpus", boundary=tmp_path)
    listed, escaping = folder.listing(["*.json"])
    assert [stat.path for stat in listed] == ["inside.json", "real.json"]
    assert escaping == ["outside.json"]
    with pytest.raises(OutsideError):
        folder.open("outside.json")
