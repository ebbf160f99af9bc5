"""Builds that join a table: by exchange as in memory, and of a hospital without a trace of who anybody is."""

import csv
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow.parquet as pq
import pydicom
import pytest
import yaml
from PIL import Image
from pydicom.data import get_testdata_file

from sources import joins
from tests.end_to_end.runs import balances, curate, curate_json, published
from tests.end_to_end.test_identifiers import everything_in

NOTE = "A note that is long enough to be kept by every filter of the recipe"


def recipe_of(place: Path, **source: Any) -> Path:
    entry = {"name": "corpus", "license": "CC0-1.0", **source}
    steps = {"license": {"access": ["open", "credentialed"]}, "tokens": {"min": 1}}
    path = place / "recipe.yaml"
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": [entry], "steps": steps}))
    return path


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    return [
        event
        for line in (run / "events.jsonl").read_bytes().splitlines()
        if (event := orjson.loads(line))["event"] == kind
    ]


@pytest.mark.parametrize("many", [False, True])
def test_a_table_joined_by_exchange_gives_the_very_tables_and_shards_of_one_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for file in range(3):
        rows = [{"id": f"{file}-{n}", "uid": n % 40, "body": f"{NOTE}, {file} {n}."} for n in range(50)]
        (data / f"notes-{file}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    with (data / "side.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uid", "findings", "grade", "unused"])
        writer.writerows([n % 60, f'says "{n}",\nand more', n, "x"] for n in range(90))
    join = {"path": "side.csv", "left": "uid", "right": "uid", "many": many}
    fields = {"id": "id", "text": ["body", "findings"], "study": "uid"}
    source = {"reader": "jsonl", "path": "notes-*.jsonl", "task": "text", "access": "open"}
    recipe = recipe_of(tmp_path, **source, fields=fields, join=join, meta=["grade"])
    arguments = ("build", "--recipe", recipe, "--data", data, "--out")
    curate_json(*arguments, tmp_path / "at_once")
    monkeypatch.setattr(joins, "IN_MEMORY_BYTES", 10)  # the driver decides by it, which is this process
    curate_json(*arguments, tmp_path / "exchanged")
    at_once, exchanged = (published(tmp_path / run) for run in ("at_once", "exchanged"))
    assert [name for name in at_once if at_once[name] != exchanged.get(name)] == ["run.json"]
    assert list(at_once) == list(exchanged)
    runs = [orjson.loads((tmp_path / run / "run.json").read_bytes()) for run in ("at_once", "exchanged")]
    listed = runs[1]["inputs"][0].pop("joined")
    assert listed["bytes"] == (data / "side.csv").stat().st_size
    assert runs[0] | {"inputs": None} == runs[1] | {"inputs": None}
    assert not events(tmp_path / "at_once", "joined")
    [told] = events(tmp_path / "at_once", "joined_in_memory")
    assert (told["records_unmatched"], told["records_several"] > 0) == (0, not many)
    [said] = events(tmp_path / "exchanged", "joined")
    rows = 90
    matched = 70  # 0..39 twice or once, of 60 values
    assert (said["rows"], said["matched"], said["unmatched"], said["records_unmatched"]) == (
        rows,
        matched,
        rows - matched,
        0,
    )


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """DICOM files whose reports lie in one table, by accession number."""
    scans = tmp_path / "data" / "scans"
    scans.mkdir(parents=True)
    for number in range(5):
        dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
        dataset.AccessionNumber = f"ACC765432{number % 4}" if number < 4 else ""
        dataset.PatientID, dataset.PatientName = "MRN00123456", "DOE-JANE"
        dataset.InstanceNumber = number
        dataset.PixelData = bytes((value + number) % 256 for value in dataset.PixelData)
        dataset.save_as(scans / f"{number}.dcm")
    write_reports(tmp_path, [("ACC7654320", "The lungs are clear."), ("ACC7654321", "A nodule of 4 mm."),
                             ("ACC7654322", "No fracture is seen."), ("ACC9999999", "Of DOE-JANE, seen elsewhere."),
                             ("", "Of nobody.")])  # fmt: skip
    (tmp_path / "site.key").write_text("a-site-key-of-enough-bytes")
    recipe_of(
        tmp_path, reader="dicom", path="scans", task="report", access="credentialed",
        fields={"findings": "report", "patient": "PatientID"}, meta=["AccessionNumber", "@left"],
        join={"path": "reports.parquet", "left": "AccessionNumber", "right": "accession"},
    )  # fmt: skip
    return tmp_path


def write_reports(place: Path, rows: list[tuple[str, str]]) -> None:
    columns = {
        "accession": [row[0] for row in rows],
        "report": [row[1] for row in rows],
        "mrn": ["MRN00123456"] * len(rows),
    }
    pl.DataFrame(columns).write_parquet(place / "data" / "scans" / "reports.parquet")


def command(place: Path, *more: object) -> tuple[object, ...]:
    return ("build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "run",
            "--id-key", place / "site.key", *more)  # fmt: skip


def reports_in(run: Path) -> list[str]:
    """The reports in the shards, sorted; a scan without one has its caption (`CT.`) instead."""
    found = []
    for path in (run / "shards").glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json") and (file := tar.extractfile(member)) is not None:
                    found.append(orjson.loads(file.read())["turns"][-1]["text"])
    return sorted(text.removeprefix("Findings: ") for text in found if text != "CT.")


def test_scans_find_their_reports_by_an_accession_number_that_is_stored_nowhere(hospital: Path) -> None:
    done = curate(*command(hospital, "--json"))
    assert done.returncode == 0, done.stderr
    answer = orjson.loads(done.stdout)
    assert balances(answer)
    assert reports_in(hospital / "run") == [
        "A nodule of 4 mm.",
        "No fracture is seen.",
        "The lungs are clear.",
    ]
    assert "3 of 5 rows of the joined table match records, 1 match none, 1 have nothing to match by" in done.stderr
    held = everything_in(hospital / "run") + done.stderr.encode() + done.stdout.encode()
    for planted in (b"ACC7654", b"ACC9999", b"MRN00123456", b"DOE-JANE", b"seen elsewhere", b"a-site-key"):
        assert planted not in held, planted
    travelling = [
        path
        for path in (hospital / "run" / "work").rglob("*.parquet")
        if path.relative_to(hospital / "run" / "work").parts[0].startswith("join")
    ]
    assert travelling
    assert not any(
        b"nodule" in repr(pq.read_table(path, partitioning=None).to_pylist()).encode() for path in travelling
    )


def test_a_changed_report_costs_its_fragment_and_nothing_without_a_change_is_done_again(hospital: Path) -> None:
    curate_json(*command(hospital))
    first = published(hospital / "run")
    assert curate_json(*command(hospital))["counts"]["ingested"] == 5
    assert published(hospital / "run") == first
    reused = [event["reused"] for event in events(hospital / "run", "end") if event["step"].startswith("join")]
    assert sum(reused[len(reused) // 2 :]) == len(reused) // 2  # one fragment, one partition: each step has one unit
    write_reports(hospital, [("ACC7654320", "The lungs are not clear."), ("ACC7654322", "No fracture is seen.")])
    curate_json(*command(hospital))
    assert reports_in(hospital / "run") == ["No fracture is seen.", "The lungs are not clear."]


def test_after_cleaning_a_changed_table_is_seen(hospital: Path) -> None:
    curate_json(*command(hospital))
    curate_json("clean", hospital / "run")
    curate_json(*command(hospital))
    assert not (hospital / "run" / "work" / "ingest").exists()
    write_reports(hospital, [("ACC7654320", "The lungs are not clear.")])
    curate_json(*command(hospital))
    assert reports_in(hospital / "run") == ["The lungs are not clear."]


def test_a_misspelt_element_is_a_mistake_that_names_the_nearest(hospital: Path) -> None:
    said = curate_json(*command(hospital, "--set", "sources.corpus.join.left=AcessionNumber"), status=1)
    assert "did you mean 'AccessionNumber'?" in said["error"]


def pictures(place: Path, count: int) -> list[str]:
    place.mkdir(parents=True)
    names = [f"DOE-JANE_{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).integers(0, 255, (96, 96), np.uint8)
        Image.fromarray(noise).save(place / name)
    return names


@pytest.mark.parametrize("identifiers", ["public", "keyed"])
def test_pictures_that_only_the_joined_table_names_are_found_measured_and_written(
    tmp_path: Path, identifiers: str
) -> None:
    names = pictures(tmp_path / "data" / "films", 4)
    rows = [{"id": n, "uid": f"ACC765432{n}", "body": f"{NOTE}, {n}."} for n in range(4)]
    (tmp_path / "data" / "notes.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    table = pl.DataFrame({"accession": [row["uid"] for row in rows], "file": names})
    table.write_parquet(tmp_path / "data" / "films.parquet")
    recipe_of(
        tmp_path, reader="jsonl", path="notes.jsonl", images="films", task="caption", access="open",
        identifiers=identifiers, fields={"text": "body", "image": "file"},
        join={"path": "films.parquet", "left": "uid", "right": "accession"},
    )  # fmt: skip
    (tmp_path / "site.key").write_text("a-site-key-of-enough-bytes")
    plan = curate_json(*command(tmp_path, "--dry-run"))
    assert plan["sources"][0]["records"] == 4
    answer = curate_json(*command(tmp_path))
    assert (answer["images"], answer["samples_written"]) == (4, 4)
    held = everything_in(tmp_path / "run")
    assert (b"DOE-JANE" in held) == (identifiers == "public")
    assert b"ACC765432" not in held  # the value to join by is no field: it is stored in neither case


def test_a_folder_of_pictures_joins_a_table_by_their_paths(tmp_path: Path) -> None:
    names = pictures(tmp_path / "data" / "films", 3)
    table = pl.DataFrame({"file_name": names[::-1], "body": [f"{NOTE}, {name}." for name in names[::-1]]})
    table.write_parquet(tmp_path / "data" / "films" / "table.parquet")
    recipe_of(
        tmp_path, reader="image_folder", path="films", task="caption", access="open", fields={"text": "body"},
        join={"path": "table.parquet", "left": "@key", "right": "file_name"},
    )  # fmt: skip
    (tmp_path / "site.key").write_text("a-site-key-of-enough-bytes")
    assert curate_json(*command(tmp_path))["samples_written"] == 3
    assert reports_in(tmp_path / "run") == [f"{NOTE}, {name}." for name in names]
