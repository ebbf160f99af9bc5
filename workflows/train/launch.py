"""Starting the ranks on this machine with torchrun, passing on signals, and finding out how it ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import orjson

from pipelines.errors import CurateError
from workflows.train.arithmetic import checkpoint_gb
from workflows.train.job import EXPORT, FAILURES, JOB, METRICS, SAVED, STOPPED, Job, last_step
from workflows.train.metrics import replace_file
from workflows.train.stopping import STOPPING

LOG = "train.log"
PROJECT = Path(__file__).resolve().parents[2]
SLOW_DISK_GB_S = 0.5
LEAST_SHUTDOWN_S, UNKNOWN_SHUTDOWN_S = 60, 300
"""Beside writing: for the step in hand; and more before a first checkpoint has shown how long one takes."""
SIGNALS = "SIGTERM,SIGINT,SIGUSR1,SIGHUP,SIGQUIT"
"""What torchrun passes on to the ranks; without being told so it would die of SIGUSR1 and leave them."""


class StoppedError(CurateError):
    """The run was told to stop, did so in order and can go on."""

    status: ClassVar[int] = STOPPED


def shutdown_seconds(job: Job) -> int:
    """How long ranks may take to stop, after which they are killed: torchrun alone would do that after 30 s.

    Twice the slowest save of this run so far; before the first, what a slow disk would take.
    """
    measured = slowest_save(job)
    if measured is None:
        return UNKNOWN_SHUTDOWN_S + int(2 * checkpoint_gb(job.model, job.recipe) / SLOW_DISK_GB_S)
    return LEAST_SHUTDOWN_S + int(2 * measured)


def note_save(job: Job, seconds: float) -> None:
    """Keep how long the slowest save of a run took."""
    longest = max(seconds, slowest_save(job) or 0.0)
    replace_file(job.out / SAVED, orjson.dumps({"longest_seconds": round(longest, 3)}))


def slowest_save(job: Job) -> float | None:
    """Seconds; None before the first save."""
    path = job.out / SAVED
    return float(orjson.loads(path.read_bytes())["longest_seconds"]) if path.is_file() else None


def torchrun_command(job: Job, nproc: int, meeting: Sequence[str] = ("--standalone", "--nnodes", "1")) -> list[str]:
    """What is run on a node; `meeting`: how torchrun finds those of the other nodes."""
    return [
        sys.executable, "-m", "torch.distributed.run", *meeting, "--nproc-per-node", str(nproc),
        "--shutdown-timeout", str(shutdown_seconds(job)), "--signals-to-handle", SIGNALS,
        "-m", "workflows.train.rank", str(job.out / JOB),
    ]  # fmt: skip


def node_environment(nproc: int) -> dict[str, str]:
    """Of torchrun: the project's folder on the path, and no more threads than a rank has cores."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    environment.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // nproc)))
    return environment


def run_here(job: Job, nproc: int, progress: Callable[[dict[str, Any]], None]) -> None:
    """Run all ranks on this machine until they end; `progress` gets the newest line of the metrics now and then.

    SIGTERM and SIGINT are passed on: the ranks finish their step, write a checkpoint and end.

    Raises:
        StoppedError: that happened.
        CurateError: a rank failed; the first that did is told.
    """
    clear_words(job)
    with (job.out / LOG).open("ab") as log:
        process = subprocess.Popen(
            torchrun_command(job, nproc), stdout=log, stderr=log, env=node_environment(nproc), start_new_session=True
        )
    asked: list[int] = []
    passed_on = pass_signals_on(process, asked)
    try:
        while process.poll() is None:
            time.sleep(0.2)
            newest = last_line(job.out / METRICS)
            if newest is not None:
                progress(newest)
    finally:
        for number, handler in passed_on.items():
            signal.signal(number, handler)
        if process.poll() is None:  # this process is about to die of something else
            process.terminate()
            process.wait()
    tell_end(job, process.returncode, asked=bool(asked))


def clear_words(job: Job) -> None:
    """Forget what the ranks of an earlier start said."""
    words = job.out / FAILURES
    words.mkdir(exist_ok=True)
    for word in words.iterdir():
        word.unlink()


def pass_signals_on(process: "subprocess.Popen[bytes]", asked: list[int]) -> dict[int, Any]:
    """Let torchrun hear what tells this process to stop, and note it in `asked`. Returns the handlers before."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        process.send_signal(signal.SIGTERM)

    try:
        return {number: signal.signal(number, pass_on) for number in STOPPING}
    except ValueError:  # not the main thread: whoever runs this there stops it in another way
        return {}


def tell_end(job: Job, status: int, *, asked: bool, log: str | None = None) -> None:
    """Return where the ranks did all of the job; `asked`: they were told to stop.

    `log`: where more was said than in the words of the ranks, in words (default: the file of `run_here`).

    Raises:
        StoppedError: they stopped in order.
        CurateError: a rank failed; the first that did is told.
    """
    log = log or str(job.out / LOG)
    documents = words_of(job)
    stopped = [one for _, one in documents if one["status"] == STOPPED]
    failed = [(rank, one) for rank, one in documents if one["status"] not in (None, STOPPED)]
    silent = [(rank, one) for rank, one in documents if one["status"] is None]
    clear = next((item for item in failed if item[1]["ours"]), None)
    if clear is not None:
        raise _failure(*clear)
    if silent:
        raise _killed(job, *silent[0], asked=asked, log=log)
    if failed:
        raise _failure(*failed[0])
    done = (job.out / EXPORT).is_dir()
    if stopped or (asked and not done):
        step = max((one["step"] for one in stopped), default=last_step(job.out))
        what = f"with a checkpoint of step {step:,}" if step else "before the first step"
        raise StoppedError(f"stopped as asked, {what}", "the same command with --resume goes on")
    if status or not done:
        raise CurateError(f"the ranks could not be started (status {status})", f"see {log}")


def words_of(job: Job) -> list[tuple[int, dict[str, Any]]]:
    """Each rank and what it said, or that it began; the one that was heard of last comes last.

    None where no rank ever began. Ranks of other nodes may live on and take a word back meanwhile.
    """
    heard: list[tuple[float, int, dict[str, Any]]] = []
    for word in (job.out / FAILURES).glob("[0-9]*.json"):
        with suppress(FileNotFoundError):
            heard.append((word.stat().st_mtime, int(word.stem), orjson.loads(word.read_bytes())))
    return [(rank, said) for _, rank, said in sorted(heard, key=lambda one: one[0])]


def _killed(job: Job, rank: int, document: dict[str, Any], *, asked: bool, log: str) -> CurateError:
    """About the rank that was silent first: the words of those that live are touched every second."""
    late = f" or did not stop within {shutdown_seconds(job)} s" if asked else ""
    return CurateError(
        f"rank {rank} (process {document['pid']} on {document['host']}) ended without a word: it was killed, perhaps "
        f"for want of memory{late}",
        f"see {log}; the last checkpoint is whole: go on with --resume",
    )


def _failure(rank: int, document: dict[str, Any]) -> CurateError:
    error = CurateError(f"rank {rank}: {document['error']}", document["hint"])
    error.status = document["status"]  # type: ignore[misc]
    return error


def last_line(path: Path) -> dict[str, Any] | None:
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
