"""How long a task may take, and what it costs to take longer."""

import math
from pathlib import Path

import pytest

from pipelines.engines.attempts import TASK_S, Try
from pipelines.facts import FactTask
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.plugged import PluggedFilter
from pipelines.plugins import Made
from pipelines.view import View
from sources.records import Fragment
from tests.end_to_end.other_steps import package, step_code
from tests.pipelines.engine_tasks import Count, Hangs, KillsOnPoison

VIEW = View(0, Fragment("a", "d"))


def test_a_task_that_can_be_tried_apart_has_an_hour() -> None:
    assert Try(0, FactTask(KillsOnPoison(), VIEW, 0)).deadline_s == TASK_S


def test_a_task_that_cannot_be_tried_apart_is_waited_for() -> None:
    assert Try(0, Count(0)).deadline_s == math.inf


def test_after_a_hang_a_task_is_apart_at_once_and_has_no_deadline_but_those_of_its_records() -> None:
    again = Try(0, Hangs(0)).after_hang()
    assert isinstance(again.task, Hangs)
    assert (again.killed, again.task.attempt, again.deadline_s) == (
        KILLS_BEFORE_ISOLATION, KILLS_BEFORE_ISOLATION, math.inf,
    )  # fmt: skip
    assert again.suspect


def test_a_step_of_another_package_says_how_long_it_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = step_code("return all_kept(samples.num_rows)").replace(
        "    def parameters", "    deadline_s = 9e4\n    def parameters"
    )
    package(tmp_path / "site", "slow_pack", {"added": "make"}, code)
    monkeypatch.syspath_prepend(tmp_path / "site")
    step = PluggedFilter(Made("added", "{}", "slow_pack", "1.0"))
    assert Try(0, FactTask(step, VIEW, 0)).deadline_s == 9e4  # type: ignore[arg-type]
