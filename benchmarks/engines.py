"""Ray against the local engine: the same build of generated text, on the same cores, alternately.

    python -m benchmarks.engines --samples 100000 --workers 2 --rounds 3 [--json]

Start-up is told apart: `seconds` begin with the first unit of ingest done, when workers of both engines are up, and end
with the build; `start` is what came before that. CPU is that of every process of the command, Ray's own included, also
from the first unit on; it counts where the machine has other work to do. Processes are known by a variable of their
environment and read every 100 ms, so one that lives shorter than that is not counted. Bytes are compared as well.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.build import write_corpus, write_recipe

MARK = "CURATE_BENCHMARK"
TICKS = os.sysconf("SC_CLK_TCK")
PUBLISHED = ("run.json", "tables", "shards")


class Processes:
    """All processes that were started with a mark in their environment, and the CPU each has used so far."""

    def __init__(self, mark: str) -> None:
        self._mark = f"{MARK}={mark}".encode()
        self._ours: dict[str, bool] = {}
        self._ticks: dict[str, int] = {}

    def look(self) -> float:
        """CPU seconds until now, also of those that have ended."""
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            try:
                if not self._ours.setdefault(place.name, self._mark in (place / "environ").read_bytes()):
                    continue
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            self._ticks[place.name] = int(fields[11]) + int(fields[12])
        return sum(self._ticks.values()) / TICKS


def measured(recipe: Path, corpus: Path, engine: str, workers: int, out: Path) -> dict[str, Any]:
    """Run `curate build` on an engine and watch it."""
    command = [sys.executable, "-m", "workflows.cli", "build", "--recipe", str(recipe), "--data", str(corpus.parent)]
    command += ["--out", str(out), "--engine", engine, "--workers", str(workers), "--json"]
    mark = uuid.uuid4().hex
    processes = Processes(mark)
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, MARK: mark}
    )
    up = up_cpu = cpu = 0.0
    while process.poll() is None:
        cpu = processes.look()
        if not up and _ingesting(out / "events.jsonl"):
            up, up_cpu = time.monotonic(), cpu
        time.sleep(0.1)
    ended = started + json.loads(process.stdout.read() if process.stdout else b"{}")["seconds"]
    return {"engine": engine, "seconds": ended - up, "cpu_seconds": cpu - up_cpu, "start": up - started,
            "start_cpu": up_cpu, "digest": digest(out)}  # fmt: skip


def _ingesting(log: Path) -> bool:
    try:
        return b'"event":"unit","step":"ingest"' in log.read_bytes()
    except OSError:
        return False


def digest(run: Path) -> str:
    """One hash over every byte that is part of a run's identity."""
    files = [path for name in PUBLISHED for path in [run / name, *sorted((run / name).rglob("*"))] if path.is_file()]
    hashes = [f"{path.relative_to(run)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def main() -> None:
    """Print the rounds and the ratios, or JSON. Exit status 1 where the bytes differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="curate-bench-") as folder:
        place = Path(folder)
        corpus = place / "notes.jsonl"
        write_corpus(corpus, given.samples)
        recipe = write_recipe(place, corpus)
        for number in range(given.rounds):
            for engine in ("local", "ray") if number % 2 == 0 else ("ray", "local"):
                rows.append(measured(recipe, corpus, engine, given.workers, place / f"{engine}{number}"))
                if not given.json:
                    print(_line(rows[-1]), flush=True)
    same = len({row["digest"] for row in rows}) == 1
    ratios = {key: _ratio(rows, key) for key in ("seconds", "cpu_seconds")}
    if given.json:
        print(json.dumps({"samples": given.samples, "rounds": rows, "ray_to_local": ratios, "same_bytes": same}))
    else:
        print(
            f"ray / local, medians: wall {ratios['seconds']:.2f}, CPU {ratios['cpu_seconds']:.2f}; same bytes: {same}"
        )
    sys.exit(0 if same else 1)


def _ratio(rows: list[dict[str, Any]], key: str) -> float:
    medians = {
        engine: statistics.median(row[key] for row in rows if row["engine"] == engine) for engine in ("local", "ray")
    }
    return medians["ray"] / medians["local"]


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['engine']:<6} {row['seconds']:7.1f} s wall, {row['cpu_seconds']:7.1f} s of CPU; "
        f"before that {row['start']:5.1f} s and {row['start_cpu']:5.1f} s"
    )


if __name__ == "__main__":
    main()
