"""Pictures that are published as zips beside the records, read where they are."""

import io
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sources.cards import catalogue
from sources.find import find_corpus
from sources.identity import Identity
from sources.records import CorpusError
from sources.storage import FileStat, LocalFolder, TooLargeError
from sources.storage.member_index import MemberIndex
from sources.storage.packed import PackedFolder, packed
from sources.storage.zip_members import ArchiveError, unpacked, zip_members
from tests.sources.corpora_fixtures import MAKERS
from tests.sources.corpora_fixtures.writing import put, put_zip
from tests.sources.test_corpora import TRAINED_ON, Read

PACKED = {
    "pmc_oa_jsonl": ("PMC-OA", "images", "images.zip", ""),
    "pmc_oa_beta": ("PMC-OA-beta", "images", "images.zip", "caption_T060_filtered_top4_sep_v0_subfigures/"),
    "pmc_vqa": ("PMC-VQA", "images", "images.zip", "images/"),
    "pmc_vqa_v2": ("PMC-VQA", "figures", "images_2.zip", "figures/"),
    "slake": ("Slake1.0", "imgs", "imgs.zip", "imgs/"),
    "medpix_2": ("MedPix-2.0/MedPix-2-0", "images", "images.zip", ""),
    "allava": ("ALLaVA-4V", "allava_laion/images", "allava_laion/images.zip", "images/"),
    "llava_med_alignment": ("LLaVA-Med", "data/images", "data/images.zip", ""),
    "quilt_1m": ("quilt_1m", "quilt_1m", "images_part_1.zip", "quilt_1m/"),
    "pubmedvision_alignment": ("PubMedVision", "images", "images_0.zip", "images/"),
}
"""Corpus -> its folder, the folder of its pictures there, the zip they are published in, what is before their names."""


def pack(data: Path, name: str) -> Path:
    """Put a fixture's pictures into the zip they are published in; gives the zip."""
    root, folder, archive, above = PACKED[name]
    pictures = data / root / folder
    files = sorted(pictures.rglob("*.*"))
    members = {f"{above}{path.relative_to(pictures).as_posix()}": path.read_bytes() for path in files}
    shutil.rmtree(pictures)
    put_zip(data / root / archive, members)
    return data / root / archive


@pytest.mark.parametrize("name", sorted(PACKED))
def test_pictures_are_found_in_the_archive_that_they_are_published_in(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = Read(tmp_path / "unpacked", name)
    monkeypatch.setitem(MAKERS, name, _packing(name))
    packed = Read(tmp_path / "packed", name)
    assert packed.missing == 0
    assert len(packed.samples) == TRAINED_ON[name]
    assert packed.samples == unpacked.samples
    uri = packed.samples[0]["images"][0]["uri"]
    assert packed.corpus.root.read(uri) == unpacked.corpus.root.read(uri)


def _packing(name: str) -> Callable[[Path], None]:
    make = MAKERS[name]

    def made(data: Path) -> None:
        make(data)
        pack(data, name)

    return made


def folder_of(tmp_path: Path, members: dict[str, bytes], name: str = "images.zip") -> PackedFolder:
    put_zip(tmp_path / name, members)
    base = LocalFolder(tmp_path)
    found = packed(base, base.glob(["**/*.zip"]))
    assert isinstance(found, PackedFolder)
    return found


def test_a_real_file_goes_before_a_member_and_the_whole_name_before_the_base_name(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.jpg": b"member", "b.jpg": b"top", "deep/b.jpg": b"deep", "x/c.jpg": b"only"})
    put(tmp_path / "images/a.jpg", b"real")
    assert folder.read("images/a.jpg") == b"real"
    assert folder.read("images/b.jpg") == b"top"
    assert folder.read("images/deep/b.jpg") == b"deep"
    assert folder.read("images/c.jpg") == b"only"
    assert folder.stat("images/elsewhere/b.jpg") is None  # two of that name: which one cannot be told
    assert folder.stat("other/a.jpg") is None
    with pytest.raises(FileNotFoundError):
        folder.read("images/d.jpg")


def test_a_member_that_is_damaged_is_empty_and_one_that_claims_too_much_is_too_large(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.jpg": bytes(range(256)) * 40, "bomb.bmp": b"\0" * (17 * 2**20)})
    with pytest.raises(TooLargeError):
        folder.read("images/bomb.bmp")
    data = bytearray((tmp_path / "images.zip").read_bytes())
    data[60:70] = b"\xff" * 10
    (tmp_path / "other.zip").write_bytes(data)
    [stat] = LocalFolder(tmp_path).glob(["other.zip"])
    assert packed(LocalFolder(tmp_path), [stat]).read("other/a.jpg") == b""


def test_a_member_whose_bytes_have_rotted_is_empty(tmp_path: Path) -> None:
    data = bytearray(zip_of("a.jpg", b"made-up pixels", zipfile.ZIP_STORED))
    data[data.index(b"pixels")] ^= 1
    index = MemberIndex(zip_members(io.BytesIO(data), len(data)))
    found = index.member("a.jpg")
    assert found is not None
    assert unpacked(io.BytesIO(data), found) == b""


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_that_claims_to_be_packed_in_far_more_than_it_holds_is_not_read(method: int) -> None:
    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size < 2**20, "as many bytes as the directory claims"
            return super().read(size)

    data = zip_of("a.jpg", b"ten bytes.", method)
    found = MemberIndex(zip_members(io.BytesIO(data), len(data))).member("a.jpg")
    assert found is not None
    assert unpacked(Watched(data), found) == b"ten bytes."
    assert unpacked(Watched(data), replace(found, packed=10**11)) == b""


def test_the_directory_of_each_of_many_zips_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(70):
        put_zip(tmp_path / f"part_{number:02}.zip", {f"{number}.jpg": b"made up"})
    base, made = LocalFolder(tmp_path), []
    monkeypatch.setattr("sources.storage.packed.MemberIndex", lambda rows: made.append(1) or MemberIndex(rows))
    folder = packed(base, base.glob(["*.zip"]))
    for number in (0, 69, 1):
        assert folder.read(f"{number}.jpg") == b"made up"
    assert len(made) == 70


def zip_of(name: str, data: bytes, method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def test_names_that_lead_out_and_encrypted_members_are_not_there(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"../a.jpg": b"out", "/b.jpg": b"out", "d\\e.jpg": b"out", "c.jpg": b"in"})
    assert [folder.stat(f"images/{name}") is not None for name in ("../a.jpg", "a.jpg", "b.jpg", "e.jpg", "c.jpg")] == [
        False, False, False, False, True
    ]  # fmt: skip


def test_a_download_that_broke_off_is_told_with_its_name_before_anything_is_read(tmp_path: Path) -> None:
    MAKERS["pmc_oa_jsonl"](tmp_path)
    archive = pack(tmp_path, "pmc_oa_jsonl")
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(CorpusError, match=r"images\.zip: is no zip, or was cut off.*download it again"):
        find_corpus(catalogue()["pmc_oa_jsonl"], "pmc_oa_jsonl", [LocalFolder(tmp_path)], Identity("pmc_oa_jsonl"))


def test_a_directory_of_zip64_is_read_as_zipfile_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)  # or a test would need 65,536 members
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for n in range(10):
            archive.writestr(f"{n}.txt", b"")
        with archive.open("wide.txt", "w", force_zip64=True) as member:
            member.write(b"wide")
    index = MemberIndex(zip_members(file, len(file.getvalue())))
    assert len(index) == 11
    found = index.member("wide.txt")
    assert found is not None
    assert found.size == 4
    [info] = [one for one in zipfile.ZipFile(file).infolist() if one.filename == "wide.txt"]
    assert found.offset == info.header_offset


def test_a_directory_that_is_not_where_it_says_is_damage() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", b"a")
    data = bytearray(file.getvalue())
    struct.pack_into("<I", data, len(data) - 6, 2**31)
    with pytest.raises(ArchiveError, match="damaged"):
        MemberIndex(zip_members(io.BytesIO(data), len(data)))


def test_a_folder_with_zips_is_a_value(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.jpg": b"a"})
    assert folder == PackedFolder(LocalFolder(tmp_path), folder.archives, LocalFolder(tmp_path))
    assert hash(folder) == hash(PackedFolder(LocalFolder(tmp_path), folder.archives, LocalFolder(tmp_path)))
    assert isinstance(folder.archives[0], FileStat)
