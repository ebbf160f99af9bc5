"""The member index and the packing plans as they are after a takedown."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.errors import CurateError
from pipelines.packing import plan_settings, put_index, put_plan
from pipelines.recipe import Mixture
from pipelines.takedown.apply import NEW
from pipelines.takedown.energon import Companions
from shards.index_file import IndexFileError, open_index, part_without, parts_of
from shards.manifest import Manifest
from shards.mixture import PlanSettings
from shards.plan_file import PLAN_ENDING, PlanError, open_plan
from shards.plan_settings import settings_of_plan
from sources.storage import Folder


def stage_packing(
    run: Folder, document: Mapping[str, Any], before: Manifest, after: Manifest, gone: Mapping[str, Sequence[int]]
) -> Companions:
    """Write index and plans for the manifest afterwards under `work/removal/new`; nothing where there was no index.

    `gone` tells of each rewritten shard the places of the samples that left it. No tar is read: what stays keeps its
    size. Every plan beside the shards is made anew with its own settings; one that cannot be read goes, and the
    manifest's is then as the recipe says.

    Raises:
        CurateError: the old index is missing, damaged, or of other shards; nothing was changed.
    """
    if after.index is None or before.index is None:
        return Companions()
    shards = run.inside("shards")
    try:
        old = parts_of(open_index(shards, before.index), before)
    except IndexFileError as error:
        raise CurateError(str(error), "nothing was changed; the same `curate build` writes it again") from None
    rows = {entry.name: part for entry, part in zip(before.every_shard, old, strict=True)}
    parts = [part_without(rows[entry.name], gone.get(entry.name, ())) for entry in after.every_shard]
    new = run.inside(f"{NEW}/shards")
    put_index(new, after.index, after, parts)
    plans = {name for name in shards.names() if name.endswith(PLAN_ENDING)} - {after.index}
    settings = {name: _settings(shards, name) for name in sorted(plans | ({after.plan} if after.plan else set()))}
    if after.plan is not None and settings[after.plan] is None:
        mixture = Mixture.model_validate(document["identity"]["recipe"]["mixture"])
        settings[after.plan] = plan_settings(mixture, after)
    made = {name: wanted for name, wanted in settings.items() if wanted is not None}
    for name, wanted in made.items():
        put_plan(new, name, new, after.index, after, wanted)
    return Companions(
        tuple(f"shards/{name}" for name in (after.index, *made)),
        tuple(f"shards/{name}" for name in sorted(settings)),
    )


def _settings(shards: Folder, name: str) -> PlanSettings | None:
    """Those of a plan, None where it cannot be read."""
    try:
        return settings_of_plan(open_plan(shards, name).about)
    except PlanError:
        return None
