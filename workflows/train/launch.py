"""Starting the ranks on this machine with torchrun, passing on signals, and finding out how it ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import orjson

from pipelines.errors import CurateError
from workflows.train.arithmetic import checkpoint_gb
from workflows.train.job import EXPORT, FAILURES, JOB, METRICS, STOPPED, Job

LOG = "train.log"
PROJECT = Path(__file__).resolve().parents[2]
SLOW_DISK_GB_S = 0.5
LEAST_SHUTDOWN_S = 60
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
}
"""Of every rank, where the user's does not say otherwise."""


class StoppedError(CurateError):
    """The run was told to stop, did so in order and can go on."""

    status: ClassVar[int] = STOPPED


def shutdown_seconds(job: Job) -> int:
    """How long ranks may take to stop: a checkpoint to a slow disk, twice. torchrun alone would kill after 30 s."""
    return LEAST_SHUTDOWN_S + int(2 * checkpoint_gb(job.model, job.recipe) / SLOW_DISK_GB_S)


def torchrun_command(job: Job, nproc: int) -> list[str]:
    """What is run on this machine."""
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nnodes", "1", "--nproc-per-node", str(nproc),
        "--shutdown-timeout", str(shutdown_seconds(job)), "-m", "workflows.train.rank", str(job.out / JOB),
    ]  # fmt: skip


def run_here(job: Job, nproc: int, progress: Callable[[dict[str, Any]], None]) -> None:
    """Run all ranks on this machine until they end; `progress` gets the newest line of the metrics now and then.

    SIGTERM and SIGINT are passed on: the ranks finish their step, write a checkpoint and end.

    Raises:
        StoppedError: that happened.
        CurateError: a rank failed; the first that did is told.
    """
    words = job.out / FAILURES
    words.mkdir(exist_ok=True)
    for word in words.iterdir():
        word.unlink()
    environment = {**ENVIRONMENT, **os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    environment.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // nproc)))
    with (job.out / LOG).open("ab") as log:
        process = subprocess.Popen(
            torchrun_command(job, nproc), stdout=log, stderr=log, env=environment, start_new_session=True
        )
    passed_on = _pass_on(process)
    try:
        while process.poll() is None:
            time.sleep(0.2)
            newest = _last_line(job.out / METRICS)
            if newest is not None:
                progress(newest)
    finally:
        for number, handler in passed_on.items():
            signal.signal(number, handler)
        if process.poll() is None:  # this process is about to die of something else
            process.terminate()
            process.wait()
    _told(job, process.returncode)


def _pass_on(process: "subprocess.Popen[bytes]") -> dict[int, Any]:
    def pass_on(_number: int, _frame: FrameType | None) -> None:
        process.send_signal(signal.SIGTERM)

    try:
        return {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever runs this there stops it in another way
        return {}


def _told(job: Job, status: int) -> None:
    words = sorted((job.out / FAILURES).iterdir(), key=lambda path: path.stat().st_mtime)
    documents = [(int(word.stem), orjson.loads(word.read_bytes())) for word in words]
    stopped = [one for _, one in documents if one["status"] == STOPPED]
    failed = [(rank, one) for rank, one in documents if one["status"] not in (None, STOPPED)]
    silent = [(rank, one) for rank, one in documents if one["status"] is None]
    clear = next((item for item in failed if item[1]["ours"]), None)
    if clear is not None:
        raise _failure(*clear)
    if silent:
        rank, one = silent[0]
        raise CurateError(
            f"rank {rank} (process {one['pid']} on {one['host']}) ended without a word: it was killed, perhaps for "
            "want of memory",
            f"see {job.out / LOG}; the last checkpoint is whole: go on with --resume",
        )
    if failed:
        raise _failure(*failed[0])
    if stopped:
        step = max(one["step"] for one in stopped)
        what = f"with a checkpoint of step {step:,}" if step else "before the first step"
        raise StoppedError(f"stopped as asked, {what}", "the same command with --resume goes on")
    if status or not (job.out / EXPORT).is_dir():
        raise CurateError(f"the ranks could not be started (status {status})", f"see {job.out / LOG}")


def _failure(rank: int, document: dict[str, Any]) -> CurateError:
    error = CurateError(f"rank {rank}: {document['error']}", document["hint"])
    error.status = document["status"]  # type: ignore[misc]
    return error


def _last_line(path: Path) -> dict[str, Any] | None:
    """The newest whole line of a file that is being written."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().split(b"\n")[:-1]
    try:
        found: dict[str, Any] | None = orjson.loads(lines[-1]) if lines else None
    except orjson.JSONDecodeError:
        return None
    return found
