"""What the places that are given to an audit are called in it."""

import re
from collections.abc import Sequence


def names_for(places: Sequence[str], *, keyed: bool = False) -> list[str]:
    """A name for each place: what its last part says, in letters that source names may have, each once.

    Where identifiers are keyed it is none of theirs: `data`, `data_2` ...
    """
    names: list[str] = []
    if keyed:
        places = ["data"] * len(places)
    for place in places:
        parts = [part for part in re.split(r"[/\\]", place) if part not in ("", ".", "..", "shards")]
        stem = parts[-1].partition(".")[0] if parts else "data"
        slug = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:40] or "data"
        taken = sum(1 for name in names if name == slug or re.fullmatch(rf"{slug}_\d+", name))
        names.append(slug if not taken else f"{slug}_{taken + 1}")
    return names
