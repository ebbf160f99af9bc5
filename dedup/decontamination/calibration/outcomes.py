"""What became of probes and decoys, and what that says of an audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dedup.decontamination.calibration.intervals import wilson

LEAK, DECOY = "leak", "decoy"
OUTCOMES = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("transform", pa.string(), nullable=False),
        pa.field("eval_set", pa.string(), nullable=False),
        pa.field("item", pa.int32(), nullable=False),
        pa.field("found", pa.bool_(), nullable=False),
        pa.field("grade", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("other", pa.int32(), nullable=False),
    ]
)
"""One row per probe or decoy: never its text or pixels.

`kind`: `leak` must be found, `decoy` must not. `transform`: of a decoy what it is. `item`: number of the eval item it
was made of, -1 where of none. `found`: as that item (a leak), or wrongly (a decoy). `grade` and `score` of what was
found. `other`: the item that a decoy was taken for, -1 else.
"""

MOST_FLAGGED = 0.001
"""Share of decoys that may be flagged: more, and an audit is insensitive (docs/calibration.md)."""
SHOWN_FLAGGED = 20


@dataclass(frozen=True)
class Recall:
    """Of some probes: mean over their transforms, and how many items they were made of."""

    mean: float
    items: int
    planted: int
    found: int


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """OUTCOMES."""
    return pa.Table.from_pylist([{"grade": None, "score": None, "other": -1, **row} for row in rows], schema=OUTCOMES)


def calibration_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`calibration` of an audit: channel -> transform -> recall; `false_positives`."""
    found: dict[str, Any] = {}
    for channel, of_channel in grouped([row for row in rows if row["kind"] == LEAK], "channel").items():
        found[channel] = {
            name: shares(some, "planted", "found") for name, some in grouped(of_channel, "transform").items()
        }
    decoys = [row for row in rows if row["kind"] == DECOY]
    return {**found, "false_positives": decoys_told(decoys)}


def decoys_told(decoys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many decoys there were and were flagged, in all and by what they are."""
    whole = shares(decoys, "decoys", "flagged")
    whole.pop("recall")
    kinds = {}
    for name, some in grouped(decoys, "transform").items():
        kinds[name] = shares(some, "decoys", "flagged")
        kinds[name].pop("recall")
    return {**whole, "kinds": kinds}


def shares(rows: Sequence[Mapping[str, Any]], of: str, found: str) -> dict[str, Any]:
    """Counts under the names `of` and `found`, `recall`, and its 95 % interval."""
    count, there = len(rows), sum(bool(row["found"]) for row in rows)
    low, high = wilson(there, count)
    share = round(there / count, 4) if count else 0.0
    return {of: count, found: there, "recall": share, "ci95": [round(low, 4), round(high, 4)]}


def recall_of(rows: Sequence[Mapping[str, Any]]) -> Recall:
    """Recall of probes of one channel: each transform counts the same.

    Raises:
        ValueError: there are none.
    """
    transforms = grouped(rows, "transform")
    if not transforms:
        raise ValueError("no probes")
    means = [sum(bool(row["found"]) for row in some) / len(some) for some in transforms.values()]
    items = {(row["eval_set"], row["item"]) for row in rows}
    return Recall(sum(means) / len(means), len(items), len(rows), sum(bool(row["found"]) for row in rows))


def recalls_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Recall]:
    """Channel -> recall of its probes."""
    leaks = [row for row in rows if row["kind"] == LEAK]
    return {channel: recall_of(some) for channel, some in grouped(leaks, "channel").items()}


def weaknesses(rows: Sequence[Mapping[str, Any]], min_recall: float) -> list[str]:
    """Why an audit is insensitive, in sentences; none where it is not.

    A channel's mean recall counts as it was measured, however few the probes: what was not shown to be found is not
    taken for found. Decoys count by their interval: one that is flagged among a few hundred does not show that more
    than 1 in 1,000 would be; the lower end of the 95 % interval must be above that.
    """
    told = [
        f"channel {channel}: mean recall of its probes is {recall.mean:.2f}, below {min_recall:.2f}"
        for channel, recall in sorted(recalls_of(rows).items())
        if recall.mean < min_recall
    ]
    decoys = [row for row in rows if row["kind"] == DECOY]
    flagged = sum(bool(row["found"]) for row in decoys)
    if wilson(flagged, len(decoys))[0] > MOST_FLAGGED:
        told.append(f"{flagged:,} of {len(decoys):,} decoys were flagged: more than 1 in 1,000")
    return told


def grouped(rows: Sequence[Mapping[str, Any]], by: str) -> dict[str, list[Mapping[str, Any]]]:
    """The rows by one column, in the order of its values."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[by], []).append(row)
    return dict(sorted(found.items()))
