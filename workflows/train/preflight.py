"""What every rank looks at before the first step: machines, disk and shards. Cheap faults first, all ranks together."""

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from pipelines.errors import CurateError
from workflows.train.arithmetic import checkpoint_gb, export_gb
from workflows.train.job import ADMISSION, CHECKPOINTS, Job
from workflows.train.ranks import Ranks
from workflows.train.stopping import StopRequest

ALIKE = ("torch", "transformers", "deepspeed", "nccl", "device")
SEEN = ".seen"
Facts = Mapping[str, Any]


def check_own_gpu(job: Job, ranks: Ranks, gpus: int) -> None:
    """Refuse a node without a GPU for each of its ranks, before the ranks meet; `gpus`: that CUDA finds there.

    Raises:
        CurateError: there are fewer.
    """
    host = os.uname().nodename
    if not gpus and job.model.attention.text != "eager":
        raise CurateError(
            f"{host}: attention {job.model.attention.text} needs GPUs, and CUDA finds none there",
            "nvidia-smi there says more; the job has to ask for them (--gpus-per-node)",
        )
    if gpus and gpus < ranks.local_world:
        raise CurateError(
            f"{host}: {gpus} GPUs for {ranks.local_world} ranks", "a rank has a GPU of its own: a smaller --nproc"
        )


def check_ranks_alike(job: Job, ranks: Ranks) -> None:
    """Compare machines and disks of all ranks, and this rank's attention with the plain one.

    Raises:
        CurateError: one of them cannot do its part; the same error on every rank.
    """
    import torch

    from workflows.train.attention import compare_with_eager

    token = ranks.gathered(uuid.uuid4().hex)[0]
    seen = job.out / SEEN
    if ranks.first:
        seen.write_text(token)
    ranks.wait()
    everywhere = ranks.gathered(facts_of_rank(job, ranks, token))
    if ranks.first:
        seen.unlink()
    saved = sum(path.is_dir() for path in (job.out / CHECKPOINTS).glob("step-*"))
    saves = max(1, job.recipe.keep + 1 - saved)  # the new one is whole before the oldest goes
    fault = fault_among(everywhere, saves * checkpoint_gb(job.model, job.recipe) + export_gb(job.model))
    if fault is not None:
        raise fault
    whole = ranks.world * (ranks.world + 1) // 2
    if ranks.summed([float(ranks.rank + 1)]) != [float(whole)]:
        raise CurateError(
            f"a sum over {ranks.world} ranks is wrong: what connects them loses or alters data",
            "test the network of these nodes with nccl-tests (all_reduce_perf)",
        )
    compare_with_eager(job.model, job.model.attention.text, ranks.device, torch.bfloat16)


def facts_of_rank(job: Job, ranks: Ranks, token: str) -> dict[str, Any]:
    """What this rank has; `token`: what the first one wrote into the run's folder."""
    import deepspeed  # type: ignore[import-untyped]
    import torch
    import transformers

    cuda = ranks.device.type == "cuda"
    seen = job.out / SEEN
    return {
        "host": os.uname().nodename,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "deepspeed": deepspeed.__version__,
        "nccl": _nccl_version() if cuda else None,
        "device": torch.cuda.get_device_name(ranks.device) if cuda else "cpu",
        "gpu": str(torch.cuda.get_device_properties(ranks.device).uuid) if cuda else None,
        "sees": seen.is_file() and seen.read_text() == token,
        "free_gb": shutil.disk_usage(job.out).free / 1e9,
    }


def _nccl_version() -> str:
    from torch.cuda import nccl

    version: Any = nccl.version
    return ".".join(map(str, version()))


def fault_among(everywhere: Sequence[Facts], needed_gb: float) -> CurateError | None:
    """The first thing that would stop the run later on, on any rank; `needed_gb`: of disk, until it has ended."""
    first = everywhere[0]
    owners: dict[tuple[str, str], int] = {}
    for rank, facts in enumerate(everywhere):
        who = f"rank {rank} on {facts['host']}"
        if not facts["sees"]:
            return CurateError(
                f"{who} does not see what rank 0 on {first['host']} writes into --out",
                "put --out on a disk that all nodes share, under the same path",
            )
        for name in ALIKE:
            if facts[name] != first[name]:
                return CurateError(f"{who} has {name} {facts[name]}, rank 0 {first[name]}", "make all nodes alike")
        if facts["gpu"] is not None:
            other = owners.setdefault((facts["host"], facts["gpu"]), rank)
            if other != rank:
                return CurateError(f"{who} has the GPU of rank {other}", "CUDA_VISIBLE_DEVICES must name all of a node")
        if facts["free_gb"] < needed_gb:
            return CurateError(
                f"{who}: {facts['free_gb']:,.1f} GB are free in --out; a checkpoint and the export take "
                f"{needed_gb:,.1f}",
                "free some space, or name an --out on another disk",
            )
    return None


def check_shards(job: Job, ranks: Ranks, stop: StopRequest | None = None) -> bool:
    """Hash manifest, plan and this rank's share of shards and weights; what is trained is what was admitted.

    Returns:
        True; False where a stop was asked for meanwhile, on any rank.

    Raises:
        RefusedShardsError: it is not.
    """
    from shards.manifest import MANIFEST_NAME, read_manifest
    from shards.plan_file import open_plan
    from sources.storage import folder_at
    from workflows.train.lineage import RefusedShardsError, admitted_manifest, digest_of
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
    weights = {} if stop is not None and stop.asked else _share_of_start(job, ranks)
    told = ranks.gathered((wrong, stop is not None and stop.asked, weights))
    everywhere = sorted(name for part, _, _ in told for name in part)
    if everywhere:
        raise RefusedShardsError(
            f"{folder.place}: {everywhere[0]} has not the bytes that the manifest lists and the audit saw"
            + (f", nor have {len(everywhere) - 1} others" if len(everywhere) > 1 else ""),
            "`curate shards verify` says more; restore the shards",
        )
    if any(asked for _, asked, _ in told):
        return False
    if digest_of({name: digest for _, _, part in told for name, digest in part.items()}) != job.start_sha256:
        raise RefusedShardsError(
            f"{job.start}: its weights are not those that the job was made for",
            "restore them; or train from others by `curate train` in another --out, which looks at their lineage",
        )
    return True


def _share_of_start(job: Job, ranks: Ranks) -> dict[str, str]:
    """This rank's share of the weights that the job starts from, hashed: they may wait for days in a queue."""
    from workflows.train.lineage import weights_at

    names = weights_at(job.start)[ranks.rank :: ranks.world]
    return {name: _sha256(job.start / name) for name in names}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
