"""`make demo`: the whole way from a corpus to shards, on data that comes with the project.

Run as `python -m workflows.demo FOLDER`.
"""

import sys
from pathlib import Path

import polars as pl

from pipelines.tables import scan
from sources.storage import LocalFolder
from workflows.answer import say
from workflows.cli import run
from workflows.demo_corpus import write_demo_corpus
from workflows.demo_leaks import EVALS, plant_leaks


def main(place: Path) -> int:
    """Write the corpus, build its shards, verify them, and say where to look; returns the exit status."""
    corpora, out = place / "corpora", place / "run"
    recipe = write_demo_corpus(corpora)
    plant_leaks(corpora, recipe)
    build = ["build", "--stage", "mid", "--recipe", str(recipe), "--data", str(corpora), "--out", str(out)]
    build += ["--evals", str(corpora / EVALS)]
    verify = ["shards", "verify", str(out / "shards")]
    for command in (build, verify):
        say(f"\n$ curate {' '.join(command)}")
        status = run(command)
        if status:
            return status
    say("\nOne sample of every verdict in this run:")
    for sample in examples(out):
        say(f"  {sample['verdict']:<10} {sample['reason'] or '':<20} curate why {out} {sample['sample_id']}")
    say(f"\nWhere to look: {out}/shards (tars and manifest.json), {out}/tables (Parquet), {out}/run.json (counts)")
    say(f"Try next:      {Path(sys.executable).with_name('curate')} why {out} <one of the ids above>")
    return 0


def examples(out: Path) -> list[dict[str, str | None]]:
    """The sample with the smallest id of every verdict and reason; `keep` stands for samples kept to the end."""
    ledger = scan(LocalFolder(out), "ledger")
    last = ledger.group_by("sample_id").agg(pl.col("verdict", "reason").last())
    return (
        last.group_by("verdict", "reason").agg(pl.col("sample_id").min()).sort("verdict", "reason").collect().to_dicts()
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")))
