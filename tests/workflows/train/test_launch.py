"""What the user is told of how the ranks ended."""

import os
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.errors import CurateError
from tests.workflows.train.minis import mini
from workflows.train.job import EXPORT, FAILURES, METRICS, Job
from workflows.train.launch import StoppedError, shutdown_seconds, tell_end, torchrun_command
from workflows.train.metrics import append, ends, forget_after, read_metrics, wandb_id
from workflows.train.model import load_model
from workflows.train.rank import BEAT_S, _beating
from workflows.train.recipe import load_train_recipe


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / FAILURES).mkdir()
    return Job(
        model=mini(), recipe=load_train_recipe("mid"), shards="s", plan_folder="s", plan="plan.arrow",
        plan_digest="d", start_sha256="w",
        manifest_sha256="0" * 64, start=tmp_path, out=tmp_path, context=128, rows_per_step=4, steps=10,
    )  # fmt: skip


def word(job: Job, rank: int, status: int | None, ours: bool = True, error: str = "") -> None:
    document: dict[str, Any] = {"status": status, "pid": 42, "host": "node7"}
    if status is not None:
        document = {"status": status, "error": error, "hint": "do this", "ours": ours}
    (job.out / FAILURES / f"{rank}.json").write_bytes(orjson.dumps(document))


def test_the_error_that_says_something_is_told_with_its_status(job: Job) -> None:
    word(job, 0, 1, ours=False, error="RuntimeError in a collective")
    word(job, 1, 3, error="other bytes")
    with pytest.raises(CurateError, match="rank 1: other bytes") as told:
        tell_end(job, 1, asked=False)
    assert (told.value.status, told.value.hint) == (3, "do this")


def test_a_rank_that_was_killed_is_named_and_not_those_that_missed_it(job: Job) -> None:
    word(job, 0, 1, ours=False, error="RuntimeError in a collective")
    word(job, 1, None)
    with pytest.raises(CurateError, match=r"rank 1 \(process 42 on node7\)"):
        tell_end(job, 1, asked=False)


def test_of_ranks_that_were_all_killed_the_first_to_fall_silent_is_named(job: Job) -> None:
    for rank, silent_since in ((0, 100.0), (1, 70.0), (2, 101.0)):
        word(job, rank, None)
        os.utime(job.out / FAILURES / f"{rank}.json", (silent_since, silent_since))
    with pytest.raises(CurateError, match="rank 1 ") as told:
        tell_end(job, 1, asked=False)
    assert "300 s" not in told.value.message
    with pytest.raises(CurateError, match="did not stop within 300 s"):
        tell_end(job, 1, asked=True)


def test_a_rank_shows_that_it_lives(tmp_path: Path) -> None:
    path = tmp_path / "0.json"
    path.write_text("{}")
    os.utime(path, (0, 0))
    with _beating(path):
        while path.stat().st_mtime == 0:
            time.sleep(0.05)
    os.utime(path, (0, 0))
    time.sleep(1.5 * BEAT_S)
    assert path.stat().st_mtime == 0


def test_ranks_that_were_stopped_before_they_could_say_anything_were_stopped(job: Job) -> None:
    with pytest.raises(StoppedError, match="before the first step"):
        tell_end(job, 1, asked=True)


@pytest.mark.parametrize(("step", "said"), [(7, "checkpoint of step 7"), (0, "before the first step")])
def test_ranks_that_say_so_were_stopped(job: Job, step: int, said: str) -> None:
    for rank in range(2):
        (job.out / FAILURES / f"{rank}.json").write_bytes(orjson.dumps({"status": 130, "step": step}))
    with pytest.raises(StoppedError, match=said) as told:
        tell_end(job, 1, asked=False)
    assert told.value.status == 130


def test_a_rank_that_failed_is_told_of_where_others_were_stopped(job: Job) -> None:
    (job.out / FAILURES / "0.json").write_bytes(orjson.dumps({"status": 130, "step": 7}))
    word(job, 1, 1, error="no room")
    with pytest.raises(CurateError, match="rank 1: no room"):
        tell_end(job, 1, asked=False)


def test_ranks_that_left_an_export_and_no_word_are_done(job: Job) -> None:
    (job.out / EXPORT).mkdir()
    tell_end(job, 0, asked=False)


@pytest.mark.parametrize("earlier", [False, True])
def test_ranks_that_never_began_are_told_of_whatever_an_earlier_run_left(job: Job, earlier: bool) -> None:
    if earlier:
        append(job.out / METRICS, {"step": 1})
    with pytest.raises(CurateError, match="could not be started") as told:
        tell_end(job, 1, asked=False)
    assert told.value.status == 1


def test_ranks_have_time_to_write_a_checkpoint_before_they_are_killed(job: Job) -> None:
    assert shutdown_seconds(job) == 300
    full = job.model_copy(update={"model": load_model("medgpt-oss-20b")})
    assert shutdown_seconds(full) > 297 / 0.5
    command = torchrun_command(full, 8)
    assert command[command.index("--shutdown-timeout") + 1] == str(shutdown_seconds(full))


def test_metrics_have_no_gap_and_no_repeat_after_a_resume(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    for step in range(1, 6):
        append(path, {"step": step, "loss": float(step)})
    with path.open("ab") as file:
        file.write(b'{"step": 6, "lo')
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3, 4, 5]
    forget_after(path, 3)
    append(path, {"step": 4, "loss": 9.0})
    assert [row["loss"] for row in read_metrics(path)] == [1.0, 2.0, 3.0, 9.0]


def test_runs_in_folders_of_the_same_name_are_two_runs_for_weights_and_biases(tmp_path: Path) -> None:
    places = [tmp_path / parent / "mid" for parent in ("one", "other")]
    for place in places:
        place.mkdir(parents=True)
    one, other = map(wandb_id, places)
    assert one != other
    assert wandb_id(places[0]) == one


def test_metrics_are_replaced_and_never_written_over(tmp_path: Path) -> None:
    path, before = tmp_path / METRICS, tmp_path / "before"
    for step in range(1, 6):
        append(path, {"step": step})
    before.hardlink_to(path)  # the bytes that a kill in the middle would have left
    forget_after(path, 3)
    assert (len(read_metrics(before)), len(read_metrics(path))) == (5, 3)
    assert sorted(tmp_path.iterdir()) == [before, path]


def test_first_and_last_loss_are_means_over_a_tenth() -> None:
    assert ends([float(number) for number in range(20)]) == (0.5, 18.5)
    assert ends([3.0]) == (3.0, 3.0)
