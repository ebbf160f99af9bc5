"""The tests' own shortcut: builds share workers only where new ones would be the same."""

import os
from pathlib import Path

import pytest

from pipelines.engines.choice import EngineChoice
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.storage import LocalFolder
from tests.end_to_end.warm_workers import warm_workers
from tests.pipelines.engine_tasks import Count


def worker_of_a_build(place: Path, *, stopped: bool = False) -> int:
    """The process that did a task of a build; `stopped`: the build ends while another of its workers is at work."""
    with warm_workers():
        engine = EngineChoice().make(2 if stopped else 1)
    engine.start(Session(Recipe(stage="mid", sources=(SourceEntry(name="x"),)), (), Work(LocalFolder(place))))
    answers = engine.run([Count(0), Count(1, 600.0)] if stopped else [Count(0)])
    _, commit = next(answers)
    assert stopped or list(answers) == []
    engine.close()
    pid: int = commit.facts["pid"]
    return pid


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_build_has_the_workers_of_the_one_before_but_not_in_another_environment_or_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = worker_of_a_build(tmp_path)
    assert worker_of_a_build(tmp_path) == first
    monkeypatch.setenv("CURATE_TEST_OF_WORKERS", "1")
    second = worker_of_a_build(tmp_path)
    assert second != first
    assert is_gone(first)
    monkeypatch.chdir(tmp_path)
    third = worker_of_a_build(tmp_path)
    assert len({first, second, third, os.getpid()}) == 4
    assert is_gone(second)


def test_the_workers_of_a_build_that_ends_while_one_is_at_work_are_ended(tmp_path: Path) -> None:
    worker = worker_of_a_build(tmp_path, stopped=True)
    assert is_gone(worker)
    assert worker_of_a_build(tmp_path) != worker
