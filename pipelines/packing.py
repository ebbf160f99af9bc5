"""The member index and the default packing plan of a build, published beside the shards."""

import hashlib
from collections.abc import Callable, Sequence

import blake3
import pyarrow as pa

from pipelines.recipe import Mixture
from pipelines.work import Commit, Part, Work, key_of, to_parquet
from shards.index_file import INDEX_NAME, IndexAbout, open_index, write_index
from shards.index_rows import IndexRows
from shards.manifest import Manifest, manifest_bytes
from shards.mixture import Kind, PlanSettings
from shards.plan_file import PLAN_FORMAT, PLAN_NAME
from sources.storage import Folder

INDEX_NODE = "member_index"
PLAN_NODE = "packing_plan"
VERSION = 2
ROWS = "index"


def index_part(work: Work, node: str, key: str, rows: IndexRows) -> dict[str, Part]:
    """Write what the commit of a tar holds for the index."""
    table = rows.table()
    data = to_parquet(table)
    path = work.path(node, key, f"{ROWS}.parquet")
    work.folder.write(path, data, last=False)
    return {ROWS: Part(path, blake3.blake3(data).hexdigest()[:32], table.num_rows, len(data))}


def plan_settings(mixture: Mixture, manifest: Manifest) -> PlanSettings:
    """What the recipe asks of the plan for these shards."""
    weights: dict[Kind, dict[str, float]] = {
        "source": manifest.mixture.weights,
        "modality": mixture.weights.get("modality", {}),
        "task": mixture.weights.get("task", {}),
    }
    return PlanSettings(
        context=manifest.context_tokens,
        rows_per_step=mixture.rows_per_step,
        weights=weights,
        token_caps=mixture.token_caps or {},
        **mixture.model_dump(exclude={"rows_per_step", "weights", "token_caps"}),
    )


def packing_published(
    work: Work, mixture: Mixture, manifest: Manifest, shards: Sequence[tuple[str, Commit]]
) -> dict[str, str]:
    """Commit index and plan of these shards, which come in the manifest's order.

    Returns final name under the run -> where the content lies, as `publish` takes it.
    """
    key = key_of(INDEX_NODE, VERSION, manifest.build, [commit.parts[ROWS].digest for _, commit in shards])
    index = work.find(INDEX_NODE, key)
    if index is None:
        parts = [_read(work, commit.parts[ROWS]) for _, commit in shards]
        path = work.path(INDEX_NODE, key, INDEX_NAME)
        put_index(work.folder, path, manifest, parts)
        index = work.commit(INDEX_NODE, key, {INDEX_NAME: _part(work, path, key)}, {})
    place = index.parts[INDEX_NAME].path
    settings = plan_settings(mixture, manifest)
    key = key_of(PLAN_NODE, VERSION, PLAN_FORMAT, _sha256(manifest), index.key, settings.model_dump(mode="json"))
    plan = work.find(PLAN_NODE, key)
    if plan is None:
        path = work.path(PLAN_NODE, key, PLAN_NAME)
        put_plan(work.folder, path, work.folder, place, manifest, settings)
        plan = work.commit(PLAN_NODE, key, {PLAN_NAME: _part(work, path, key)}, {})
    return {f"shards/{INDEX_NAME}": place, f"shards/{PLAN_NAME}": plan.parts[PLAN_NAME].path}


def put_index(
    folder: Folder, path: str, manifest: Manifest, parts: Sequence[pa.Table | Callable[[], pa.Table]]
) -> None:
    """Write the index of a manifest's shards from the rows of each."""
    with folder.writing(path, last=False) as file:
        write_index(file, IndexAbout(build=manifest.build, tokenizer=manifest.tokenizer), parts)


def put_plan(folder: Folder, path: str, beside: Folder, index: str, manifest: Manifest, settings: PlanSettings) -> None:
    """Write the plan of a manifest whose index is the file `index` in `beside`."""
    from shards.plan import make_plan  # numba, which workers that write tars do without

    plan = make_plan(open_index(beside, index), manifest, _sha256(manifest), settings)
    with folder.writing(path, last=False) as file:
        plan.write(file)


def _read(work: Work, part: Part) -> Callable[[], pa.Table]:
    return lambda: work.read(part)


def _part(work: Work, path: str, key: str) -> Part:
    """A file whose content follows from the commit's key."""
    stat = work.folder.stat(path)
    return Part(path, key, 0, 0 if stat is None else stat.size)


def _sha256(manifest: Manifest) -> str:
    return hashlib.sha256(manifest_bytes(manifest)).hexdigest()
