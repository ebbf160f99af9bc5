import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sources.mapping import to_sample
from sources.pictures import PictureError
from sources.readers import tar_samples, zip_pictures
from sources.readers.archives import ArchiveReader
from sources.records import ChangedInputError, Corpus, CorpusError, Unreadable
from sources.schema import Reason
from sources.storage import TooLargeError
from tests.sources.corpora import PROMPTS, corpus_in, planned, read, samples
from tests.sources.packed_files import png, write_archive, write_zip

FORMS = ["a.zip", "a.tar", "a.tar.gz"]
TABLE = b"file_name,caption\na.png,First.\nb.png,Second.\nb.png,Third.\ngone.png,Nowhere.\n"


def corpus_of(folder: Path, files: str = "a.*", **card: Any) -> Corpus:
    return corpus_in(folder, "archive", files, **{"task": "caption", "fields": {"text": "caption"}, **card})


def shown(corpus: Corpus) -> list[tuple[str, str, bytes | None]]:
    """Key, caption and picture of every record; of one that is refused, why; None for a picture that is not there."""
    reader = ArchiveReader()
    found: list[tuple[str, str, bytes | None]] = []
    for fragment in planned(corpus):
        for item in reader.read(corpus, fragment):
            if isinstance(item, Unreadable):
                found.append((item.key, item.detail, None))
                continue
            sample = to_sample(corpus, fragment.path, item, PROMPTS)
            text = sample["turns"][-1]["text"] if sample["turns"] else ""
            try:
                picture = reader.open_picture(corpus, fragment, sample["images"][0]["uri"])
            except FileNotFoundError:
                picture = None
            found.append((item.key, text, picture))
    return found


@pytest.mark.parametrize("name", FORMS)
def test_every_picture_is_a_record_and_meets_the_metadata_beside_it(tmp_path: Path, name: str) -> None:
    members = [
        ("set/metadata.csv", TABLE), ("set/a.png", png(1)), ("set/README.txt", b"x"), ("set/b.png", png(2)),
        ("set/sub/c.png", png(3)), ("set/._c.png", b"x"),
    ]  # fmt: skip
    write_archive(tmp_path / name, members)
    assert shown(corpus_of(tmp_path)) == [
        ("set/a.png", "First.", png(1)),
        ("set/b.png", "Second.", png(2)),
        ("set/b.png", "Third.", png(2)),
        ("set/sub/c.png", "", png(3)),
        ("set/gone.png", "Nowhere.", None),
    ]


@pytest.mark.parametrize("name", FORMS)
def test_metadata_at_the_end_and_of_another_name_is_found(tmp_path: Path, name: str) -> None:
    rows = b'{"file": "deep/x/a.png", "t": "By name."}\n'
    write_archive(tmp_path / name, [("pics/a.png", png(1)), ("tables/all.jsonl", rows)])
    corpus = corpus_of(
        tmp_path, fields={"image": "file", "text": "t"}, options={"metadata": "tables/all.jsonl", "match": "name"}
    )
    assert shown(corpus) == [("pics/a.png", "By name.", png(1))]


@pytest.mark.parametrize("name", FORMS)
def test_metadata_that_the_card_names_must_be_there_and_have_its_columns(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, [("a.png", png(1)), ("metadata.csv", b"filename,caption\na.png,First.\n")])
    with pytest.raises(CorpusError, match=r"a\..*: the metadata that the card names is not in the archive"):
        planned(corpus_of(tmp_path, options={"metadata": "other.csv"}))
    with pytest.raises(CorpusError, match=r"a\..*no column 'file_name'; did you mean 'filename'"):
        planned(corpus_of(tmp_path))


@pytest.mark.parametrize("name", FORMS)
def test_a_bad_row_of_the_metadata_is_the_only_one_lost(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, [("metadata.csv", b"file_name,caption\na.png,First.\nx,y,z\n"), ("a.png", png(1))])
    corpus = corpus_of(tmp_path)
    [lost] = [record for record in read(corpus) if isinstance(record, Unreadable)]
    assert (lost.key, lost.reason) == ("metadata.csv#1", Reason.RECORD_MALFORMED)
    assert len(samples(corpus)) == 1


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    ("member", "detail"),
    [
        ("../evil.png", "the name of a member has '..' in it"),
        ("../../etc/cron.d/evil", "the name of a member has '..' in it"),
        ("/etc/evil.png", "the name of a member is absolute"),
        ("C:/evil.png", "the name of a member is absolute"),
        ("..\\evil.png", "the name of a member has backslashes"),
        ("inner.zip", "an archive inside an archive is not read: unpack the outer one"),
        ("inner.tar.gz", "an archive inside an archive is not read: unpack the outer one"),
    ],
)
def test_what_should_not_be_in_an_archive_is_refused_and_the_rest_is_read(
    tmp_path: Path, name: str, member: str, detail: str
) -> None:
    write_archive(tmp_path / name, [("a.png", png(1)), (member, png(2)), ("b.png", png(3))])
    found = shown(corpus_of(tmp_path, fields={}))
    assert found == [("a.png", "", png(1)), (member, detail, None), ("b.png", "", png(3))]


def test_a_link_in_a_tar_and_in_a_zip_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("evil.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("evil.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    reasons = {key: detail for key, detail, _ in shown(corpus_of(tmp_path, "*.tar", fields={}))}
    assert reasons == {"evil.png": "the member is not read: it is a symbolic link"}
    reasons = {key: detail for key, detail, _ in shown(corpus_of(tmp_path, "*.zip", fields={}))}
    assert reasons == {"evil.png": "the member is not read: it is a link or a device"}


def test_an_encrypted_member_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.png", png(1)), ("b.png", png(2))])
    data = bytearray(path.read_bytes())
    local, listed = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    data[local + 6] |= 1
    data[listed + 8] |= 1
    path.write_bytes(data)
    found = shown(corpus_of(tmp_path, fields={}))
    assert found == [("a.png", "the member is not read: it is encrypted", None), ("b.png", "", png(2))]


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_no_size_bounds_is_refused(tmp_path: Path, packing: int) -> None:
    write_zip(tmp_path / "a.zip", [("a.png", png(1))], packing)
    [(name, said, data)] = shown(corpus_of(tmp_path, fields={}))
    assert (name, data) == ("a.png", None)
    assert "cannot be bounded" in said


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_packings_that_their_size_bounds_are_read(tmp_path: Path, packing: int) -> None:
    write_zip(tmp_path / "a.zip", [(f"{n}.png", png(n)) for n in range(4)], packing)
    assert shown(corpus_of(tmp_path, fields={})) == [(f"{n}.png", "", png(n)) for n in range(4)]


def test_a_member_that_states_far_more_than_it_packs_is_a_bomb(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", [("bomb.png", bytes(20 * 2**20)), ("mask.bmp", bytes(2**20))])
    corpus = corpus_of(tmp_path, fields={})
    [fragment] = planned(corpus)
    with pytest.raises(TooLargeError):
        ArchiveReader().open_picture(corpus, fragment, "a.zip#bomb.png")
    assert len(ArchiveReader().open_picture(corpus, fragment, "a.zip#mask.bmp")) == 2**20


def test_a_zip_that_would_unpack_to_far_more_than_it_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zip_pictures, "TOTAL_RATIO_COUNTS_FROM", 2**20)
    write_zip(tmp_path / "a.zip", [(f"{n}.png", bytes(2**20)) for n in range(9)])
    with pytest.raises(CorpusError, match=r"a\.zip: would unpack to \d+ bytes from \d+: a bomb"):
        planned(corpus_of(tmp_path, fields={}))


def test_a_zip_whose_members_lie_in_one_another_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.png", png(1)), ("b.png", png(1))])
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, second + 42, 4)  # its data shall begin four bytes into the first one's
    path.write_bytes(data)
    with pytest.raises(CorpusError, match="its members overlap"):
        planned(corpus_of(tmp_path, fields={}))


@pytest.mark.parametrize("lie", [-100, +100])
def test_a_member_of_another_size_than_stated_does_not_unpack_and_the_rest_does(tmp_path: Path, lie: int) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.png", png(1)), ("b.png", png(2))])
    data = bytearray(path.read_bytes())
    for place in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        struct.pack_into("<I", data, place, len(png(1)) + lie)
    path.write_bytes(data)
    corpus = corpus_of(tmp_path, fields={})
    [fragment] = planned(corpus)
    with pytest.raises(PictureError) as caught:
        ArchiveReader().open_picture(corpus, fragment, "a.zip#a.png")
    assert caught.value.reason == Reason.IMAGE_UNDECODABLE
    assert ArchiveReader().open_picture(corpus, fragment, "a.zip#b.png") == png(2)


def test_a_member_whose_bytes_are_damaged_is_undecodable_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.png", png(1)), ("b.png", png(2))])
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 200] ^= 0xFF
    path.write_bytes(data)
    corpus = corpus_of(tmp_path, fields={})
    [fragment] = planned(corpus)
    with pytest.raises(PictureError):
        ArchiveReader().open_picture(corpus, fragment, "a.zip#a.png")
    assert ArchiveReader().open_picture(corpus, fragment, "a.zip#b.png") == png(2)


@pytest.mark.parametrize("cut", [0, 10, 5000, -10])
def test_a_zip_that_is_cut_off_is_an_error_that_names_it(tmp_path: Path, cut: int) -> None:
    path = write_zip(tmp_path / "a.zip", [(f"{n}.png", png(n)) for n in range(4)])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CorpusError, match=r"a\.zip: is (not a|empty)"):
        planned(corpus_of(tmp_path, fields={}))


def test_a_zip_that_lists_too_many_members_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_pictures, "MAX_DIRECTORY_BYTES", 1000)
    write_zip(tmp_path / "a.zip", [(f"{n}.png", b"x") for n in range(100)])
    with pytest.raises(CorpusError, match="split it, or make it a tar"):
        planned(corpus_of(tmp_path, fields={}))


@pytest.mark.parametrize("name", FORMS)
def test_an_archive_without_a_picture_is_an_error(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, [("notes.txt", b"x")])
    with pytest.raises(CorpusError, match="holds no picture"):
        planned(corpus_of(tmp_path, fields={}))


@pytest.mark.parametrize("name", FORMS)
def test_a_name_that_comes_twice_names_its_own_picture(tmp_path: Path, name: str) -> None:
    with pytest.warns(UserWarning, match="Duplicate name") if name == "a.zip" else _nothing():
        write_archive(tmp_path / name, [("a.png", png(1)), ("a.png", png(2))])
    assert shown(corpus_of(tmp_path, fields={})) == [("a.png", "", png(1)), ("a.png", "", png(2))]


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize("name", FORMS)
def test_samples_are_the_same_however_the_archive_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rows = b"".join(b"%d.png,Caption %d.\n" % (n, n) for n in range(25))
    members = [("big.bin", bytes(300)), *((f"{n}.png", png(n)) for n in range(20))]
    write_archive(tmp_path / name, [*members, ("metadata.csv", b"file_name,caption\n" + rows)])
    corpus = corpus_of(tmp_path)
    whole, expected = samples(corpus), shown(corpus)
    assert len(expected) == 25
    for module in (tar_samples, zip_pictures):
        monkeypatch.setattr(module, "FRAGMENT_RECORDS", 3)
    fragments = planned(corpus)
    assert [fragment.records for fragment in fragments] == [3, 3, 3, 3, 3, 3, 2, 5]
    assert samples(corpus) == whole
    assert shown(corpus) == expected
    for fragment in (fragments[5], fragments[1]):
        keys = [record.key for record in ArchiveReader().read(corpus, fragment)]
        assert keys == [f"{n}.png" for n in range(fragment.first_row, fragment.first_row + 3)]
    for module in (tar_samples, zip_pictures):
        monkeypatch.setattr(module, "HELD_BYTES", 100)
    zip_pictures._indexes.clear()
    tar_samples._held.clear()
    assert shown(corpus) == expected


@pytest.mark.parametrize("name", FORMS)
def test_the_same_content_has_the_same_digest_and_another_row_another(tmp_path: Path, name: str) -> None:
    members = [("a.png", png(1)), ("metadata.csv", b"file_name,caption\na.png,First.\n")]
    write_archive(tmp_path / "one" / name, members)
    write_archive(tmp_path / "two" / name, members)
    write_archive(tmp_path / "other" / name, [members[0], ("metadata.csv", b"file_name,caption\na.png,Other.\n")])
    one, two, other = (planned(corpus_of(tmp_path / place))[0].digest for place in ("one", "two", "other"))
    assert one == two != other


@pytest.mark.parametrize("name", FORMS)
def test_an_archive_that_changed_after_planning_is_refused(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, [("a.png", png(1))])
    corpus = corpus_of(tmp_path, fields={})
    [fragment] = planned(corpus)
    write_archive(tmp_path / name, [("a.png", png(2)), ("b.png", png(2))])
    zip_pictures._indexes.clear()
    tar_samples._held.clear()
    with pytest.raises(ChangedInputError):
        list(ArchiveReader().read(corpus, fragment))
