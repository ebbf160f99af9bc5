"""The whole build of generated text: wall time against its bare kernels, peak memory against the number of samples.

    python -m benchmarks.build --samples 100000 1000000 --workers 2 [--json]

The bare kernels do the same work in one process, in loops without a pipeline around them: reading and parsing the
lines, making ids, counting tokens, normal form and hash for exact duplicates, the samples table as Parquet, and
the members of the tars with their hash. Peak memory is the largest sum of the resident sets of driver and workers,
read every 50 ms; pages of libraries that processes share count in each of them.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from dedup.exact import normalise
from filters.tokens import HARMONY, load_counter
from shards.samples import ShardSample
from shards.writer import write_shard

WORDS = [
    "the",
    "lungs",
    "are",
    "clear",
    "without",
    "focal",
    "consolidation",
    "pleural",
    "effusion",
    "or",
    "pneumothorax",
    "heart",
    "size",
    "is",
    "normal",
    "mild",
    "degenerative",
    "changes",
    "of",
    "spine",
    "right",
    "lower",
    "lobe",
    "opacity",
    "measuring",
    "cm",
    "stable",
    "compared",
    "with",
    "prior",
    "study",
    "patient",
    "reports",
    "cough",
    "fever",
    "pain",
    "left",
    "upper",
    "extremity",
    "ultrasound",
    "shows",
    "no",
    "evidence",
    "for",
    "deep",
    "venous",
    "thrombosis",
]
DUPLICATES = 0.01


def write_corpus(path: Path, samples: int) -> None:
    """Notes of 40 to 120 words, one in a hundred an exact copy of the note before."""
    random = np.random.default_rng(7)
    with path.open("wb") as file:
        text = ""
        for number in range(samples):
            if not text or random.random() >= DUPLICATES:
                words = random.integers(0, len(WORDS), random.integers(40, 120))
                text = f"Note {number}: " + " ".join(WORDS[word] for word in words)
            file.write(orjson.dumps({"id": number, "text": text}) + b"\n")


def measured_build(place: Path, corpus: Path, workers: int) -> dict[str, Any]:
    """Run `curate build` and watch it."""
    recipe = place / "recipe.yaml"
    entry = {"name": "notes", "reader": "jsonl", "path": corpus.name, "task": "text", "access": "open",
             "license": "CC0-1.0", "fields": {"id": "id", "text": "text"}}  # fmt: skip
    recipe.write_text(yaml.safe_dump({"stage": "mid", "sources": [entry]}))
    out = place / f"run-{corpus.stem}-{workers}"
    command = [sys.executable, "-m", "workflows.cli", "build", "--recipe", str(recipe), "--data", str(corpus.parent),
               "--out", str(out), "--workers", str(workers), "--json"]  # fmt: skip
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peak = {"total": 0, "driver": 0, "worker": 0}
    while process.poll() is None:
        sizes = resident_bytes(process.pid)
        peak["total"] = max(peak["total"], sum(sizes.values()))
        peak["driver"] = max(peak["driver"], sizes.get(process.pid, 0))
        peak["worker"] = max([peak["worker"], *(size for pid, size in sizes.items() if pid != process.pid)])
        time.sleep(0.05)
    answer = json.loads(process.stdout.read() if process.stdout else b"{}")
    return {"seconds": time.monotonic() - started, "peak_bytes": peak, "steps": answer["steps"],
            "kept": answer["samples_written"]}  # fmt: skip


def resident_bytes(driver: int) -> dict[int, int]:
    """Resident set of a process and its children, by pid."""
    sizes = {}
    for pid in (driver, *_children(driver)):
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        sizes[pid] = pages * 4096
    return sizes


def _children(pid: int) -> Iterator[int]:
    try:
        yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    except OSError:
        return


def bare_kernels(corpus: Path, place: Path) -> dict[str, float]:
    """Seconds of each kernel on the whole corpus, one process, no pipeline."""
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.monotonic()
        result = work()
        seconds[name] = time.monotonic() - started
        return result

    count = load_counter(HARMONY)
    rows = timed("parse", lambda: [orjson.loads(line) for line in corpus.open("rb")])
    texts = [row["text"] for row in rows]
    ids = timed("ids", lambda: [blake3.blake3(f"{row['id']} {row['text']}".encode()).hexdigest()[:32] for row in rows])
    timed("tokens", lambda: [count(text) for text in texts])
    timed("exact", lambda: [blake3.blake3(normalise(text).encode()).digest() for text in texts])
    table = pa.table({"sample_id": ids, "text": texts})
    timed("parquet", lambda: pq.write_table(table, place / "bare.parquet", compression="zstd", compression_level=1))

    def tar() -> None:
        samples = (ShardSample(i, {"sample_id": i, "turns": [{"role": "text", "text": t}], "tokens": 1}, ())
                   for i, t in zip(ids, texts, strict=True))  # fmt: skip
        with (place / "bare.tar").open("wb") as file:
            write_shard(file, samples)

    timed("tar", tar)
    timed("sha256", lambda: hashlib.sha256((place / "bare.tar").read_bytes()).digest())
    return seconds


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[20_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = []
    for samples in given.samples:
        with tempfile.TemporaryDirectory(prefix="curate-bench-") as folder:
            place = Path(folder)
            corpus = place / f"notes{samples}.jsonl"
            write_corpus(corpus, samples)
            kernels = bare_kernels(corpus, place)
            for workers in given.workers:
                found = measured_build(place, corpus, workers)
                rows.append({"samples": samples, "bytes": corpus.stat().st_size, "workers": workers,
                             "kernels": kernels, "kernel_seconds": sum(kernels.values()), **found})  # fmt: skip
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("\n".join(_lines(row)))


def _lines(row: dict[str, Any]) -> list[str]:
    peak = {name: f"{size / 2**20:,.0f} MiB" for name, size in row["peak_bytes"].items()}
    ratio = row["seconds"] * row["workers"] / row["kernel_seconds"]
    head = f"{row['samples']:>9,} samples, {row['workers']} workers: {row['seconds']:7.1f} s"
    return [
        f"{head}; bare kernels {row['kernel_seconds']:6.1f} s; workers x wall / kernels {ratio:.2f}",
        f"{'':>12}peak {peak['total']} (driver {peak['driver']}, largest worker {peak['worker']})",
        *(f"{'':>12}{step['name']:<10} {step['seconds']:7.1f} s" for step in row["steps"]),
    ]


if __name__ == "__main__":
    main()
