"""The plan that a model is trained by: the one beside the shards, or one made for the model from the member index."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from pipelines.errors import CurateError, UsageError
from shards.index_file import INDEX_NAME, IndexAbout, IndexFileError, open_index, write_index
from shards.index_rows import IndexRows
from shards.manifest import MANIFEST_NAME, Manifest, ManifestError, ShardEntry, manifest_bytes, read_manifest
from shards.members import MembersError, members_of_tar, placed
from shards.mixture import PlanSettings
from shards.names import JSON_SUFFIX
from shards.plan import make_plan
from shards.plan_file import PLAN_NAME, PlanAbout, PlanError, open_plan
from shards.plan_settings import settings_of_plan
from sources.storage import Folder, LocalFolder
from workflows.train.model import ModelDescription
from workflows.train.overlay import OverlaidFolder
from workflows.train.recipe import MAX_ROWS, TrainRecipe
from workflows.train.settings import validated
from workflows.train.tokenizer import TOKENIZER_FILE

VIEW = "plan"
"""Folder of a run that holds a plan made for its model, with the manifest and the index it was made from."""


@dataclass(frozen=True)
class ChosenPlan:
    """A plan, and the place of the folder it is in: that of the shards, or one laid over it."""

    place: str
    name: str
    about: PlanAbout
    digest: str
    reasons: tuple[str, ...]
    """Why the plan beside the shards was not taken; empty where it was."""


def shards_over(shards: Folder, plan_place: str) -> Folder:
    """The shards as the plan's folder shows them."""
    from sources.storage import folder_at

    return shards if plan_place == shards.place else OverlaidFolder(folder_at(plan_place), shards)


def choose_plan(
    shards: Folder, model: ModelDescription, recipe: TrainRecipe, world: int, start: Path | None, view: Path
) -> ChosenPlan:
    """The plan beside the shards where it fits the model, the recipe and the ranks; else one made in `view`.

    `start`: the directory whose tokenizer is the model's, where the shards were built with another. Documents longer
    than the least of the three contexts (build, recipe, model) are left out and counted, as in any plan.

    Raises:
        UsageError: shards, index or plan cannot be used, or no plan can be made for so many ranks.
    """
    try:
        return _chosen(shards, model, recipe, world, start, view)
    except (ManifestError, IndexFileError, PlanError, MembersError) as error:
        raise UsageError(str(error), "`curate shards verify` says what is wrong with shards") from None


def _chosen(
    shards: Folder, model: ModelDescription, recipe: TrainRecipe, world: int, start: Path | None, view: Path
) -> ChosenPlan:
    manifest = read_manifest(shards)
    digest = hashlib.sha256(shards.read(MANIFEST_NAME)).hexdigest()
    context = min(manifest.context_tokens, recipe.context_tokens, model.max_context_tokens)
    own = open_plan(shards, manifest.plan) if manifest.plan is not None else None
    reasons = _misfits(own.about if own else None, model, recipe, world, context)
    if own is not None and own.about.manifest != digest:
        reasons = ("a plan of another manifest", *reasons)
    if own is not None and not reasons:
        return ChosenPlan(shards.place, str(manifest.plan), own.about, own.digest, ())
    settings = _settings(manifest, own.about if own else None, model, recipe, world, context)
    if recipe.rows_per_step is not None and recipe.rows_per_step % world:
        raise UsageError(
            f"{world} ranks for {recipe.rows_per_step} rows a step: ranks would get different numbers of rows",
            f"--set rows_per_step={_rounded_up(recipe.rows_per_step, world)}, or other numbers of ranks",
        )
    plan = _made(shards, manifest, model, settings, start, view, reasons)
    if plan.about.rows_per_step % world:  # as many as suit the data; nobody named a number
        evened = _settled(settings.model_dump() | {"rows_per_step": _rounded_up(plan.about.rows_per_step, world)})
        plan = _made(shards, manifest, model, evened, start, view, reasons)
    return plan


def _rounded_up(rows: int, world: int) -> int:
    """The least number of rows, not below this, that the ranks divide.

    Raises:
        UsageError: no plan may have so many.
    """
    rounded = -(-rows // world) * world
    if rounded > MAX_ROWS:
        raise UsageError(
            f"{rounded:,} rows a step for {world:,} ranks: a plan has at most {MAX_ROWS:,}",
            "--set batch_tokens=N with fewer tokens, or --set rows_per_step=N",
        )
    return rounded


def _misfits(
    about: PlanAbout | None, model: ModelDescription, recipe: TrainRecipe, world: int, context: int
) -> tuple[str, ...]:
    if about is None:
        return ("the shards have no plan",)
    reasons = []
    if model.tokenizer != about.tokenizer:
        reasons.append(f"tokenizer {about.tokenizer}")
    if about.context > context:
        reasons.append(f"context {about.context:,}")
    images, own = about.images, model.images
    if (images.policy, images.tokens_per_tile) != (own.policy, own.tokens_per_tile) or (
        own.policy == "tiles" and images != own
    ):
        reasons.append(f"pictures of {images.tokens_per_tile} tokens ({images.policy})")
    wanted = recipe.rows_asked(context) or about.rows_per_step
    if recipe.rows_per_step is None:
        wanted = _rounded_up(wanted, world)
    if about.rows_per_step % world or wanted != about.rows_per_step:
        reasons.append(f"{about.rows_per_step} rows a step")
    if recipe.epochs not in (None, about.epochs):
        reasons.append(f"{about.epochs} epochs")
    return tuple(reasons)


def _settings(
    manifest: Manifest,
    about: PlanAbout | None,
    model: ModelDescription,
    recipe: TrainRecipe,
    world: int,
    context: int,
) -> PlanSettings:
    """Those of the plan beside the shards, else the build's mixture, with what the model and the recipe ask for."""
    asked = recipe.rows_asked(context) or model.rows_per_step
    rows = asked if asked is None or recipe.rows_per_step else _rounded_up(asked, world)
    if rows is None and about is not None and about.rows_per_step % world == 0:
        rows = about.rows_per_step  # else None: as many as suit the data
    images = model.images
    if about is None:
        mixture = manifest.mixture
        return _settled({
            "context": context, "rows_per_step": rows, "epochs": recipe.epochs or mixture.epochs, "seed": mixture.seed,
            "weights": {"source": dict(mixture.weights)}, "images": images,
        })  # fmt: skip
    changed = {"context": context, "rows_per_step": rows, "epochs": recipe.epochs or about.epochs, "images": images}
    return _settled(settings_of_plan(about).model_dump() | changed)


def _settled(document: Mapping[str, Any]) -> PlanSettings:
    return validated(PlanSettings, document, "the plan for this model and recipe")


def _made(
    shards: Folder, manifest: Manifest, model: ModelDescription, settings: PlanSettings, start: Path | None,
    view: Path, reasons: tuple[str, ...],
) -> ChosenPlan:  # fmt: skip
    folder = LocalFolder(view)
    tokenizer: str = model.tokenizer
    if tokenizer == "bytes":
        if start is None:
            raise UsageError(f"--model {model.name}: its tokenizer is in the directory it starts from", "--from DIR")
        tokenizer = str((start / TOKENIZER_FILE).resolve())
    if tokenizer != manifest.tokenizer:
        parts = [_counted(shards, entry, tokenizer) for entry in manifest.every_shard]
        data = BytesIO()
        about = IndexAbout(build=manifest.build, tokenizer=tokenizer)
        write_index(data, about, [lambda part=part: part for part in parts])  # type: ignore[misc]
        folder.write(INDEX_NAME, data.getvalue(), last=False)
        manifest = manifest.model_copy(update={"tokenizer": tokenizer, "index": INDEX_NAME})
    manifest = manifest.model_copy(update={"plan": PLAN_NAME})
    told = manifest_bytes(manifest)
    folder.write(MANIFEST_NAME, told, last=False)
    whole: Folder = OverlaidFolder(folder, shards)
    # An overlay is no LocalFolder: the index is read as of a bucket, which takes its size in memory.
    made = make_plan(open_index(whole, manifest.index or INDEX_NAME), manifest, hashlib.sha256(told).hexdigest(),
                     settings)  # fmt: skip
    if not made.about.steps:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in made.about.excluded.items())
        raise UsageError(
            f"{shards.place}: no sample fits {settings.context:,} tokens ({left_out or 'there is none'})",
            "build other shards, or take a model of a longer context",
        )
    with folder.writing(PLAN_NAME) as file:
        made.write(file)
    return ChosenPlan(folder.place, PLAN_NAME, made.about, open_plan(whole).digest, reasons)


def _counted(shards: Folder, entry: ShardEntry, tokenizer: str) -> pa.Table:
    """The index of a shard as another tokenizer counts; every sample's JSON is read once."""
    rows = IndexRows(tokenizer)
    with shards.open(entry.name) as file:
        for sample in placed(members_of_tar(shards, entry)):
            place = next(member for member in sample.members if member.suffix == JSON_SUFFIX)
            file.seek(place.offset)
            try:
                content = orjson.loads(file.read(place.bytes))
            except orjson.JSONDecodeError:
                raise CurateError(f"{entry.name}: the JSON of sample {sample.key} is damaged", "restore it") from None
            rows.add(content, sample.offset, sample.bytes)
    return rows.table()
