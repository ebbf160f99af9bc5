"""Where pictures are opened: files of the corpus, and pictures inside the fragment's own file."""

import pickle
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.session import Located
from sources.readers.registry import reader_named
from sources.records import Corpus
from sources.storage import LocalFolder
from tests.sources.corpora import corpus_in, planned
from tests.sources.packed_files import captioned, png, write_tar


def located(folder: Path, reader: str, files: str) -> Located:
    corpus = corpus_in(folder, reader, files, task="caption")
    return Located(corpus, planned(corpus)[0], reader_named(reader))


def test_a_picture_inside_is_its_reader_s_and_any_other_the_corpus_s(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", captioned(2))
    (tmp_path / "beside.png").write_bytes(png(7))
    inside = located(tmp_path, "webdataset", "a.tar")
    assert inside.open("a.tar#0001.png") == png(1)
    assert inside.open("beside.png") == png(7)
    assert [inside.is_there(uri) for uri in ("a.tar#0001.png", "a.tar#9.png", "beside.png", "gone.png")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert pickle.loads(pickle.dumps(inside)).open("a.tar#0000.png") == png(0)


def test_a_number_sign_in_a_file_s_name_is_no_inner_picture_where_records_hold_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"image": "a.jsonl#b.png", "text": "x"}\n', encoding="utf-8")
    (tmp_path / "a.jsonl#b.png").write_bytes(png(3))
    assert located(tmp_path, "jsonl", "a.jsonl").open("a.jsonl#b.png") == png(3)


def test_the_signature_of_inner_pictures_follows_the_content_not_the_file_s_time(tmp_path: Path) -> None:
    def signature(seed: int) -> list[Any]:
        write_tar(tmp_path / "a.tar", [("s.txt", b"Text."), ("s.png", png(seed))])
        return located(tmp_path, "webdataset", "a.tar").signature(["a.tar#s.png"])

    first = signature(1)
    time.sleep(0.01)
    assert signature(1) == first
    assert signature(2) != first


@dataclass(frozen=True)
class _Far:
    """A folder of this machine that answers 20 ms late."""

    near: LocalFolder

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("read", "stat"):
            time.sleep(0.02)
        return getattr(self.near, name)


@pytest.fixture
def far(tmp_path: Path) -> Corpus:
    for number in range(60):
        (tmp_path / f"{number:02}.png").write_bytes(png(number))
    corpus = corpus_in(tmp_path, "image_folder", "*.png", task="caption")
    return replace(corpus, root=_Far(corpus.root))  # type: ignore[arg-type]


def test_pictures_of_far_storage_are_read_ahead_and_signed_together(far: Corpus) -> None:
    near = replace(far, root=far.root.near)  # type: ignore[attr-defined]
    there = Located(far, planned(near)[0], reader_named("image_folder"))
    here = Located(near, planned(near)[0], reader_named("image_folder"))
    uris = [f"{number:02}.png" for number in range(60)]
    began = time.monotonic()
    signature = there.signature(uris)
    with there.opening([(uri, size) for uri, size, _ in signature if isinstance(size, int)]) as open_image:
        found = [open_image(uri) for uri in uris]
        with pytest.raises(FileNotFoundError):
            open_image("gone.png")
    assert time.monotonic() - began < 0.5 * 2 * 60 * 0.02
    assert signature == here.signature(uris)
    assert found == [here.open(uri) for uri in uris]
