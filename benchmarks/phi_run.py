"""Identifiers planted into a whole build, and looked for afterwards in every byte that it left or said.

    python -m benchmarks.phi_run [--scans N] [--texts N] [--pictures N] [--burned-in quarantine|mask] [--keep FOLDER]

DICOM files with identifiers in elements, private blocks, overlays, icons and pixels, and their reports; texts; real
pictures (CURATE_SHARED_DATA) with writing on them and metadata in their files. Nothing planted is of a real person.
"""

import argparse
import base64
import io
import json
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import yaml
from PIL import Image, PngImagePlugin

from benchmarks.burned_in import grounds, share
from benchmarks.phi import is_left
from filters.ocr import read_writing
from filters.phi_writing import judged
from tests.end_to_end.phi_corpora import write_scans
from tests.end_to_end.test_identifiers import everything_in
from tests.filters.planted_texts import planted_texts
from tests.filters.planted_writing import identifying, write

_NUMBERED = re.compile(r"This is text (\d+)\.")
_JPEG = re.compile(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)")


@dataclass
class Planted:
    """What was planted where."""

    scans: set[str] = field(default_factory=set)
    texts: list[tuple[int, str, str]] = field(default_factory=list)
    """Number of the text, kind and value."""
    files: set[str] = field(default_factory=set)
    """In the metadata of picture files."""
    written: list[str] = field(default_factory=list)
    """On pictures of real grounds, by their names."""


def main() -> None:
    """Plant, build, look."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--scans", type=int, default=100)
    arguments.add_argument("--texts", type=int, default=1000)
    arguments.add_argument("--pictures", type=int, default=60)
    arguments.add_argument("--burned-in", default="quarantine")
    arguments.add_argument("--keep", type=Path, default=None)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        planted = plant(folder / "data", given.scans, given.texts, given.pictures)
        said = build(folder, given.burned_in)
        print(json.dumps(looked(folder / "run", said, planted), indent=1))


def plant(data: Path, scans: int, texts: int, pictures: int) -> Planted:
    """Write the three corpora."""
    planted = Planted(scans=write_scans(data / "scans", scans).values)
    (data / "notes").mkdir(parents=True)
    with (data / "notes" / "notes.jsonl").open("wb") as file:
        for number, one in enumerate(planted_texts(texts, 0)):
            file.write(orjson.dumps({"id": f"n{number}", "text": f"{one.text} This is text {number}."}) + b"\n")
            planted.texts += [(number, kind, value) for kind, value in one.values]
    (data / "films").mkdir(parents=True)
    draw, places = random.Random(11), grounds()
    rows = []
    for number in range(pictures):
        kind, text = identifying(draw)
        with Image.open(draw.choice(places)) as image:
            written = write(np.asarray(image.convert("L")), text, kind, draw)
        info, secret = PngImagePlugin.PngInfo(), f"Thistlewood{number:04d}"
        info.add_text("Patient", secret)
        planted.files.add(secret)
        planted.written.append(text)
        Image.fromarray(written.pixels).save(data / "films" / f"film{number}.png", pnginfo=info)
        rows.append({"id": f"f{number}", "image": f"film{number}.png", "text": f"Film number {number} of a joint."})
    (data / "films" / "films.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return planted


def build(folder: Path, burned_in: str) -> str:
    """Run the command as a user does; all that it says."""
    recipe = {
        "stage": "mid",
        "sources": [
            {"name": "scans", "reader": "dicom", "path": "scans", "task": "report", "access": "credentialed",
             "join": {"path": "reports.csv", "left": "AccessionNumber", "right": "accession"},
             "fields": {"image": "image", "text": "report", "patient": "PatientID", "study": "StudyInstanceUID"},
             "meta": ["report"]},
            {"name": "notes", "reader": "jsonl", "path": "notes/*.jsonl", "task": "text", "access": "credentialed",
             "fields": {"id": "id", "text": "text"}},
            {"name": "films", "reader": "jsonl", "path": "films/*.jsonl", "images": "films", "task": "caption",
             "access": "credentialed", "fields": {"id": "id", "image": "image", "text": "text"}},
        ],
        "steps": {"license": {"access": ["credentialed"]}, "tokens": {"min": 1}, "exact": {"enabled": False},
                  "near_text": {"enabled": False}, "near_image": {"enabled": False},
                  "phi": {"burned_in_text": burned_in}},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "site.key").write_text("a-site-key-of-enough-bytes")
    command = [
        sys.executable, "-m", "workflows.cli", "build", "--recipe", folder / "recipe.yaml", "--data", folder / "data",
        "--out", folder / "run", "--id-key", folder / "site.key", "--set", "contracts.enabled=false", "--json",
    ]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout + done.stderr


def looked(run: Path, said: str, planted: Planted) -> dict[str, Any]:
    """Of every kind of plant, how many are anywhere; texts have their own account, by kind."""
    held = (everything_in(run) + said.encode()).lower()
    beside = (b"\n".join(_beside_texts(run)) + said.encode()).lower()
    words = {word for _, _, value in planted.texts for word in re.split(r"[\s,^]+", value)}
    scans = planted.scans - words  # both draw from one list of names, and what is left in texts is counted there
    left = {"scans": scans, "metadata of files": planted.files, "writing": set(planted.written)}
    found: dict[str, Any] = {
        f"values of {name} in any file, log or page": share(len(_in(values, held)), len(values))
        for name, values in left.items()
    }
    values = {value for _, _, value in planted.texts if len(value) > 5}  # `Mary` and `97` stand in other words anyway
    found["values of texts in ledger, events, reports, manifest, log"] = share(len(_in(values, beside)), len(values))
    stored = _texts(run)
    kinds, gone = Counter[str](), Counter[str]()
    for number, kind, value in planted.texts:
        kinds[kind] += 1
        gone[kind] += not is_left(stored[number], kind, value)
    found["recall in texts"] = {kind: share(gone[kind], kinds[kind]) for kind in sorted(kinds)}
    return found | _pictures(run, len(planted.written))


def _in(values: set[str], held: bytes) -> list[str]:
    return [value for value in values if value.lower().encode() in held]


def _beside_texts(run: Path) -> Iterator[bytes]:
    """Everything but where texts are stored as texts."""
    for path in sorted([*run.iterdir(), *(run / "tables").iterdir(), *(run / "shards").iterdir()]):
        if path.is_dir() and path.name not in ("tables", "samples", "shards", "work"):
            yield everything_in(path)
        elif path.is_file() and path.suffix != ".tar":
            yield path.read_bytes()


def _texts(run: Path) -> dict[int, str]:
    """The planted texts as they are stored, by their numbers."""
    samples = pl.read_parquet(run / "tables" / "samples" / "*.parquet").filter(pl.col("source") == "notes")
    said = [" ".join(turn["text"] for turn in turns) for turns in samples["turns"].to_list()]
    return {int(match.group(1)): text for text in said if (match := _NUMBERED.search(text)) is not None}


def _pictures(run: Path, planted: int) -> dict[str, Any]:
    """Of pictures with writing planted on them those that are in no shard uncovered, and what the page still shows."""
    ledger = pl.read_parquet(run / "tables" / "ledger" / "*.parquet").filter(pl.col("step") == "phi")
    samples = pl.read_parquet(run / "tables" / "samples" / "*.parquet").filter(pl.col("source") == "films")
    told = ledger.filter(pl.col("sample_id").is_in(samples["sample_id"].implode()))
    found = told.filter(pl.col("reason") == "phi.burned_in").height
    page = (run / "reports" / "phi_review.html").read_text()
    shown = [base64.b64decode(data) for data in _JPEG.findall(page)]
    legible = sum(_identifies(data) for data in shown)
    return {
        "pictures with planted writing, quarantined or masked": share(found, planted),
        "pictures of the review page on which something that identifies can be read": share(legible, len(shown)),
    }


def _identifies(data: bytes) -> bool:
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    return any(one.kind for one in judged(read_writing(grey, 120)))


if __name__ == "__main__":
    main()
