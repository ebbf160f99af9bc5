"""Builds on Ray write the bytes of local builds (about a minute: Ray takes seconds to start).

One cluster is started by the command itself; the other has three nodes on this machine, one of which is killed.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.end_to_end.runs import CURATE, WITHOUT_NEAR, WITHOUT_READING, curate, curate_json, published
from tests.pipelines.ray_nodes import Nodes, ray_nodes
from workflows.demo_corpus import write_demo_corpus


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("ray") / "corpora"
    recipe = write_demo_corpus(root)
    # small tars, so that several are written; near-duplicates are sought, and writing is read, with the real corpora
    return ["build", "--stage", "mid", "--recipe", str(recipe), "--data", str(root), "--set", "shards.max_samples=5",
            "--set", "contracts.enabled=false", *WITHOUT_NEAR, *WITHOUT_READING]  # fmt: skip


@pytest.fixture(scope="module")
def local(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    run = tmp_path_factory.mktemp("local") / "run"
    curate_json(*arguments, "--out", run, "--workers", 2, near=True)
    return published(run)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with ray_nodes([{"num_cpus": 1, "ray_client_server_port": free_port()}, {"num_cpus": 1}, {"num_cpus": 1}]) as nodes:
        yield nodes


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def units(run: Path) -> int:
    """Units of work that a build has finished so far."""
    log = run / "events.jsonl"
    return log.read_bytes().count(b'"event":"unit"') if log.exists() else 0


def processes_naming(text: str) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                if text.encode() in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
            except OSError:
                continue
    return found


def test_a_cluster_of_its_own_ends_with_an_interrupted_build_and_the_resumed_one_has_the_same_bytes(
    arguments: list[str], local: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    run = tmp_path / "run"
    ours = [*arguments, "--out", str(run), "--engine", "ray", "--workers", "2"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [*CURATE, *ours, "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    while units(run) < 10:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 130
    assert orjson.loads(out)["hint"] == "the same command resumes"
    assert not list(folder.iterdir())
    assert not processes_naming(str(folder))
    assert curate_json(*ours, near=True, env=environment)["engine"] == "ray"
    assert published(run) == local
    assert not list(folder.iterdir())
    assert not processes_naming(str(folder))


def test_a_node_killed_in_the_middle_changes_no_byte(
    arguments: list[str], local: dict[str, str], nodes: Nodes, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        [*CURATE, *arguments, "--out", str(run), "--address", nodes.address, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while units(run) < 25:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    nodes.kill(nodes.nodes[2])
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert orjson.loads(out)["engine"] == "ray"
    assert units(run) > 50
    assert published(run) == local


def test_real_corpora_give_the_same_bytes_on_the_nodes_that_are_left(
    shared_data: Path, nodes: Nodes, tmp_path: Path
) -> None:
    arguments = ["build", "--stage", "mid", "--data", shared_data / "images", "--limit", 5]
    arguments += ["--set", "steps.decontaminate.enabled=false"]  # test_audit_in_a_build.py has a smaller one
    curate_json(*arguments, "--out", tmp_path / "local", near=True)
    curate_json(*arguments, "--out", tmp_path / "ray", "--address", nodes.address, near=True)
    assert published(tmp_path / "local") == published(tmp_path / "ray")


def test_relative_paths_mean_the_same_on_the_cluster_and_through_ray_s_client(
    arguments: list[str], local: dict[str, str], nodes: Nodes, tmp_path: Path
) -> None:
    data, recipe = Path(arguments[6]), Path(arguments[4])
    relative = [*arguments[:4], recipe.name, "--data", data.name, *arguments[7:], "--address", nodes.client]
    house = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    curate_json(*relative, "--out", "here", near=True, cwd=recipe.parent, env=house)
    assert published(recipe.parent / "here") == local


def test_a_cluster_that_is_not_there_is_wrong_usage_within_seconds_and_makes_no_run(
    arguments: list[str], tmp_path: Path
) -> None:
    started = time.monotonic()
    answer = curate_json(*arguments, "--out", tmp_path / "run", "--address", "127.0.0.1:9", status=2)
    assert "no Ray cluster answers" in answer["error"]
    assert time.monotonic() - started < 20
    assert not (tmp_path / "run").exists()


def test_ray_is_imported_only_where_it_is_asked_for(arguments: list[str], tmp_path: Path) -> None:
    script = (
        "import sys\nfrom workflows.cli import run\n"
        f"status = run({[*arguments, '--out', str(tmp_path / 'run'), '--limit', '1']!r})\n"
        "print(status, 'ray' in sys.modules, 'grpc' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.split() == ["0", "False", "False"]
    assert curate("--help", env=environment).returncode == 0
