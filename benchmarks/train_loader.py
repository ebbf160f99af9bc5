"""What reading costs training: how long a step waits for its rows, and steps a second against rows from memory.

    .venv/bin/python -m benchmarks.train_loader RUN/shards [BLOCKS]

The tiny model on one rank, two reading processes, steps of one row. Blocks of steps whose rows come from the loader
and of steps whose rows lie ready in memory follow one another in one run, so that both meet the same machine; the first
steps of a block, which live on what was read ahead, do not count. Bar: at least 0.95 x the steps a second. On a machine
that is busy with other things wall time says little: seconds of the trainer's processor are told, too.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

BLOCK, SKIPPED = 10, 5
BAR = 0.95


def main() -> int:
    """Print the waiting share and the ratio; exit status 1 below the bar."""
    shards, blocks = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as name:
        rows, used = _trained(shards, Path(name), blocks)
    kinds: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for place, row in enumerate(rows):
        if place % BLOCK >= SKIPPED:
            kinds[place // BLOCK % 2 == 0].append(row | {"processor": used[place + 1] - used[place]})
    read, memory = (statistics.median(row["seconds"] for row in kinds[kind]) for kind in (True, False))
    waited = sum(row["wait_seconds"] for row in kinds[True]) / sum(row["seconds"] for row in kinds[True])
    print(f"{len(kinds[True])} steps read: {read:.3f} s a step, {waited:.2%} of all waiting")
    print(f"{len(kinds[False])} steps from memory: {memory:.3f} s a step")
    print(f"steps a second, read / from memory: {memory / read:.3f} (bar {BAR})")
    busy = [statistics.median(row["processor"] for row in kinds[kind]) for kind in (True, False)]
    print(f"seconds of the trainer's processor a step: {busy[0]:.3f}, {busy[1]:.3f}; ratio {busy[1] / busy[0]:.3f}")
    return int(memory / read < BAR)


def _trained(shards: str, out: Path, blocks: int) -> tuple[list[dict[str, Any]], list[float]]:
    """Metrics of a run whose rows come from the loader in even blocks, and processor time as each step begins."""
    for variable, value in (("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29517")):
        os.environ.setdefault(variable, value)
    from workflows.train.batch import Row
    from workflows.train.data import rows_of
    from workflows.train.engine import join_ranks, make_engine
    from workflows.train.loop import Loop
    from workflows.train.metrics import read_metrics
    from workflows.train.ranks import ranks_of_environment
    from workflows.train.start import TrainOptions, make_job, prepare
    from workflows.train.stopping import StopRequest

    overrides = (f"steps={blocks * BLOCK}", "epochs=20", "spike=null", "validation=null", "warmup_share=0.1",
                 "rows_per_step=1")  # fmt: skip
    options = TrainOptions(
        "mid", shards, "tiny", None, out, 1, 1, resume=False, accept_findings=None, overrides=overrides
    )
    job = make_job(prepare(options))
    ranks = ranks_of_environment()
    join_ranks(ranks)
    loop = Loop(job, ranks, make_engine(job, ranks, universal=False), StopRequest())
    source = rows_of(job, ranks, 0)
    ready = [next(source) for _ in range(BLOCK)]

    used: list[float] = []

    def rows() -> Iterator[Sequence[Row]]:
        for step in range(job.steps):
            used.append(time.process_time())
            yield next(source) if step // BLOCK % 2 == 0 else ready[step % BLOCK]

    loop.run(rows(), lambda: None)
    return read_metrics(loop.path), [*used, time.process_time()]


if __name__ == "__main__":
    sys.exit(main())
