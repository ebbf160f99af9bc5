"""What `Folder` promises, of a folder on this machine and of one in a bucket alike."""

import os
import pickle
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sources.storage import Folder, InUseError, OutsideError, TooLargeError, folder_at, is_absence
from sources.storage.globs import RUN_MARK
from tests.object_store.server import S3Server, s3_server, use

KINDS = ("disk", "bucket")
MADE = Callable[[str], Folder]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def make(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MADE:
    use(monkeypatch, server.environment())
    bucket = f"s3://corpora/{uuid.uuid4().hex}"
    return lambda kind: folder_at(tmp_path / "folder") if kind == "disk" else folder_at(bucket)


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, make: MADE) -> Folder:
    return make(request.param)


def test_a_folder_without_a_file_is_not_there(folder: Folder) -> None:
    assert not folder.exists()
    assert folder.names() == []
    assert list(folder.files()) == []
    assert folder.glob(["**/*"]) == []
    folder.delete("nothing")
    folder.delete_tree("nothing")


def test_what_was_written_is_read_listed_and_described(folder: Folder) -> None:
    folder.write("a/b/c.json", b"hello")
    folder.write("top", b"")
    assert folder.exists()
    assert folder.has_folder("a/b")
    assert not folder.has_folder("a/b/c.json")
    assert not folder.has_folder("a/x")
    assert set(folder.names()) - {"work"} == {"a", "top"}
    assert folder.read("a/b/c.json") == b"hello"
    assert folder.read("top") == b""
    with folder.open("top") as file:
        assert file.read() == b""
    stat = folder.stat("a/b/c.json")
    assert stat is not None
    assert (stat.path, stat.size) == ("a/b/c.json", 5)
    assert stat.stamp > 0
    assert folder.glob(["**/*.json"]) == [stat]
    assert {found.path: found.size for found in folder.files("a")} == {"a/b/c.json": 5}
    assert folder.inside("a/b").read("c.json") == b"hello"
    assert folder.inside("a").place == f"{folder.place}/a"


def test_absent_files_and_folders_are_absent(folder: Folder) -> None:
    folder.write("a/b", b"x")
    for path in ("a", "a/c", "a/b/c", "nul\0", "n" * 2000):
        assert folder.stat(path) is None, path
        with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is the storage's affair
            folder.read(path)
        assert is_absence(caught.value), path


def test_the_stamp_changes_with_the_content(folder: Folder) -> None:
    folder.write("a", b"one")
    before = folder.stat("a")
    folder.write("a", b"two")
    after = folder.stat("a")
    assert before is not None
    assert after is not None
    assert before.size == after.size
    assert before.stamp != after.stamp


def test_a_file_in_the_making_is_not_there_and_a_failed_one_changes_nothing(folder: Folder) -> None:
    with folder.writing("new") as file:
        assert file.write(b"12345") == 5
        file.flush()
        assert file.tell() == 5
        assert folder.stat("new") is None
    assert folder.read("new") == b"12345"
    with pytest.raises(RuntimeError), folder.writing("new") as file:  # noqa: PT012
        file.write(b"other")
        raise RuntimeError
    with pytest.raises(RuntimeError), folder.writing("never"):
        raise RuntimeError
    assert folder.read("new") == b"12345"
    assert folder.stat("never") is None


def test_a_large_file_goes_there_and_back_in_pieces(folder: Folder, server: S3Server) -> None:
    data = os.urandom(2**20) * 37 + b"the end"
    with folder.writing("large") as file:
        for start in range(0, len(data), 3_000_000):
            file.write(memoryview(data)[start : start + 3_000_000])
        assert file.tell() == len(data)
    assert folder.read("large") == data
    with folder.open("large") as file:
        assert file.seek(-7, os.SEEK_END) == len(data) - 7
        assert file.read() == b"the end"
        file.seek(17 * 2**20)
        assert file.read(2**20) == data[: 2**20]
        file.seek(5)
        assert b"".join(iter(lambda: file.read(1_000_003), b"")) == data[5:]
    with pytest.raises(RuntimeError), folder.writing("large") as file:  # noqa: PT012
        file.write(data[:-9])
        raise RuntimeError
    assert folder.stat("large").size == len(data)  # type: ignore[union-attr]
    assert server.unfinished() == []


def test_more_than_may_be_read_is_not_read(folder: Folder) -> None:
    folder.write("a", b"1234")
    assert folder.read("a", 4) == b"1234"
    with pytest.raises(TooLargeError) as caught:
        folder.read("a", 3)
    assert not is_absence(caught.value)


def test_deleting_takes_what_is_meant_and_no_more(folder: Folder) -> None:
    for path in ("a/1", "a/b/2", "ab/3", "a.txt"):
        folder.write(path, b"xx")
    folder.delete("a.txt")
    folder.delete_tree("a")
    assert [stat.path for stat in folder.glob(["**/*"])] == ["ab/3"]
    assert folder.bytes_used() >= 2


@pytest.mark.parametrize("size", [5, 17 * 2**20])
@pytest.mark.parametrize("kinds", [(one, other) for one in KINDS for other in KINDS])
def test_a_taken_file_is_the_same_until_either_changes(make: MADE, kinds: tuple[str, str], size: int) -> None:
    source, target = (make(kind).inside(name) for kind, name in zip(kinds, ("source", "target"), strict=True))
    source.write("f", b"a" * size)
    assert not target.is_same("x/f", source, "f")
    target.take(source, "f", "x/f")
    assert target.read("x/f") == b"a" * size
    assert target.is_same("x/f", source, "f")
    target.write("x/f", b"b" * size)
    assert not target.is_same("x/f", source, "f")
    assert source.read("f") == b"a" * size
    target.write("x/f", b"a" * size)
    assert target.is_same("x/f", source, "f")
    with pytest.raises(FileNotFoundError):
        target.is_same("x/f", source, "gone")
    with pytest.raises(FileNotFoundError):
        target.take(source, "gone", "y")


TREE = ("top.json", "data/a.json", "data/b.txt", "data/deep/er/c.json", ".hidden/d.json", "data/.e.json", "o/f.json")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*.json"], ["top.json"]),
        (["**/*.json"], ["data/a.json", "data/deep/er/c.json", "o/f.json", "top.json"]),
        (["data/*.json"], ["data/a.json"]),
        (["data/**/*.json"], ["data/a.json", "data/deep/er/c.json"]),
        (["data/**"], ["data/a.json", "data/b.txt", "data/deep/er/c.json"]),
        (["data/a.json"], ["data/a.json"]),
        ([".hidden/*.json"], [".hidden/d.json"]),
        (["*/?.json"], ["data/a.json", "o/f.json"]),
        (["data/a.json", "data/*", "absent/*", "absent.json"], ["data/a.json", "data/b.txt"]),
    ],
)
def test_globs_list_what_they_match_once_and_in_order(folder: Folder, patterns: list[str], expected: list[str]) -> None:
    for path in TREE:
        folder.write(path, b"x")
    assert [stat.path for stat in folder.glob(patterns)] == expected
    assert folder.listing(patterns) == (folder.glob(patterns), [])


def test_a_run_in_a_corpus_is_no_part_of_it(folder: Folder) -> None:
    for path in ("corpus/1.json", "corpus/run/+.json", "corpus/run/tables/2.json", "corpus/runs/3.json"):
        folder.write(path, b"x")
    folder.write(f"corpus/run/{RUN_MARK}", b"")
    assert [stat.path for stat in folder.glob(["**/*.json"])] == ["corpus/1.json", "corpus/runs/3.json"]
    assert [stat.path for stat in folder.glob(["corpus/run/*.json"])] == []


ODD = (
    "sp ace", "ü", "p%20q", "per%cent", "q?x=1", "h#h", "plus+", "am&p", "back\\slash", "it's", 'q"u', "<x>", "tilde~",
    "colon:", "star*", "[br]", "{x}", "日本", "semi;", "comma,", "at@", "dollar$", "pipe|", "caret^", "tick`", "(p)",
    "e\u0301", ".dot", "end.",
)  # fmt: skip


def test_odd_names_are_names_like_others(folder: Folder) -> None:
    for name in ODD:
        folder.write(f"odd/{name}/{name}", name.encode())
    assert {stat.path for stat in folder.files()} == {f"odd/{name}/{name}" for name in ODD}
    assert sorted(folder.inside("odd").names()) == sorted(ODD)
    for name in ODD:
        path = f"odd/{name}/{name}"
        assert folder.read(path) == name.encode()
        assert folder.stat(path) is not None
    folder.take(folder, "odd/p%20q/p%20q", "copy of ü&+")
    assert folder.read("copy of ü&+") == b"p%20q"
    folder.delete_tree("odd")
    assert [stat.path for stat in folder.glob(["**/*"])] == ["copy of ü&+"]


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/passwd", "../folder2/x"])
def test_no_path_leads_out_of_the_folder(folder: Folder, path: str) -> None:
    inner = folder_at(f"{folder.place}/inner")
    folder.write("outside", b"secret")
    inner.write("a/x", b"x")
    assert inner.stat(path) is None
    with pytest.raises(OutsideError):
        inner.open(path)


def test_dots_lead_where_they_lead_on_a_disk_and_as_far_as_the_boundary(folder: Folder) -> None:
    folder.write("a/x", b"x")
    folder.write("b/y", b"y")
    assert folder.read("./a/./x") == b"x"
    assert folder.read("a/../b/y") == b"y"
    with pytest.raises(OutsideError):
        folder.inside("a").read("../b/y")  # `folder` is the boundary of links in what is inside it, not of its paths


def test_a_lock_is_held_by_one_and_stays_as_a_mark(folder: Folder) -> None:
    with folder.lock(RUN_MARK):
        with pytest.raises(InUseError), folder.lock(RUN_MARK):
            pass
        assert RUN_MARK in folder.names()
    assert RUN_MARK in folder.names()
    with folder.lock(RUN_MARK):
        pass
    with pytest.raises(RuntimeError), folder.lock(RUN_MARK):
        raise RuntimeError
    with folder.lock(RUN_MARK):
        pass


def test_a_folder_is_a_value(folder: Folder) -> None:
    folder.write("a", b"x")
    sent = pickle.loads(pickle.dumps(folder.inside("b")))
    assert sent == folder.inside("b")
    assert hash(sent) == hash(folder.inside("b"))
    assert pickle.loads(pickle.dumps(folder)).read("a") == b"x"
    assert b"testing" not in pickle.dumps(folder)  # the credentials of these tests
    assert "testing" not in repr(folder)
