import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.engines.local import LocalEngine
from pipelines.errors import BudgetError, CurateError
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.storage import LocalFolder
from tests.pipelines.engine_tasks import (
    Count,
    Hangs,
    KillsWorkers,
    Raises,
    SleepsThenMarks,
    Slow,
    measured_and_failed,
    poisoned,
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(2)
    engine.start(Session(Recipe(stage="mid", sources=(SourceEntry(name="x"),)), (), Work(LocalFolder(tmp_path))))
    yield engine
    engine.close()


def test_every_task_is_answered_once_by_as_many_processes_as_asked_for(engine: LocalEngine) -> None:
    answers = list(engine.run([Count(number, 0.01) for number in range(40)]))
    assert sorted(number for number, _ in answers) == list(range(40))
    assert all(commit.facts["number"] == number for number, commit in answers)
    assert len({commit.facts["pid"] for _, commit in answers}) == 2


def test_tasks_are_taken_only_as_workers_become_free(engine: LocalEngine) -> None:
    taken = []

    def tasks() -> Iterator[Count]:
        for number in range(20):
            taken.append(number)
            yield Count(number)

    for done, _ in enumerate(engine.run(tasks())):
        assert len(taken) <= done + 1 + 2


@pytest.mark.parametrize("times", [1, 3])
def test_a_task_that_kills_its_worker_is_tried_again_and_costs_nothing_else(engine: LocalEngine, times: int) -> None:
    answers = dict(engine.run([Count(0), KillsWorkers(1, times), Count(2), Count(3)]))
    assert [answers[number].facts["number"] for number in range(4)] == [0, 1, 2, 3]


def test_a_task_that_kills_every_worker_ends_the_run_with_advice(engine: LocalEngine) -> None:
    with pytest.raises(CurateError, match="killer: its workers died 4 times") as caught:
        list(engine.run([KillsWorkers(0, 99)]))
    assert "fewer --workers" in caught.value.hint


def test_our_errors_keep_their_exit_status(engine: LocalEngine) -> None:
    with pytest.raises(BudgetError, match="too many") as caught:
        list(engine.run([Raises("budget")]))
    assert (caught.value.status, caught.value.hint) == (4, "repair")


@pytest.mark.parametrize(
    ("error", "said"), [("full", "No space left on device"), ("value", "ValueError at tests|ValueError at")]
)
def test_errors_of_others_never_carry_values_or_paths(engine: LocalEngine, error: str, said: str) -> None:
    with pytest.raises(CurateError, match=said) as caught:
        list(engine.run([Raises(error)]))
    assert "MRN123" not in caught.value.message + caught.value.hint


def test_closing_ends_workers_at_once(tmp_path: Path, engine: LocalEngine) -> None:
    running = engine.run([SleepsThenMarks(tmp_path / "mark", 5.0), Count(1)])
    next(running)
    while not (tmp_path / "started").exists() or not (tmp_path / "started").read_text():
        time.sleep(0.01)
    engine.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "started").read_text()), 0)
    assert not (tmp_path / "mark").exists()


def test_a_record_that_kills_every_worker_is_the_only_one_quarantined(engine: LocalEngine, tmp_path: Path) -> None:
    work = Work(LocalFolder(tmp_path))
    ((_, commit),) = engine.run([poisoned(work, 9, 5)])
    assert measured_and_failed(work, commit) == ([0, 1, 2, 3, 4, 6, 7, 8], [5])


def test_a_worker_that_hangs_is_killed_and_its_task_tried_apart_at_once(engine: LocalEngine) -> None:
    started = time.monotonic()
    answers = dict(engine.run([Hangs(0), *(Count(number, 0.05) for number in range(1, 20)), Hangs(20)]))
    assert [answers[number].facts["number"] for number in range(21)] == list(range(21))
    assert time.monotonic() - started < 30


def test_a_task_within_its_deadline_is_left_alone(engine: LocalEngine) -> None:
    ((_, commit),) = engine.run([Slow(1.5, deadline_s=60.0)])
    assert commit.facts["number"] == 0
