"""The member index and the packing plan as they are after a takedown."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.errors import CurateError
from pipelines.packing import plan_settings, put_index, put_plan
from pipelines.recipe import Mixture
from pipelines.takedown.apply import NEW
from shards.index_file import IndexFileError, open_index, part_without, parts_of
from shards.manifest import Manifest
from sources.storage import Folder


def stage_packing(
    run: Folder, document: Mapping[str, Any], before: Manifest, after: Manifest, gone: Mapping[str, Sequence[int]]
) -> tuple[str, ...]:
    """Write index and plan for the manifest afterwards under `work/removal/new`; nothing where there was no index.

    `gone` tells of each rewritten shard the places of the samples that left it. No tar is read: what stays keeps its
    size. Returns the paths under the run.

    Raises:
        CurateError: the old index is missing or damaged; nothing was changed.
    """
    if after.index is None or before.index is None:
        return ()
    try:
        old = parts_of(open_index(run.inside("shards"), before.index), len(before.every_shard))
    except IndexFileError as error:
        raise CurateError(str(error), "nothing was changed; the same `curate build` writes it again") from None
    rows = {entry.name: part for entry, part in zip(before.every_shard, old, strict=True)}
    parts = [part_without(rows[entry.name], gone.get(entry.name, ())) for entry in after.every_shard]
    new = run.inside(f"{NEW}/shards")
    put_index(new, after.index, after, parts)
    if after.plan is None:
        return (f"shards/{after.index}",)
    mixture = Mixture.model_validate(document["identity"]["recipe"]["mixture"])
    put_plan(new, after.plan, new, after.index, after, plan_settings(mixture, after))
    return (f"shards/{after.index}", f"shards/{after.plan}")
