import errno
import os
import pickle
import socket
from pathlib import Path

import pytest

from sources.storage import LocalFolder, OutsideError, TooLargeError, is_absence


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
    assert [stat.path for stat in LocalFolder(tmp_path).glob(patterns)] == expected


def test_a_folder_that_no_pattern_can_reach_is_not_visited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path, "data/a.json", "data/deep/b.json", "huge/x/y.json", "a_QA/1.xml", "a_QA/x/1.xml", "b/2.xml")
    visited = []
    scandir = os.scandir

    def watched(place: Path) -> object:
        visited.append(Path(place).relative_to(tmp_path).as_posix())
        return scandir(place)

    monkeypatch.setattr("sources.storage.globs.os.scandir", watched)
    LocalFolder(tmp_path).glob(["data/*.json", "*.json", "*_QA/*.xml"])
    assert visited == ["data", ".", ".", "a_QA"]


def test_links_are_followed_inside_the_boundary_and_reported_outside_it(tmp_path: Path) -> None:
    files(tmp_path, "blobs/1", "corpus/real.json", "elsewhere/2")
    (tmp_path / "corpus/inside.json").symlink_to("../blobs/1")
    (tmp_path / "corpus/dangling.json").symlink_to("nothing")
    (tmp_path / "data").mkdir()
    (tmp_path / "corpus/outside.json").symlink_to("/etc/passwd")
    folder = LocalFolder(tmp_path / "corpus", boundary=tmp_path)
    listed, escaping = folder.listing(["*.json"])
    assert [stat.path for stat in listed] == ["inside.json", "real.json"]
    assert escaping == ["outside.json"]
    with pytest.raises(OutsideError):
        folder.open("outside.json")


def test_links_to_folders_are_followed_inside_the_boundary_and_reported_outside_it(tmp_path: Path) -> None:
    files(tmp_path, "store/x/a.json", "store/x/deep/b.json", "corpus/real.json", "corpus/.hidden/c.json")
    (tmp_path / "corpus/train").symlink_to("../store/x")
    (tmp_path / "corpus/system").symlink_to("/etc")
    folder = LocalFolder(tmp_path / "corpus", boundary=tmp_path)
    listed, escaping = folder.listing(["**/*.json"])
    assert [stat.path for stat in listed] == ["real.json", "train/a.json", "train/deep/b.json"]
    assert escaping == ["system"]
    assert folder.listing(["train/*.json"])[1] == []
    assert folder.listing(["system/*.conf"]) == ([], ["system"])
    assert LocalFolder(tmp_path / "corpus").listing(["t*/*.json"]) == ([], ["train"])


def test_folders_linked_in_a_circle_are_listed_once(tmp_path: Path) -> None:
    files(tmp_path, "a/x.json", "a/b/y.json")
    (tmp_path / "a/b/up").symlink_to("..")
    (tmp_path / "a/self").symlink_to(".")
    (tmp_path / "a/loop").symlink_to("loop")
    assert [stat.path for stat in LocalFolder(tmp_path).glob(["**/*.json"])] == ["a/b/y.json", "a/x.json"]


def test_of_several_names_of_a_folder_the_real_one_is_listed_and_any_that_alone_matches(tmp_path: Path) -> None:
    files(tmp_path, "store/x/a.json")
    (tmp_path / "latest").symlink_to("store/x")
    (tmp_path / "train").symlink_to("store/x")
    assert [stat.path for stat in LocalFolder(tmp_path).glob(["**/*.json"])] == ["store/x/a.json"]
    assert [stat.path for stat in LocalFolder(tmp_path).glob(["**/train/*.json"])] == ["train/a.json"]
    assert [stat.path for stat in LocalFolder(tmp_path).glob(["*/*.json"])] == ["latest/a.json"]


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_what_is_not_a_regular_file_is_not_there(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "x.png"
    folder = LocalFolder(tmp_path, boundary=Path("/"))
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(place))
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        place.mkdir()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is the system's affair
        folder.read("x.png")
    assert is_absence(caught.value)
    assert folder.stat("x.png") is None


@pytest.mark.parametrize("name", ["none.png", "file/x.png", "loop", "n" * 300, "nul\0.png", "../outside.png"])
def test_names_without_a_file_are_told_from_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    files(tmp_path, "file")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - as above
        LocalFolder(tmp_path).open(name)
    assert is_absence(caught.value)
    assert LocalFolder(tmp_path).stat(name) is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE, errno.ENOMEM])
def test_a_file_that_cannot_be_read_now_is_not_taken_for_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    assert not is_absence(OSError(number, "no"))
    files(tmp_path, "a.json")
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(OSError, match="no"):
        LocalFolder(tmp_path).stat("a.json")
    with pytest.raises(OSError, match="no"):
        LocalFolder(tmp_path).glob(["*.json"])


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TooLargeError) as caught:
        LocalFolder(tmp_path).read("sparse")
    assert "1099511627776 bytes" in str(caught.value)
    assert not is_absence(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).detail == caught.value.detail
    (tmp_path / "small").write_bytes(b"1234")
    assert LocalFolder(tmp_path).read("small", 4) == b"1234"
    with pytest.raises(TooLargeError):
        LocalFolder(tmp_path).read("small", 3)
