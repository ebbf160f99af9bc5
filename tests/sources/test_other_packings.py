from pathlib import Path
from typing import Any

import pytest

from sources.cards import Card
from sources.find import find_corpus
from sources.identity import Identity
from sources.other_packings import left_packed
from sources.records import Corpus, CorpusError
from sources.storage import LocalFolder

PUBLIC = Identity("notes")


def find(folder: Path, path: str | None = "notes", reader: str = "jsonl", **settings: Any) -> Corpus | None:
    files = {} if path is None else {"files": [path]}
    layout = {"roots": ["notes"], "files": ["*.jsonl"], **files}
    card = Card(name="notes", reader=reader, layout=layout, task="caption", access="open", **settings)
    return find_corpus(card, "notes", [LocalFolder(folder)], PUBLIC, path)


def put(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")


@pytest.mark.parametrize("end", [".zst", ".xz", ".bz2"])
@pytest.mark.parametrize("path", ["notes", "notes/*.jsonl", "notes/b.jsonl", None])
def test_a_record_file_that_is_not_unpacked_is_named(tmp_path: Path, end: str, path: str | None) -> None:
    put(tmp_path, f"notes/b.jsonl{end}")
    with pytest.raises(CorpusError, match=rf"b\.jsonl\{end} in \S+: \{end} is not read; unpack it"):
        find(tmp_path, path)


def test_one_beside_files_that_are_read_is_told_and_ends_nothing(tmp_path: Path) -> None:
    put(tmp_path, "notes/a.jsonl", "notes/b.jsonl.zst", "notes/c.jsonl.zst", "notes/a.jsonl.old.xz")
    corpus = find(tmp_path)
    assert corpus is not None
    assert corpus.files == ("a.jsonl",)
    told = left_packed(corpus)
    assert told is not None
    assert told.startswith(f"notes: b.jsonl.zst in {tmp_path / 'notes'} (and 1 more): .zst is not read; unpack it")


@pytest.mark.parametrize("unpacked", ["notes/a.jsonl", "notes/a.jsonl.gz"])
def test_one_that_is_there_in_a_form_that_is_read_is_not_missed(tmp_path: Path, unpacked: str) -> None:
    put(tmp_path, unpacked, "notes/a.jsonl.zst", "notes/a.png.xz", "notes/readme.zst", "notes/a.jsonl.txt.gz")
    corpus = find(tmp_path)
    assert corpus is not None
    assert corpus.files == ("a.jsonl",)
    assert left_packed(corpus) is None


def test_names_of_a_keyed_corpus_are_not_told(tmp_path: Path) -> None:
    put(tmp_path, "notes/jane.jsonl.zst")
    with pytest.raises(CorpusError, match=r"^notes: a file in \.zst: \.zst is not read"):
        find(tmp_path, identifiers="keyed")


@pytest.mark.parametrize("end", [".zst", ".xz", ".bz2"])
def test_a_tar_that_is_not_unpacked_is_named(tmp_path: Path, end: str) -> None:
    put(tmp_path, f"notes/a.tar{end}")
    with pytest.raises(CorpusError, match=rf"a\.tar\{end} in"):
        find(tmp_path, reader="webdataset", path="notes/*.tar")
