import bz2
import errno
import gzip
import lzma
import pickle
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from sources.cards import Card, Layout
from sources.find import DEFAULT_FILES, find_corpus
from sources.identity import Identity
from sources.readers.registry import reader_named
from sources.records import Corpus, CorpusError, Record
from sources.storage import folder_at
from sources.storage import hub as hub_module
from sources.storage.folder import OutsideError, StoreError, TooLargeError
from sources.storage.hub import HubFolder
from sources.uris import PICTURE
from tests.sources.hf_sets import film, png
from tests.sources.hub_server import COMMIT, REPOSITORY, Hub, serving

PLACE = f"hf://datasets/{REPOSITORY}@{COMMIT}"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tmp_path / "repository"
    (folder / "data").mkdir(parents=True)
    (folder / ".gitattributes").write_text("*.parquet lfs")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Films")
    (folder / "data/notes.txt").write_bytes(bytes(range(256)) * 4096)
    for split, rows in (("train", 30), ("test", 5)):
        film(rows).to_parquet(str(folder / f"data/{split}-00000-of-00001.parquet"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    hub_module._tree.cache_clear()
    with serving(folder) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
    hub_module._tree.cache_clear()


def found(path: str, **card: object) -> Corpus:
    settings = {"name": "films", "reader": "hf", "layout": Layout(files=(path,)), "task": "caption", "access": "open"}
    made = Card.model_validate({**settings, "fields": {"text": "note", "image": "image"}, **card})
    corpus = find_corpus(made, "films", [], Identity("films"), path) or find_corpus(
        made, "films", [folder_at(".")], Identity("films"), path
    )
    assert corpus is not None
    return corpus


def test_a_repository_at_a_commit_is_a_folder(hub: Hub) -> None:
    folder = folder_at(PLACE)
    assert folder.place == PLACE
    assert folder.names() == [".gitattributes", "README.md", "data"]
    assert [stat.path for stat in folder.glob(["**/*.parquet", "*.md", "**/.git*"])] == [
        "README.md", "data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet",
    ]  # fmt: skip
    data = folder.inside("data")
    assert data.place == f"{PLACE}/data"
    assert data.read("notes.txt") == (hub.folder / "data/notes.txt").read_bytes()
    assert data.stat("notes.txt").size == 2**20
    assert (data.stat("README.md"), folder.has_folder("data"), folder.has_folder("dat")) == (None, True, False)
    assert pickle.loads(pickle.dumps(data)) == data


def test_only_what_is_read_is_fetched(hub: Hub) -> None:
    hub.asked.clear()
    with folder_at(f"{PLACE}/data").open("notes.txt") as file:
        file.seek(700_000)
        assert file.read(10) == (hub.folder / "data/notes.txt").read_bytes()[700_000:700_010]
    ranges = [asked for path, asked in hub.asked if path.endswith("notes.txt")]
    assert ranges == ["bytes=0-65535", "bytes=700000-765535"]


def test_paths_that_lead_out_and_files_that_are_too_large_are_refused(hub: Hub) -> None:
    folder = folder_at(f"{PLACE}/data")
    for path in ("../README.md", "/README.md", "a//b"):
        assert folder.stat(path) is None
        with pytest.raises(OutsideError):
            folder.open(path)
    with pytest.raises(FileNotFoundError):
        folder.open("nothing.txt")
    with pytest.raises(TooLargeError):
        folder.read("notes.txt", 1000)
    with pytest.raises(StoreError, match="only read"):
        folder.write("x", b"")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (f"hf://datasets/{REPOSITORY}", "names no revision"),
        (f"hf://datasets/{REPOSITORY}@main", "the branch or tag 'main', which may be other data tomorrow"),
        (f"hf://datasets/{REPOSITORY}@0123abc", "the branch or tag '0123abc'"),
        ("hf://models/a/b", "not a data set of the hub"),
        ("hf://datasets/films", "not a data set of the hub"),
    ],
)
def test_what_is_not_pinned_to_a_commit_is_refused(place: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        folder_at(place)


def test_errors_of_the_hub_say_what_to_do_and_none_says_that_a_file_is_absent(hub: Hub) -> None:
    with pytest.raises(StoreError, match="no such commit"):
        folder_at(f"hf://datasets/{REPOSITORY}@{'f' * 40}").exists()
    with pytest.raises(StoreError, match="no such data set, or none that may be read") as error:
        folder_at(f"hf://datasets/tests/other@{COMMIT}").exists()
    assert error.value.errno == errno.EACCES


def test_a_gated_data_set_is_read_with_the_token_of_the_environment(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated, hub.token = True, "hf_secret"
    page = f"{hub.url}/datasets/{REPOSITORY}"
    with pytest.raises(StoreError, match="is gated, and HF_TOKEN is not set") as error:
        folder_at(PLACE).exists()
    assert error.value.hint == (
        f"sign in at {page}, accept the conditions shown there, make a token that may read it at"
        f" {hub.url}/settings/tokens, and give it in HF_TOKEN; then run the same command again"
    )
    monkeypatch.setenv("HF_TOKEN", "hf_anothers")
    with pytest.raises(StoreError, match="is gated, and the account of HF_TOKEN has no access to it") as error:
        folder_at(PLACE).exists()
    assert f"{page} with the account whose token HF_TOKEN holds, and accept the conditions" in error.value.hint
    assert "hf_anothers" not in str(error.value) + error.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    folder = folder_at(PLACE)
    assert folder.read("README.md").startswith(b"---")
    assert "hf_secret" not in repr(folder) + repr(pickle.dumps(folder))
    assert hub.tokens == {None, "hf_anothers", "hf_secret"}


def test_a_bare_401_says_where_a_token_comes_from(hub: Hub) -> None:
    hub.refuses = True
    with pytest.raises(StoreError, match="asks for a token, and HF_TOKEN is not set") as error:
        folder_at(PLACE).exists()
    assert f"{hub.url}/settings/tokens" in error.value.hint


@pytest.mark.parametrize("name", ["train.jsonl.gz", "train.jsonl.bz2", "train.jsonl.xz"])
def test_compressed_files_of_a_repository_are_read_onwards_from_where_a_worker_stands(hub: Hub, name: str) -> None:
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[name.rpartition(".")[2]]
    rows = b"".join(orjson.dumps({"note": f"note {n}", "n": n}) + b"\n" for n in range(9000))
    for path in sorted(hub.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (hub.folder / name).write_bytes(pack(rows))
    corpus = found(PLACE, fields={"text": "note"}, meta=("n",))
    reader = reader_named("hf")
    fragments = list(reader.plan(corpus, corpus.files))
    assert [fragment.records for fragment in fragments] == [4096, 4096, 808]
    hub.asked.clear()
    again = [record.row["n"] for fragment in reversed(fragments) for record in reader.read(corpus, fragment)]
    assert again == [*range(8192, 9000), *range(4096, 8192), *range(4096)]
    asked = len(hub.asked)
    onwards = [record.row["note"] for fragment in fragments for record in reader.read(corpus, fragment)]
    assert onwards == [f"note {n}" for n in range(9000)]
    if not name.endswith(".gz"):  # which is read from places within, not streamed
        assert len(hub.asked) - asked <= asked / 2  # the stream goes on where it stands


def test_a_stream_that_ends_early_is_an_error_before_anything_is_built(hub: Hub) -> None:
    rows = b"".join(orjson.dumps({"note": f"note {n}"}) + b"\n" for n in range(9000))
    (hub.folder / "README.md").write_text("---\nconfigs: [{config_name: default, data_files: a.jsonl.gz}]\n---\n")
    (hub.folder / "a.jsonl.gz").write_bytes(gzip.compress(rows)[:-1000])
    corpus = found(PLACE, fields={"text": "note"})
    with pytest.raises(CorpusError, match=r"does not unpack to its end.*download it again"):
        list(reader_named("hf").plan(corpus, corpus.files))


def test_a_hub_that_fails_now_and_then_is_asked_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_at(PLACE).exists()
    hub.failures = 1
    assert folder_at(PLACE).read("README.md").startswith(b"---")


def test_a_hub_that_cannot_be_reached_is_an_error_in_time(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="cannot be reached"):
        folder_at(PLACE).exists()


def test_a_data_set_of_the_hub_is_read_with_its_splits_labels_and_pictures(hub: Hub) -> None:
    corpus = found(PLACE, meta=("label",))
    reader = reader_named("hf")
    rows = [
        (fragment, record) for fragment in reader.plan(corpus, corpus.files) for record in reader.read(corpus, fragment)
    ]
    assert [record.row["@split"] for _, record in rows if isinstance(record, Record)] == ["test"] * 5 + ["train"] * 30
    fragment, last = rows[-1]
    assert isinstance(last, Record)
    assert (last.row["note"], last.row["label"]) == ("note 29", "gout")
    [uri] = [last.row[PICTURE]] if isinstance(last.row[PICTURE], str) else last.row[PICTURE]
    assert reader.open_picture(corpus, fragment, uri) == png(29)


def test_one_files_of_a_data_set_can_be_named_and_read_by_the_reader_of_its_form(hub: Hub) -> None:
    corpus = found(f"{PLACE}/data/train-*.parquet", reader="parquet", fields={"text": "note"})
    assert corpus.files == ("train-00000-of-00001.parquet",)
    reader = reader_named("parquet")
    assert sum(1 for fragment in reader.plan(corpus, corpus.files) for _ in reader.read(corpus, fragment)) == 30


def test_files_of_a_repository_are_looked_for_by_default() -> None:
    assert "**/*.parquet" in DEFAULT_FILES["hf"]
    assert HubFolder("a/b", COMMIT).inside(".") == HubFolder("a/b", COMMIT)
