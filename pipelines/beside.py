"""A dropped duplicate beside the sample that was kept for it: both texts, and what differs."""

from typing import Any

import polars as pl

from dedup.text import difference
from pipelines.tables import scan
from sources.storage import Folder


def kept_beside(run: Folder, sample: dict[str, Any], verdicts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The kept sample that the last verdict names: its id and place, its turns, and the difference of the two texts.

    `difference` is a list of [what, words]: `equal`, `delete` (the dropped sample says it) and `insert` (the kept
    one does). None where the sample is no duplicate.
    """
    kept_id = verdicts[-1]["evidence"].get("kept")
    if kept_id is None:
        return None
    rows = scan(run, "samples").filter(pl.col("sample_id") == kept_id).collect(engine="streaming").to_dicts()
    if not rows:
        return None
    kept = rows[0]
    return {
        **{name: kept[name] for name in ("sample_id", "source", "source_key", "images")},
        "difference": [list(part) for part in difference(_text(sample), _text(kept))],
    }


def _text(sample: dict[str, Any]) -> str:
    return "\n".join(f"{turn['role']}: {turn['text']}" for turn in sample["turns"] or ())
