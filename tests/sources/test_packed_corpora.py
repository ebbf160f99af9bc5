"""Whole corpora in archives, records and pictures, read as if each had been unpacked."""

import gzip
import io
import json
import random
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.cards import Card, Layout, catalogue
from sources.find import find_corpus
from sources.identity import Identity
from sources.records import Corpus, CorpusError, Record
from sources.storage import LocalFolder, member_index
from sources.storage.inflated import APART_BYTES, GZIP, RAW, Inflated, Places
from sources.storage.packed import archive_at, packed
from sources.storage.zip_members import ArchiveError
from tests.sources.corpora import read
from tests.sources.corpora_fixtures import MAKERS
from tests.sources.corpora_fixtures.writing import picture, put
from tests.sources.test_corpora import Read

READ_AS_TARS = {"biomedica", "ubench"}
"""Corpora whose reader takes tars itself, or must see a repository whole."""


def zip_up(folder: Path, archive: Path, above: str = "") -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, f"{above}{path.relative_to(folder).as_posix()}")


def tar_up(folder: Path, archive: Path, above: str = "") -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        file.add(folder, above.rstrip("/") or ".")
    archive.write_bytes(gzip.compress(data.getvalue(), 1) if archive.name.endswith("gz") else data.getvalue())


PACKERS: dict[str, Callable[..., None]] = {".zip": zip_up, ".tar": tar_up, ".tgz": tar_up}


def packed_read(tmp_path: Path, name: str, suffix: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Read, Read]:
    """A fixture's corpus as files, and the same in one archive that is called like its folder."""
    plain = Read(tmp_path / "plain", name)
    top = Path(plain.corpus.root.place).relative_to((tmp_path / "plain").resolve()).parts[0]

    def made(data: Path) -> None:
        make(data)
        PACKERS[suffix](data / top, data / f"{top}{suffix}", f"{top}/" if suffix != ".tar" else "")
        shutil.rmtree(data / top)

    make = MAKERS[name]
    monkeypatch.setitem(MAKERS, name, made)
    return plain, Read(tmp_path / "packed", name)


@pytest.mark.parametrize("name", sorted({*MAKERS} - READ_AS_TARS))
def test_a_corpus_in_a_zip_gives_the_same_samples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, inside = packed_read(tmp_path, name, ".zip", monkeypatch)
    assert inside.samples == plain.samples
    assert inside.missing == 0


@pytest.mark.parametrize("name", ["pmc_oa_jsonl", "path_vqa", "hospital_dicom", "mimic_cxr_jpg", "medqa"])
@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_and_in_a_tar(name: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, inside = packed_read(tmp_path, name, suffix, monkeypatch)
    assert inside.samples == plain.samples
    assert inside.missing == 0


def test_an_archive_is_data_and_what_lies_in_a_corpus_folder_is_looked_into(tmp_path: Path) -> None:
    MAKERS["slake"](tmp_path / "made")
    (tmp_path / "slake").mkdir()
    zip_up(tmp_path / "made/Slake1.0", tmp_path / "slake/download.zip", "Slake1.0/")
    zip_up(tmp_path / "made", tmp_path / "all.zip")
    for root in (LocalFolder(tmp_path), archive_at(LocalFolder(tmp_path), "all.zip")):
        assert root is not None
        corpus = find_corpus(catalogue()["slake"], "slake", [root], Identity("slake"))
        assert corpus is not None
        assert [record.row["qid"] for record in read(corpus) if isinstance(record, Record)]


FIELDS = {"id": "id", "text": "text"}


def own_corpus(folder: Path, path: str, reader: str = "jsonl") -> Corpus | None:
    card = Card(name="own", reader=reader, layout=Layout(files=(path,)), fields=FIELDS, task="text", access="open")
    return find_corpus(card, "own", [LocalFolder(folder)], Identity("own"), path)


ROWS = [{"id": n, "text": random.Random(n).randbytes(200).hex()} for n in range(5000)]


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz"])
def test_large_files_of_records_are_read_in_fragments_from_inside(suffix: str, tmp_path: Path) -> None:
    put(tmp_path / "made/a.jsonl", "".join(f"{json.dumps(row)}\n" for row in ROWS))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "made/b.parquet", row_group_size=500)
    (tmp_path / "made/c.csv").write_text("id,text\n" + "".join(f'{row["id"]},"{row["text"]}"\n' for row in ROWS))
    PACKERS[suffix](tmp_path / "made", tmp_path / f"notes{suffix}")
    for path, reader in (("/a.jsonl", "jsonl"), ("/b.parquet", "parquet"), ("", "csv")):
        corpus = own_corpus(tmp_path, f"notes{suffix}{path}", reader)
        assert corpus is not None
        found = [record.row for record in read(corpus) if isinstance(record, Record)]
        assert [(int(row["id"]), row["text"]) for row in found] == [(row["id"], row["text"]) for row in ROWS], reader


@pytest.mark.parametrize("form", [GZIP, RAW])
def test_what_is_unpacked_can_be_read_from_any_place(form: int) -> None:
    data = b"".join(random.Random(n).randbytes(2**18) + bytes(2**18) for n in range(20))
    packer = zlib.compressobj(1, zlib.DEFLATED, form)
    stream, places = packer.compress(data) + packer.flush(), Places()
    known = (len(data), zlib.crc32(data)) if form == RAW else (None, 0)
    stream = stream * 2 if form == GZIP else stream
    rng = random.Random(0)
    for _ in range(3):
        with Inflated(io.BytesIO(stream), form, places, *known) as file:
            for _ in range(10):
                place, size = rng.randrange(len(data)), rng.choice([1, 1000, 10**6])
                file.seek(place)
                got = b""
                while len(got) < min(size, len(data) - place):
                    got += file.read(min(size, len(data) - place) - len(got)) or b""
                assert got == data[place : place + size]
    assert len(places.at) > len(data) / APART_BYTES / 2


@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_pictures_in_a_tar_beside_the_records_are_found(suffix: str, tmp_path: Path) -> None:
    put(tmp_path / "made/x/a.jpg", picture(1))
    PACKERS[suffix](tmp_path / "made", tmp_path / f"films{suffix}")
    put(tmp_path / "a.jsonl", json.dumps({"text": "made up", "image": "x/a.jpg"}))
    layout = Layout(files=("*.jsonl",), images="films", archives=("films.*",))
    card = Card(name="own", reader="jsonl", layout=layout, task="caption", access="open")
    corpus = find_corpus(card, "own", [LocalFolder(tmp_path)], Identity("own"))
    assert corpus is not None
    assert corpus.root.read("films/x/a.jpg") == picture(1)


def test_an_archive_that_was_cut_off_or_is_none_is_told_by_its_name(tmp_path: Path) -> None:
    MAKERS["slake"](tmp_path / "made")
    for suffix, pack in PACKERS.items():
        archive = tmp_path / suffix / f"slake{suffix}"
        archive.parent.mkdir()
        pack(tmp_path / "made/Slake1.0", archive)
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
        with pytest.raises(CorpusError, match=rf"slake\{suffix}: .*download (it|the archive) again"):
            find_corpus(catalogue()["slake"], "slake", [LocalFolder(archive.parent)], Identity("slake"))


def test_a_file_whose_bytes_have_rotted_is_an_error_and_no_end(tmp_path: Path) -> None:
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    put(tmp_path / "made/a.jsonl", lines)
    zip_up(tmp_path / "made", tmp_path / "notes.zip")
    data = bytearray((tmp_path / "notes.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "notes.zip").write_bytes(data)
    corpus = own_corpus(tmp_path, "notes.zip")
    assert corpus is not None
    with pytest.raises(CorpusError, match=r"a\.jsonl: cannot be read .*damaged"):
        read(corpus)


def test_of_two_archives_with_a_file_of_one_name_none_is_taken_for_the_other(tmp_path: Path) -> None:
    for part in ("1", "2"):
        put(tmp_path / f"made{part}/a.jsonl", json.dumps({"text": f"of part {part}"}))
        put(tmp_path / f"made{part}/same.jpg", b"the same")
        put(tmp_path / f"made{part}/other.jpg", f"of part {part}")
        (tmp_path / "notes").mkdir(exist_ok=True)
        zip_up(tmp_path / f"made{part}", tmp_path / f"notes/part{part}.zip")
    with pytest.raises(CorpusError, match=r"part2\.zip and another archive both hold a\.jsonl"):
        own_corpus(tmp_path, "notes")
    folder = LocalFolder(tmp_path / "notes")
    both = packed(folder, folder.glob(["*.zip"]))
    assert both.read("same.jpg") == b"the same"
    assert both.stat("other.jpg") is None
    assert both.read("part2/other.jpg") == b"of part 2"


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "made/a.jsonl", b" " * (17 * 2**20))
    zip_up(tmp_path / "made", tmp_path / "notes.zip")
    corpus = own_corpus(tmp_path, "notes.zip")
    assert corpus is not None
    with pytest.raises(CorpusError, match="bytes, more than"):
        read(corpus)


def test_a_page_that_was_saved_as_an_archive_is_none(tmp_path: Path) -> None:
    put(tmp_path / "notes.zip", "<html>sign in first</html>")
    with pytest.raises(ArchiveError, match="is no zip"):
        archive_at(LocalFolder(tmp_path), "notes.zip")


def test_an_archive_of_archives_is_told(tmp_path: Path) -> None:
    MAKERS["slake"](tmp_path / "made")
    zip_up(tmp_path / "made/Slake1.0", tmp_path / "made/inner.zip")
    shutil.rmtree(tmp_path / "made/Slake1.0")
    zip_up(tmp_path / "made", tmp_path / "Slake1.0.zip")
    with pytest.raises(CorpusError, match="unpack the outer one"):
        find_corpus(catalogue()["slake"], "slake", [LocalFolder(tmp_path)], Identity("slake"))


def test_records_in_gzip_are_read_as_if_unpacked_beside_themselves(tmp_path: Path) -> None:
    plain, text = tmp_path / "plain", "".join(f"{json.dumps(row)}\n" for row in ROWS)
    put(plain / "notes/a.jsonl", text)
    put(plain / "notes/deep/b.jsonl", '{"id": 1, "text": "last"}\n')
    inside = tmp_path / "inside"
    for path in ("notes/a.jsonl", "notes/deep/b.jsonl"):
        (inside / path).parent.mkdir(parents=True, exist_ok=True)
        (inside / f"{path}.gz").write_bytes(gzip.compress((plain / path).read_bytes(), 1))
    put(inside / "notes/c.jsonl", '{"id": 2, "text": "not packed"}\n')
    put(plain / "notes/c.jsonl", '{"id": 2, "text": "not packed"}\n')
    expected = own_corpus(plain, "notes/**/*.jsonl")
    assert expected is not None
    for path in ("notes/**/*.jsonl", "notes"):
        corpus = own_corpus(inside, path)
        assert corpus is not None
        assert [Path(file).name for file in corpus.files] == [Path(file).name for file in expected.files]
        assert list(read(corpus)) == list(read(expected))
    one = own_corpus(inside, "notes/a.jsonl.gz")
    assert one is not None
    assert one.files == ("notes/a.jsonl",)


def test_of_a_file_and_the_same_in_gzip_one_is_read(tmp_path: Path) -> None:
    put(tmp_path / "notes/a.csv", "id,text\n1,one\n")
    (tmp_path / "notes/a.csv.gz").write_bytes(gzip.compress(b"id,text\n1,one\n"))
    corpus = own_corpus(tmp_path, "notes", "csv")
    assert corpus is not None
    assert [record.row["text"] for record in read(corpus) if isinstance(record, Record)] == ["one"]


def test_a_gzip_that_was_cut_off_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1}\n' * 9000)[:-9])
    corpus = own_corpus(tmp_path, "notes.jsonl.gz")
    assert corpus is not None
    with pytest.raises(CorpusError, match=r"notes\.jsonl: cannot be read \(does not unpack to its end"):
        read(corpus)


def test_a_record_file_in_gzip_is_unpacked_for_its_size_only_where_it_is_read_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes").mkdir()
    for name in "abcd":
        (tmp_path / f"notes/{name}.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1, "text": "one"}\n'))
    sized: list[str] = []
    real = member_index.members_of

    def counted(file: Any, path: str, size: int) -> Any:
        sized.append(path)
        return real(file, path, size)

    monkeypatch.setattr("sources.storage.packed.members_of", counted)
    corpus = own_corpus(tmp_path, "notes")
    assert corpus is not None
    assert len(corpus.files) == 4
    assert corpus.root.names()
    assert not corpus.root.has_folder("pictures")
    assert corpus.root.stat("picture.jpg") is None
    assert sized == []
    for _ in range(3):
        assert corpus.root.read("b.jsonl").startswith(b"{")
        assert corpus.root.glob(["b.*"])[0].size == 25
    assert sized == ["b.jsonl.gz"]
    assert len(read(corpus)) == 4
    assert sorted(sized) == [f"{name}.jsonl.gz" for name in "abcd"]


def test_a_folder_that_lacks_the_records_is_not_told_that_its_archive_holds_archives(tmp_path: Path) -> None:
    put(tmp_path / "made/a.jpg", picture(0))
    (tmp_path / "slake").mkdir()
    zip_up(tmp_path / "made", tmp_path / "slake/imgs.zip")
    assert find_corpus(catalogue()["slake"], "slake", [LocalFolder(tmp_path)], Identity("slake")) is None
