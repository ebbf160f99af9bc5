"""Findings: one piece of evidence each that an eval item is in the data."""

from enum import StrEnum

import blake3
import pyarrow as pa


class Channel(StrEnum):
    """Through which channel an item was found. `pair`: by its picture and its text, in one sample."""

    IMAGE = "image"
    TEXT = "text"
    PAIR = "pair"
    GROUP = "group"
    PROVENANCE = "provenance"


FINDINGS = pa.schema(
    [
        pa.field("finding_id", pa.string(), nullable=False),
        pa.field("grade", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("eval_set", pa.string(), nullable=False),
        pa.field("eval_id", pa.string(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("transform", pa.string()),
        pa.field("evidence", pa.string()),
    ]
)
"""One row per finding, sorted by eval set, item, strength of grade, score (highest first) and sample.

`evidence` is JSON: spans, parts of scores, regions and ids, never text or pixels of either side.
"""


def finding_id(channel: str, eval_set: str, eval_id: str, sample_id: str) -> str:
    """16 hex digits: the same finding has the same name in every audit, so that a review can accept it."""
    name = f"{channel}\0{eval_set}\0{eval_id}\0{sample_id}"
    return blake3.blake3(name.encode()).hexdigest(length=8)
