"""What each rank of a run does: `python -m workflows.train.rank OUT/job.json`, under torchrun or anything like it."""

import os
import sys
from contextlib import nullcontext
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from pipelines.errors import CurateError, presentable
from workflows.train.stopping import StopRequest

if TYPE_CHECKING:
    from workflows.train.job import Job
    from workflows.train.ranks import Ranks


def main(arguments: list[str], stop: StopRequest) -> int:
    """Train, and leave a word in `OUT/failures/` where that did not work or was stopped. Returns the exit status.

    DeepSpeed's launcher adds `--local_rank=N`; it says what the environment says.
    """
    from workflows.train.job import FAILURES, RUNNING, STOPPED, read_job
    from workflows.train.ranks import ranks_of_environment
    from workflows.train.start import alone_in

    job = read_job(Path(next(word for word in arguments if not word.startswith("--"))))
    ranks = ranks_of_environment()
    word = job.out / FAILURES / f"{ranks.rank}.json"
    word.parent.mkdir(parents=True, exist_ok=True)
    _leave(word, {"status": None, "pid": os.getpid(), "host": os.uname().nodename})
    try:
        with alone_in(job.out, RUNNING) if ranks.first else nullcontext():
            status = _run(job, ranks, stop)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told without values of a record
        shown = presentable(error, f"rank {ranks.rank}")
        ours = isinstance(error, CurateError)
        _leave(word, {"status": shown.status, "error": shown.message, "hint": shown.hint, "ours": ours})
        return shown.status
    if status == STOPPED:
        _leave(word, {"status": STOPPED, "step": _last_step(job)})
    else:
        word.unlink()
    return status


def _run(job: "Job", ranks: "Ranks", stop: StopRequest) -> int:
    """Meet the other ranks, train, part."""
    import torch

    from workflows.train.engine import join_ranks
    from workflows.train.job import STOPPED

    if ranks.device.type == "cpu":
        cores = len(os.sched_getaffinity(0)) // ranks.local_world
        torch.set_num_threads(job.recipe.cpu_threads or max(1, cores))
    join_ranks(ranks)
    check_ranks_alike(job, ranks)
    done = train_stage(job, ranks, stop)
    torch.distributed.destroy_process_group()
    return 0 if done else STOPPED


def train_stage(job: "Job", ranks: "Ranks", stop: StopRequest) -> bool:
    """A stage among ranks that have met: from the newest checkpoint to the export, or (False) to a stop that was asked.

    Raises:
        CurateError: it cannot be begun, gone on with, or ended.
    """
    import deepspeed  # type: ignore[import-untyped]

    from workflows.train import checkpoint
    from workflows.train.data import rows_of
    from workflows.train.engine import make_engine
    from workflows.train.export import export
    from workflows.train.job import METRICS
    from workflows.train.loop import Loop
    from workflows.train.metrics import boards, forget_after
    from workflows.train.validation import HeldOut

    if not check_shards(job, ranks, stop):
        return False
    checkpoint.clear_leftovers(job, ranks)
    checkpoint.refuse_full_disk(job, ranks)  # now, and not after the first 200 steps
    found = checkpoint.newest(job)
    if found is not None:
        checkpoint.verify(ranks, *found)
    universal = found is not None and found[1].world != ranks.world
    if found is not None and universal:
        checkpoint.make_universal(job, ranks, found[0])
    deepspeed.runtime.utils.set_random_seed(job.recipe.seed)
    engine = make_engine(job, ranks, universal=universal)
    loop = Loop(job, ranks, engine, stop)
    if found is not None:
        checkpoint.load(job, ranks, engine, *found)
        loop.step = found[1].step
        loop.losses.extend(found[1].losses)
    if ranks.first:
        forget_after(job.out / METRICS, loop.step)
        loop.boards = boards(job.out, job.recipe, loop.step)
    held_out = HeldOut(job, ranks)
    if held_out.rows:
        loop.held_out = lambda: held_out.losses(engine)

    def save() -> None:
        checkpoint.save(job, ranks, engine, loop.step, loop.losses)

    done = loop.run(rows_of(job, ranks, loop.step), save) if loop.step < job.steps else True
    if done:
        export(job, ranks, engine)
    return done


def check_ranks_alike(job: "Job", ranks: "Ranks") -> None:
    """Compare this rank's attention with the plain one, and its versions with the others'."""
    import torch

    from workflows.train.attention import compare_with_eager

    compare_with_eager(job.model, job.model.attention.text, ranks.device, torch.bfloat16)
    import deepspeed
    import transformers

    device = torch.cuda.get_device_name() if ranks.device.type == "cuda" else "cpu"
    version: Any = torch.cuda.nccl.version
    nccl = ".".join(map(str, version())) if ranks.device.type == "cuda" else "none"
    mine = {"torch": torch.__version__, "NCCL": nccl, "transformers": transformers.__version__,
            "deepspeed": deepspeed.__version__, "device": device}  # fmt: skip
    for rank, theirs in enumerate(ranks.gathered(mine)):
        for name, value in theirs.items():
            if value != mine[name]:
                raise CurateError(f"rank {rank} has {name} {value}, this one {mine[name]}", "make all nodes alike")


def check_shards(job: "Job", ranks: "Ranks", stop: StopRequest | None = None) -> bool:
    """Hash manifest, plan and this rank's share of the shards; what is trained on is what was admitted.

    Returns:
        Whether all were looked at; a rank that is asked to stop looks at no further ones.

    Raises:
        RefusedShardsError: it is not.
    """
    from shards.manifest import MANIFEST_NAME, read_manifest
    from shards.plan_file import open_plan
    from sources.storage import folder_at
    from workflows.train.job import ADMISSION
    from workflows.train.lineage import RefusedShardsError, admitted_manifest
    from workflows.train.planning import shards_over

    folder = folder_at(job.shards)
    manifest = sha256(folder.read(MANIFEST_NAME)).hexdigest()
    for what, found, wanted in (
        (f"{folder.place}: the manifest", manifest, job.manifest_sha256),
        (f"{job.out}/{ADMISSION}: its manifest", admitted_manifest(job.out / ADMISSION), job.manifest_sha256),
        (f"{job.plan_folder}: the plan", open_plan(shards_over(folder, job.plan_folder), job.plan).digest,
         job.plan_digest),
    ):  # fmt: skip
        if found != wanted:
            raise RefusedShardsError(
                f"{what} is not the one that was admitted for this job",
                "restore it; or train on other shards by `curate train` in another --out, which looks at their audit",
            )
    wrong = []
    for entry in read_manifest(folder).every_shard[ranks.rank :: ranks.world]:
        if stop is not None and stop.asked:
            break
        try:
            with folder.open(entry.name) as file:
                digest = file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except FileNotFoundError:
            digest = "missing"
        if digest != entry.sha256:
            wrong.append(entry.name)
    everywhere = sorted(name for part in ranks.gathered(wrong) for name in part)
    if everywhere:
        raise RefusedShardsError(
            f"{folder.place}: {everywhere[0]} has not the bytes that the manifest lists and the audit saw"
            + (f", nor have {len(everywhere) - 1} others" if len(everywhere) > 1 else ""),
            "`curate shards verify` says more; restore the shards",
        )
    return stop is None or not ranks.summed([float(stop.asked)])[0]


def _last_step(job: "Job") -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    from workflows.train.checkpoint import finished

    return max((int(path.name.removeprefix("step-")) for path in finished(job.out)), default=0)


def _leave(path: Path, document: dict[str, object]) -> None:
    path.write_bytes(orjson.dumps(document))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], StopRequest()))
