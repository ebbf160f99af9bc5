"""No connection leaves the machine: the whole command, contracts and engines included, is watched as it runs."""

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.end_to_end.connections import Watched, can_trace, hooked, hooked_and_traced, traced
from tests.end_to_end.runs import CURATE, curate
from workflows.demo_corpus import write_demo_corpus

ENGINES = ("local", "ray")
ELSEWHERE = "192.0.2.1"  # RFC 5737: an address of nobody, in documents only
LEAK = f"""
import multiprocessing, socket

def leak():
    with socket.socket() as one:
        one.settimeout(0.2)
        one.connect_ex(("{ELSEWHERE}", 9))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.77", 9))

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=leak)
    child.start()
    child.join()
"""
SENDS = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.connect(("192.0.2.78", 9))
    one.send(b"x")
"""
LOOKS_UP = """
import socket
try:
    socket.getaddrinfo("telemetry.example.invalid", 443)
except OSError:
    pass
"""
IMPORTS = """
import os
os.environ["GX_ANALYTICS_ENABLED"] = "true"  # as a user might have it
from pipelines.contracts.validation import context
with context() as made:
    made.get_docs_sites_urls()
import datasets
"""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("corpora")
    write_demo_corpus(place / "corpora")
    return place


def build(corpora: Path, out: Path, engine: str) -> list[object]:
    """The command, with contracts, of some records of each source; skips where the engine is not to be had."""
    if engine == "ray":
        pytest.importorskip("ray", reason="the engine ray needs ray")
    command = ["build", "--recipe", corpora / "demo.yaml", "--data", corpora / "corpora", "--out", out]
    command += ["--engine", engine, "--workers", 1, "--limit", 3, "--json"]
    dry = curate(*command, "--dry-run")
    if dry.returncode == 2 and engine == "ray" and "not available" in dry.stderr + dry.stdout:
        pytest.skip("this version has no engine ray")
    return [*CURATE, *command]


def check(watched: Watched, out: Path) -> None:
    assert watched.done.returncode == 0, watched.done.stderr
    assert orjson.loads(watched.done.stdout)["samples_written"] > 0
    contracts: dict[str, Any] = orjson.loads((out / "reports" / "contracts.json").read_bytes())
    assert len(contracts["gates"]) == 4
    assert watched.processes >= 2, "the command and its worker"
    assert watched.places == ()


def test_the_hook_sees_a_connection_of_a_child_process(tmp_path: Path) -> None:
    (tmp_path / "leak.py").write_text(LEAK)
    watched = hooked(tmp_path, [sys.executable, tmp_path / "leak.py"])
    assert watched.processes >= 2
    assert watched.places == (ELSEWHERE,)


def test_the_hook_sees_a_name_that_is_looked_up(tmp_path: Path) -> None:
    watched = hooked(tmp_path, [sys.executable, "-c", LOOKS_UP])
    assert watched.places == ("telemetry.example.invalid",)


def test_strace_sees_a_connection_of_a_child_process_and_what_is_sent(tmp_path: Path) -> None:
    if not can_trace():
        pytest.skip("strace is not here, or may not trace")
    (tmp_path / "leak.py").write_text(LEAK)
    assert traced(tmp_path, [sys.executable, tmp_path / "leak.py"]).places == (ELSEWHERE,)
    assert traced(tmp_path, [sys.executable, "-c", SENDS]).places == ("192.0.2.78",)


def test_great_expectations_and_datasets_reach_for_nothing(tmp_path: Path) -> None:
    pytest.importorskip("great_expectations", reason="contracts need great_expectations")
    pytest.importorskip("datasets", reason="readers of saved datasets need datasets")
    watched = hooked(tmp_path, [sys.executable, "-c", IMPORTS])
    assert watched.done.returncode == 0, watched.done.stderr
    assert watched.places == ()


@pytest.fixture(scope="module", params=ENGINES)
def watched(
    corpora: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[Path, Watched, Watched | None]:
    """A build, what the hook saw of it, and what strace did where it may."""
    place = tmp_path_factory.mktemp(request.param)
    command = build(corpora, place / "run", request.param)
    if can_trace():
        return place / "run", *hooked_and_traced(place, command)
    return place / "run", hooked(place, command), None


def test_no_python_of_a_build_connects_elsewhere(watched: tuple[Path, Watched, Watched | None]) -> None:
    out, by_hook, _ = watched
    check(by_hook, out)


def test_no_process_of_a_build_connects_elsewhere(watched: tuple[Path, Watched, Watched | None]) -> None:
    out, _, by_tracer = watched
    if by_tracer is None:
        pytest.skip("strace is not here, or may not trace")
    check(by_tracer, out)
