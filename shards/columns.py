"""The columns of the shards as Hugging Face `datasets` declares them, made from the contract of `{key}.json`.

They are declared because `datasets` infers them from the first five samples, which fails where samples differ in
their members or have empty lists, and because a column that is not declared is an error.
"""

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from shards.manifest import Manifest, ShardEntry
from shards.names import JSON_SUFFIX
from shards.samples import SampleJson

LISTED_SHARDS = 100
"""Up to so many shards are named one by one; of more, each source is one pattern."""


def splits_of(manifest: Manifest) -> dict[str, tuple[ShardEntry, ...]]:
    """Split -> its shards, of the splits that have any. A manifest without a hold-out has only `train`."""
    splits = {"train": manifest.shards, "validation": manifest.validation or ()}
    return {name: tuple(entries) for name, entries in splits.items() if entries}


def data_files(entries: Sequence[ShardEntry]) -> list[str]:
    """Names of the shards, or patterns that match them and no shard of another source or split."""
    if len(entries) <= LISTED_SHARDS:
        return [entry.name for entry in entries]
    stems = dict.fromkeys(entry.name.rpartition("-")[0] for entry in entries)
    return [f"{stem}-[0-9]*.tar" for stem in stems]


def declared_columns(members: Iterable[str]) -> list[dict[str, Any]]:
    """`dataset_info.features`: the JSON, a picture for every suffix, and the two columns `datasets` adds."""
    return [
        {"name": JSON_SUFFIX, "struct": _fields(SampleJson)},
        *({"name": suffix, "dtype": "image"} for suffix in members),
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]


def field_types(model: type[BaseModel]) -> Mapping[str, tuple[Any, bool]]:
    """Field -> its type without `None` and without `list`, and whether it is a list."""
    return {name: _plain(field.annotation) for name, field in model.model_fields.items()}


def _fields(model: type[BaseModel]) -> list[dict[str, Any]]:
    return [{"name": name, **_column(kind, many)} for name, (kind, many) in field_types(model).items()]


def _column(kind: Any, many: bool) -> dict[str, Any]:  # noqa: FBT001 - a fact about the field
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {"list" if many else "struct": _fields(kind)}
    dtype = {str: "string", int: "int64"}[kind]
    return {"list": dtype} if many else {"dtype": dtype}


def _plain(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (types.UnionType, Union):
        (inner,) = (kind for kind in get_args(annotation) if kind is not type(None))
        return _plain(inner)
    if get_origin(annotation) is list:
        return _plain(get_args(annotation)[0])[0], True
    return annotation, False
