"""Launching, for real: a rank that is killed, a signal as the ranks start, and a requeue under Slurm.

    apt-get install slurm-wlm munge; python -m benchmarks.launching /tmp/launching

1. Two ranks over gloo, one killed with SIGKILL: the command names it, and ends within the time-out.
2. SIGUSR1 to torchrun as its ranks start: they say that they were stopped, and such a run is not requeued.
3. A Slurm of one node, started by hand (munged, slurmctld, slurmd; as root), trains the tiny model on two ranks twice
   with the very files that `curate train --launcher slurm --submit` writes: once left alone, once with `scancel --batch
   --signal=USR1` in the middle of a save. Every save takes 90 s: a sitecustomize makes fsync of a checkpoint's files
   slow. The losses of both runs have to be the same to the last digit.

About 15 minutes, nearly all of them waiting.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from tests.workflows.train.made_shards import write_build

PROJECT = Path(__file__).resolve().parents[1]
SAVE_S = 90
SLOW_DISK = f"""
import os, time
fsync, saves = os.fsync, set()
def slow(file):
    folder, name = os.path.split(os.readlink(f"/proc/self/fd/{{file}}"))
    if "/checkpoints/.writing" in folder and name.endswith(".pt") and folder not in saves:
        saves.add(folder)
        time.sleep({SAVE_S})
    fsync(file)
os.fsync = slow
"""
SETTINGS = ("workers=0", "epochs=4", "warmup_steps=2", "save_every=3", "steps=6", "rows_per_step=4",
            "learning_rate={vision: 1e-3, projector: 3e-3, language: 3e-3}")  # fmt: skip
OURS = re.compile("job |step |asked|stopped|requeued")
CONF = """
ClusterName=one
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={run}/munge.sock
StateSaveLocation={run}/state
SlurmdSpoolDir={run}/spool
SlurmctldPidFile={run}/slurmctld.pid
SlurmdPidFile={run}/slurmd.pid
SlurmctldPort=26837
SlurmdPort=26838
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
NodeName={host} CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm(run: Path) -> Iterator[None]:
    """A Slurm of one node, for this process and what it starts."""
    for name in ("state", "spool"):
        (run / name).mkdir(parents=True)
    key, conf = run / "munge.key", run / "slurm.conf"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    run.chmod(0o755)
    conf.write_text(CONF.format(host=socket.gethostname(), run=run, cpus=os.cpu_count()))
    os.environ["SLURM_CONF"] = str(conf)
    daemons = [
        subprocess.Popen(["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={run}/munge.sock",
                          f"--pid-file={run}/munged.pid", f"--seed-file={run}/seed", f"--log-file={run}/munged.log"]),
    ]  # fmt: skip
    time.sleep(2)
    try:
        for daemon in ("slurmctld", "slurmd"):
            with (run / f"{daemon}.log").open("wb") as log:
                daemons.append(subprocess.Popen([daemon, "-D", "-f", conf], stdout=log, stderr=log))
        wait_until(lambda: "idle" in told("sinfo", "--noheader"), 60, "the node to be idle")
        yield
    finally:
        subprocess.run(["scancel", "--user", "root"], check=False)
        time.sleep(2)
        for daemon_process in reversed(daemons):
            daemon_process.send_signal(signal.SIGTERM)
            daemon_process.wait(30)


def told(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait_until(holds: Any, seconds: float, what: str) -> None:
    """Look every half second."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.5)


def submitted(work: Path, out: Path) -> str:
    """Hand a run over to Slurm by the command, and return the number of its job."""
    command = train(work, out.name, "--launcher", "slurm", "--submit")
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    print(done.stderr, file=sys.stderr)
    if done.returncode:
        raise RuntimeError(done.stdout)
    return str(json.loads(done.stdout)["submitted"]).rpartition(" ")[2]


def state(job: str) -> str:
    """Of a job, as Slurm says."""
    return told("scontrol", "show", "job", job).partition("JobState=")[2].partition(" ")[0]


def losses(out: Path) -> list[float]:
    """Of every step."""
    return [orjson.loads(line)["loss"] for line in (out / "metrics.jsonl").read_bytes().splitlines()]


def train(work: Path, out: str, *more: str) -> list[str]:
    """The command that trains a tiny model on two ranks."""
    return [
        sys.executable, "-m", "workflows.cli", "train", "--stage", "mid", "--shards", f"{work}/mid/shards", "--model",
        "tiny", "--from", f"{work}/init", "--out", f"{work}/{out}", "--nproc", "2", "--json",
        *(word for one in SETTINGS for word in ("--set", one)), *more,
    ]  # fmt: skip


def killed_rank(work: Path) -> None:
    """One of two ranks is killed."""
    out = work / "killed"
    command = train(work, "killed", "--set", "steps=null", "--set", "epochs=50")
    running = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait_until(lambda: (out / "metrics.jsonl").is_file() and losses(out), 300, "a step")
    process = orjson.loads((out / "failures" / "1.json").read_bytes())["pid"]
    began = time.monotonic()
    os.kill(process, signal.SIGKILL)
    said, _ = running.communicate(timeout=300)
    print(f"rank 1 (process {process}) killed; {time.monotonic() - began:.0f} s later, exit {running.returncode}: "
          f"{json.loads(said)['error']}")  # fmt: skip


def stopped_at_start(work: Path) -> None:
    """USR1 to torchrun before a rank can have begun."""
    subprocess.run(train(work, "early", "--launcher", "slurm"), cwd=PROJECT, check=True, capture_output=True)
    out = work / "early"
    job = str(out / "job.json")
    node = subprocess.Popen([sys.executable, "-m", "workflows.train.node", job, "--nodes", "1", "--nproc", "2"],
                            cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    wait_until(lambda: len(list((out / "failures").glob("[0-9]*.json"))) == 2, 300, "both ranks")
    node.send_signal(signal.SIGUSR1)
    node.wait(300)
    words = [orjson.loads(word.read_bytes()) for word in sorted((out / "failures").iterdir())]
    told_end = subprocess.run([sys.executable, "-m", "workflows.train.outcome", job, "--asked"], cwd=PROJECT,
                              capture_output=True, text=True, check=False)  # fmt: skip
    print(f"USR1 as the ranks start: {words}; exit {told_end.returncode}: {told_end.stderr.strip()}")


def requeued(work: Path) -> None:
    """Two runs under Slurm: one left alone, one signalled in the middle of its first save."""
    (work / "slow").mkdir()
    (work / "slow" / "sitecustomize.py").write_text(SLOW_DISK)
    os.environ["PYTHONPATH"] = str(work / "slow")
    with slurm(work / "slurm"):
        whole = submitted(work, work / "whole")
        wait_until(lambda: state(whole) in {"COMPLETED", "FAILED"}, 900, "the run that is left alone")
        print(f"left alone: {state(whole)}; {(work / 'whole' / 'save_seconds.json').read_text()}")

        job = submitted(work, work / "moved")
        wait_until((work / "moved" / "checkpoints" / ".writing").is_dir, 300, "a save")
        time.sleep(15)
        began = time.monotonic()
        told("scancel", "--batch", "--signal=USR1", job)
        wait_until(lambda: state(job) != "RUNNING", 300, "the job to be requeued")
        print(f"signalled 15 s into the save; {state(job)} {time.monotonic() - began:.0f} s later")
        wait_until(lambda: state(job) in {"COMPLETED", "FAILED"}, 1200, "the requeued run")  # Slurm waits two minutes
        print(f"requeued: {state(job)}, {told('scontrol', 'show', 'job', job).partition('Restarts=')[2][:1]} restarts")
    mine = [line for line in (work / "moved" / f"slurm-{job}.log").read_text().splitlines() if OURS.match(line)]
    print("\n".join(mine))
    for number, (one, other) in enumerate(zip(losses(work / "whole"), losses(work / "moved"), strict=True), 1):
        print(f"step {number}: {one!r} {other!r} {'same' if one == other else 'DIFFERENT'}")


def main(work: Path) -> None:
    """All three, each with what it came to."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_build(work / "mid", "mid", samples=96)
    subprocess.run([sys.executable, "-m", "workflows.cli", "train", "init", "--out", work / "init"], cwd=PROJECT,
                   check=True)  # fmt: skip
    killed_rank(work)
    stopped_at_start(work)
    requeued(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
