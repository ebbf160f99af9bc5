"""What identifies a person is nowhere in a run: not in tables, shards, work, logs, or on the terminal."""

import tarfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pydicom
import pytest
import yaml
from PIL import Image
from pydicom.data import get_testdata_file

from tests.end_to_end.runs import balances, curate, curate_json, published

PLANTED = ("MRN00123456", "ACC7654321", "DOE-JANE", "1.2.840.99999.7654321", "PAT-778899", "SSN987654")
KEY = "a-site-key-of-enough-bytes"


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """A credentialed corpus of pictures and notes, and DICOM files, full of identifiers."""
    ward = tmp_path / "data" / "ward" / "MRN00123456"
    ward.mkdir(parents=True)
    rows = []
    for number in range(4):
        name = f"DOE-JANE_{number}.png"
        noise = np.random.default_rng(number).integers(0, 255, (96, 96), np.uint8)
        Image.fromarray(noise).save(ward / name)
        rows.append({"id": f"ACC7654321-{number}", "image": name, "text": f"Portable film number {number}, clear.",
                     "mrn": "MRN00123456", "patient": "PAT-778899", "ssn": "SSN987654"})  # fmt: skip
    lines = [orjson.dumps(row) for row in rows]
    lines[2:2] = [b'{"id": "ACC7654321-x", "image": "DOE-JANE', orjson.dumps({**rows[0], "image": "DOE-JANE_gone.png"})]
    (ward / "PAT-778899.jsonl").write_bytes(b"\n".join(lines))
    (ward / "DOE-JANE_broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    lines.append(orjson.dumps({**rows[1], "id": "ACC7654321-b", "image": "DOE-JANE_broken.png"}))
    (ward / "PAT-778899.jsonl").write_bytes(b"\n".join(lines))
    scans = tmp_path / "data" / "scans" / "PAT-778899"
    scans.mkdir(parents=True)
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    dataset.PatientID, dataset.PatientName = "MRN00123456", "DOE-JANE"
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.840.99999.7654321"
    dataset.AccessionNumber, dataset.StudyDescription = "ACC7654321", "for DOE-JANE"
    dataset.BodyPartExamined = "DOE-JANE"
    dataset.save_as(scans / "1.2.840.99999.7654321.dcm")
    (scans / "MRN00123456.dcm").write_text("no DICOM")
    (tmp_path / "site.key").write_text(KEY)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe()))
    return tmp_path


def recipe() -> dict[str, object]:
    fields = {"id": "id", "image": "image", "text": "text", "patient": "patient"}
    groups = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "patient": "PatientID"}
    return {
        "stage": "mid",
        "sources": [
            {"name": "ward", "reader": "jsonl", "path": "ward/MRN00123456/*.jsonl", "images": "ward/MRN00123456",
             "task": "caption", "access": "credentialed", "fields": fields},
            {"name": "scans", "reader": "dicom", "path": "scans", "task": "caption", "access": "open",
             "fields": {"image": "image", "text": "caption", **groups}},
        ],
        "steps": {"license": {"access": ["open", "credentialed"]}, "tokens": {"min": 1}},
    }  # fmt: skip


def build(hospital: Path, *more: object, status: int = 0) -> tuple[dict[str, object], str]:
    done = curate(
        "build", "--recipe", hospital / "recipe.yaml", "--data", hospital / "data", "--out", hospital / "run",
        "--json", *more,
    )  # fmt: skip
    assert done.returncode == status, done.stderr + done.stdout
    return orjson.loads(done.stdout), done.stderr


def everything_in(run: Path) -> bytes:
    """All bytes a run holds, unpacked: file names, Parquet values, members of tars."""
    parts: list[bytes] = []
    for path in run.rglob("*"):
        parts.append(str(path.relative_to(run)).encode())
        if path.suffix == ".parquet":
            parts += [orjson.dumps(row, default=repr) for row in pq.read_table(path, partitioning=None).to_pylist()]
        elif path.suffix == ".tar":
            with tarfile.open(path) as tar:
                parts += [member.name.encode() + (tar.extractfile(member) or path.open("rb")).read() for member in tar]
        elif path.is_file():
            parts.append(path.read_bytes())
    return b"\n".join(parts)


def test_no_planted_identifier_is_anywhere_in_the_run_or_on_the_terminal(hospital: Path) -> None:
    answer, said = build(hospital, "--id-key", hospital / "site.key")
    assert balances(answer)
    assert answer["counts"]["kept"] >= 4  # type: ignore[index]
    held = everything_in(hospital / "run") + said.encode()
    assert b"Portable film number 3" in held  # what is not an identifier is there: the search sees values
    for planted in (*PLANTED, KEY):
        assert planted.encode() not in held, planted


def test_no_identifier_is_left_by_a_run_that_fails_or_is_only_planned(hospital: Path) -> None:
    plan, planned = build(hospital, "--id-key", hospital / "site.key", "--dry-run")
    failed, said = build(hospital, "--id-key", hospital / "site.key", "--set", "sources.ward.fields.text=txt", status=1)
    held = everything_in(hospital / "run") + (said + planned).encode() + orjson.dumps([failed, plan])
    for planted in PLANTED:
        assert planted.encode() not in held, planted


def test_without_a_key_nothing_is_read_and_the_source_is_named(hospital: Path) -> None:
    answer, _ = build(hospital, status=2)
    assert "source ward holds identifiers" in str(answer["error"])
    assert "--id-key" in str(answer["hint"])


def test_why_finds_a_raw_id_with_the_key_and_not_without_it(hospital: Path) -> None:
    build(hospital, "--id-key", hospital / "site.key")
    raw = "ward/MRN00123456/PAT-778899.jsonl#ACC7654321-1"
    told = curate_json("why", hospital / "run", raw, "--id-key", hospital / "site.key")
    assert told["verdict"] == "keep"
    assert told["source"] == "ward"
    curate_json("why", hospital / "run", raw, status=2)


def test_the_same_key_names_a_patient_the_same_in_every_source_and_another_key_does_not(hospital: Path) -> None:
    build(hospital, "--id-key", hospital / "site.key")
    first = published(hospital / "run")
    (hospital / "other.key").write_text("another-key-of-enough-bytes")
    answer, _ = build(hospital, "--id-key", hospital / "other.key", status=2)
    assert "another site key" in str(answer["error"])
    assert published(hospital / "run") == first


def test_a_credentialed_source_outside_the_policy_is_refused_by_name(hospital: Path) -> None:
    changes = ("--set", "steps.license.access=[open]")
    answer, _ = build(hospital, "--id-key", hospital / "site.key", *changes, status=2)
    assert "source ward is credentialed" in str(answer["error"])


def test_a_record_of_a_keyed_source_whose_picture_field_is_broken_costs_only_itself(hospital: Path) -> None:
    notes = hospital / "data" / "ward" / "MRN00123456" / "PAT-778899.jsonl"
    with notes.open("ab") as file:
        file.write(b'\n{"id": "ACC7654321-c", "image": {"a": 1}, "text": "A picture field that is a mapping."}')
    before_kept = 4
    answer, _ = build(hospital, "--id-key", hospital / "site.key")
    assert answer["counts"]["kept"] >= before_kept  # type: ignore[index]
    assert balances(answer)
