"""Flat tables of what was committed: one row per sample or picture, no nested columns, no text of any record.

Besides the columns that contracts speak of, each has `id`: what names the row to people.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.columns import COLUMNS, Gate
from pipelines.recipe import Recipe
from pipelines.session import Session
from pipelines.view import View, alive_rows, read_samples, required
from pipelines.work import Part, Work
from sources.cards import GROUP_KINDS
from sources.schema import TASKS

Column: TypeAlias = Any
"""An Arrow array, chunked or not."""
ID = "^[0-9a-f]{32}$"
NO_LIMIT = 2**31 - 1
_PLAIN = ("source", "split", "task", "license", "access", "language")
_LEAVES = {"turns": "role", "images": "frame", "groups": "kind"}
"""Of a nested column only its smallest leaf is read: texts stay on the disk."""
_PICTURE_COLUMNS = (
    "pixel_hash", "format", "modality", "modality_from", "flags", "width", "height", "bit_depth",
    "channels", "frames", "bytes", "mean", "std", "minimum", "maximum", "entropy",
)  # fmt: skip


def flat_samples(session: Session, view: View) -> pa.Table:
    """Every sample of a fragment as ingest left it, with its verdict."""
    verdicts = session.work.read(dict(view.verdicts)["ingest"], ["row", "verdict", "reason"])
    columns = _sample_columns(session.work, view, verdicts["row"].to_numpy())
    return _table(Gate.SAMPLES, columns | {"verdict": verdicts["verdict"], "reason": verdicts["reason"]})


def flat_kept(session: Session, view: View) -> pa.Table:
    """The samples of a fragment that go into shards, with their tokens and the limits of their task."""
    work = session.work
    rows = alive_rows(work, view)
    columns = _sample_columns(work, view, rows)
    columns |= {
        "images_without_id": _without_id(work, view, rows, columns["images"]),
        "tokens": required(work.read(view.parts["tokens"]), rows, "token count")["tokens"],
        **token_limits(session.recipe, columns["task"]),
    }
    return _table(Gate.KEPT, columns)


def flat_images(session: Session, view: View) -> pa.Table:
    """The rows of a fragment that the images table of the run has."""
    images = session.work.read(view.parts["images"], ["image_id", *_PICTURE_COLUMNS])
    repeated = session.work.read(view.parts["images_followers"], ["row"])["row"].to_numpy()
    first = np.setdiff1d(np.arange(images.num_rows), repeated)
    images = images.take(pa.array(first, pa.int64()))
    columns: dict[str, Column] = {name: images[name] for name in _PICTURE_COLUMNS if name != "flags"}
    columns |= {
        "id": images["image_id"],
        "id_form": id_form(images["image_id"]),
        "source": pa.repeat(session.corpora[view.corpus].name, images.num_rows),
        "pixels": pc.multiply(images["width"].cast(pa.int64()), images["height"].cast(pa.int64())),
        "flags": pc.binary_join(pc.coalesce(images["flags"], pa.scalar([], pa.list_(pa.string()))), ","),
    }
    return _table(Gate.IMAGES, columns)


FLAT: Mapping[Gate, Callable[[Session, View], pa.Table]] = {
    Gate.SAMPLES: flat_samples,
    Gate.KEPT: flat_kept,
    Gate.IMAGES: flat_images,
}
"""Gate -> what makes its table from the view of a fragment."""


def flat_digests(gate: Gate, view: View) -> list[str]:
    """What the flat table of a fragment depends on."""
    if gate is Gate.SAMPLES:
        return [*view.digests(("sample_id",)), dict(view.verdicts)["ingest"].digest]
    if gate is Gate.KEPT:
        return view.digests(("sample_id", "images"), "tokens")
    return [view.parts["images"].digest, view.parts["images_followers"].digest]


def flat_rows(gate: Gate, view: View) -> int:
    """How many rows the flat table of a fragment has (of pictures: at most)."""
    if gate is Gate.SAMPLES:
        return sum(part.rows for part in view.samples)
    return view.parts["alive" if gate is Gate.KEPT else "images"].rows


def token_limits(recipe: Recipe, tasks: Column) -> dict[str, Column]:
    """`tokens_min` and `tokens_max` by task: what the recipe allows, never more than the context holds."""
    settings = recipe.steps.tokens
    lowest, highest = {}, {}
    for task in TASKS:
        limits = settings.per_task.get(task, settings)
        lowest[task] = limits.min if settings.enabled else 0
        highest[task] = min(limits.max if settings.enabled else NO_LIMIT, recipe.context_tokens)
    place = pc.fill_null(pc.index_in(tasks, pa.array(TASKS)), 0)
    return {
        "tokens_min": pa.array([lowest[task] for task in TASKS], pa.int64()).take(place),
        "tokens_max": pa.array([highest[task] for task in TASKS], pa.int64()).take(place),
    }


def id_form(ids: Column) -> Column:
    """`hex32` where an id is 32 hex digits, else `other`: what can be said of all ids in two words."""
    return pc.if_else(pc.fill_null(pc.match_substring_regex(ids, ID), fill_value=False), "hex32", "other")


def _sample_columns(work: Work, view: View, rows: npt.NDArray[np.int32]) -> dict[str, Column]:
    """The columns that both tables of samples have, of the given rows."""
    table = pa.concat_tables([_light(work, part) for part in view.samples]).take(pa.array(rows, pa.int32()))
    ids = table["sample_id"]
    if "ids" in view.parts and view.parts["ids"].rows:
        ids = read_samples(work, view, rows, ("sample_id",))["sample_id"]
    turns, images = (pc.fill_null(pc.list_value_length(table[name]), 0) for name in ("turns", "images"))
    return {
        **{name: table[name] for name in _PLAIN},
        "id": ids,
        "id_form": id_form(ids),
        "turns": turns,
        "images": images,
        "turns_and_images": pc.add(turns, images),
        **_group_counts(table["groups"]),
    }


def _without_id(work: Work, view: View, rows: npt.NDArray[np.int32], counts: Column) -> Column:
    """How many pictures of each sample were not measured."""
    if not pc.any(pc.greater(counts, 0)).as_py():
        return counts
    images = read_samples(work, view, rows, ("images",))["images"]
    ids = pc.struct_field(pc.list_flatten(images), "image_id")
    return pa.array(_per_row(images, pc.is_null(ids).to_numpy(zero_copy_only=False)))


def _group_counts(groups: pa.ChunkedArray) -> dict[str, Column]:
    """`group_{kind}`: how many groups of the kind each row has."""
    kinds = pc.struct_field(pc.list_flatten(groups), "kind")
    if not len(kinds):
        return dict.fromkeys((f"group_{kind}" for kind in GROUP_KINDS), pa.array(np.zeros(len(groups), np.int64)))
    return {
        f"group_{kind}": pa.array(_per_row(groups, pc.is_in(kinds, pa.array([kind])).to_numpy()))
        for kind in GROUP_KINDS
    }


def _per_row(lists: pa.ChunkedArray, marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many of each row's list items are marked."""
    parents = pc.list_parent_indices(lists.combine_chunks()).to_numpy()
    return np.bincount(parents[marked], minlength=len(lists)).astype(np.int64)


def _light(work: Work, part: Part) -> pa.Table:
    """A part of samples: its plain columns and one leaf of each nested one, enough to count."""
    with work.parquet_file(part) as file:
        paths = [file.schema.column(number).path for number in range(len(file.schema))]
        leaves = [path for path in paths for name, leaf in _LEAVES.items() if _is_leaf(path, name, leaf)]
        names = ["sample_id", *_PLAIN]
        return file.read(columns=[*names, *leaves], use_threads=False).select([*names, *_LEAVES])


def _is_leaf(path: str, column: str, leaf: str) -> bool:
    return path.startswith(f"{column}.") and path.endswith(f".{leaf}")


def _table(gate: Gate, columns: Mapping[str, Column]) -> pa.Table:
    """Columns of the same types whatever the fragment: text, int64, float64."""
    table = pa.table({name: columns[name] for name in ("id", *COLUMNS[gate])})
    kinds = {"id": "text", **COLUMNS[gate]}
    fields = []
    for field in table.schema:
        number = pa.float64() if pa.types.is_floating(field.type) else pa.int64()
        fields.append(pa.field(field.name, pa.string() if kinds[field.name] == "text" else number))
    return table.cast(pa.schema(fields))
