"""Of which items probes can be made in each channel: what the measured recall stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dedup.decontamination.calibration.choosing import ItemTexts
from dedup.decontamination.calibration.outcomes import LEAK
from dedup.decontamination.findings import Channel

REACH = pa.schema(
    [pa.field(name, pa.bool_(), nullable=False) for name in ("text", "text_found", "image", "image_found")]
)
"""One row per item: whether it has a text (a picture), and one that can be planted and must then be found alone."""


@dataclass(frozen=True)
class Reach:
    """Of one eval set and channel: how many items have a text (a picture), and the ids of those that can be planted."""

    items: int
    findable: frozenset[str]


def reach_table(items: pa.Table, pictures: pa.Table, informative: Sequence[int], texts: ItemTexts) -> pa.Table:
    """REACH. `items`: ITEMS; `pictures`: EVAL_PICTURES; `informative`: the pictures that say enough to be planted."""
    count, enough = items.num_rows, frozenset(informative)
    shown, planted = np.zeros(count, bool), np.zeros(count, bool)
    for picture, of in zip(pictures["picture"].to_pylist(), pictures["items"].to_pylist(), strict=True):
        shown[of] = True
        if picture in enough:
            planted[of] = True
    said = np.array(
        [
            bool(question or text)
            for question, text in zip(items["question"].to_pylist(), items["text"].to_pylist(), strict=True)
        ],
        bool,
    )
    columns = (said, texts.findable("verbatim") & said, shown, planted)
    return pa.table([pa.array(column, pa.bool_()) for column in columns], REACH)


def reaches(table: pa.Table, eval_sets: Sequence[str], eval_ids: Sequence[str]) -> dict[str, dict[str, Reach]]:
    """Eval set -> channel -> its reach; only channels of which the set has anything. The rows are those of REACH."""
    found: dict[str, dict[str, Reach]] = {}
    for channel in (Channel.IMAGE.value, Channel.TEXT.value):
        there, findable = table[channel].to_pylist(), table[f"{channel}_found"].to_pylist()
        counts: dict[str, int] = {}
        ids: dict[str, set[str]] = {}
        for name, own, has, can in zip(eval_sets, eval_ids, there, findable, strict=True):
            if has:
                counts[name] = counts.get(name, 0) + 1
                ids.setdefault(name, set()).update([own] if can else [])
        for name, count in counts.items():
            found.setdefault(name, {})[channel] = Reach(count, frozenset(ids[name]))
    return found


def unmeasured(rows: Sequence[Mapping[str, Any]], reach: Mapping[str, Mapping[str, Reach]]) -> list[str]:
    """Sentences on channels that have items and no probe: nothing says that anything would be found.

    Of texts that count only together with their picture the probes with pictures tell.
    """
    planted = {row["channel"] for row in rows if row["kind"] == LEAK}
    told = []
    for channel, measured in (
        (Channel.IMAGE.value, {Channel.IMAGE.value}),
        (Channel.TEXT.value, {Channel.TEXT.value, Channel.PAIR.value}),
    ):
        items = sum(of[channel].items for of in reach.values() if channel in of)
        if items and not planted & measured:
            told.append(f"channel {channel}: {items:,} items and no probe could be planted: its recall is not known")
    return told
