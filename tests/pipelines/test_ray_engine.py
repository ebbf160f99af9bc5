"""The engine on a real Ray cluster of three nodes on this machine (about a minute: Ray takes seconds to start)."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipelines.engines import ray as ray_engine
from pipelines.engines import ray_cluster
from pipelines.engines.choice import EngineChoice, chosen
from pipelines.engines.engine import Engine
from pipelines.errors import BudgetError, CurateError, UsageError
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.storage import LocalFolder
from tests.pipelines.engine_tasks import (
    Carries,
    Count,
    KillsWorkers,
    OnGpu,
    Prints,
    Raises,
    SleepsThenMarks,
    TakesMemory,
    TellsEnvironment,
    measured_and_failed,
    poisoned,
)
from tests.pipelines.ray_nodes import Nodes, ray_nodes


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with ray_nodes([{"num_cpus": 1}, {"num_cpus": 1}, {"num_cpus": 1, "num_gpus": 1}]) as nodes:
        yield nodes


def session_in(folder: Path) -> Session:
    return Session(Recipe(stage="mid", sources=(SourceEntry(name="x"),)), (), Work(LocalFolder(folder)))


@pytest.fixture(scope="module")
def shared(nodes: Nodes) -> Iterator[Engine]:
    """One engine for most tests: workers that a test leaves behind are the next one's."""
    engine = EngineChoice("ray", nodes.address).make(1)
    yield engine
    engine.close()


@pytest.fixture
def engine(shared: Engine, tmp_path: Path) -> Engine:
    shared.start(session_in(tmp_path))
    return shared


@pytest.fixture
def alone(nodes: Nodes, shared: Engine) -> Engine:
    """An engine of the test's own, which it starts and closes: a process has one connection to Ray."""
    shared.close()
    return EngineChoice("ray", nodes.address).make(1)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid: int, within_s: float = 10.0) -> bool:
    until = time.monotonic() + within_s
    while is_there(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not is_there(pid)


def test_every_task_is_answered_once_by_a_worker_on_every_core(engine: Engine) -> None:
    answers = list(engine.run([Count(number, 0.05) for number in range(60)]))
    assert sorted(number for number, _ in answers) == list(range(60))
    assert all(commit.facts["number"] == number for number, commit in answers)
    assert len({commit.facts["pid"] for _, commit in answers}) == 3


def test_tasks_are_taken_only_as_workers_become_free(engine: Engine) -> None:
    taken = []

    def tasks() -> Iterator[Count]:
        for number in range(60):
            taken.append(number)
            yield Count(number)

    for done, _ in enumerate(engine.run(tasks())):
        assert len(taken) <= done + 1 + 3 * 3  # on each of three workers one, one to come, and one known


def test_a_task_that_kills_its_worker_is_tried_again_and_costs_nothing_else(engine: Engine) -> None:
    answers = dict(engine.run([Count(0), KillsWorkers(1, 3), Count(2), Count(3)]))
    assert [answers[number].facts["number"] for number in range(4)] == [0, 1, 2, 3]


def test_a_task_that_kills_every_worker_ends_the_run_with_advice(engine: Engine) -> None:
    with pytest.raises(CurateError, match="killer: its workers died 4 times") as caught:
        list(engine.run([KillsWorkers(0, 99)]))
    assert "fewer --workers" in caught.value.hint


def test_a_record_that_kills_every_worker_is_the_only_one_quarantined(engine: Engine, tmp_path: Path) -> None:
    work = Work(LocalFolder(tmp_path))
    ((_, commit),) = engine.run([poisoned(work, 9, 5)])
    assert measured_and_failed(work, commit) == ([0, 1, 2, 3, 4, 6, 7, 8], [5])


def test_a_task_that_takes_too_much_memory_ends_the_run_with_advice(engine: Engine) -> None:
    with pytest.raises(CurateError, match="glutton: out of memory") as caught:
        list(engine.run([TakesMemory()]))
    assert "fewer --workers" in caught.value.hint


def test_our_errors_keep_their_exit_status(engine: Engine) -> None:
    with pytest.raises(BudgetError, match="too many") as caught:
        list(engine.run([Raises("budget")]))
    assert (caught.value.status, caught.value.hint) == (4, "repair")


def test_nothing_a_task_says_or_raises_reaches_ray_s_logs(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CurateError, match="ValueError at") as caught:
        list(engine.run([Prints(), Raises("value")]))
    assert "MRN123" not in caught.value.message + caught.value.hint
    logs = Path(_session_folder())
    written = b"".join(path.read_bytes() for path in logs.rglob("*") if path.is_file() and not path.is_symlink())
    assert b"raylet" in written
    assert b"MRN123" not in written
    out, err = capfd.readouterr()
    assert "MRN123" not in out + err


def _session_folder() -> str:
    import ray

    return str(ray._private.worker._global_node.get_session_dir_path())


def test_what_a_task_holds_never_goes_through_the_object_store(engine: Engine) -> None:
    import ray

    list(engine.run([Count(0)]))
    before = ray.available_resources()["object_store_memory"]
    (answer,) = engine.run([Carries(bytes(20_000_000))])
    assert answer[1].facts["bytes"] == 20_000_000
    assert len(answer[1].facts["back"]) == 2_000_000
    assert before - ray.available_resources()["object_store_memory"] < 10_000_000


def test_a_task_that_wants_a_gpu_runs_where_there_is_one_and_others_run_again_after_it(
    engine: Engine, nodes: Nodes
) -> None:
    list(engine.run([Count(0)]))
    answers = [commit.facts for _, commit in engine.run([OnGpu(number) for number in range(4)])]
    assert {answer["node"] for answer in answers} == {nodes.nodes[2].node_id}
    assert {answer["gpus"] for answer in answers} == {"0"}
    assert len(list(engine.run([Count(0)]))) == 1


def test_while_no_core_is_free_it_says_so_and_then_works(
    engine: Engine, nodes: Nodes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import ray

    monkeypatch.setattr(ray_engine, "SAY_EVERY_S", 1.0)
    engine._dismiss()  # type: ignore[attr-defined]
    held = [ray.remote(lambda: time.sleep(4)).options(num_cpus=1).remote() for _ in range(3)]
    time.sleep(1)
    assert len(list(engine.run([Count(0)]))) == 1
    said = capfd.readouterr().err
    assert "waiting for a worker of 1 CPU: the cluster has 3 nodes with 3 CPU (0 free)" in said
    ray.get(held)


def test_credentials_and_the_place_of_the_command_reach_the_workers(
    alone: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-of-the-site")
    monkeypatch.setenv("UNRELATED", "stays here")
    monkeypatch.chdir(tmp_path)
    try:
        alone.start(session_in(tmp_path / "run"))
        ((_, commit),) = alone.run([TellsEnvironment(("AWS_SECRET_ACCESS_KEY", "UNRELATED"))])
        logs = Path(_session_folder())
        written = b"".join(path.read_bytes() for path in logs.rglob("*") if path.is_file() and not path.is_symlink())
    finally:
        alone.close()
    assert commit.facts == {"AWS_SECRET_ACCESS_KEY": "s3cret-of-the-site", "UNRELATED": None, "cwd": str(tmp_path)}
    assert b"s3cret-of-the-site" not in written


def test_closing_ends_our_workers_and_leaves_the_cluster_as_it_was(alone: Engine, tmp_path: Path) -> None:
    alone.start(session_in(tmp_path))
    running = alone.run([SleepsThenMarks(tmp_path / "mark", 5.0), Count(1)])
    next(running)
    while not (tmp_path / "started").exists() or not (tmp_path / "started").read_text():
        time.sleep(0.01)
    alone.close()
    assert gone(int((tmp_path / "started").read_text()))
    assert not (tmp_path / "mark").exists()
    assert not list((tmp_path / "work" / "tmp").iterdir())
    alone.start(session_in(tmp_path))
    assert len(list(alone.run([Count(0)]))) == 1
    alone.close()


def test_a_node_that_does_not_see_the_run_is_refused(alone: Engine, tmp_path: Path) -> None:
    try:
        alone.start(session_in(tmp_path / "run"))
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        with pytest.raises(UsageError, match="does not see the run") as caught:
            list(alone.run([Count(0)]))
    finally:
        alone.close()
    assert "s3://" in caught.value.hint


def test_a_node_with_another_version_of_a_library_is_refused(
    alone: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = dict(ray_engine.library_versions())
    monkeypatch.setattr(ray_engine, "library_versions", lambda: {**ours, "pyarrow": "1.0"})
    try:
        alone.start(session_in(tmp_path))
        with pytest.raises(UsageError, match=rf"has pyarrow {ours['pyarrow']}, here it is 1\.0"):
            list(alone.run([Count(0)]))
    finally:
        alone.close()


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_address_where_nothing_is_is_refused_in_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        started = time.monotonic()
        with pytest.raises(UsageError, match="no Ray cluster answers"):
            EngineChoice("ray", address).make(1)
        assert time.monotonic() - started < 15


def test_an_address_that_never_answers_is_refused_in_seconds(listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "PROBE_S", 2.0)
    started = time.monotonic()
    with pytest.raises(UsageError, match="no Ray cluster answers"):
        EngineChoice("ray", f"127.0.0.1:{listener}").make(1)
    assert time.monotonic() - started < 7


@pytest.mark.parametrize("address", ["head", "head:port", "http://head:8265", "a b:1"])
def test_what_is_no_address_is_refused_with_the_forms_there_are(address: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        EngineChoice("ray", address).make(1)


def test_a_cluster_of_another_ray_is_refused_and_both_versions_are_named(nodes: Nodes, tmp_path: Path) -> None:
    script = (
        "import sys, ray; ours, ray.__version__ = ray.__version__, '2.9.0'\n"
        "from tests.pipelines.test_ray_engine import session_in, EngineChoice, Path\n"
        f"engine = EngineChoice('ray', {nodes.address!r}).make(1)\n"
        f"try: engine.start(session_in(Path({str(tmp_path)!r})))\n"
        "except Exception as error: print(type(error).__name__, error, ours)\n"
        "finally: engine.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    import ray

    python = sys.version.split()[0]
    said = f"runs Ray {ray.__version__} on Python {python}, this command Ray 2.9.0 on Python {python}"
    assert done.stdout.startswith("UsageError")
    assert said in done.stdout


CHOICES: list[tuple[tuple[Any, ...], dict[str, str], EngineChoice]] = [
    ((None, None, None), {}, EngineChoice("local")),
    ((None, "head:6379", 4), {}, EngineChoice("ray", "head:6379", 4)),
    ((None, None, None), {"RAY_ADDRESS": "head:6379"}, EngineChoice("ray", "head:6379")),
    (("local", None, 2), {"RAY_ADDRESS": "head:6379"}, EngineChoice("local")),
    (("ray", None, None), {}, EngineChoice("ray")),
    (("ray", "a:1", None), {"RAY_ADDRESS": "b:2"}, EngineChoice("ray", "a:1")),
]


@pytest.mark.parametrize(("asked", "environment", "expected"), CHOICES)
def test_ray_is_chosen_where_it_or_a_cluster_is_named(
    asked: tuple[Any, ...], environment: dict[str, str], expected: EngineChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chosen(*asked) == expected


def test_an_address_for_the_local_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="--address"):
        chosen("local", "head:6379", None)


def test_a_node_that_dies_costs_its_tasks_a_second_try_and_no_blame(engine: Engine, nodes: Nodes) -> None:
    doomed = nodes.add(num_cpus=1)
    pids: set[int] = set()
    killed = False

    def tasks() -> Iterator[Count]:
        number = 0
        while not killed:
            yield Count(number, 0.2)
            number += 1
        for rest in range(number, number + 8):
            yield Count(rest, 0.2)

    numbers = []
    for number, commit in engine.run(tasks()):
        numbers.append(number)
        pids.add(commit.facts["pid"])
        if len(pids) == 4 and not killed:
            nodes.kill(doomed)
            killed = True
    assert sorted(numbers) == list(range(len(numbers)))
    assert len(pids) == 4  # no worker of another node was lost with it


@pytest.fixture
def guarded() -> Iterator[int]:
    """The port of a gRPC server that asks for a token."""
    import grpc

    class Asks(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "token?")
            )

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Asks()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0).wait()


def test_a_cluster_that_asks_for_a_token_is_given_ours_or_the_user_is_told_where_it_belongs(
    guarded: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="asks for a token") as caught:
        ray_cluster.checked_address(f"127.0.0.1:{guarded}")
    assert "RAY_AUTH_TOKEN" in caught.value.hint
    (tmp_path / "token").write_text("x" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert ray_cluster.checked_address(f"127.0.0.1:{guarded}") == f"127.0.0.1:{guarded}"
    assert os.environ["RAY_AUTH_MODE"] == "token"
