"""What a cluster runs once on every node: `python -m workflows.train.node OUT/job.json --nodes N --nproc P`.

It becomes torchrun, so a signal to it is one to torchrun. Which node this is, and where the first one listens, is read
from what Slurm's script or Kubeflow's operator set. With `--pod` it stays, and its exit status says whether the pod is
to be started anew.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import CurateError
from workflows.answer import say
from workflows.train.job import FAILURES, METRICS, STOPPED, Job, last_step, read_job
from workflows.train.launch import (
    StoppedError,
    last_line,
    node_environment,
    pass_signals_on,
    tell_end,
    torchrun_command,
    words_of,
)

NODE_RANK = ("SLURM_NODEID", "PET_NODE_RANK", "RANK")
"""Variables that number the nodes: of Slurm, and of the Training Operator since 1.7 and before."""


AGAIN = 137
"""As of a process that was killed: restartPolicy `ExitCode` starts a pod anew from 128 on; less ends the job."""
OTHERS_S = 10.0
"""Ranks that stop in order leave their words at nearly the same time, but not all before the first pod looks."""


def main(arguments: list[str]) -> None:
    """Replace this process by torchrun, or stay beside it."""
    parser = argparse.ArgumentParser(prog="python -m workflows.train.node", description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--nproc", type=int, required=True)
    parser.add_argument("--pod", action="store_true")
    given = parser.parse_args(arguments)
    job = read_job(given.job)
    command = node_command(job, given.nodes, given.nproc, os.environ)
    forget_others(job, given.nodes * given.nproc)
    if given.pod:
        sys.exit(_in_pod(job, command, given.nproc))
    os.execve(command[0], command, node_environment(given.nproc))  # noqa: S606 - our own words, no shell


def _in_pod(job: Job, command: list[str], nproc: int) -> int:
    begun, asked = _metrics(job), list[int]()
    step = last_step(job.out)
    process = subprocess.Popen(command, env=node_environment(nproc))
    pass_signals_on(process, asked)
    status = process.wait()
    newest = last_line(job.out / METRICS)
    further = _metrics(job) != begun and newest is not None and newest["step"] > step
    return pod_status(job, status, asked=bool(asked), further=further)


def _metrics(job: Job) -> tuple[int, int, int] | None:
    """What changes with every step: time (of the disk, whose clock is one for all nodes), size and the file itself.

    Steps within one tick of that clock have the same time.
    """
    path = job.out / METRICS
    if not path.is_file():
        return None
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def pod_status(job: Job, status: int, *, asked: bool, further: bool) -> int:
    """The exit status of a pod whose torchrun ended with `status`; `further`: the run had finished a step in it.

    0: done. 130: stopped in order, as when any pod of the run is evicted; it goes on when all are there again. 137: a
    rank died, here or elsewhere, or failed of what is not ours (its GPU, the network), in a run that got further.
    Anything else would fail again: what the project itself refused (with its own status), or a run that never began.
    """
    _hear_out(job)
    try:
        tell_end(job, status, asked=asked, log="the log of this pod and of the others")
    except StoppedError as error:
        say(f"{error.message}; the pods that come next go on")
        return STOPPED
    except CurateError as error:
        say(f"{error.message}\n  {error.hint}")
        ours = [word for _, word in words_of(job) if word["status"] not in (None, STOPPED) and word["ours"]]
        return error.status if ours or not further else AGAIN
    return 0


def _hear_out(job: Job) -> None:
    """Where a rank stopped in order, give those of the other pods time to say so too."""
    until = time.monotonic() + OTHERS_S
    while time.monotonic() < until:
        said = [word["status"] for _, word in words_of(job)]
        if STOPPED not in said or None not in said:
            return
        time.sleep(0.1)


def node_command(job: Job, nodes: int, nproc: int, environment: Mapping[str, str]) -> list[str]:
    """The command of torchrun on this node."""
    number = next((environment[name] for name in NODE_RANK if name in environment), "0")
    meeting = (
        "--nnodes", str(nodes), "--node-rank", number, "--master-addr", environment.get("MASTER_ADDR", "localhost"),
        "--master-port", environment.get("MASTER_PORT", "29500"),
    )  # fmt: skip
    return torchrun_command(job, nproc, meeting)


def forget_others(job: Job, world: int) -> None:
    """Remove the last words of ranks that this start has not; each of the others writes its own anew."""
    for word in (job.out / FAILURES).glob("[0-9]*.json"):
        if int(word.stem) >= world:
            word.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
