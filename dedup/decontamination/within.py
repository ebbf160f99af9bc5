"""Leaks inside an eval set: what its own splits share, which no decontamination of the training data can mend."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dedup.exact import normalise

_WORD = re.compile(r"\w+")

WITHIN = pa.schema(
    [
        pa.field("eval_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("shared", pa.string()),
        pa.field("splits", pa.list_(pa.string()), nullable=False),
        pa.field("others", pa.int64(), nullable=False),
        pa.field("example", pa.string(), nullable=False),
    ]
)
"""One row per evaluated item and thing it shares with items of other splits of its set.

`kind` is `image`, `question` (the same words about the same picture) or the kind of a group; `shared` names the
picture or group; `others` counts the items of the other splits, `example` is the first of them. Sorted by item.
"""


@dataclass(frozen=True)
class SharedInside:
    """How much of the evaluated part is in the set's other splits."""

    items: int
    items_shared: int
    """Evaluated items whose picture, group or question with its picture is in another split."""
    images: int
    images_shared: int
    by_kind: dict[str, int]
    """Items by what they share."""
    by_group: dict[str, tuple[int, int]]
    """Kind of group -> how many of the evaluated items' groups are in another split, of how many."""
    rows: pa.Table


def shared_inside(items: pa.Table, evaluated: Iterable[str], others: Iterable[str] | None = None) -> SharedInside:
    """What the evaluated splits of one set share with its other splits, or with some of them.

    Pictures are told apart by `image_id` where they have been read, else by where they lie.

    Args:
        items: ITEMS of all splits of one set, `split` known.
        evaluated: the splits that are judged.
        others: the splits to compare with; default: all others.
    """
    splits = set(evaluated)
    compared = set(items["split"].to_pylist()) - splits if others is None else set(others)
    listed = items.select(["eval_id", "split", "question", "images", "groups"]).to_pylist()
    ours = [item for item in listed if item["split"] in splits]
    theirs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in listed:
        if item["split"] in compared:
            for thing in _things(item):
                theirs.setdefault(thing, []).append(item)
    rows = []
    by_kind: dict[str, set[str]] = {}
    for item in ours:
        for kind, shared in _things(item):
            sharing = theirs.get((kind, shared))
            if sharing:
                by_kind.setdefault(kind, set()).add(item["eval_id"])
                rows.append(_row(item, kind, shared, sharing))
    rows.sort(key=lambda row: (row["eval_id"], row["kind"], row["shared"] or ""))
    things = {thing for item in ours for thing in _things(item)}
    kinds = sorted({kind for kind, _ in things} - {"image", "question"})
    images = {thing for thing in things if thing[0] == "image"}
    return SharedInside(
        items=len(ours),
        items_shared=len({row["eval_id"] for row in rows}),
        images=len(images),
        images_shared=sum(image in theirs for image in images),
        by_kind={kind: len(ids) for kind, ids in sorted(by_kind.items())},
        by_group={kind: _shared_of(kind, things, theirs) for kind in kinds},
        rows=pa.Table.from_pylist(rows, schema=WITHIN),
    )


def _things(item: dict[str, Any]) -> list[tuple[str, str]]:
    """What an item can share: each once."""
    images = [image["image_id"] or f"{image['uri']}#{image['frame'] or 0}" for image in item["images"] or ()]
    groups = [(group["kind"], group["id"]) for group in item["groups"] or ()]
    things = [("image", image) for image in images] + groups
    question = " ".join(_WORD.findall(normalise(item["question"] or "")))
    if question:
        # A question alone ("is this an X-ray?") is shared by half the set: with its picture, or the picture's case.
        keys = images or [f"{kind} {name}" for kind, name in groups if kind in ("case", "figure", "study")]
        things += [("question", f"{key}\0{question}") for key in keys]
    return list(dict.fromkeys(things))


def _row(item: dict[str, Any], kind: str, shared: str, others: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "eval_id": item["eval_id"],
        "kind": kind,
        "shared": shared.partition("\0")[0],
        "splits": sorted({other["split"] or "" for other in others}),
        "others": len(others),
        "example": others[0]["eval_id"],
    }


def _shared_of(kind: str, things: set[tuple[str, str]], theirs: dict[tuple[str, str], Any]) -> tuple[int, int]:
    ours = [thing for thing in things if thing[0] == kind]
    return sum(thing in theirs for thing in ours), len(ours)
