import errno
from pathlib import Path
from typing import Any

import pytest

from sources.cards import Card
from sources.find import find_corpus
from sources.identity import Identity
from sources.records import Corpus, CorpusError
from sources.storage import LocalFolder

PUBLIC = Identity("set")


def card(**settings: Any) -> Card:
    layout = {"roots": ["corpora/set", "set"], "files": ["data/*.json"], **settings.pop("layout", {})}
    return Card(**{"name": "set", "reader": "json", "layout": layout, "task": "vqa", "access": "open", **settings})


def files(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"[]")


def find(card: Card, *roots: Path, **settings: Any) -> Corpus | None:
    return find_corpus(card, "set", [LocalFolder(root) for root in roots], PUBLIC, **settings)


@pytest.mark.parametrize("folder", ["corpora/set", "set"])
def test_a_corpus_is_found_in_any_folder_of_its_layout(tmp_path: Path, folder: str) -> None:
    files(tmp_path, f"{folder}/data/a.json")
    corpus = find(card(), tmp_path)
    assert corpus is not None
    assert (corpus.root.root, corpus.files) == (tmp_path / folder, ("data/a.json",))


def test_the_first_data_root_that_has_files_wins(tmp_path: Path) -> None:
    files(tmp_path, "one/set/readme.txt", "two/set/data/a.json", "three/set/data/b.json")
    corpus = find(card(), tmp_path / "one", tmp_path / "two", tmp_path / "three")
    assert corpus is not None
    assert corpus.root.root == tmp_path / "two/set"


def test_a_data_root_is_the_corpus_where_it_is_called_so_or_the_layout_says_dot(tmp_path: Path) -> None:
    files(tmp_path, "Set/data/a.json", "mine/data/a.json")
    assert find(card(), tmp_path / "Set") is not None
    assert find(card(), tmp_path / "mine") is None
    assert find(card(layout={"roots": ["set", "."]}), tmp_path / "mine") is not None


def test_a_corpus_that_is_nowhere_is_none(tmp_path: Path) -> None:
    assert find(card(), tmp_path, tmp_path / "absent") is None


SPLITS = {"layout": {"files": {"train": ["train*.json"], "test": ["test.json"]}}, "training_splits": ["train"]}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, {"train1.json": "train", "train2.json": "train"}),
        (["test"], {"test.json": "test"}),
        (["test", "train"], {"test.json": "test", "train1.json": "train", "train2.json": "train"}),
    ],
)
def test_splits_choose_files_and_training_ones_are_taken_by_default(
    tmp_path: Path, asked: list[str] | None, expected: dict[str, str]
) -> None:
    files(tmp_path, "set/train1.json", "set/train2.json", "set/test.json")
    corpus = find(card(**SPLITS), tmp_path, splits=asked)
    assert corpus is not None
    assert corpus.splits == expected
    assert corpus.files == tuple(sorted(expected))


def test_an_unknown_split_is_an_error_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no split 'tset'; did you mean 'test'"):
        find(card(**SPLITS), tmp_path, splits=["tset"])


@pytest.mark.parametrize("path", ["mine/here", "{root}/mine/here"])
def test_a_path_that_is_a_folder_is_the_corpus(tmp_path: Path, path: str) -> None:
    files(tmp_path, "mine/here/data/a.json", "set/data/b.json")
    corpus = find(card(), tmp_path, path=path.format(root=tmp_path))
    assert corpus is not None
    assert (corpus.root.root, corpus.files) == (tmp_path / "mine/here", ("data/a.json",))


@pytest.mark.parametrize("path", ["mine/*.json", "mine/a.json", "{root}/mine/a.json", "{root}/mine/*.json"])
def test_any_other_path_is_a_glob_of_record_files(tmp_path: Path, path: str) -> None:
    files(tmp_path, "mine/a.json", "mine/deep/b.json")
    corpus = find(card(), tmp_path, path=path.format(root=tmp_path))
    assert corpus is not None
    assert [corpus.root.local(name) for name in corpus.files] == [tmp_path / "mine/a.json"]


def test_a_folder_named_without_a_layout_gives_the_files_in_the_readers_form(tmp_path: Path) -> None:
    files(tmp_path, "mine/a.json", "mine/deep/b.json", "mine/c.csv")
    corpus = find(card(layout={"roots": ["."], "files": ["mine"]}), tmp_path, path="mine")
    assert corpus is not None
    assert corpus.files == ("a.json", "deep/b.json")


def test_a_record_file_that_links_out_of_the_data_root_is_an_error_that_names_it(tmp_path: Path) -> None:
    files(tmp_path, "data/set/data/a.json", "secret/b.json")
    (tmp_path / "data/set/data/b.json").symlink_to(tmp_path / "secret/b.json")
    with pytest.raises(CorpusError, match=r"data/b\.json in .*set leads out of the data root"):
        find(card(), tmp_path / "data")
    with pytest.raises(CorpusError) as error:
        find(card(identifiers="keyed"), tmp_path / "data")
    assert "b.json" not in str(error.value)


def test_links_within_the_data_root_are_followed(tmp_path: Path) -> None:
    files(tmp_path, "blobs/1", "set/data/a.json")
    (tmp_path / "set/data/b.json").symlink_to("../../blobs/1")
    corpus = find(card(), tmp_path)
    assert corpus is not None
    assert corpus.files == ("data/a.json", "data/b.json")


def test_a_folder_that_links_out_of_the_data_root_is_an_error_that_names_it(tmp_path: Path) -> None:
    files(tmp_path, "data/set/data/a.json", "secret/b.json")
    (tmp_path / "data/set/data/more").symlink_to(tmp_path / "secret")
    with pytest.raises(CorpusError, match=r"data/more in .*set leads out of the data root"):
        find(card(layout={"roots": ["set"], "files": ["data/**/*.json"]}), tmp_path / "data")


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    files(tmp_path, "set/data/a.json")
    monkeypatch.setattr("sources.storage.globs.os.scandir", refuse)
    with pytest.raises(CorpusError, match=r"cannot be read \(Permission denied\)"):
        find(card(), tmp_path)


def test_a_record_file_whose_name_is_not_utf8_is_an_error_and_a_picture_is_listed(tmp_path: Path) -> None:
    files(tmp_path, "set/data/a.json", "set/data/caf\udce9.json")
    with pytest.raises(CorpusError, match=r"the name of data/caf%E9\.json .* is not UTF-8: rename it"):
        find(card(), tmp_path)
    with pytest.raises(CorpusError, match="is not UTF-8: rename it") as caught:
        find(card(identifiers="keyed"), tmp_path)
    assert "caf" not in str(caught.value)
    corpus = find(card(reader="image_folder"), tmp_path)
    assert corpus is not None
    assert corpus.files == ("data/a.json", "data/caf\udce9.json")
