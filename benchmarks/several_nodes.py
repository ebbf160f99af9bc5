"""Several nodes on this machine: two of two ranks, each started as a cluster starts it.

    python -m benchmarks.several_nodes /tmp/several_nodes

1. Left alone, with one copy of the weights over all ranks, and with a second one in each node
   (`zero_hpz_partition_size=2`: two groups of two): the losses have to be the same to the last digit.
2. As pods of Kubernetes: the second one is killed with all that is in it. The other has to end by itself, with an exit
   status that has it started anew; started anew, both go on, to the same losses.
3. On a file system of its own (tmpfs, which takes root), which is filled up in the middle of the second save. The run
   has to say so, to leave the first checkpoint whole, and to go on from it with --resume once there is room.

About five minutes on two cores. Ends with status 1 where losses differ.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from benchmarks.launching import PROJECT, SETTINGS, losses, wait_until
from tests.workflows.train.made_shards import write_build
from tests.workflows.train.minis import mini, mini_file
from workflows.train.init import init_random

NODES, NPROC = 2, 2


def command(work: Path, out: Path, *more: str) -> list[str]:
    """The command that settles a job for all ranks, or trains on two."""
    return [
        sys.executable, "-m", "workflows.cli", "train", "--stage", "mid", "--shards", f"{work}/mid/shards", "--model",
        f"{work}/mini.yaml", "--from", f"{work}/init", "--out", str(out), "--nproc", str(NPROC), "--json",
        *(word for one in (*SETTINGS, "save_every=2") for word in ("--set", one)), *more,
    ]  # fmt: skip


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def started(out: Path) -> list["subprocess.Popen[bytes]"]:
    """A process for each node, as a pod's; each in a session of its own."""
    port, found = str(free_port()), []
    for number in range(NODES):
        log = (out / f"node{number}.log").open("ab")
        environment = {**os.environ, "PET_NODE_RANK": str(number), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        words = [sys.executable, "-m", "workflows.train.node", str(out / "job.json"), "--nodes", str(NODES), "--nproc",
                 str(NPROC), "--pod"]  # fmt: skip
        found.append(subprocess.Popen(words, cwd=PROJECT, env=environment, stdout=log, stderr=log))
    return found


def settled(work: Path, name: str, *more: str) -> Path:
    """A job for all nodes."""
    out = work / name
    subprocess.run(command(work, out, "--launcher", "k8s", "--nodes", str(NODES), *more), cwd=PROJECT, check=True,
                   capture_output=True)  # fmt: skip
    return out


def finished(nodes: Sequence["subprocess.Popen[bytes]"]) -> list[int]:
    """The exit status of each."""
    return [node.wait(300) for node in nodes]


def same(what: str, one: Sequence[float], other: Sequence[float]) -> None:
    """Say that two runs had the same losses, or end."""
    if list(one) != list(other):
        sys.exit(f"{what}: DIFFERENT losses: {one} {other}")
    print(f"{what}: {len(other)} losses, same")


def killed_pod(out: Path) -> None:
    """All processes of the second pod are killed after a checkpoint."""
    pods = started(out)
    wait_until((out / "checkpoints" / "step-00000002").is_dir, 300, "a checkpoint")
    pids = [orjson.loads((out / "failures" / f"{rank}.json").read_bytes())["pid"] for rank in (2, 3)]
    pods[1].send_signal(signal.SIGSTOP)  # a node that dies says nothing, and puts nothing right
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    children = Path(f"/proc/{pods[1].pid}/task/{pods[1].pid}/children").read_text().split()
    for pid in [*map(int, children), pods[1].pid]:
        os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    status = pods[0].wait(300)
    print(f"the second pod killed: {time.monotonic() - began:.0f} s later the first ends with {status}")
    print((out / "node0.log").read_text().rstrip().rpartition("\n  see")[0].rpartition("\n")[2])
    print(f"both started anew: exit {finished(started(out))}")


def full_disk(work: Path) -> None:
    """A save that runs out of room though there was enough as it began."""
    place = work / "small"
    place.mkdir()
    size = sum(path.stat().st_size for path in (work / "alone" / "checkpoints" / "step-00000004").rglob("*"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], check=True)
    try:
        out = place / "out"
        subprocess.run(command(work, out, "--launcher", "k8s"), cwd=PROJECT, check=True, capture_output=True)
        running = subprocess.Popen(command(work, out, "--resume", "--set", "keep=5"), cwd=PROJECT,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
        filler, checkpoints = place / "filler", out / "checkpoints"
        wait_until((checkpoints / "step-00000002").is_dir, 300, "a checkpoint")
        while not (checkpoints / ".writing").is_dir():
            if running.poll() is not None:
                sys.exit(f"the run ended ({running.returncode}) before its second save")
            time.sleep(0.0005)
        with filler.open("wb") as file:  # there was room as the save began, and it goes away meanwhile
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(place).free - size // 4)
        said, _ = running.communicate(timeout=300)
        print(f"full while saving: exit {running.returncode}: {orjson.loads(said)}")
        print(f"  left: {sorted(path.name for path in checkpoints.iterdir())}")
        filler.unlink()
        done = subprocess.run(command(work, out, "--resume", "--set", "keep=5"), cwd=PROJECT, capture_output=True,
                              check=False)  # fmt: skip
        print(f"with room again: exit {done.returncode}")
        same("after the full disk", losses(work / "alone"), losses(out))
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def main(work: Path) -> None:
    """All three, each with what it came to; `... DIR disk` runs the last alone."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_build(work / "mid", "mid", samples=96)
    init_random(mini(), work / "init", 0)
    mini_file(work)
    if sys.argv[2:] != ["disk"]:
        nodes(work)
    subprocess.run(command(work, work / "alone"), cwd=PROJECT, check=True, capture_output=True)
    full_disk(work)


def nodes(work: Path) -> None:
    """The first two."""
    whole = settled(work, "whole")
    print(f"{NODES} nodes of {NPROC} ranks: exit {finished(started(whole))}")
    spread = settled(work, "spread", "--set", "zero_hpz_partition_size=2")
    print(f"with a second copy of the weights in each node: exit {finished(started(spread))}")
    same("with and without it", losses(whole), losses(spread))
    killed = settled(work, "killed")
    killed_pod(killed)
    same("after the dead pod", losses(whole), losses(killed))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
