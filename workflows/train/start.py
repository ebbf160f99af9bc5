"""From what a user asked for to a job that can run: model, recipe, weights, admission, plan."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.audit.review import read_review
from pipelines.errors import CurateError, UsageError
from pipelines.places import folder_of
from shards.manifest import MANIFEST_NAME, ManifestError, read_manifest
from sources.extras import install_extra
from sources.storage import Folder, LocalFolder
from sources.storage.folder import InUseError
from workflows.train.job import ADMISSION, EXPORT, JOB, LAUNCHING, RUNNING, Job, read_job
from workflows.train.model import ModelDescription, load_model
from workflows.train.planning import VIEW, ChosenPlan, choose_plan
from workflows.train.recipe import TrainRecipe, load_train_recipe
from workflows.train.tokenizer import TOKENIZER_FILE, check_tokenizer

INIT = "init"
PREPARING = ".preparing"
NEEDED = ("torch", "torchvision", "transformers", "accelerate", "deepspeed", "tensorboard")
"""Packages of the extra `train`; `transformers` spreads weights over ranks only with `accelerate` there."""


@dataclass(frozen=True)
class TrainOptions:
    """What `curate train` was given."""

    stage: str
    shards: str
    model: str
    start: Path | None
    out: Path
    nproc: int
    nodes: int
    resume: bool
    accept_findings: Path | None
    overrides: tuple[str, ...]
    launcher: str = "local"

    @property
    def world(self) -> int:
        """Ranks on all nodes."""
        return self.nproc * self.nodes


@dataclass(frozen=True)
class Prepared:
    """What is settled before anything is written: model, recipe and shards."""

    options: TrainOptions
    model: ModelDescription
    recipe: TrainRecipe
    shards: Folder


def prepare(options: TrainOptions) -> Prepared:
    """Read model, recipe and manifest.

    Raises:
        UsageError: one of them cannot be used.
    """
    recipe = load_train_recipe(options.stage, options.overrides)
    shards = folder_of(options.shards, "--shards")
    try:
        read_manifest(shards)
    except ManifestError as error:
        raise UsageError(f"--shards {error}", "give the shards/ folder of a finished build") from None
    return Prepared(options, load_model(options.model), recipe, shards)


def make_job(prepared: Prepared) -> Job:
    """Check everything that can be checked before ranks are started, and settle the job; tiny weights are made here.

    Admission and plan of a run that is to go on are replaced only when all of it agrees.

    Raises:
        RefusedShardsError: the shards may not be trained on (exit 3).
        UsageError: anything else the user has to change.
    """
    options = prepared.options
    before = _earlier(options)
    check_machine(prepared)
    writing, view = options.out / PREPARING, options.out / VIEW
    shutil.rmtree(writing, ignore_errors=True)
    try:
        admit_shards(prepared, None, writing / ADMISSION)  # before weights are made or read for such shards
        start = start_of(prepared)
        weights = admit_shards(prepared, start, writing / ADMISSION)
        plan = choose_plan(prepared.shards, prepared.model, prepared.recipe, options.world, start, writing / VIEW)
        if (
            before is not None
            and prepared.recipe.rows_per_step is None
            and plan.about.rows_per_step != (rows := before.rows_per_step)
        ):  # that number suited other ranks
            same = prepared.recipe.model_copy(update={"rows_per_step": rows})
            plan = choose_plan(prepared.shards, prepared.model, same, options.world, start, writing / VIEW)
        if plan.place == LocalFolder(writing / VIEW).place:
            plan = replace(plan, place=LocalFolder(view).place)
        job = settled(prepared, plan, start, weights)
        different = before.same_training(job) if before is not None else None
        if different is not None:
            raise UsageError(
                f"--resume: the run in {options.out} has another {different.replace('_', ' ')}",
                "give the options of the run that is to go on, or name another --out",
            )
        for made in writing.iterdir():
            shutil.rmtree(options.out / made.name, ignore_errors=True)
            made.rename(options.out / made.name)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    return job


@contextmanager
def alone_in(out: Path, lock: str) -> Iterator[None]:
    """Hold one of the locks of a run's folder.

    Raises:
        UsageError: another process has it.
    """
    try:
        with LocalFolder(out).lock(lock):
            yield
    except InUseError:
        raise UsageError(
            f"--out {out}: a run is going on there", "wait for it, or end it with SIGTERM; or name another --out"
        ) from None


@contextmanager
def alone_to_start(out: Path) -> Iterator[None]:
    """Hold the lock of those who start a run.

    Raises:
        UsageError: another one has it, or ranks are at work: a command that was killed may have left some.
    """
    with alone_in(out, LAUNCHING):
        with alone_in(out, RUNNING):
            pass
        yield


def settled(prepared: Prepared, plan: ChosenPlan, start: Path, weights: str) -> Job:
    """The job for a plan; `weights`: the digest of those it starts from.

    Raises:
        UsageError: the recipe asks for more steps than the plan has.
    """
    recipe, options = prepared.recipe, prepared.options
    if recipe.steps is not None and recipe.steps > plan.about.steps:
        raise UsageError(
            f"--set steps={recipe.steps}: the plan has {plan.about.steps} steps", "--set epochs=N makes a longer plan"
        )
    return Job(
        model=prepared.model,
        recipe=recipe,
        shards=prepared.shards.place,
        plan_folder=plan.place,
        plan=plan.name,
        plan_digest=plan.digest,
        manifest_sha256=hashlib.sha256(prepared.shards.read(MANIFEST_NAME)).hexdigest(),
        start=start.resolve(),
        start_sha256=weights,
        out=options.out.resolve(),
        context=plan.about.context,
        rows_per_step=plan.about.rows_per_step,
        steps=recipe.steps or plan.about.steps,
    )


def admit_shards(prepared: Prepared, start: Path | None, admission: Path) -> str:
    """Refuse shards whose audit did not pass, and write the lineage so far. Raises RefusedShardsError.

    `start`: None judges the shards alone. A run that goes on keeps the review it began with, if it is given no other.

    Returns:
        A digest of the weights in `start`.
    """
    from workflows.train.lineage import accepted_before, admit

    options = prepared.options
    given, before = options.accept_findings, options.out / ADMISSION
    review = read_review(given) if given is not None else accepted_before(before) if options.resume else None
    return admit(prepared.shards, options.stage, start, review, admission)


def check_machine(prepared: Prepared) -> None:
    """Refuse what this machine cannot do.

    Raises:
        UsageError: the attention needs GPUs that are not there, or there are fewer GPUs than ranks.
        CurateError: a package is missing.
    """
    options, attention = prepared.options, prepared.model.attention.text
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CurateError(f"training needs {', '.join(missing)}: not installed", install_extra("train"))
    if prepared.recipe.wandb is not None and find_spec("wandb") is None:
        raise CurateError("wandb is not installed", "pip install wandb, or leave --set wandb away")
    if options.launcher != "local":
        return  # the ranks look at their own machines
    import torch

    gpus = torch.cuda.device_count()
    if attention != "eager" and not gpus:
        raise UsageError(
            f"--model {prepared.model.name}: attention {attention} needs GPUs and this machine has none",
            "run it on the cluster; --dry-run says what it takes, --model tiny trains here",
        )
    if gpus and options.nproc > gpus:
        raise UsageError(f"--nproc {options.nproc}: this machine has {gpus} GPUs", "a rank has a GPU of its own")


def _earlier(options: TrainOptions) -> Job | None:
    """The job of a run that is to go on; None for a new one."""
    path = options.out / JOB
    if not path.is_file():
        return None
    if not options.resume:
        raise UsageError(f"--out {options.out}: holds a run", "--resume goes on with it; or name another --out")
    return read_job(path)


def start_of(prepared: Prepared) -> Path:
    """The directory the weights come from: --from, or fresh ones for a model that is made of random numbers."""
    from workflows.train.init import init_random

    options, model = prepared.options, prepared.model
    if options.start is None:
        if model.tokenizer != "bytes":
            raise UsageError(
                f"--model {model.name}: no weights to start from",
                "--from DIR: what `curate train init` wrote, or the run or export of the stage before",
            )
        place = options.out / INIT
        if not (place / "config.json").is_file():
            init_random(model, place, prepared.recipe.seed)
        return place
    return weights_in(options.start, model)


def weights_in(start: Path, model: ModelDescription) -> Path:
    """The directory that --from names, or the export in it.

    Raises:
        UsageError: it holds no weights of `curate train`, those of another model, or another tokenizer.
    """
    from workflows.train.init import read_description

    place = start / EXPORT if (start / EXPORT).is_dir() else start
    found = read_description(place)
    if found is None:
        raise UsageError(f"--from {place}: no model of `curate train`", "give the directory that init or a stage wrote")
    wrong = _differences(found.model_dump(), model.model_dump())
    if wrong:
        raise UsageError(f"--from {place}: it is a {found.name} with another {wrong[0]}", f"--model {found.name}")
    check_tokenizer(place / TOKENIZER_FILE, model)
    return place


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> Sequence[str]:
    """Parts of a description that decide the weights, and how pictures become tokens."""
    deciding = ("text", "rope", "vision", "image_token", "tokenizer", "max_tiles")
    return [name for name in deciding if found[name] != wanted[name]]
