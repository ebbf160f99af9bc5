"""The engine on a real Ray cluster of three nodes on this machine (about a minute: Ray takes seconds to start)."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.engines import ray as ray_engine
from pipelines.engines.choice import EngineChoice
from pipelines.engines.engine import Engine
from pipelines.errors import BudgetError, CurateError, UsageError
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.storage import LocalFolder
from tests.pipelines.deadly import install, lines
from tests.pipelines.engine_tasks import (
    Carries,
    Count,
    Hangs,
    KillsWorkers,
    Needs,
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
from tests.sources.corpora import corpus_in


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


def test_a_worker_that_hangs_is_killed_and_its_task_tried_apart_at_once(engine: Engine) -> None:
    started = time.monotonic()
    answers = dict(engine.run([Hangs(0), *(Count(number, 0.2) for number in range(1, 40)), Hangs(40)]))
    assert [answers[number].facts["number"] for number in range(41)] == list(range(41))
    assert time.monotonic() - started < 40


def test_a_step_that_needs_no_core_has_a_worker_for_each_there_is(engine: Engine) -> None:
    seen: set[int] = set()
    for _ in range(20):  # a worker may still be starting while the others do all the work
        answers = list(engine.run([Needs(number, cpus=0.0, seconds=0.05) for number in range(30)]))
        assert sorted(number for number, _ in answers) == list(range(30))
        seen |= {commit.facts["pid"] for _, commit in answers}
        if len(seen) == 3:
            break
    assert len(seen) == 3


def test_a_step_that_needs_a_gpu_and_no_core_has_a_worker_for_each_gpu(engine: Engine) -> None:
    answers = list(engine.run([Needs(number, cpus=0.0, gpus=1.0, seconds=0.05) for number in range(6)]))
    assert len({commit.facts["pid"] for _, commit in answers}) == 1


@pytest.mark.parametrize("needs", [{"cpus": -1.0}, {"cpus": float("inf")}, {"gpus": float("nan")}, {"gpus": 1.5}])
def test_what_no_worker_can_be_given_is_said_with_the_step(engine: Engine, needs: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="wants: its step asks for"):
        list(engine.run([Needs(0, **needs)]))


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


def test_gpus_that_are_optional_are_asked_for_where_a_node_has_so_many(
    engine: Engine, nodes: Nodes, capfd: pytest.CaptureFixture[str]
) -> None:
    tasks = [OnGpu(number, gpus=0.5, gpus_optional=True) for number in range(4)]
    answers = [commit.facts for _, commit in engine.run(tasks)]
    assert {answer["node"] for answer in answers} == {nodes.nodes[2].node_id}
    assert {answer["gpus"] for answer in answers} == {"0"}
    assert "GPU" not in capfd.readouterr().err
    without = [OnGpu(number, gpus=2.0, gpus_optional=True) for number in range(3)]
    assert not any(commit.facts["gpus"] for _, commit in engine.run(without))
    assert capfd.readouterr().err.count("model: no node has 2 GPU now, so this step uses the CPU to its end") == 1


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


def test_credentials_caches_of_the_hub_that_nodes_see_and_the_place_of_the_command_reach_the_workers(
    alone: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.environ.get("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "on another machine"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-of-the-site")
    monkeypatch.setenv("UNRELATED", "stays here")
    monkeypatch.chdir(tmp_path)
    try:
        alone.start(session_in(tmp_path / "run"))
        told = TellsEnvironment(("AWS_SECRET_ACCESS_KEY", "HF_HOME", "HF_HUB_CACHE", "UNRELATED"))
        ((_, commit),) = alone.run([told])
        logs = Path(_session_folder())
        written = b"".join(path.read_bytes() for path in logs.rglob("*") if path.is_file() and not path.is_symlink())
    finally:
        alone.close()
    assert commit.facts == {
        "AWS_SECRET_ACCESS_KEY": "s3cret-of-the-site", "HF_HOME": str(tmp_path), "HF_HUB_CACHE": own, "UNRELATED": None,
        "cwd": str(tmp_path),
    }  # fmt: skip
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


def test_a_node_without_a_reader_that_the_build_uses_is_refused_with_what_to_install(
    alone: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_text(lines(["a", "b"]))
    fields = {"question": "question", "answer": "answer"}
    with monkeypatch.context() as here:
        here.syspath_prepend(install(tmp_path / "site"))
        corpus = corpus_in(tmp_path, "parsing", "*.jsonl", fields=fields, task="text_qa")
    monkeypatch.setattr(ray_engine, "plugins_of", lambda _: {"reader parsing": "of deadly 1.0"})
    try:
        alone.start(replace(session_in(tmp_path / "run"), corpora=(corpus,)))
        with pytest.raises(UsageError, match=r"has no reader parsing, here it is of deadly 1\.0") as caught:
            list(alone.run([Count(0)]))
    finally:
        alone.close()
    assert "install the same distribution on every node" in caught.value.hint


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
