import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from sources.cards import Card, Layout
from sources.find import find_corpus
from sources.identity import Identity
from sources.pictures import PictureError, open_picture
from sources.records import ChangedInputError, CorpusError, Record, Unreadable
from sources.schema import Reason
from sources.storage import LocalFolder
from sources.uris import PICTURE
from tests.sources.corpora import corpus_in, planned, read, samples
from tests.sources.dicom_files import bytes_of, header_of, picture_of, wheel_file

GREY = np.arange(400, dtype=np.uint16).reshape(20, 20)
MRN = "MRN9048372615"
STUDY = "1.2.826.0.1.9048372615.1"


def write(folder: Path, name: str, **elements: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes_of(picture_of(GREY, **elements)))
    return path


def test_a_file_is_a_record_of_its_facts_a_caption_and_its_groups(tmp_path: Path) -> None:
    write(
        tmp_path, "a/one.dcm", Modality="CT", BodyPartExamined="ABDOMEN", PatientID=MRN, PatientName="Doe^Jane",
        StudyInstanceUID=STUDY, SeriesInstanceUID=STUDY + ".2", StudyDescription="abdomen of Jane Doe",
    )  # fmt: skip
    (record,) = read(corpus_in(tmp_path, "dicom", "**/*.dcm", task="caption"))
    assert record == Record(
        "a/one.dcm",
        {
            PICTURE: "a/one.dcm", "Modality": "CT", "BodyPartExamined": "ABDOMEN", "Rows": 20, "Columns": 20,
            "BitsStored": 16, "PhotometricInterpretation": "MONOCHROME2", "caption": "CT, abdomen.",
            "StudyInstanceUID": STUDY, "SeriesInstanceUID": STUDY + ".2", "PatientID": MRN,
        },
    )  # fmt: skip


def test_a_sample_of_a_keyed_corpus_holds_no_identifier(tmp_path: Path) -> None:
    write(tmp_path, f"{MRN}/scan {MRN}.dcm", Modality="MR", PatientID=MRN, StudyInstanceUID=STUDY)
    corpus = corpus_in(tmp_path, "dicom", "**/*.dcm", task="caption", identifiers="keyed")
    (sample,) = samples(corpus)
    assert sample["turns"][-1]["text"] == "MRI."
    assert {group["kind"] for group in sample["groups"]} == {"patient", "study"}
    assert "9048372615" not in json.dumps(sample)
    (fragment,) = planned(corpus)
    assert "9048372615" not in fragment.digest


def test_what_is_not_dicom_is_unreadable_and_the_others_go_on(tmp_path: Path) -> None:
    write(tmp_path, "b.dcm", Modality="CT")
    (tmp_path / "a.dcm").write_bytes(b"FORMAT dicom\n%header\nREMOVE PatientID " + MRN.encode())
    (tmp_path / "c.dcm").write_bytes(b"")
    (tmp_path / "d.dcm").write_bytes(wheel_file("CT_small.dcm")[:200])
    found = {record.key: record for record in read(corpus_in(tmp_path, "dicom", "*.dcm"))}
    assert isinstance(found["b.dcm"], Record)
    for name in ("a.dcm", "c.dcm"):
        assert found[name] == Unreadable(name, Reason.RECORD_MALFORMED, "not a DICOM file")


def test_files_without_pixels_are_records_whose_picture_is_missing(tmp_path: Path) -> None:
    (tmp_path / "report.dcm").write_bytes(wheel_file("reportsi.dcm"))
    (tmp_path / "DICOMDIR.dcm").write_bytes(wheel_file("DICOMDIR"))
    (tmp_path / "empty.dcm").write_bytes(bytes_of(header_of()))
    records = read(corpus_in(tmp_path, "dicom", "*.dcm"))
    assert [type(record) for record in records] == [Record] * 3
    for record in records:
        with pytest.raises(PictureError) as caught:
            open_picture((tmp_path / record.key).read_bytes())
        assert caught.value.reason == Reason.IMAGE_MISSING


def test_a_file_that_changed_since_it_was_planned_ends_the_fragment(tmp_path: Path) -> None:
    path = write(tmp_path, "one.dcm", Modality="CT")
    corpus = corpus_in(tmp_path, "dicom", "*.dcm")
    (fragment,) = planned(corpus)
    os.utime(path, ns=(1, 1))
    from sources.readers.dicom import DicomReader

    with pytest.raises(ChangedInputError):
        list(DicomReader().read(corpus, fragment))


def test_planning_opens_no_file_and_fragments_are_digested_by_name_size_and_time(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}.dcm").write_bytes(b"not even DICOM")
        os.utime(tmp_path / f"{number:02}.dcm", ns=(5, 5))
    corpus = corpus_in(tmp_path, "dicom", "*.dcm")
    (fragment,) = planned(corpus)
    assert [entry.path for entry in fragment.files] == [f"{number:02}.dcm" for number in range(30)]
    os.utime(tmp_path / "07.dcm", ns=(6, 6))
    assert planned(corpus)[0].digest != fragment.digest


def test_the_real_files_of_pydicom_are_read(shared_data: Path) -> None:
    corpus = corpus_in(shared_data / "dicom/pydicom", "dicom", "**/*.dcm", task="caption")
    records = read(corpus)
    unreadable = [record.key.rsplit("/", 1)[-1] for record in records if isinstance(record, Unreadable)]
    assert unreadable == ["no_meta.dcm"]
    captions = {record.row["caption"] for record in records if isinstance(record, Record)}
    assert {"CT.", "MRI.", "Ultrasound.", None} <= captions


class Failing(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("fails", ["opening", "reading"])
def test_a_file_that_cannot_be_read_now_ends_the_fragment_and_tells_no_raw_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def opening(_folder: LocalFolder, path: str) -> io.BytesIO:
        if fails == "opening":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return Failing(b"x")

    write(tmp_path, f"{MRN}.dcm", Modality="CT")
    corpus = corpus_in(tmp_path, "dicom", "*.dcm", identifiers="keyed")
    monkeypatch.setattr(LocalFolder, "open", opening)
    with pytest.raises(CorpusError, match="cannot be read") as caught:
        read(corpus)
    assert MRN not in str(caught.value)


def test_a_file_whose_name_is_not_utf8_is_lost_only_where_names_are_stored(tmp_path: Path) -> None:
    write(tmp_path, "m\udcfcller.dcm", Modality="CT")
    [lost] = read(corpus_in(tmp_path, "dicom", "*.dcm", identifiers="public"))
    assert isinstance(lost, Unreadable)
    assert lost.reason == Reason.RECORD_ENCODING
    assert len(samples(corpus_in(tmp_path, "dicom", "*.dcm", identifiers="keyed"))) == 1


def test_a_folder_is_read_whatever_its_files_are_called_but_for_companions(tmp_path: Path) -> None:
    data = wheel_file("CT_small.dcm")
    for name in ("IM000001", "1.2.840.113619.2.5", "slice.dcm", "deep/er/IMG"):
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scans" / name).write_bytes(data)
    (tmp_path / "scans" / "README.txt").write_text("about these files")
    layout = Layout(files=("scans",))
    card = Card(name="s", reader="dicom", task="caption", access="open", identifiers="public", layout=layout)
    corpus = find_corpus(card, "s", [LocalFolder(tmp_path)], Identity("s"), "scans")
    assert corpus is not None
    keys = [record.key for record in read(corpus)]
    assert keys == ["1.2.840.113619.2.5", "IM000001", "deep/er/IMG", "slice.dcm"]
