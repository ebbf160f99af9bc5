"""What each rank of a run does: `python -m workflows.train.rank OUT/job.json`, under torchrun or anything like it."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from pipelines.errors import CurateError, presentable
from workflows.train.job import FAILURES, METRICS, RUNNING, STOPPED, Job, last_step, read_job
from workflows.train.launch import note_save
from workflows.train.metrics import replace_file
from workflows.train.start import alone_in
from workflows.train.stopping import StopRequest

if TYPE_CHECKING:
    from workflows.train.ranks import Ranks

BEAT_S = 1.0
"""Between two signs of life. Far below the 30 s that torchrun leaves the others when one rank is dead."""
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
}
"""Of every rank, whoever started it, where the user's environment does not say otherwise."""


def main(arguments: list[str]) -> int:
    """Train, and leave a word in `OUT/failures/` where that did not work or was stopped. Returns the exit status.

    DeepSpeed's launcher adds `--local_rank=N`; it says what the environment says.
    """
    stop = StopRequest()  # before the imports that take seconds
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    job = read_job(Path(next(word for word in arguments if not word.startswith("--"))))
    rank = int(os.environ.get("RANK", "0"))
    word = job.out / FAILURES / f"{rank}.json"
    word.parent.mkdir(parents=True, exist_ok=True)
    before = last_step(job.out)
    _leave(word, {"status": None, "pid": os.getpid(), "host": os.uname().nodename})
    try:
        with alone_in(job.out, RUNNING) if rank == 0 else nullcontext(), _beating(word):
            status = _run(job, stop)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told without values of a record
        shown = presentable(error, f"rank {rank}")
        ours = isinstance(error, CurateError)
        _leave(word, {"status": shown.status, "error": shown.message, "hint": shown.hint, "ours": ours})
        return shown.status
    if status == STOPPED:
        _leave(word, {"status": STOPPED, "step": last_step(job.out), "before": before})
    else:
        word.unlink(missing_ok=True)
    return status


@contextmanager
def _beating(word: Path) -> Iterator[None]:
    """Touch the word now and then, so that of ranks that were all killed the first to fall silent can be told."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            with suppress(FileNotFoundError):  # an empty one would be no word
                os.utime(word)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _run(job: Job, stop: StopRequest) -> int:
    """Meet the other ranks, train, part."""
    import torch

    from workflows.train.engine import join_ranks
    from workflows.train.preflight import check_own_gpu, check_ranks_alike
    from workflows.train.ranks import ranks_of_environment

    ranks = ranks_of_environment()
    check_own_gpu(job, ranks, torch.cuda.device_count())
    if ranks.device.type == "cpu":
        cores = len(os.sched_getaffinity(0)) // ranks.local_world
        torch.set_num_threads(job.recipe.cpu_threads or max(1, cores))
    join_ranks(ranks)
    check_ranks_alike(job, ranks)
    done = train_stage(job, ranks, stop)
    torch.distributed.destroy_process_group()
    return 0 if done else STOPPED


def train_stage(job: Job, ranks: "Ranks", stop: StopRequest) -> bool:
    """A stage among ranks that have met: from the newest checkpoint to the export, or (False) to a stop that was asked.

    Raises:
        CurateError: it cannot be begun, gone on with, or ended.
    """
    import deepspeed  # type: ignore[import-untyped]

    from workflows.train import checkpoint
    from workflows.train.data import rows_of
    from workflows.train.engine import make_engine
    from workflows.train.export import export
    from workflows.train.loop import Loop
    from workflows.train.metrics import boards, forget_after
    from workflows.train.preflight import check_shards
    from workflows.train.validation import HeldOut

    if not check_shards(job, ranks, stop):
        return False
    checkpoint.clear_leftovers(job, ranks)
    found = checkpoint.newest(job)
    if found is not None:
        checkpoint.verify(ranks, *found)
    universal = found is not None and found[1].world != ranks.world
    if found is not None and universal:
        checkpoint.make_universal(job, ranks, found[0])
    deepspeed.runtime.utils.set_random_seed(job.recipe.seed)
    engine = make_engine(job, ranks, universal=universal)
    loop = Loop(job, ranks, engine, stop)
    if found is not None:
        checkpoint.load(job, ranks, engine, *found)
        loop.step = found[1].step
        loop.losses.extend(found[1].losses)
    if ranks.first:
        forget_after(job.out / METRICS, loop.step)
        loop.boards = boards(job.out, job.recipe, loop.step)
    held_out = HeldOut(job, ranks)
    if held_out.rows:
        loop.held_out = lambda: held_out.losses(engine)

    def save() -> None:
        began = time.monotonic()
        checkpoint.save(job, ranks, engine, loop.step, loop.losses)
        if ranks.first:
            note_save(job, time.monotonic() - began)

    done = loop.run(rows_of(job, ranks, loop.step), save) if loop.step < job.steps else True
    if done:
        export(job, ranks, engine)
    return done


def _leave(path: Path, document: dict[str, object]) -> None:
    replace_file(path, orjson.dumps(document))  # other nodes may be reading it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
