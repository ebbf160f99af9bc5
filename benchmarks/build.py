"""The whole build of generated text: time against its bare kernels, peak memory against the number of samples.

    python -m benchmarks.build --samples 100000 1000000 --workers 2 [--json]

Two floors stand beside the build. The *step functions* are what the steps do when they are called on the same
fragments in one process, without engine, commits, exchanges and publishing: what is above them is the pipeline's
overhead, told in CPU seconds so that neighbours on the machine count less. The *library loops* are the least that
any program must do: parse, hash, count tokens, write. Peak memory is the largest sum of the resident sets of
driver and workers, read every 50 ms; pages of libraries that processes share count in each of them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from dedup.exact import normalise
from dedup.keys import sent_keys
from filters.measure import LINKS
from filters.tokens import HARMONY, load_counter
from pipelines.graph import graph_of
from pipelines.recipe_file import load_recipe
from pipelines.sources import find_sources
from pipelines.work import to_parquet
from shards.samples import ShardSample, sample_json, shard_sample
from shards.writer import write_shard
from sources.mapping import Prompts, to_sample
from sources.readers.registry import reader_named
from sources.records import Record
from sources.schema import IMAGES, SAMPLES
from sources.storage import LocalFolder

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


def write_recipe(place: Path, corpus: Path) -> Path:
    """A recipe for the corpus: text only, every step on."""
    entry = {"name": "notes", "reader": "jsonl", "path": corpus.name, "task": "text", "access": "open",
             "license": "CC0-1.0", "fields": {"id": "id", "text": "text"}}  # fmt: skip
    recipe = place / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"stage": "mid", "sources": [entry]}))
    return recipe


def measured_build(recipe: Path, corpus: Path, workers: int) -> dict[str, Any]:
    """Run `curate build` and watch it."""
    out = recipe.parent / f"run-{corpus.stem}-{workers}"
    command = [sys.executable, "-m", "workflows.cli", "build", "--recipe", str(recipe), "--data", str(corpus.parent)]
    command += ["--out", str(out), "--workers", str(workers), "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
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
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak, "steps": answer["steps"],
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


def library_loops(corpus: Path, place: Path) -> dict[str, float]:
    """Seconds of the least that any program must do: bare library calls over the whole corpus, one process."""
    clock = Clock()
    count = load_counter(HARMONY)
    with clock("parse"):
        rows = [orjson.loads(line) for line in corpus.open("rb")]
    texts = [row["text"] for row in rows]
    with clock("ids"):
        ids = [blake3.blake3(f"{row['id']} {row['text']}".encode()).hexdigest()[:32] for row in rows]
    with clock("tokens"):
        for text in texts:
            count(text)
    with clock("exact"):
        for text in texts:
            blake3.blake3(normalise(text).encode()).digest()
    with clock("parquet"):
        table = pa.table({"sample_id": ids, "text": texts})
        pq.write_table(table, place / "bare.parquet", compression="zstd", compression_level=1)
    with clock("tar"):
        samples = (
            ShardSample(key, {"sample_id": key, "turns": [{"role": "text", "text": text}], "tokens": 1}, ())
            for key, text in zip(ids, texts, strict=True)
        )
        with (place / "bare.tar").open("wb") as file:
            write_shard(file, samples)
    return clock.seconds


def step_functions(recipe: Path, corpus: Path, place: Path) -> dict[str, float]:
    """Seconds of the steps' own functions, fragment after fragment in one process: no engine, commits, exchange."""
    clock = Clock()
    loaded = load_recipe(None, recipe, ())
    (source,) = find_sources(loaded, [LocalFolder(corpus.parent)], None).found
    graph, reader, prompts = graph_of(loaded), reader_named(source.card.reader), Prompts()
    with clock("plan"):
        fragments = list(reader.plan(source, source.files))
    for fragment in fragments:
        with clock("ingest"):
            records = reader.read(source, fragment)
            rows = [to_sample(source, fragment.path, item, prompts) for item in records if isinstance(item, Record)]
            samples = pa.Table.from_pylist(rows, schema=SAMPLES)
        with clock("parquet"):
            to_parquet(samples)
            to_parquet(samples)
        with clock("tokens"):
            tokens = graph.token_counts.measure(samples)["tokens"]
        numbers = pa.array(range(len(samples)), pa.int32())
        links = pa.table(
            {name: pa.nulls(len(samples), kind) for name, kind in zip(LINKS.names, LINKS.types, strict=True)}
        )
        with clock("decide"):
            facts = {"tokens": tokens, "links": links, "images": IMAGES.empty_table()}
            for step in (graph.measure, *(step for step, _ in graph.filters)):
                step.decide(samples, facts)
        with clock("exact"):
            assert graph.exact is not None
            sent_keys(graph.exact.keys(samples, numbers, {"images": IMAGES.empty_table()}), 0)
        with clock("tar"), (place / "bare.tar").open("wb") as file:
            pairs = zip(samples.to_pylist(), tokens["tokens"].to_pylist(), strict=True)
            write_shard(file, (shard_sample(sample_json(row, number, ()), ()) for row, number in pairs))
    return clock.seconds


class Clock:
    """Adds up the seconds of named blocks."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a block."""
        started = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started


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
            recipe = write_recipe(place, corpus)
            loops = library_loops(corpus, place)
            steps = step_functions(recipe, corpus, place)
            for workers in given.workers:
                found = measured_build(recipe, corpus, workers)
                rows.append({"samples": samples, "bytes": corpus.stat().st_size, "workers": workers,
                             "library_loops": loops, "step_functions": steps, **found})  # fmt: skip
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("\n".join(_lines(row)))


def _lines(row: dict[str, Any]) -> list[str]:
    peak = {name: f"{size / 2**20:,.0f} MiB" for name, size in row["peak_bytes"].items()}
    loops, steps = sum(row["library_loops"].values()), sum(row["step_functions"].values())
    cpu = row["cpu_seconds"]
    return [
        f"{row['samples']:>9,} samples, {row['workers']} workers: {row['seconds']:.1f} s wall, {cpu:.1f} s of CPU",
        f"{'':>12}step functions alone {steps:.1f} s: CPU is {cpu / steps:.2f} x; library loops {loops:.1f} s",
        f"{'':>12}peak {peak['total']} (driver {peak['driver']}, largest worker {peak['worker']})",
        *(f"{'':>12}{step['name']:<10} {step['seconds']:7.1f} s" for step in row["steps"]),
    ]


if __name__ == "__main__":
    main()
