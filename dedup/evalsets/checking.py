"""A look at an eval set before an audit: is it there, is it whole, is it what its card says?"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from dedup.decontamination.within import shared_inside
from dedup.evalsets.locating import FoundSet
from dedup.evalsets.reading import EVERY_SPLIT, content_hash, items_of

SHOWN = 3
SHOWN_CHARS = 300


def check(found: FoundSet) -> dict[str, Any]:
    """Read all of a set: counts, three items, and what is not as the card says.

    Of keyed sets no text is shown. Where other splits of the set lie beside the evaluated ones, also what they share.

    Raises:
        CorpusError: a file as a whole cannot be read.
    """
    read = items_of(found)
    items, expected = read.items, found.evalset.expected
    images = {image["uri"] for listed in items["images"].to_pylist() for image in listed or ()}
    mismatches = []
    if expected.items is not None and items.num_rows != expected.items:
        mismatches.append(f"{items.num_rows} items; {expected.by or 'the card'} has {expected.items}")
    if expected.images is not None and images and len(images) != expected.images:
        mismatches.append(f"{len(images)} pictures; {expected.by or 'the card'} has {expected.images}")
    content = content_hash(items)
    if found.evalset.content is not None and found.evalset.content != content:
        mismatches.append("the items are not those that were fetched")
    groups = _groups(items)
    absent = [kind for kind in found.evalset.groups if kind not in groups]
    mismatches += [f"no item has the group {kind}, which the card promises" for kind in absent]
    return {
        "name": found.evalset.name,
        "where": found.root.place,
        "version": found.evalset.version,
        "revision": found.evalset.revision,
        "split": list(found.evalset.split),
        "items": items.num_rows,
        "images": len(images),
        "images_absent": read.images_absent,
        "groups": groups,
        "not_evaluated": read.other,
        "problems": [{"what": what, "count": count} for what, count in read.problems.most_common()],
        "mismatches": mismatches,
        "content": content,
        "content_as_fetched": None if found.evalset.content is None else found.evalset.content == content,
        "inside": _inside(found),
        "samples": [_shown(item, found) for item in items.slice(0, SHOWN).to_pylist()],
    }


def _groups(items: pa.Table) -> dict[str, dict[str, int]]:
    having: Counter[str] = Counter()
    distinct: dict[str, set[str]] = {}
    for groups in items["groups"].to_pylist():
        having.update({group["kind"] for group in groups or ()})
        for group in groups or ():
            distinct.setdefault(group["kind"], set()).add(group["id"])
    return {kind: {"items": having[kind], "groups": len(distinct[kind])} for kind in sorted(having)}


def _inside(found: FoundSet) -> list[dict[str, Any]]:
    """What the evaluated part shares with each of the set's other splits that are there."""
    if not found.evalset.split:
        return []
    return shared_splits(items_of(found, EVERY_SPLIT).items, found.evalset.split)


def shared_splits(items: pa.Table, evaluated: Sequence[str]) -> list[dict[str, Any]]:
    """What the evaluated splits share with each other split of the same set. `items`: ITEMS of all splits."""
    others = sorted({split for split in items["split"].to_pylist() if split} - set(evaluated))
    return [_shared_with(items, evaluated, other) for other in others]


def _shared_with(items: pa.Table, evaluated: Sequence[str], other: str) -> dict[str, Any]:
    shared = shared_inside(items, evaluated, [other])
    return {
        "with": other,
        "items": shared.items,
        "items_shared": shared.items_shared,
        "images": shared.images,
        "images_shared": shared.images_shared,
        "by_kind": shared.by_kind,
        "groups": {kind: {"shared": part, "of": whole} for kind, (part, whole) in shared.by_group.items()},
    }


def _shown(item: dict[str, Any], found: FoundSet) -> dict[str, Any]:
    ids = {"eval_id": item["eval_id"], "images": len(item["images"] or ()), "groups": item["groups"]}
    if found.corpus.identity.keyed:
        return ids
    names = ("question", "answer", "text")
    said = {name: item[name][:SHOWN_CHARS] for name in names if item[name]}
    return {**ids, "options": len(item["options"] or ()), **said}


def check_lines(found: dict[str, Any]) -> list[str]:
    """The answer for people."""
    lines = [f"{found['name']}: {found['items']} items, {found['images']} pictures in {found['where']}"]
    if found["images_absent"]:
        lines.append(f"  {found['images_absent']} pictures are not there: the image channel does not see their items")
    lines += [f"  {kind}: {count['items']} items in {count['groups']}" for kind, count in found["groups"].items()]
    lines += [line for inside in found["inside"] for line in _inside_lines(inside)]
    for sample in found["samples"]:
        lines.append(f"  item {sample['eval_id']} ({sample['images']} pictures)")
        lines += [f"    {name}: {sample[name]}" for name in ("question", "answer", "text") if name in sample]
    lines += [f"  not as the card says: {mismatch}" for mismatch in found["mismatches"]]
    lines += [f"  problem: {problem['what']} ({problem['count']} records)" for problem in found["problems"]]
    return lines


def _inside_lines(inside: dict[str, Any]) -> list[str]:
    lines = [f"  {inside['items_shared']} of {inside['items']} items share something with its own {inside['with']}"]
    if inside["images"]:
        lines.append(f"    pictures: {inside['images_shared']} of {inside['images']}")
    return lines + [f"    {kind}: {count['shared']} of {count['of']}" for kind, count in inside["groups"].items()]
