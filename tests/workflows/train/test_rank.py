"""What a rank looks at before it trains: that shards, manifest and plan are those that were admitted."""

import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.workflows.train.made_shards import write_build
from tests.workflows.train.minis import Alone, mini, mini_file
from workflows.train.init import init_random
from workflows.train.job import Job
from workflows.train.lineage import RefusedShardsError
from workflows.train.rank import check_shards
from workflows.train.start import TrainOptions, make_job, prepare

ALONE = Alone(0, 0, 1, 1)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    init_random(mini(), tmp_path / "init", 0)
    shards = write_build(tmp_path / "mid", samples=12)
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


CHANGED: dict[str, tuple[Callable[[Job], object], str]] = {
    "shards that were built again": (rebuilt, "the manifest"),
    "a flipped bit": (lambda job: flipped(next(Path(job.shards).glob("*.tar"))), ".tar"),
    "a missing shard": (lambda job: next(Path(job.shards).glob("*.tar")).unlink(), ".tar"),
    "the admission of others": (admitted_again, "admission"),
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
