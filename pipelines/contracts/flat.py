"""Flat tables of what was committed: one row per sample or picture, no nested columns, no text of any record."""

from collections.abc import Callable, Mapping, Sequence

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

NO_LIMIT = 2**31 - 1
_PLAIN = ("sample_id", "source", "split", "task", "license", "access", "language")
_LEAVES = {"turns": "role", "images": "frame", "groups": "kind"}
"""Of a nested column only its smallest leaf is read: texts stay on the disk."""
_PICTURE_COLUMNS = (
    "image_id", "pixel_hash", "format", "modality", "modality_from", "flags", "width", "height", "bit_depth",
    "channels", "frames", "bytes", "mean", "std", "minimum", "maximum", "entropy",
)  # fmt: skip


def flat_samples(session: Session, view: View) -> pa.Table:
    """Every sample of a fragment as ingest left it, with its verdict."""
    verdicts = session.work.read(dict(view.verdicts)["ingest"], ["row", "verdict", "reason"])
    rows = verdicts["row"].to_numpy()
    columns = _sample_columns(session.work, view, rows)
    columns |= {"verdict": verdicts["verdict"], "reason": verdicts["reason"]}
    return _table(Gate.SAMPLES, columns)


def flat_kept(session: Session, view: View) -> pa.Table:
    """The samples of a fragment that go into shards, with their tokens and the limits of their task."""
    work = session.work
    rows = alive_rows(work, view)
    columns = _sample_columns(work, view, rows)
    images = read_samples(work, view, rows, ("images",))["images"]
    ids = pc.struct_field(pc.list_flatten(images), "image_id")
    without = _per_row(images, pc.is_null(ids).to_numpy(zero_copy_only=False))
    columns |= {
        "images_without_id": pa.array(without),
        "tokens": required(work.read(view.parts["tokens"]), rows, "token count")["tokens"],
        **token_limits(session.recipe, columns["task"]),
    }
    return _table(Gate.KEPT, columns)


def flat_images(session: Session, view: View) -> pa.Table:
    """The rows of a fragment that the images table of the run has."""
    images = session.work.read(view.parts["images"], _PICTURE_COLUMNS)
    repeated = session.work.read(view.parts["images_followers"], ["row"])["row"].to_numpy()
    first = np.setdiff1d(np.arange(images.num_rows), repeated)
    images = images.take(pa.array(first, pa.int64()))
    columns: dict[str, pa.ChunkedArray] = {name: images[name] for name in _PICTURE_COLUMNS if name != "flags"}
    columns |= {
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
        return [*view.digests(_PLAIN), dict(view.verdicts)["ingest"].digest]
    if gate is Gate.KEPT:
        return view.digests((*_PLAIN, "images"), "tokens")
    return [view.parts["images"].digest, view.parts["images_followers"].digest]


def flat_rows(gate: Gate, view: View) -> int:
    """How many rows the flat table of a fragment has (of pictures: at most)."""
    if gate is Gate.SAMPLES:
        return sum(part.rows for part in view.samples)
    return view.parts["alive" if gate is Gate.KEPT else "images"].rows


def token_limits(recipe: Recipe, tasks: pa.ChunkedArray) -> dict[str, pa.Array]:
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


def _sample_columns(work: Work, view: View, rows: npt.NDArray[np.int32]) -> dict[str, pa.ChunkedArray]:
    """The columns that both tables of samples have, of the given rows."""
    plain = read_samples(work, view, rows, _PLAIN)
    nested = pa.concat_tables([_leaves(work, part) for part in view.samples]).take(pa.array(rows, pa.int32()))
    turns, images = (pc.fill_null(pc.list_value_length(nested[name]), 0) for name in ("turns", "images"))
    return {
        **{name: plain[name] for name in _PLAIN},
        "turns": turns,
        "images": images,
        "turns_and_images": pc.add(turns, images),
        **_group_counts(nested["groups"]),
    }


def _group_counts(groups: pa.ChunkedArray) -> dict[str, pa.Array]:
    """`group_{kind}`: how many groups of the kind each row has."""
    kinds = pc.struct_field(pc.list_flatten(groups), "kind")
    return {f"group_{kind}": pa.array(_per_row(groups, _equal(kinds, kind))) for kind in GROUP_KINDS}


def _equal(values: pa.ChunkedArray, value: str) -> npt.NDArray[np.bool_]:
    """Where the value stands; a null is none."""
    found: npt.NDArray[np.bool_] = pc.is_in(values, pa.array([value])).to_numpy()
    return found


def _per_row(lists: pa.ChunkedArray, marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many of each row's list items are marked."""
    parents = pc.list_parent_indices(lists.combine_chunks()).to_numpy()
    return np.bincount(parents[marked], minlength=len(lists)).astype(np.int64)


def _leaves(work: Work, part: Part) -> pa.Table:
    """One leaf of each nested column of a part of samples: enough to count, and small."""
    with work.parquet_file(part) as file:
        paths = [file.schema.column(number).path for number in range(len(file.schema))]
        wanted = [path for path in paths for name, leaf in _LEAVES.items() if _is_leaf(path, name, leaf)]
        return file.read(columns=wanted, use_threads=False).select(list(_LEAVES))


def _is_leaf(path: str, column: str, leaf: str) -> bool:
    return path.startswith(f"{column}.") and path.endswith(f".{leaf}")


def _table(gate: Gate, columns: Mapping[str, pa.ChunkedArray | pa.Array]) -> pa.Table:
    return pa.table({name: columns[name] for name in COLUMNS[gate]})


def text_columns(gate: Gate) -> Sequence[str]:
    """The columns that hold text."""
    return [name for name, kind in COLUMNS[gate].items() if kind == "text"]
