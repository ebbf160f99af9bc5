"""What a cluster runs once on every node: `python -m workflows.train.node OUT/job.json --nodes N --nproc P`.

It becomes torchrun, so a signal to it is one to torchrun. Which node this is, and where the first one listens, is read
from what Slurm's script or Kubeflow's operator set.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from workflows.train.job import FAILURES, Job, read_job
from workflows.train.launch import node_environment, torchrun_command

NODE_RANK = ("SLURM_NODEID", "PET_NODE_RANK", "RANK")
"""Variables that number the nodes: of Slurm, and of the Training Operator since 1.7 and before."""


def main(arguments: list[str]) -> None:
    """Replace this process by torchrun."""
    parser = argparse.ArgumentParser(prog="python -m workflows.train.node", description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--nproc", type=int, required=True)
    given = parser.parse_args(arguments)
    job = read_job(given.job)
    command = node_command(job, given.nodes, given.nproc, os.environ)
    forget_others(job, given.nodes * given.nproc)
    os.execve(command[0], command, node_environment(given.nproc))  # noqa: S606 - our own words, no shell


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
    for word in (job.out / FAILURES).glob("*.json"):
        if int(word.stem) >= world:
            word.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
