"""The files that clusters start a run with. Slurm itself, and signals to real ranks: `benchmarks/launching.py`."""

import copy
import itertools
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import orjson
import pytest
import yaml

from pipelines.errors import CurateError, UsageError
from tests.end_to_end.runs import curate
from tests.workflows.train.made_shards import write_build
from tests.workflows.train.minis import mini, mini_file
from workflows.train.cluster import read_hostfile, submit, write_launch
from workflows.train.init import init_random
from workflows.train.job import CHECKPOINTS, EXPORT, FAILURES, JOB, METRICS, Job, read_job, write_job
from workflows.train.launch import SIGNALS, note_save, shutdown_seconds, words_of
from workflows.train.node import _in_pod, forget_others, node_command, pod_status
from workflows.train.outcome import main as outcome
from workflows.train.rank import _leave
from workflows.train.recipe import load_train_recipe
from workflows.train.stopping import STOPPING

PYTORCH_JOB: dict[str, Any] = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "kubeflow.org/v1"},
        "kind": {"const": "PyTorchJob"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "required": ["pytorchReplicaSpecs"],
            "additionalProperties": False,
            "properties": {
                "elasticPolicy": {"type": "object"},
                "nprocPerNode": {"type": "string"},
                "runPolicy": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "activeDeadlineSeconds": {"type": "integer"}, "backoffLimit": {"type": "integer"},
                        "cleanPodPolicy": {"enum": ["All", "Running", "None"]}, "managedBy": {"type": "string"},
                        "schedulingPolicy": {"type": "object"}, "suspend": {"type": "boolean"},
                        "ttlSecondsAfterFinished": {"type": "integer"},
                    },
                },
                "pytorchReplicaSpecs": {
                    "type": "object",
                    "required": ["Master"],
                    "additionalProperties": False,
                    "patternProperties": {
                        "^(Master|Worker)$": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "replicas": {"type": "integer", "minimum": 1},
                                "restartPolicy": {"enum": ["Always", "OnFailure", "Never", "ExitCode"]},
                                "template": {"type": "object"},
                            },
                        }
                    },
                },
            },
        },
    },
}  # fmt: skip
"""Fields of kubeflow.org/v1 PyTorchJob, after the CustomResourceDefinition of kubeflow/training-operator 1.7 to 1.9
(manifests/base/crds/kubeflow.org_pytorchjobs.yaml) and the models of PyPI's kubeflow-training 1.9.4. `Master` is
optional there and required by our node.py; pods have a schema of their own."""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    out = tmp_path / "a run"
    (out / FAILURES).mkdir(parents=True)
    return Job(
        model=mini(), recipe=load_train_recipe("mid"), shards="s", plan_folder="s", plan="plan.arrow",
        plan_digest="d", start_sha256="w",
        manifest_sha256="0" * 64, start=tmp_path, out=out, context=128, rows_per_step=4, steps=10,
    )  # fmt: skip


def manifest(job: Job, nodes: int, gpus: bool = True) -> dict[str, Any]:
    path, command = write_launch(job, "k8s", nodes, 8, gpus=gpus)
    assert command == ["kubectl", "apply", "-f", str(path)]
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [group["template"]["spec"] for group in document["spec"]["pytorchReplicaSpecs"].values()]


@pytest.mark.parametrize(("nodes", "groups"), [(1, {"Master": 1}), (4, {"Master": 1, "Worker": 3})])
def test_the_manifest_is_a_pytorchjob_of_so_many_nodes(job: Job, nodes: int, groups: dict[str, int]) -> None:
    document = manifest(job, nodes)
    jsonschema.validate(document, PYTORCH_JOB)
    found = document["spec"]["pytorchReplicaSpecs"]
    assert {name: group["replicas"] for name, group in found.items()} == groups
    for pod in pods(document):
        whole = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {**pod, "restartPolicy": "Never"},
        }
        kubernetes_validate.validate(whole, kubernetes_validate.latest_version().rpartition(".")[0], strict=True)
        [container] = pod["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "8"
        assert container["command"][3:] == [str(job.out / JOB), "--nodes", str(nodes), "--nproc", "8", "--pod"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_the_schemas_see_a_wrong_manifest(job: Job) -> None:
    document = manifest(job, 1)
    for path, value in ((("spec", "runPolicy", "backOffLimit"), 3), (("spec", "nprocPerNode"), 8)):
        wrong = copy.deepcopy(document)
        place = wrong
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, PYTORCH_JOB)


def test_a_pod_is_given_the_time_to_write_a_checkpoint(job: Job) -> None:
    note_save(job, 500.0)
    [pod] = pods(manifest(job, 1, gpus=False))
    assert pod["terminationGracePeriodSeconds"] > shutdown_seconds(job) == 1060
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]


def test_the_time_to_stop_is_reckoned_from_the_slowest_save(job: Job) -> None:
    assert shutdown_seconds(job) >= 300
    for seconds in (90.0, 20.0):
        note_save(job, seconds)
    assert shutdown_seconds(job) == 240
    command = node_command(job, 4, 8, {"SLURM_NODEID": "2", "MASTER_ADDR": "n1", "MASTER_PORT": "20007"})
    said = dict(itertools.pairwise(command))
    assert (said["--shutdown-timeout"], said["--signals-to-handle"]) == ("240", SIGNALS)
    assert "SIGUSR1" in SIGNALS.split(",")
    assert (said["--nnodes"], said["--node-rank"], said["--nproc-per-node"]) == ("4", "2", "8")
    assert (said["--master-addr"], said["--master-port"]) == ("n1", "20007")


def test_a_node_is_numbered_by_whoever_started_it(job: Job) -> None:
    for environment, number in (({"PET_NODE_RANK": "3", "RANK": "1"}, "3"), ({"RANK": "1"}, "1"), ({}, "0")):
        command = node_command(job, 2, 1, environment)
        assert command[command.index("--node-rank") + 1] == number


METRICS_OF = [f'{{"step": {step}}}\n' for step in range(1, 6)]
ENDS: dict[str, tuple[dict[int, dict[str, Any]], bool, int]] = {
    "stopped in order": ({0: {"status": 130, "step": 0}, 1: {"status": 130, "step": 0}}, False, 130),
    "a rank of another pod died": ({0: {"status": 1, "error": "in a collective", "hint": "", "ours": False},
                                    1: {"status": None, "pid": 1, "host": "n2"}}, True, 137),
    "a rank died before any step": ({0: {"status": None, "pid": 1, "host": "n1"}}, False, 1),
    "a GPU failed": ({0: {"status": 1, "error": "CUDA", "hint": "", "ours": False}}, True, 137),
    "shards of other bytes": ({0: {"status": 3, "error": "bytes", "hint": "", "ours": True},
                               1: {"status": None, "pid": 1, "host": "n2"}}, True, 3),
    "a rank that never began": ({}, False, 1),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_a_pod_is_started_anew_only_where_that_can_help(job: Job, case: str) -> None:
    words, further, status = ENDS[case]
    if not words:
        (job.out / FAILURES).rmdir()  # which the ranks make
    for rank, word in words.items():
        (job.out / FAILURES / f"{rank}.json").write_bytes(orjson.dumps(word))
    assert pod_status(job, 1, asked=False, further=further) == status


def test_a_pod_says_where_more_is_to_be_read(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    pod_status(job, 1, asked=False, further=False)
    said = capsys.readouterr().err
    assert "see the log of this pod" in said
    assert "train.log" not in said


def test_a_pod_waits_for_the_words_of_ranks_that_stop_in_another(job: Job) -> None:
    _leave(job.out / FAILURES / "0.json", {"status": 130, "step": 0})
    late = job.out / FAILURES / "1.json"
    _leave(late, {"status": None, "pid": 1, "host": "n2"})
    timer = threading.Timer(0.5, _leave, (late, {"status": 130, "step": 0}))
    timer.start()
    assert pod_status(job, 1, asked=False, further=False) == 130
    timer.join()


def test_words_that_come_and_go_while_they_are_read_are_no_failure(job: Job) -> None:
    word = job.out / FAILURES / "1.json"
    ended = threading.Event()

    def rank_of_another_pod() -> None:
        while not ended.is_set():
            _leave(word, {"status": 1, "error": "a long word " * 4000, "hint": "", "ours": True})
            time.sleep(0.0005)
            word.unlink()

    thread = threading.Thread(target=rank_of_another_pod)
    thread.start()
    try:
        found = [words_of(job) for _ in range(2000)]
    finally:
        ended.set()
        thread.join()
    assert {len(words) for words in found} == {0, 1}


def test_a_pod_whose_run_is_done_is_done(job: Job) -> None:
    (job.out / EXPORT).mkdir()
    assert pod_status(job, 0, asked=False, further=True) == 0


STEPS = {
    "a step beyond the checkpoint": (METRICS_OF[:4], 137),
    "the steps after the checkpoint forgotten, and no other": (METRICS_OF[:3], 1),
    "nothing": (None, 1),
}


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("written", STEPS)
def test_a_run_got_further_where_its_metrics_passed_the_checkpoint_it_began_with(job: Job, written: str) -> None:
    """Torchrun's part is a script's, in which a rank is killed."""
    lines, status = STEPS[written]
    (job.out / CHECKPOINTS / "step-00000003").mkdir(parents=True)
    (job.out / CHECKPOINTS / "step-00000003" / "checkpoint.json").write_text("{}")
    metrics, word = job.out / METRICS, job.out / FAILURES / "0.json"
    metrics.write_text("".join(METRICS_OF))  # two steps more than the checkpoint has
    writing = "" if lines is None else 'printf %s "$1" > "$2.new"; mv "$2.new" "$2";'
    script = writing + """ printf '{"status": null, "pid": 1, "host": "n1"}' > "$3"; exit 1"""
    assert _in_pod(job, ["sh", "-c", script, "sh", "".join(lines or ()), str(metrics), str(word)], 1) == status


def test_a_signal_to_a_pod_reaches_what_runs_in_it(job: Job, handlers: None) -> None:
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert _in_pod(job, ["sleep", "60"], 1) == 130
    timer.join()


def test_words_of_ranks_that_are_no_more_are_forgotten(job: Job) -> None:
    for rank in (0, 1, 2, 11):
        (job.out / FAILURES / f"{rank}.json").write_text("{}")
    forget_others(job, world=2)
    assert sorted(path.stem for path in (job.out / FAILURES).iterdir()) == ["0", "1"]


def test_the_sbatch_file_says_what_was_asked_for(job: Job) -> None:
    note_save(job, 90.0)
    path, command = write_launch(job, "slurm", 4, 8, gpus=True)
    assert command == ["sbatch", str(path)]
    text = path.read_text()
    lines = {line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")}
    assert {"--nodes=4", "--gpus-per-node=8", "--signal=B:USR1@240", "--requeue", "--dependency=singleton",
            f'--output="{job.out}/slurm-%j.log"'} <= lines  # fmt: skip
    assert not re.search(r"<<\w+>>", text)


@pytest.mark.parametrize("launcher", ["slurm", "deepspeed"])
def test_scripts_are_sound_even_where_a_path_has_a_blank(job: Job, launcher: str, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("n1 slots=8\nn2 slots=8\n")
    path, _ = write_launch(job, launcher, 2, 8, gpus=True, hostfile=hosts)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    found = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_host_file_is_deepspeeds(tmp_path: Path) -> None:
    from deepspeed.launcher.runner import fetch_hostfile  # type: ignore[import-untyped]

    path = tmp_path / "hosts"
    path.write_text("# ours\nn1 slots=8\n\nn2 slots=8  # far\nn3 slots=8\n")
    assert read_hostfile(path, 2, 8) == ["n1", "n2"]
    path.write_text("n1 slots=8\nn2 slots=4\n")
    assert list(fetch_hostfile(str(path))) == ["n1", "n2"]
    with pytest.raises(UsageError, match="n2 has 4 slots"):
        read_hostfile(path, 2, 8)
    with pytest.raises(UsageError, match="2 hosts for 3 nodes"):
        read_hostfile(path, 3, 4)
    path.write_text("n1 slots=8\nn2: 8\n")
    with pytest.raises(UsageError, match="line 2"):
        read_hostfile(path, 1, 8)
    with pytest.raises(UsageError, match="no hosts"):
        read_hostfile(None, 1, 8)


def test_what_a_cluster_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="not on this machine"):
        submit(["no-such-sbatch", "train.sbatch"])
    with pytest.raises(CurateError, match="ls refused"):
        submit(["ls", str(tmp_path / "absent")])


def test_what_is_handed_over_to_slurm_is_a_job_that_nobody_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init_random(mini(), tmp_path / "init", 0)
    shards = write_build(tmp_path / "mid", samples=12)
    given = [
        "train", "--stage", "mid", "--shards", str(shards), "--model", str(mini_file(tmp_path)), "--from",
        str(tmp_path / "init"), "--out", str(tmp_path / "out"), "--nodes", "2", "--nproc", "2", "--json",
    ]  # fmt: skip
    assert curate(*given).returncode == 2  # on several machines, by none of them
    assert not (tmp_path / "out").exists()
    done = curate(*given, "--launcher", "slurm")
    assert done.returncode == 0, done.stdout + done.stderr
    script = tmp_path / "out" / "launch" / "train.sbatch"
    assert orjson.loads(done.stdout)["command"] == ["sbatch", str(script)]
    job = read_job(tmp_path / "out" / JOB)
    assert job.rows_per_step % 4 == 0
    assert (job.out / "admission" / "lineage.json").is_file()
    assert "--nodes 2 --nproc 2" in script.read_text()


@pytest.mark.parametrize(("step", "status"), [(6, 130), (3, 1)])
def test_only_a_run_that_got_further_is_requeued(job: Job, step: int, status: int) -> None:
    write_job(job)
    (job.out / FAILURES / "0.json").write_bytes(orjson.dumps({"status": 130, "step": step, "before": 3}))
    assert outcome([str(job.out / JOB), "--asked"]) == status


def test_a_run_that_failed_is_not_requeued_even_where_it_was_asked_to_stop(job: Job) -> None:
    write_job(job)
    word = {"status": 3, "error": "other bytes", "hint": "", "ours": True}
    (job.out / FAILURES / "0.json").write_bytes(orjson.dumps(word))
    assert outcome([str(job.out / JOB), "--asked"]) == 3
