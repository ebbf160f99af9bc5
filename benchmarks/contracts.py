"""What contracts cost: the same build of generated notes with them and without.

    python -m benchmarks.contracts --samples 100000 [--workers 2] [--rounds 2] [--json]

Builds take turns, so that neighbours on the machine disturb both kinds alike; the fastest of each kind counts.
CPU seconds are of the command and its workers. `gates` are seconds by gate, from `events.jsonl`: the first holds the
import of Great Expectations.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import orjson
import yaml

from benchmarks.build import measured_build, write_corpus, write_recipe


def compared(samples: int, workers: int, rounds: int) -> dict[str, Any]:
    """Build with contracts and without, in turns."""
    with tempfile.TemporaryDirectory(prefix="curate-bench-") as folder:
        place = Path(folder)
        corpus = place / f"notes{samples}.jsonl"
        write_corpus(corpus, samples)
        kinds = {enabled: _recipe(place / str(enabled), corpus, enabled=enabled) for enabled in (True, False)}
        found: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for _ in range(rounds):
            for enabled, recipe in kinds.items():
                run = measured_build(recipe, corpus, workers)
                out = recipe.parent / f"run-{corpus.stem}-{workers}"
                run["gates"] = _gate_seconds(out / "events.jsonl")
                found[enabled].append(run)
                shutil.rmtree(out)
    on, off = (min(found[enabled], key=lambda run: run["cpu_seconds"]) for enabled in (True, False))
    return {
        "samples": samples,
        "workers": workers,
        "with": _told(on),
        "without": _told(off),
        "more_cpu": on["cpu_seconds"] / off["cpu_seconds"] - 1,
        "more_seconds": on["seconds"] / off["seconds"] - 1,
        "gates": on["gates"],
    }


def _recipe(place: Path, corpus: Path, *, enabled: bool) -> Path:
    place.mkdir()
    recipe = write_recipe(place, corpus)
    document = yaml.safe_load(recipe.read_text()) | {"contracts": {"enabled": enabled}}
    recipe.write_text(yaml.safe_dump(document))
    return recipe


def _gate_seconds(events: Path) -> dict[str, float]:
    lines = [orjson.loads(line) for line in events.read_bytes().splitlines()]
    ends = [line for line in lines if line.get("event") == "end" and line["step"].startswith("contracts")]
    return {line["step"]: line["seconds"] for line in ends}


def _told(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("seconds", "cpu_seconds", "peak_bytes", "kept")}


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[100_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [compared(samples, given.workers, given.rounds) for samples in given.samples]
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['samples']:,} samples, {row['workers']} workers:")
        for name in ("with", "without"):
            peak = {part: f"{size / 2**20:,.0f} MiB" for part, size in row[name]["peak_bytes"].items()}
            print(f"  {name:<8} {row[name]['seconds']:7.1f} s, {row[name]['cpu_seconds']:7.1f} s of CPU, "
                  f"peak {peak['total']} (driver {peak['driver']}, worker {peak['worker']})")  # fmt: skip
        print(f"  contracts cost {row['more_cpu']:+.1%} of CPU, {row['more_seconds']:+.1%} of time")
        for name, seconds in row["gates"].items():
            print(f"    {name:<28} {seconds:6.2f} s")


if __name__ == "__main__":
    main()
