"""Checkpoints that are damaged or of another training are refused, by the name of the file."""

import errno
import hashlib
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from pipelines.errors import CurateError, UsageError
from tests.workflows.train.minis import Alone, mini
from workflows.train.checkpoint import (
    ABOUT,
    Checkpoint,
    FileFacts,
    finished,
    make_universal,
    newest,
    save,
    unwritten_told,
    verify,
)
from workflows.train.job import Job
from workflows.train.loop import THROUGH
from workflows.train.recipe import load_train_recipe


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        model=mini(), recipe=load_train_recipe("mid"), shards="s", plan_folder="s", plan="plan.arrow",
        plan_digest="d", start_sha256="w",
        manifest_sha256="0" * 64, start=tmp_path, out=tmp_path / "out", context=128, rows_per_step=4,
        steps=10,
    )  # fmt: skip


def written(job: Job, step: int, whole: bool = True) -> Path:
    place = job.out / "checkpoints" / f"step-{step:08d}"
    place.mkdir(parents=True)
    (place / "states.pt").write_bytes(b"states")
    facts = FileFacts(bytes=6, sha256=hashlib.sha256(b"states").hexdigest())
    if whole:
        about = Checkpoint(step=step, world=1, job=job, losses=[1.5], files={"states.pt": facts})
        (place / ABOUT).write_text(about.model_dump_json())
    return place


def test_the_newest_whole_checkpoint_is_gone_on_from(job: Job) -> None:
    assert newest(job) is None
    written(job, 3)
    written(job, 6)
    written(job, 9, whole=False)
    found = newest(job)
    assert found is not None
    assert (found[0].name, found[1].step, found[1].losses) == ("step-00000006", 6, [1.5])
    assert len(finished(job.out)) == 2


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda place: (place / "states.pt").write_bytes(b"sta"),
    "missing": lambda place: (place / "states.pt").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_named(job: Job, damage: str) -> None:
    written(job, 3)
    DAMAGE[damage](written(job, 6))
    with pytest.raises(CurateError, match=r"step-00000006/states\.pt") as refused:
        newest(job)
    assert "the one before" in refused.value.hint


def test_one_flipped_bit_is_noticed(job: Job) -> None:
    place = written(job, 3)
    (place / "states.pt").write_bytes(b"statet")
    found = newest(job)
    assert found is not None
    with pytest.raises(CurateError, match="other bytes"):
        verify(Alone(0, 0, 1, 1), *found)


def test_a_checkpoint_is_not_rewritten_where_there_is_no_room(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    place = written(job, 3)
    free = shutil.disk_usage(job.out).free / 1e9
    monkeypatch.setattr("workflows.train.checkpoint.checkpoint_gb", lambda *_: 0.75 * free)  # room for one, not two
    with pytest.raises(CurateError, match="another number of ranks"):
        make_universal(job, Alone(0, 0, 1, 1), place)


def test_the_way_through_a_spike_that_its_error_names_is_open(job: Job) -> None:
    written(job, 3)
    assert "--resume --set spike=null" in THROUGH
    assert newest(job.model_copy(update={"recipe": load_train_recipe("mid", ["spike=null"])})) is not None


def test_what_a_killed_save_left_takes_no_room_from_the_next(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    left = job.out / "checkpoints" / ".writing" / "step-00000003"
    left.mkdir(parents=True)
    monkeypatch.setattr("workflows.train.checkpoint.checkpoint_gb", lambda *_: 1e12)  # more than there is
    with pytest.raises(CurateError, match="are free"):
        save(job, Alone(0, 0, 1, 1), None, 4, [])  # type: ignore[arg-type]
    assert not left.exists()


WRITERS: dict[str, Callable[[Path], object]] = {
    "torch": lambda place: torch.save({"states": torch.zeros(500_000)}, place),
    "safetensors": lambda place: save_file({"states": torch.zeros(500_000)}, place),
}


@pytest.fixture
def no_file_above_a_megabyte() -> Iterator[None]:
    """What is written beyond fails as on a full disk (which benchmarks/several_nodes.py has)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("no_file_above_a_megabyte")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_cannot_be_written_to_its_end_is_told_as_such(tmp_path: Path, writer: str) -> None:
    with pytest.raises(CurateError, match=r"could not be written .* free") as told, unwritten_told(tmp_path, "it"):
        WRITERS[writer](tmp_path / "states")
    assert "--resume" in told.value.hint


def test_a_disk_that_fails_is_not_taken_for_a_full_one_alone(tmp_path: Path) -> None:
    with pytest.raises(CurateError) as told, unwritten_told(tmp_path, "it"):
        raise SafetensorError(f"I/O error: {OSError(errno.EIO, os.strerror(errno.EIO))}")
    assert "free some space" in told.value.hint
    assert "the disk fails" in told.value.hint


def test_other_errors_of_a_save_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="collective"), unwritten_told(tmp_path, "it"):
        raise RuntimeError("a collective")


@pytest.mark.parametrize(("change", "named"), [
    ({"manifest_sha256": "1" * 64}, "manifest sha256"), ({"plan_digest": "other"}, "plan digest"),
    ({"start_sha256": "other"}, "start sha256"),
    ({"steps": 11}, "steps"), ({"recipe": load_train_recipe("mid", ["seed=1"])}, "seed"),
])  # fmt: skip
def test_a_checkpoint_of_another_training_is_refused(job: Job, change: dict[str, object], named: str) -> None:
    written(job, 3)
    with pytest.raises(UsageError, match=named):
        newest(job.model_copy(update=change))
