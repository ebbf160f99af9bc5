import io
import tarfile
from pathlib import Path
from typing import Any

import orjson
import pytest
import webdataset

from sources.mapping import to_sample
from sources.readers import tar_samples
from sources.readers.webdataset import WebdatasetReader
from sources.records import ChangedInputError, Corpus, CorpusError, Record, Unreadable
from sources.schema import Reason
from sources.storage import TooLargeError
from sources.storage.tar_members import _HeaderError, _pax
from sources.uris import PICTURE
from tests.sources.corpora import PROMPTS, corpus_in, planned, read, samples
from tests.sources.packed_files import captioned, png, tar_bytes, write_tar


def corpus_of(folder: Path, files: str = "**/*.t*", **card: Any) -> Corpus:
    return corpus_in(folder, "webdataset", files, **{"task": "caption", **card})


def shown(corpus: Corpus) -> list[tuple[str, str, list[bytes]]]:
    """Key, caption and pictures of every sample, or key and what is wrong with it."""
    reader = WebdatasetReader()
    found = []
    for fragment in planned(corpus):
        for item in reader.read(corpus, fragment):
            if isinstance(item, Unreadable):
                found.append((item.key, item.detail, []))
                continue
            sample = to_sample(corpus, fragment.path, item, PROMPTS)
            pictures = [reader.open_picture(corpus, fragment, image["uri"]) for image in sample["images"]]
            found.append((item.key, sample["turns"][-1]["text"] if sample["turns"] else "", pictures))
    return found


CAPTIONED = [(f"{n:04}", f"Caption number {n}.", [png(n)]) for n in range(5)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_caption_and_a_picture_under_one_key_are_a_sample(tmp_path: Path, form: int, mode: str) -> None:
    write_tar(tmp_path / "a.tar", captioned(5), mode, form)
    assert shown(corpus_of(tmp_path)) == CAPTIONED


def test_what_the_webdataset_library_writes_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        for number in range(3):
            writer.write(
                {
                    "__key__": f"train/{number:05}",
                    "json": {"caption": f"Film {number}.", "patient": f"p{number}"},
                    "0.png": png(number),
                    "1.png": png(number + 10),
                    "npy": __import__("numpy").arange(3),
                }
            )
    theirs = [
        (sample["__key__"], orjson.loads(sample["json"])["caption"], [sample["0.png"], sample["1.png"]])
        for sample in webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False)
    ]
    corpus = corpus_of(tmp_path, fields={"text": "caption", "patient": "patient"})
    assert shown(corpus) == theirs
    assert [sample["groups"] for sample in samples(corpus)] == [[{"kind": "patient", "id": f"p{n}"}] for n in range(3)]


def test_pictures_of_a_sample_are_ordered_by_their_number_not_by_their_place(tmp_path: Path) -> None:
    names = ["s.10.png", "s.2.png", "s.txt", "s.0.png"]
    write_tar(tmp_path / "a.tar", [(name, png(7) if name.endswith("png") else b"Text.") for name in names])
    [record] = read(corpus_of(tmp_path))
    assert isinstance(record, Record)
    assert record.row[PICTURE] == ["a.tar#s.0.png", "a.tar#s.2.png", "a.tar#s.10.png"]


def test_a_mask_beside_the_picture_is_taken_only_where_the_card_maps_it(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("s.jpg", png(1)), ("s.mask.png", png(2)), ("s.txt", b"Text.")])
    [plain] = read(corpus_of(tmp_path))
    [mapped] = read(corpus_of(tmp_path, fields={"image": ("jpg", "mask.png"), "text": "txt"}))
    assert isinstance(plain, Record)
    assert isinstance(mapped, Record)
    assert plain.row[PICTURE] == ["a.tar#s.jpg"]
    assert mapped.row[PICTURE] == ["a.tar#s.jpg", "a.tar#s.mask.png"]


def test_members_of_no_sample_are_passed_over(tmp_path: Path) -> None:
    litter = [("./._0000.png", b"x"), ("README", b"x"), (".DS_Store", b"x"), ("__MACOSX/0000.txt", b"x")]
    write_tar(tmp_path / "a.tar", [*litter, *((f"./{name}", data) for name, data in captioned(1))])
    assert shown(corpus_of(tmp_path)) == CAPTIONED[:1]


def test_long_and_odd_names_are_kept_to_the_letter(tmp_path: Path) -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        key = "folder/" + "n" * 200 + " größer"
        write_tar(tmp_path / "a.tar", [(f"{key}.txt", b"Text."), (f"{key}.png", png(1))], form=form)
        assert shown(corpus_of(tmp_path)) == [(key, "Text.", [png(1)])]


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("../0001", "the name of a member has '..' in it"),
        ("a/../../0001", "the name of a member has '..' in it"),
        ("/etc/0001", "the name of a member is absolute"),
        ("C:/0001", "the name of a member is absolute"),
        ("a\\0001", "the name of a member has backslashes"),
    ],
)
def test_a_name_that_leads_out_of_the_archive_is_refused_and_costs_its_sample_alone(
    tmp_path: Path, name: str, detail: str
) -> None:
    hostile = [(f"{name}.txt", b"Text."), (f"{name}.png", png(1))]
    write_tar(tmp_path / "a.tar", [*captioned(1), *hostile])
    assert shown(corpus_of(tmp_path)) == [*CAPTIONED[:1], (name, detail, [])]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a symbolic link"), (tarfile.LNKTYPE, "a hard link"), (tarfile.CHRTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
    ],
)  # fmt: skip
def test_links_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes, what: str) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        link = tarfile.TarInfo("0000.png")
        link.type, link.linkname = kind, "/etc/passwd"
        tar.addfile(link)
        for name, content in captioned(2)[2:]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (tmp_path / "a.tar").write_bytes(data.getvalue())
    assert shown(corpus_of(tmp_path)) == [("0000", f"a member is not read: it is {what}", []), CAPTIONED[1]]


def test_a_sparse_file_is_refused_and_the_ones_behind_it_are_read(tmp_path: Path) -> None:
    with (tmp_path / "0000.png").open("wb") as holes:
        for number in range(60):
            holes.seek(number * 2**20)
            holes.write(b"x" * 4096)
    for name, content in captioned(2)[2:]:
        (tmp_path / name).write_bytes(content)
    for form in ("gnu", "posix"):
        tar(tmp_path, "--sparse", f"--format={form}", "-cf", "a.tar", "0000.png", "0001.txt", "0001.png")
        found = shown(corpus_of(tmp_path, "a.tar"))
        assert found[0][1] == "a member is not read: it is a sparse file", form
        assert found[1:] == CAPTIONED[1:2]


def tar(folder: Path, *arguments: str) -> None:
    import shutil
    import subprocess

    program = shutil.which("tar")
    if program is None:
        pytest.skip("the program tar is not there")
    subprocess.run([program, *arguments], cwd=folder, check=True)


def test_a_name_that_is_not_utf8_costs_its_sample_alone(tmp_path: Path) -> None:
    broken = tar_bytes([("caf\udce9.txt", b"Text.")], form=tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(broken[:1024] + tar_bytes(captioned(1)))
    lost, kept = shown(corpus_of(tmp_path))
    assert lost[1] == "the name of a member is not UTF-8"
    assert kept == CAPTIONED[0]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_of_an_archive_that_is_cut_off_the_complete_samples_are_read_and_the_rest_is_one_record(
    tmp_path: Path, mode: str
) -> None:
    whole = write_tar(tmp_path / "a.tar", captioned(5), mode).read_bytes()
    lengths = range(700, len(whole), 997) if mode == "w" else range(2000, len(whole) - 40, 3001)
    counts = set()
    for length in lengths:
        (tmp_path / "a.tar").write_bytes(whole[:length])
        found = shown(corpus_of(tmp_path))
        *complete, last = found
        assert complete == CAPTIONED[: len(complete)]
        assert "cut off" in last[1] or (mode == "w" and last == CAPTIONED[4])
        counts.add(len(complete))
    assert {0, 1, 2, 3, 4} <= counts


def without_end(whole: bytes) -> bytes:
    """A tar without the zeros that end it."""
    data = whole.rstrip(b"\0")
    return data + bytes(-len(data) % 512)


def test_an_archive_without_its_end_says_so_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(without_end(tar_bytes(captioned(5))))
    found = shown(corpus_of(tmp_path))
    assert found[:-1] == CAPTIONED
    assert found[-1][1] == "the archive has no end: it may be cut off"


def test_what_follows_a_damaged_header_is_lost_and_said_to_be(tmp_path: Path) -> None:
    whole = bytearray(tar_bytes(captioned(5)))
    place = whole.index(b"0002.txt")
    whole[place : place + 4] = b"\xff" * 4
    (tmp_path / "a.tar").write_bytes(whole)
    *complete, last = shown(corpus_of(tmp_path))
    assert complete == CAPTIONED[:1]  # whether sample 1 was complete cannot be told
    assert last[1] == "the archive is damaged here (no tar header): what follows is lost"


def test_two_archives_in_one_file_are_not_read_as_one_in_silence(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes(captioned(1)) + tar_bytes([("other.txt", b"Text.")]))
    found = shown(corpus_of(tmp_path))
    assert found[0] == CAPTIONED[0]
    assert "goes on after its end" in found[1][1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty or cut off"),
        (b"no tar at all " * 100, "is not a tar archive"),
        (b"PK\x03\x04" + bytes(600), "packed with zip"),
        (b"BZh9" + bytes(600), "packed with bzip2"),
    ],
)
def test_a_file_that_is_no_tar_is_an_error_that_names_it(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(CorpusError, match=rf"a\.tar: .*{message}"):
        planned(corpus_of(tmp_path))


def test_an_extended_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**33
    (tmp_path / "a.tar").write_bytes(without_end(tar_bytes(captioned(1))) + info.tobuf() + bytes(4096))
    assert "damaged" in shown(corpus_of(tmp_path))[-1][1]


def test_a_gzip_bomb_ends_where_it_unpacks_to_more_than_a_hundred_times_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.readers.tar_streams.RATIO_COUNTS_FROM", 2**20)
    monkeypatch.setattr("sources.readers.tar_streams.READ_BYTES", 4096)
    write_tar(tmp_path / "a.tgz", [*captioned(2), ("zeros.bin", bytes(50 * 2**20)), ("late.txt", b"Text.")], "w:gz")
    found = shown(corpus_of(tmp_path))
    assert found[:2] == CAPTIONED[:2]
    assert "unpacks to more than 100 times its size" in found[2][1]


def test_a_gzip_whose_checksum_is_wrong_is_said_to_be_damaged(tmp_path: Path) -> None:
    whole = bytearray(write_tar(tmp_path / "a.tgz", captioned(2), "w:gz").read_bytes())
    whole[-8] ^= 0xFF
    (tmp_path / "a.tgz").write_bytes(whole)
    assert "damaged" in shown(corpus_of(tmp_path))[-1][1]


def test_several_gzips_in_one_file_are_one_stream(tmp_path: Path) -> None:
    import gzip

    whole = tar_bytes(captioned(5))
    (tmp_path / "a.tgz").write_bytes(gzip.compress(whole[:9000]) + gzip.compress(whole[9000:]) + bytes(100))
    assert shown(corpus_of(tmp_path)) == CAPTIONED


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("s.json", b'{"caption": ')], Reason.RECORD_MALFORMED),
        ([("s.json", b'{"caption": "\xe9"}')], Reason.RECORD_ENCODING),
        ([("s.txt", b"\xe9")], Reason.RECORD_ENCODING),
        ([("s.txt", b"a"), ("s.txt", b"b")], Reason.RECORD_MALFORMED),
    ],
)
def test_a_bad_sample_is_the_only_one_lost(tmp_path: Path, members: Any, reason: Reason) -> None:
    write_tar(tmp_path / "a.tar", [*members, *captioned(1)])
    lost, kept = read(corpus_of(tmp_path))
    assert isinstance(lost, Unreadable)
    assert (lost.key, lost.reason) == ("s", reason)
    assert isinstance(kept, Record)


def test_too_many_members_under_one_key_are_one_lost_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_samples, "MAX_MEMBERS", 3)
    write_tar(tmp_path / "a.tar", [*((f"s.{n}.png", b"x") for n in range(10)), *captioned(1)])
    lost, kept = shown(corpus_of(tmp_path))
    assert lost[:2] == ("s", "more than 3 members under one key")
    assert kept == CAPTIONED[0]


def test_a_key_that_comes_again_names_its_own_picture(tmp_path: Path) -> None:
    again = [("0000.txt", b"Another."), ("0000.png", png(99))]
    write_tar(tmp_path / "a.tar", [*captioned(2), *again])
    assert shown(corpus_of(tmp_path)) == [*CAPTIONED[:2], ("0000", "Another.", [png(99)])]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_samples_are_the_same_however_the_tar_is_cut_and_in_whatever_order_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    write_tar(tmp_path / "a.tar", captioned(20), mode)
    corpus = corpus_of(tmp_path)
    whole, expected = samples(corpus), shown(corpus)
    monkeypatch.setattr(tar_samples, "FRAGMENT_RECORDS", 3)
    fragments = planned(corpus)
    assert [fragment.records for fragment in fragments] == [3, 3, 3, 3, 3, 3, 2]
    assert samples(corpus) == whole
    assert shown(corpus) == expected
    reader = WebdatasetReader()
    for fragment in (fragments[4], fragments[1], fragments[6]):
        keys = [record.key for record in reader.read(corpus, fragment)]
        assert keys == [f"{n:04}" for n in range(fragment.first_row, fragment.first_row + fragment.records)]
    monkeypatch.setattr(tar_samples, "FRAGMENT_BYTES", 30_000)
    assert all(fragment.size <= 30_000 for fragment in planned(corpus))
    assert shown(corpus) == expected


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_sample_too_large_to_be_held_is_read_member_by_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(tar_samples, "HELD_BYTES", 1000)
    monkeypatch.setattr(tar_samples, "FRAGMENT_RECORDS", 1)
    write_tar(tmp_path / "a.tar", captioned(5), mode)
    assert shown(corpus_of(tmp_path)) == CAPTIONED


def test_a_picture_above_the_limit_is_too_large_as_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "a.tar", captioned(1))
    corpus = corpus_of(tmp_path)
    [fragment] = planned(corpus)
    monkeypatch.setattr(tar_samples, "MAX_READ_BYTES", 100)
    with pytest.raises(TooLargeError):
        WebdatasetReader().open_picture(corpus, fragment, "a.tar#0000.png")
    with pytest.raises(FileNotFoundError):
        WebdatasetReader().open_picture(corpus, fragment, "a.tar#0007.png")


def test_a_tar_that_changed_after_planning_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", captioned(2))
    corpus = corpus_of(tmp_path)
    [fragment] = planned(corpus)
    path.write_bytes(path.read_bytes().replace(b"Caption number 1", b"Caption number 7"))
    tar_samples._held.clear()
    with pytest.raises(ChangedInputError):
        list(WebdatasetReader().read(corpus, fragment))


def test_one_more_sample_at_the_end_touches_the_last_fragment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_samples, "FRAGMENT_RECORDS", 4)
    write_tar(tmp_path / "a.tar", captioned(10))
    before = [fragment.digest for fragment in planned(corpus_of(tmp_path))]
    write_tar(tmp_path / "a.tar", captioned(11))
    after = [fragment.digest for fragment in planned(corpus_of(tmp_path))]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, True, False]


def test_a_misspelt_column_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("s.json", b'{"caption": "Text."}')])
    with pytest.raises(CorpusError, match="did you mean 'caption'"):
        planned(corpus_of(tmp_path, fields={"text": "captoin"}))


def test_a_pax_length_of_thousands_of_digits_is_damage() -> None:
    with pytest.raises(_HeaderError):
        _pax(b"9" * 5000 + b" path=x\n")
