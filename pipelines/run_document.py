"""What a run says of itself: the counts in `run.json`, and the JSON that `curate build` answers with."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.counts import StepCounts, by_source
from pipelines.errors import ConservationError


def counted(steps: Sequence[StepCounts]) -> dict[str, Any]:
    """`steps`, `counts` and `sources` of `run.json`: nothing that depends on time or place."""
    dropped: dict[str, int] = {}
    quarantined = 0
    for step in steps:
        for reason, number in step.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + number
        quarantined += step.quarantined.total()
    counts = {
        "ingested": steps[0].given + sum(step.made for step in steps),
        "kept": steps[-1].kept,
        "dropped": dict(sorted(dropped.items())),
        "quarantined": quarantined,
    }
    return {"steps": [step.identity() for step in steps], "counts": counts, "sources": by_source(steps)}


def check_written(run: Mapping[str, Any]) -> None:
    """Every kept sample is written once.

    Raises:
        ConservationError: it is not.
    """
    counts = run["counts"]
    if run["samples_written"] != counts["kept"]:
        raise ConservationError(f"{counts['kept']} samples were kept, {run['samples_written']} were written")
    decided = counts["kept"] + sum(counts["dropped"].values()) + counts["quarantined"]
    if counts["ingested"] != decided:
        raise ConservationError(f"{counts['ingested']} samples were ingested, {decided} have a verdict")


def answer_of(run: Mapping[str, Any], steps: Sequence[StepCounts]) -> dict[str, Any]:
    """What the command answers of a run: its counts, with the times of the steps that ran (none: all was there)."""
    timed = {step.name: step for step in steps}
    rows = []
    for row in run["steps"]:
        step = timed.get(row["name"])
        rows.append(
            {
                **row,
                "dropped": sum(row["dropped"].values()),
                "quarantined": sum(row["quarantined"].values()),
                "seconds": 0.0 if step is None else round(step.seconds, 3),
                "reused": row["fragments"] if step is None else step.reused,
            }
        )
    keys = ("stage", "counts", "sources", "images", "shards", "samples_written", "bytes_written")
    held = {"holdout": run["holdout"]} if "holdout" in run else {}
    return {**{key: run[key] for key in keys}, **held, "seconds": 0.0, "audit": "not_run", "steps": rows}
