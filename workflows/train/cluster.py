"""Files that a cluster starts a run with: the templates of `workflows/cluster/`, filled in, in `OUT/launch/`."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson

from pipelines.errors import CurateError, UsageError
from workflows.train.job import FAILURES, JOB, LAUNCH, Job
from workflows.train.launch import PROJECT, shutdown_seconds

TEMPLATES = Path(__file__).resolve().parents[1] / "cluster"
MOST_LEAD_S = 65535
"""What Slurm takes for the time of a signal before the limit (sbatch(1), --signal)."""
HOST = re.compile(r"(\S+)\s+slots=(\d+)\s*")


def write_launch(
    job: Job, launcher: str, nodes: int, nproc: int, *, gpus: bool, hostfile: Path | None = None
) -> tuple[Path, list[str]]:
    """Write what starts a job that `write_job` wrote, and return it with the command that is to be given.

    Raises:
        UsageError: the host file does not name so many hosts of so many slots.
    """
    place = job.out / LAUNCH
    place.mkdir(exist_ok=True)
    if launcher == "slurm":
        path = _filled("train.sbatch", place / "train.sbatch", slurm_values(job, nodes, nproc, gpus=gpus))
        return path, ["sbatch", str(path)]
    if launcher == "k8s":
        path = place / "train.yaml"
        _filled("train-pytorchjob.yaml", path, k8s_values(job, nodes, nproc, gpus=gpus))
        if nodes == 1:  # the operator wants no group of no workers
            path.write_text(path.read_text(encoding="utf-8").partition("    Worker:\n")[0], encoding="utf-8")
        return path, ["kubectl", "apply", "-f", str(path)]
    hosts = read_hostfile(hostfile, nodes, nproc)
    kept = place / "hostfile"
    kept.write_text("".join(f"{host} slots={nproc}\n" for host in hosts), encoding="utf-8")
    values = common_values(job, nodes, nproc) | {
        "bin": shlex.quote(str(Path(sys.executable).parent)),
        "hostfile": shlex.quote(str(kept)),
        "head": shlex.quote(hosts[0]),
    }
    path = _filled("train-deepspeed.sh", place / "train.sh", values)
    return path, ["bash", str(path)]


def submit(command: list[str]) -> str:
    """Give the command, and return what it says.

    Raises:
        CurateError: it is not there, or refuses.
    """
    if shutil.which(command[0]) is None:
        raise CurateError(f"--submit: {command[0]} is not on this machine", f"where it is: {shlex.join(command)}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CurateError(f"{command[0]} refused: {done.stderr.strip()}", f"then: {shlex.join(command)}")
    return done.stdout.strip()


def common_values(job: Job, nodes: int, nproc: int) -> dict[str, str]:
    """What all templates name; paths are quoted for a shell."""
    return {
        "nodes": str(nodes),
        "nproc": str(nproc),
        "python": shlex.quote(sys.executable),
        "project": shlex.quote(str(PROJECT)),
        "job": shlex.quote(str(job.out / JOB)),
        "failures": shlex.quote(str(job.out / FAILURES)),
    }


def slurm_values(job: Job, nodes: int, nproc: int, *, gpus: bool) -> dict[str, str]:
    """What the sbatch file names. Slurm reads its own lines without a shell, so a path with blanks is quoted there."""
    return common_values(job, nodes, nproc) | {
        "name": name_of(job),
        "gpus": f"#SBATCH --gpus-per-node={nproc}" if gpus else "# no GPUs: the model trains on CPUs",
        "lead_seconds": str(min(MOST_LEAD_S, shutdown_seconds(job))),
        "log": f'"{job.out}/slurm-%j.log"',
    }


def k8s_values(job: Job, nodes: int, nproc: int, *, gpus: bool) -> dict[str, str]:
    """What the manifest names. Strings of it are JSON, which is YAML."""
    return common_values(job, nodes, nproc) | {
        "name": name_of(job),
        "job": orjson.dumps(str(job.out / JOB)).decode(),
        "mount": orjson.dumps(f"/{job.out.parts[1]}").decode(),
        "workers": str(nodes - 1),
        "grace_seconds": str(shutdown_seconds(job) + 60),
        "gpus": f'nvidia.com/gpu: "{nproc}", ' if gpus else "",
        "cpus": str(nproc * (1 + job.recipe.workers) if not gpus else 16 * nproc),
        "memory": f"{nproc * (128 if gpus else 8)}Gi",
    }


def name_of(job: Job) -> str:
    """A name for a run's job, which two runs with different folders do not share by accident: Kubernetes takes it."""
    folder = re.sub(r"[^a-z0-9]+", "-", str(job.out).lower()).strip("-")
    return f"curate-{job.recipe.stage}-{folder[-36:].strip('-')}"


def read_hostfile(path: Path | None, nodes: int, nproc: int) -> list[str]:
    """The first `nodes` hosts of DeepSpeed's host file (`host slots=8` a line).

    Raises:
        UsageError: it cannot be read, or has fewer hosts or slots.
    """
    if path is None:
        raise UsageError("--launcher deepspeed: no hosts", "--hostfile FILE: a line `host slots=8` for each node")
    if not path.is_file():
        raise UsageError(f"--hostfile {path}: there is no such file", "a line `host slots=8` for each node")
    found: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.partition("#")[0]
        match = HOST.fullmatch(words.strip())
        if match is None and words.strip():
            raise UsageError(f"--hostfile {path}, line {number}: not a host with its slots", "write `host slots=8`")
        if match is not None:
            found[match[1]] = int(match[2])
    short = [host for host, slots in found.items() if slots < nproc]
    if len(found) < nodes or short:
        what = f"{short[0]} has {found[short[0]]} slots" if short else f"{len(found)} hosts"
        raise UsageError(f"--hostfile {path}: {what} for {nodes} nodes of {nproc} ranks", "--nodes, --nproc: fewer")
    return list(found)[:nodes]


def _filled(template: str, path: Path, values: Mapping[str, str]) -> Path:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    path.write_text(re.sub(r"<<(\w+)>>", lambda name: values[name[1]], text), encoding="utf-8")
    return path
