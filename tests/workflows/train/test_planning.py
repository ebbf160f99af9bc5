"""Which plan a model is trained by, and that all ranks get as many rows of it (trap 8)."""

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from pipelines.errors import UsageError
from shards.index_file import IndexAbout, write_index
from shards.manifest import manifest_bytes, read_manifest
from shards.mixture import PlanSettings
from shards.plan import make_plan
from shards.plan_file import ImagePolicy
from sources.storage import LocalFolder
from tests.workflows.train.made_shards import key_of, write_build
from tests.workflows.train.minis import CPU, fresh, mini
from workflows.train.batch import batch_of
from workflows.train.data import Pixels, UninterruptedRows, rows_of
from workflows.train.init import init_random
from workflows.train.job import Job
from workflows.train.model import ModelDescription, load_model
from workflows.train.overlay import OverlaidFolder
from workflows.train.planning import ChosenPlan, _counted, choose_plan
from workflows.train.ranks import Ranks
from workflows.train.recipe import load_train_recipe
from workflows.train.stopping import STOPPING
from workflows.train.tokenizer import write_byte_tokenizer

RECIPE = load_train_recipe("mid", ["workers=0"])


@pytest.fixture
def shards(tmp_path: Path) -> LocalFolder:
    return LocalFolder(write_build(tmp_path / "run", samples=18))


def chosen(shards: LocalFolder, tmp_path: Path, world: int = 2, *overrides: str) -> ChosenPlan:
    write_byte_tokenizer(tmp_path / "tokenizer.json")
    recipe = load_train_recipe("mid", overrides)
    return choose_plan(shards, mini(), recipe, world, tmp_path, tmp_path / "plan")


def job_of(plan: ChosenPlan, shards: LocalFolder, start: Path) -> Job:
    return Job(
        model=mini(), recipe=RECIPE, shards=shards.place, plan_folder=plan.place, plan=plan.name,
        plan_digest=plan.digest, start_sha256="w", manifest_sha256="0" * 64, start=start, out=start / "out",
        context=plan.about.context, rows_per_step=plan.about.rows_per_step, steps=plan.about.steps,
    )  # fmt: skip


def test_a_model_of_a_shorter_context_and_another_tokenizer_gets_a_plan_of_its_own(
    shards: LocalFolder, tmp_path: Path
) -> None:
    before = {stat.path: (stat.size, stat.stamp) for stat in shards.files()}
    plan = chosen(shards, tmp_path)
    assert (plan.about.context, plan.about.rows_per_step) == (128, 4)
    assert plan.about.images.tokens_per_tile == mini().image_tokens
    assert plan.reasons
    assert {stat.path: (stat.size, stat.stamp) for stat in shards.files()} == before


def test_every_rank_gets_as_many_rows_and_together_they_get_every_sample(shards: LocalFolder, tmp_path: Path) -> None:
    init_random(mini(), tmp_path / "init", 0)
    plan = chosen(shards, tmp_path)
    job = job_of(plan, shards, tmp_path / "init")
    by_rank = [list(rows_of(job, Ranks(rank, 0, 1, 2), 0)) for rank in range(2)]
    assert [len(steps) for steps in by_rank] == [plan.about.steps] * 2
    assert {len(rows) for steps in by_rank for rows in steps} == {2}
    keys = {key for steps in by_rank for rows in steps for row in rows for key in row.keys}
    assert keys == {key_of(number) for number in range(18)}
    row = by_rank[0][0][0]
    assert int((row.ids == mini().image_token.id).sum()) == len(row.pictures) * mini().image_tokens
    assert bytes(row.ids[row.ids < 256].astype(np.uint8)).startswith(b"user")
    assert all(picture.shape == (1, 3, 28, 28) for picture in row.pictures)


def test_rows_that_the_ranks_do_not_divide_are_refused_with_a_number_that_they_do(
    shards: LocalFolder, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="3 ranks for 4 rows") as refused:
        chosen(shards, tmp_path, 3, "rows_per_step=4")
    assert "rows_per_step=6," in refused.value.hint


@pytest.mark.parametrize(("setting", "said"), [
    ("batch_tokens=1000000000000", "7,812,500,000 rows a step"), ("epochs=2000", "epochs: .* 1000"),
    ("rows_per_step=65538", "rows_per_step: .* 65536"),
])  # fmt: skip
def test_what_no_plan_may_have_is_refused_in_a_sentence(
    shards: LocalFolder, tmp_path: Path, setting: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(shards, tmp_path, 2, setting)
    assert not (tmp_path / "plan").exists()


def test_rows_are_not_rounded_up_to_more_than_a_plan_may_have(shards: LocalFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="131,070 rows a step for 65,535 ranks"):
        chosen(shards, tmp_path, 65535, f"batch_tokens={2**16 * 128}")


@pytest.mark.parametrize("of_model", [4, None])
def test_where_nobody_named_a_number_there_are_rows_for_all_ranks(
    shards: LocalFolder, tmp_path: Path, of_model: int | None
) -> None:
    write_byte_tokenizer(tmp_path / "tokenizer.json")
    model = mini().model_copy(update={"rows_per_step": of_model})
    plan = choose_plan(shards, model, RECIPE, 6, tmp_path, tmp_path / "plan")
    assert plan.about.rows_per_step == 6


def test_the_plan_beside_the_shards_is_taken_where_it_fits(shards: LocalFolder, tmp_path: Path) -> None:
    manifest = read_manifest(shards).model_copy(update={"index": "index.arrow", "plan": "plan.arrow"})
    data = BytesIO()
    parts = [_counted(shards, entry, manifest.tokenizer) for entry in manifest.every_shard]
    about = IndexAbout(build=manifest.build, tokenizer=manifest.tokenizer)
    write_index(data, about, [lambda part=part: part for part in parts])  # type: ignore[misc]
    shards.write("index.arrow", data.getvalue())
    shards.write("manifest.json", manifest_bytes(manifest))
    full = load_model("medgpt-oss-20b")
    settings = PlanSettings(
        context=2048, rows_per_step=4, images=ImagePolicy(policy="fixed", tokens_per_tile=576, side=336, max_tiles=12)
    )
    from shards.index_file import open_index

    made = make_plan(open_index(shards), manifest, hashlib.sha256(manifest_bytes(manifest)).hexdigest(), settings)
    with shards.writing("plan.arrow") as file:
        made.write(file)
    own = choose_plan(shards, full, RECIPE, 2, None, tmp_path / "plan")
    assert (own.place, own.name, own.reasons) == (shards.place, "plan.arrow", ())
    assert not (tmp_path / "plan").exists()
    other = choose_plan(shards, full, load_train_recipe("mid", ["epochs=3"]), 2, None, tmp_path / "plan")
    assert other.about.epochs == 3
    assert other.reasons == ("1 epochs",)


def test_an_overlay_shows_its_own_files_over_those_below_and_writes_nothing(tmp_path: Path) -> None:
    above, below = LocalFolder(tmp_path / "above"), LocalFolder(tmp_path / "below")
    above.write("a", b"new")
    below.write("a", b"old")
    below.write("b", b"other")
    both = OverlaidFolder(above, below)
    assert (both.read("a"), both.read("b"), both.stat("c")) == (b"new", b"other", None)
    with pytest.raises(OSError, match="only read"):
        both.write("a", b"")


def test_processes_that_read_ahead_survive_the_signal_that_stops_their_rank(
    shards: LocalFolder, tmp_path: Path
) -> None:
    init_random(mini(), tmp_path / "init", 0)
    job = job_of(chosen(shards, tmp_path), shards, tmp_path / "init")
    job = job.model_copy(update={"recipe": load_train_recipe("mid", ["workers=1"])})
    rows = rows_of(job, Ranks(0, 0, 1, 2), 0)
    next(rows)
    readers = multiprocessing.active_children()
    assert readers
    for reader in readers:
        os.kill(int(reader.pid or 0), signal.SIGTERM)
    assert len(list(rows)) == job.steps - 1


def test_readers_of_a_bucket_survive_that_signal_while_they_start(
    shards: LocalFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UninterruptedRows, "start_method", "spawn")  # as for a bucket
    init_random(mini(), tmp_path / "init", 0)
    job = job_of(chosen(shards, tmp_path), shards, tmp_path / "init")
    job = job.model_copy(update={"recipe": load_train_recipe("mid", ["workers=1"])})
    killed: list[int] = []

    def kill_the_first() -> None:
        while not (readers := multiprocessing.active_children()):
            time.sleep(0.01)
        killed.append(int(readers[0].pid or 0))
        os.kill(killed[0], signal.SIGTERM)

    thread = threading.Thread(target=kill_the_first)
    thread.start()
    rows = rows_of(job, Ranks(0, 0, 1, 2), 0)
    next(rows)
    thread.join()
    assert killed == [reader.pid for reader in multiprocessing.active_children()]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(STOPPING)
    assert len(list(rows)) == job.steps - 1


def test_an_epoch_shorter_than_the_ranks_still_gives_each_of_them_a_row(tmp_path: Path) -> None:
    few = LocalFolder(write_build(tmp_path / "few", samples=2, shards=1))
    plan = chosen(few, tmp_path, 4)
    assert (plan.about.steps, plan.about.rows_per_step) == (1, 4)
    init_random(mini(), tmp_path / "init", 0)
    job = job_of(plan, few, tmp_path / "init")
    rows = [row for rank in range(4) for step in rows_of(job, Ranks(rank, rank, 4, 4), 0) for row in step]
    assert len(rows) == 4
    assert all(row.labelled for row in rows)


def tiled() -> ModelDescription:
    return mini().model_copy(update={"max_tiles": 6})


def test_rows_of_tiled_pictures_have_as_many_tokens_as_the_plan_says_and_go_through_the_model(tmp_path: Path) -> None:
    """Films of 30 x 20: the grid of 3 x 2 tiles has their shape, and a thumbnail comes last."""
    init_random(tiled(), tmp_path / "init", 0)
    build = LocalFolder(write_build(tmp_path / "run", samples=6, shards=1, pictures=(1, 0)))
    plan = choose_plan(build, tiled(), load_train_recipe("mid"), 1, tmp_path / "init", tmp_path / "plan")
    job = job_of(plan, build, tmp_path / "init").model_copy(update={"model": tiled()})
    rows = [row for step in rows_of(job, Ranks(0, 0, 1, 1), 0) for row in step]
    pictures = [picture for row in rows for picture in row.pictures]
    assert len(pictures) >= 3
    assert {picture.shape for picture in pictures} == {(7, 3, 28, 28)}
    model = fresh()
    for row in rows:
        batch = batch_of(row, plan.about.context, tiled(), CPU)
        with torch.no_grad():
            loss, _, _ = model(**{**vars(batch), "pixels": batch.pixels.float()})
        assert torch.isfinite(loss)


def test_tiles_are_the_parts_of_the_picture_in_reading_order_then_the_whole(tmp_path: Path) -> None:
    init_random(tiled(), tmp_path / "init", 0)
    picture = np.random.default_rng(0).integers(0, 256, (28, 56, 3), dtype=np.uint8)  # two tiles, nothing resized
    left, right, whole = Pixels(tmp_path / "init")(picture)
    mean, std = (np.array(values)[:, None, None] for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    for tile, part in ((left, picture[:, :28]), (right, picture[:, 28:])):
        np.testing.assert_allclose(tile, (part.transpose(2, 0, 1) / 255 - mean) / std, atol=1e-4)
    halved = picture.reshape(28, 28, 2, 3).mean(axis=2).transpose(2, 0, 1)
    assert np.corrcoef(whole.ravel(), halved.ravel())[0, 1] > 0.9
