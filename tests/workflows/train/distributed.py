"""Run under torchrun by test_distributed.py: everything that needs two ranks, in processes that import once."""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from pipelines.errors import CurateError
from workflows.train import data
from workflows.train.batch import Row
from workflows.train.check import Spec
from workflows.train.check_rank import run_checks
from workflows.train.engine import join_ranks
from workflows.train.job import METRICS, Job, read_job
from workflows.train.metrics import read_metrics
from workflows.train.preflight import check_ranks_alike
from workflows.train.rank import train_stage
from workflows.train.ranks import Ranks, ranks_of_environment
from workflows.train.stopping import StopRequest


def main(work: Path) -> None:
    ranks = ranks_of_environment()
    jobs = {path.stem: read_job(path) for path in work.glob("*.job")}
    join_ranks(ranks)
    check_ranks_alike(jobs["whole"], ranks)
    stop = StopRequest()
    told: dict[str, Any] = {"whole": train_stage(jobs["whole"], ranks, stop)}

    signals_itself(jobs["stopped"], ranks, after_steps=2)
    told["stopped"] = train_stage(jobs["stopped"], ranks, stop)
    told["stopped_at"] = len(read_metrics(jobs["stopped"].out / METRICS))
    if ranks.first:
        shutil.copytree(jobs["stopped"].out, work / "elastic")
    ranks.wait()
    stop.asked = False
    told["resumed"] = train_stage(jobs["stopped"], ranks, stop)

    told["spread"] = train_stage(jobs["spread"], ranks, stop)

    pictures = counted_pictures()
    told["align"] = train_stage(jobs["align"], ranks, stop)
    told["pictures"] = list(zip(*ranks.gathered(pictures), strict=True))

    for name in ("exploding", "unlearnable"):
        try:
            train_stage(jobs[name], ranks, stop)
        except CurateError as error:
            told[name] = error.message
    run_checks(Spec.model_validate_json((work / "check" / "spec.json").read_bytes()), ranks)
    if ranks.first:
        (work / "told.json").write_bytes(orjson.dumps(told))
    ranks.wait()


def signals_itself(job: Job, ranks: Ranks, after_steps: int) -> None:
    """Let the last rank, and no other, get a SIGTERM at no step in particular."""

    def wait() -> None:
        while len(read_metrics(job.out / METRICS)) < after_steps:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    if ranks.rank == ranks.world - 1:
        threading.Thread(target=wait, daemon=True).start()


def counted_pictures() -> list[int]:
    """How many pictures the rows of each step hold, from here on."""
    counts: list[int] = []
    rows_of = data.rows_of

    def counting(job: Job, ranks: Ranks, start_step: int) -> Iterator[Sequence[Row]]:
        for rows in rows_of(job, ranks, start_step):
            counts.append(sum(len(row.pictures) for row in rows))
            yield rows

    data.rows_of = counting
    return counts


if __name__ == "__main__":
    main(Path(sys.argv[1]))
