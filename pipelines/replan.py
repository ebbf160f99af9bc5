"""Another plan for shards that are written, and what is in them: no tar is touched."""

import hashlib
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import CurateError, UsageError
from pipelines.places import folder_of
from pipelines.run_directory import RUN, locked
from shards.index_file import INDEX_NAME, Index, IndexFileError, open_index
from shards.manifest import MANIFEST_NAME, Manifest, ManifestError, read_manifest
from shards.plan_file import PLAN_NAME, PlanAbout, PlanError, open_plan
from shards.plan_settings import SettingError, settings_of_manifest, settings_of_plan, with_values
from sources.storage import Folder

_PLAN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.arrow")  # a FileName of the manifest
GROUPS = ("source", "modality", "task", "license", "access")


@dataclass(frozen=True)
class Shards:
    """A folder of shards, its manifest and the manifest's SHA-256."""

    folder: Folder
    manifest: Manifest
    sha256: str


def replan(given: Folder, values: Sequence[str], name: str = PLAN_NAME) -> PlanAbout:
    """Write the plan `name` for the shards in a folder, with `key=value` settings replaced.

    What is not given is as in the plan that the manifest names, if there is one, else as the manifest says.

    Raises:
        UsageError: no shards there, a setting that is none, or a build is running in the run.
        CurateError: manifest, index or plan are damaged, or do not belong together.
    """
    if not _PLAN_NAME.fullmatch(name):
        raise UsageError(f"--out {name}: a plan is a file beside the shards", f"name it like {PLAN_NAME}")
    shards = opened(given)
    if name in {INDEX_NAME, shards.manifest.index, shards.manifest.audit}:
        raise UsageError(f"--out {name}: is no plan of these shards", f"name it like {PLAN_NAME}")
    run = run_of(given, shards.folder)
    with nullcontext() if run is None else locked(run):  # no build or takedown publishes other shards meanwhile
        return _replanned(opened(given), values, name)


def _replanned(shards: Shards, values: Sequence[str], name: str) -> PlanAbout:
    from shards.plan import make_plan

    try:
        before = plan_in(shards)
        base = settings_of_manifest(shards.manifest) if before is None else settings_of_plan(before)
        index = open_index(shards.folder, _index_name(shards))
        sources = pc.unique(index.table(["source"])["source"].cast(pa.string())).to_pylist()
        settings = with_values(base, values, sorted({*sources, *shards.manifest.mixture.weights}))
        plan = make_plan(index, shards.manifest, shards.sha256, settings)
    except SettingError as error:
        raise UsageError(str(error), error.hint) from None
    except (IndexFileError, PlanError) as error:
        raise CurateError(str(error), "`curate shards verify` says more") from None
    with shards.folder.writing(name) as file:
        plan.write(file)
    return plan.about


def stats(given: Folder) -> dict[str, Any]:
    """What is in the shards of a folder, held-out ones included, and how they are packed.

    `tokens` are those of the turns' text, as the manifest has them; those of the groups are of the rendered samples,
    without tokens of pictures. `packing` is null where there is no plan.

    Raises:
        UsageError: no shards there.
        CurateError: the index or the plan is damaged.
    """
    shards = opened(given)
    every = shards.manifest.every_shard
    try:
        about = plan_in(shards)
        groups = {} if shards.manifest.index is None else _groups(open_index(shards.folder, shards.manifest.index))
    except (IndexFileError, PlanError) as error:
        raise CurateError(str(error), "`curate shards verify` says more") from None
    return {
        "shards": len(every),
        "samples": sum(entry.samples for entry in every),
        "tokens": sum(entry.tokens for entry in every),
        "bytes": sum(entry.bytes for entry in every),
        "packing": None if about is None else packing_of(about),
        **groups,
    }


def packing_in(run: Folder) -> dict[str, Any] | None:
    """The plan of a finished run in numbers; None where it has none that can be read."""
    try:
        about = plan_in(opened(run))
    except (UsageError, PlanError):
        return None
    return None if about is None else packing_of(about)


def packing_of(about: PlanAbout) -> dict[str, Any]:
    """A plan in numbers."""
    return {
        "context": about.context,
        "rows": about.rows,
        "fill": about.fill,
        "rows_per_step": about.rows_per_step,
        "steps": about.steps,
        "epochs": about.epochs,
        "samples": about.samples,
        "tokens": about.tokens,
        "excluded": about.excluded,
        "clipped": about.clipped,
        "balance": about.balance.model_dump(),
        "padding_rows": about.padding_rows,
    }


def opened(given: Folder) -> Shards:
    """The shards in a folder, or in the `shards/` of a run.

    Raises:
        UsageError: there is no manifest that this version reads.
    """
    folder = given
    if given.stat(MANIFEST_NAME) is None and given.stat(f"shards/{MANIFEST_NAME}") is not None:
        folder = given.inside("shards")
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        raise UsageError(str(error), "give the shards/ folder of a run") from None
    return Shards(folder, manifest, hashlib.sha256(folder.read(MANIFEST_NAME)).hexdigest())


def run_of(given: Folder, shards: Folder) -> Folder | None:
    """The run that a folder of shards is part of; None of a copy."""
    run: Folder | None = given
    if given == shards:
        parent, _, last = given.place.rpartition("/")
        run = folder_of(parent) if last == "shards" and parent else None
    return None if run is None or run.stat(RUN) is None else run


def plan_in(shards: Shards) -> PlanAbout | None:
    """What the plan that the manifest names says of itself; None where it names none, or it is gone.

    Raises:
        PlanError: it is damaged.
    """
    name = shards.manifest.plan
    if name is None or shards.folder.stat(name) is None:
        return None
    return open_plan(shards.folder, name).about


def _index_name(shards: Shards) -> str:
    if shards.manifest.index is None:
        raise CurateError(
            f"{shards.folder.place}: has no member index, so no plan can be made", "build the shards with this version"
        )
    return shards.manifest.index


def _groups(index: Index) -> dict[str, Any]:
    """`rendered_tokens`, `loss_tokens`, `images`, and for each group its words with samples, tokens and images."""
    rows = index.table(["tokens", "loss_tokens", "images", *GROUPS])
    rows = rows.append_column("pictures", pc.list_value_length(rows["images"])).drop_columns(["images"])
    answer: dict[str, Any] = {
        "rendered_tokens": pc.sum(rows["tokens"]).as_py() or 0,
        "loss_tokens": pc.sum(rows["loss_tokens"]).as_py() or 0,
        "images": pc.sum(rows["pictures"]).as_py() or 0,
    }
    for name in GROUPS:
        plain = rows.select(["tokens", "loss_tokens", "pictures"]).append_column(name, rows[name].cast(pa.string()))
        sums = [("tokens", "count"), ("tokens", "sum"), ("loss_tokens", "sum"), ("pictures", "sum")]
        found = plain.group_by(name, use_threads=False).aggregate(sums).sort_by(name).to_pylist()
        answer[f"by_{name}"] = {
            row[name] or "none": {
                "samples": row["tokens_count"],
                "tokens": row["tokens_sum"],
                "loss_tokens": row["loss_tokens_sum"],
                "images": row["pictures_sum"],
            }
            for row in found
        }
    return answer
