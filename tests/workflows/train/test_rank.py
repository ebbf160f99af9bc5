"""What a rank looks at before it trains: that shards, manifest and plan are those that were admitted."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from pipelines.errors import BudgetError, CurateError
from tests.workflows.train import made_shards
from tests.workflows.train.made_shards import key_of, write_build
from tests.workflows.train.minis import Alone, mini, mini_file
from workflows.train.data import rows_of
from workflows.train.engine import zero_config
from workflows.train.init import init_random
from workflows.train.job import Job
from workflows.train.lineage import RefusedShardsError
from workflows.train.loop import Loop
from workflows.train.model import load_model
from workflows.train.preflight import check_own_gpu, check_ranks_alike, check_shards, facts_of_rank, fault_among
from workflows.train.ranks import Ranks
from workflows.train.start import TrainOptions, make_job, prepare
from workflows.train.stopping import STOPPING, StopRequest

ALONE = Alone(0, 0, 1, 1)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return made(tmp_path)


def made(tmp_path: Path, samples: int = 12) -> Job:
    init_random(mini(), tmp_path / "init", 0)
    shards = write_build(tmp_path / "mid", samples=samples, pictures=(1,) if samples > 12 else (1, 1, 0, 2))
    options = TrainOptions(
        "mid", str(shards), str(mini_file(tmp_path)), tmp_path / "init", tmp_path / "out", 1, 1, False, None, ()
    )
    return make_job(prepare(options))


def rebuilt(job: Job) -> None:
    """Other shards in the same place, whose manifest fits them."""
    shutil.rmtree(job.shards)
    write_build(Path(job.shards).parent, samples=16, audited=False)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def admitted_again(job: Job) -> None:
    path = job.out / "admission" / "lineage.json"
    document = orjson.loads(path.read_bytes())
    document["stages"][-1]["manifest"]["sha256"] = "0" * 64
    path.write_bytes(orjson.dumps(document))


def other_weights(job: Job) -> None:
    """Of the right names and shapes: what `init` makes from another seed."""
    init_random(mini(), job.start.with_name("other"), 1)
    shutil.copy(job.start.with_name("other") / "model.safetensors", job.start / "model.safetensors")


CHANGED: dict[str, tuple[Callable[[Job], object], str]] = {
    "shards that were built again": (rebuilt, "the manifest"),
    "a flipped bit": (lambda job: flipped(next(Path(job.shards).glob("*.tar"))), ".tar"),
    "a missing shard": (lambda job: next(Path(job.shards).glob("*.tar")).unlink(), ".tar"),
    "the admission of others": (admitted_again, "admission"),
    "other weights to start from": (other_weights, "its weights"),
    "no weights to start from": (lambda job: (job.start / "model.safetensors").unlink(), "its weights"),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_rank_refuses(job: Job, change: str) -> None:
    check_shards(job, ALONE)
    work, named = CHANGED[change]
    work(job)
    with pytest.raises(RefusedShardsError, match=named) as refused:
        check_shards(job, ALONE)
    assert refused.value.status == 3


def test_a_rank_refuses_another_plan(job: Job) -> None:
    with pytest.raises(RefusedShardsError, match="the plan"):
        check_shards(job.model_copy(update={"plan_digest": "0" * 64}), ALONE)


def test_samples_that_cannot_be_read_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made_shards.film
    monkeypatch.setattr(made_shards, "film", lambda number: b"no picture" if number in {1, 4} else whole(number))
    job = made(tmp_path)
    steps = list(rows_of(job, ALONE, 0))
    assert sum(row.left_out for rows in steps for row in rows) == 2
    assert not {key_of(1), key_of(4)} & {key for rows in steps for row in rows for key in row.keys}


def test_too_many_bad_samples_in_a_row_are_told_in_one_sentence_though_a_process_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_shards, "film", lambda _: b"no picture")
    job = made(tmp_path, samples=40)
    with pytest.raises(CurateError, match="bad samples in a row") as refused:
        list(rows_of(job.model_copy(update={"recipe": job.recipe.model_copy(update={"workers": 1})}), ALONE, 0))
    assert "Traceback" not in refused.value.message
    assert refused.value.status == 1


def test_more_bad_samples_than_the_recipe_allows_end_the_run(job: Job) -> None:
    loop = Loop(job, ALONE, None, None)  # type: ignore[arg-type]
    loop.hold_to_budget(left_out=16, samples=4)
    loop.hold_to_budget(left_out=0, samples=1_980)
    loop.hold_to_budget(left_out=4, samples=0)
    with pytest.raises(BudgetError, match="21 of 2,005") as refused:
        loop.hold_to_budget(left_out=1, samples=0)
    assert refused.value.status == 4


@pytest.mark.parametrize(("world", "kind"), [(1, {"grad_accum_dtype": "fp32"}), (4, None)])
def test_gradients_of_several_rows_are_added_up_in_float32(job: Job, world: int, kind: object) -> None:
    assert job.rows_per_step == 4
    assert zero_config(job, world, universal=False).get("data_types") == kind


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield StopRequest()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_stop_is_not_kept_waiting_by_the_hashing_of_shards(job: Job, stop: StopRequest) -> None:
    assert check_shards(job, ALONE, stop) is True
    os.kill(os.getpid(), signal.SIGUSR1)
    assert check_shards(job, ALONE, stop) is False


RANK: dict[str, object] = {
    "host": "n1", "torch": "2", "transformers": "5", "deepspeed": "0", "nccl": "2.27", "device": "B200", "gpu": "a",
    "sees": True, "free_gb": 1000.0,
}  # fmt: skip
FAULTS: dict[str, tuple[dict[str, object], str]] = {
    "another folder under the same path": ({"sees": False}, "rank 1 on n1 does not see what rank 0"),
    "another NCCL": ({"nccl": "2.20"}, r"nccl 2\.20, rank 0 2\.27"),
    "the GPU of another rank": ({"gpu": "a"}, "the GPU of rank 0"),
    "a full disk": ({"free_gb": 250.0}, r"250\.0 GB are free .* 297\.6"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_preflight_names_the_rank_with(fault: str) -> None:
    assert fault_among([RANK, RANK | {"gpu": "b"}, RANK | {"host": "n2"}], 297.6) is None
    changed, said = FAULTS[fault]
    found = fault_among([RANK, RANK | {"gpu": "b"} | changed], 297.6)
    assert found is not None
    assert re.search(said, found.message)


def test_the_preflight_holds_on_this_machine(job: Job) -> None:
    check_ranks_alike(job, ALONE)
    facts = facts_of_rank(job, ALONE, "another token")
    assert (facts["sees"], facts["device"], facts["gpu"]) == (False, "cpu", None)


def test_a_node_without_a_gpu_for_each_of_its_ranks_is_refused(job: Job) -> None:
    eight = Ranks(0, 0, 8, 16)
    check_own_gpu(job, eight, 0)  # the model of the tests runs without
    full = job.model_copy(update={"model": load_model("medgpt-oss-20b")})
    check_own_gpu(full, eight, 8)
    with pytest.raises(CurateError, match="flash_attention_4 needs GPUs"):
        check_own_gpu(full, eight, 0)
    with pytest.raises(CurateError, match="7 GPUs for 8 ranks"):
        check_own_gpu(full, eight, 7)
