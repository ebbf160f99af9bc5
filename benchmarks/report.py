"""The build report of a large synthetic run: seconds, peak memory and size of the page against the number of samples.

    python -m benchmarks.report --samples 10000 100000 1000000 [--keep FOLDER]

Each size is measured in a process of its own. The tables are those of a run with 20 sources, a picture in every
second sample and fourteen reasons, written without building anything; `--keep` leaves the last run to look at.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.report.page import PAGE, write_page
from pipelines.run_document import answer_of
from pipelines.versions import library_versions
from pipelines.work import Work
from sources.schema import FORMAT_VERSION, IMAGES, LEDGER, MODALITIES, SAMPLES, TASKS
from sources.storage import LocalFolder

PART = 4096
SOURCES = [f"{name}_{number}" for number in range(5) for name in ("pmc_oa", "roco", "slake", "chatdoctor")]
LICENSES = [
    "CC-BY-4.0",
    "CC0-1.0",
    "CC-BY-NC-4.0",
    "unknown",
    "CC-BY-SA-4.0",
    "MIT",
    *(f"LicenseRef-{n}" for n in range(14)),
]
REASONS = [
    ("ingest", "quarantine", "record.malformed"), ("ingest", "drop", "record.empty"),
    ("ingest", "drop", "record.split"), ("measure", "drop", "image.missing"),
    ("measure", "quarantine", "image.undecodable"), ("measure", "drop", "image.too_small"),
    ("measure", "drop", "image.blank"), ("license", "drop", "license.forbidden"),
    ("license", "drop", "access.forbidden"), ("tokens", "drop", "tokens.too_short"),
    ("tokens", "drop", "tokens.too_long"), ("exact", "drop", "exact.image_text"), ("exact", "drop", "exact.text"),
    ("exact", "quarantine", "exact.error"),
]  # fmt: skip
STEPS = ["ingest", "measure", "license", "tokens", "exact"]
TEXTS = [
    "Axial contrast-enhanced CT of the abdomen shows a 3 cm hypodense lesion in segment VI of the liver.",
    "Is there evidence of pneumothorax in this film? Compare with the study of the day before.",
    "The fundus photograph shows scattered dot haemorrhages and hard exudates near the macula.",
]


def write_run(place: Path, samples: int) -> None:
    """Write `run.json` and the tables of a run; the same of the same number."""
    counts: dict[str, Counter[str]] = {step: Counter() for step in STEPS}
    kept = images = 0
    for number, start in enumerate(range(0, samples, PART)):
        rows, pictures, ledger = _fragment(number, min(PART, samples - start), counts)
        kept += ledger.filter(pa.compute.equal(ledger["step"], "exact"))["verdict"].to_pylist().count("keep")
        images += pictures.num_rows
        for name, table in (("samples", rows), ("images", pictures), ("ledger", ledger)):
            path = place / "tables" / name / f"part-{number:06d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path, compression="zstd", compression_level=1)
    steps, left = [], samples
    for step in STEPS:
        lost = {kind: {r: counts[step][r] for s, k, r in REASONS if s == step and k == kind and counts[step][r]}
                for kind in ("drop", "quarantine")}  # fmt: skip
        out = left - sum(sum(part.values()) for part in lost.values())
        steps.append({"name": step, "in": left, "made": 0, "kept": out, "dropped": lost["drop"],
                      "quarantined": lost["quarantine"], "fragments": -(-samples // PART)})  # fmt: skip
        left = out
    assert left == kept
    dropped: dict[str, int] = {}
    for row in steps:
        dropped |= row["dropped"]
    quarantined = sum(sum(row["quarantined"].values()) for row in steps)
    recipe = {"stage": "mid", "sources": [{"name": name} for name in SOURCES], "steps": {"exact": {"enabled": True}}}
    run = {
        "format": FORMAT_VERSION, "identity": {"recipe": recipe, "limit": None, "site_key": None}, "stage": "mid",
        "fingerprint": "0123456789abcdef" * 2, "fingerprints": dict.fromkeys(STEPS, "0123456789abcdef" * 2),
        "versions": library_versions(), "seed": 0, "sources": {}, "steps": steps,
        "counts": {"ingested": samples, "kept": kept, "dropped": dropped, "quarantined": quarantined},
        "inputs": [{"source": name, "license": "CC-BY-4.0", "access": "open", "files": 3, "bytes": 10**8 + place,
                    "identifiers": "public" if place else "keyed"} for place, name in enumerate(SOURCES)],
        "images": images, "shards": kept // 10_000 + 1, "samples_written": kept, "bytes_written": kept * 40_000,
    }  # fmt: skip
    (place / "run.json").write_bytes(orjson.dumps(run))


def _fragment(number: int, size: int, counts: dict[str, Counter[str]]) -> tuple[pa.Table, pa.Table, pa.Table]:
    random = np.random.default_rng(number)
    ids = [random.bytes(16).hex() for _ in range(size)]
    source = np.minimum((random.exponential(3.0, size)).astype(int), len(SOURCES) - 1)
    shows = random.random(size) < 0.5
    image_ids = [random.bytes(16).hex() if shown else None for shown in shows]
    fate = np.where(random.random(size) < 0.2, random.integers(0, len(REASONS), size), -1)
    tokens = random.lognormal(4.5, 1.0, size).astype(int) + 1
    rows = [
        {
            "sample_id": ids[row], "source": SOURCES[source[row]], "source_key": f"part.jsonl#{row}", "split": None,
            "task": TASKS[(source[row] * 3 + row % 2) % len(TASKS)], "groups": [], "access": "open", "language": "en",
            "turns": [{"role": "user", "text": "<image>\nDescribe this image."},
                      {"role": "assistant", "text": TEXTS[row % len(TEXTS)]}],
            "images": [{"image_id": image_ids[row], "uri": f"{row}.jpg", "frame": 0}] if shows[row] else [],
            "license": LICENSES[row % len(LICENSES) if row % 7 == 0 else source[row] % 6], "question": None,
            "options": None, "answer": None, "parent_id": None, "meta": None,
        }
        for row in range(size)
    ]  # fmt: skip
    side = (2 ** random.uniform(5, 11.5, size)).astype(int)
    blobs = [_thumbnail(seed) for seed in range(16)]
    pictures = [
        {**dict.fromkeys(IMAGES.names), "image_id": image_ids[row], "width": int(side[row] * 1.3),
         "height": int(side[row]), "bit_depth": 8, "channels": 1, "format": "jpeg" if row % 3 else "dicom",
         "frames": 1, "bytes": 40_000, "thumbnail": blobs[row % 16], "modality_from": "card",
         "modality": MODALITIES[(source[row] + row % 3) % len(MODALITIES)]}
        for row in range(size) if shows[row]
    ]  # fmt: skip
    ledger: list[dict[str, Any]] = []
    for row in range(size):
        step, verdict, reason = REASONS[fate[row]] if fate[row] >= 0 else ("", "keep", None)
        if reason is not None:
            counts[step][reason] += 1
        for name in STEPS:
            ends = name == step
            ledger.append(
                {"sample_id": ids[row], "step": name, "verdict": verdict if ends else "keep",
                 "reason": reason if ends else None, "score": float(tokens[row]) if name == "tokens" else 12.0,
                 "threshold": 1024.0, "evidence": None, "step_fingerprint": "0" * 32}
            )  # fmt: skip
            if ends:
                break
    return (
        pa.Table.from_pylist(rows, SAMPLES),
        pa.Table.from_pylist(pictures, IMAGES),
        pa.Table.from_pylist(ledger, LEDGER),
    )


def _thumbnail(seed: int) -> bytes:
    """Two dark fields in a bright body, as a chest film has."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    body = (x / 0.9) ** 2 + (y / 0.95) ** 2 < 1
    fields = ((np.abs(x) - 0.4) / 0.28) ** 2 + (y / 0.7) ** 2 < 1
    spot = 90 * np.exp(-((x - np.cos(seed) / 2) ** 2 + (y - np.sin(seed) / 2) ** 2) / 0.02)
    return np.clip(20 + 150 * body - 110 * (fields & body) + spot, 0, 255).astype(np.uint8).tobytes()


def measured(place: Path) -> dict[str, Any]:
    """Write the page of the run here; what it took."""
    run = LocalFolder(place)
    document = orjson.loads(run.read("run.json"))
    answer = {"missing": [], **answer_of(document, ())}
    run.delete(PAGE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    write_page(Work(run), answer)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak_mib": peak / 1024, "libraries_mib": before / 1024,
            "page_bytes": (place / PAGE).stat().st_size}  # fmt: skip


def main() -> None:
    """Print a line a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[100_000])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.of:
        print(json.dumps(measured(given.of)))
        return
    for samples in given.samples:
        with tempfile.TemporaryDirectory(prefix="curate-bench-") as folder:
            place = given.keep or Path(folder)
            write_run(place, samples)
            command = [sys.executable, "-m", "benchmarks.report", "--of", str(place)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(
            f"{samples:>10,} samples: {found['seconds']:6.1f} s, peak {found['peak_mib']:,.0f} MiB "
            f"({found['libraries_mib']:,.0f} before it began), page {found['page_bytes'] / 1e3:,.0f} kB"
        )


if __name__ == "__main__":
    main()
