"""Geometry of the calibration plot: recall of each transform with its interval; the template draws it as SVG."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROW, LEFT, WIDTH, RIGHT, TOP = 20, 280, 400, 130, 22
FALSE = "false_positives"


@dataclass(frozen=True)
class Row:
    """One transform of a channel. Places are in the units of the drawing."""

    channel: str
    transform: str
    planted: int
    found: int
    recall: float
    low: float
    high: float
    y: float
    x: float
    x_low: float
    x_high: float


@dataclass(frozen=True)
class Plot:
    """Recall from 0 to 1, left to right; `limit` is where the policy draws the line."""

    width: int
    height: int
    left: int
    top: int
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    limit: float | None


def plot(calibration: Mapping[str, Any] | None, min_recall: float | None) -> Plot | None:
    """The plot of `calibration` as `contamination.json` has it; None where nothing was planted."""
    rows: list[Row] = []
    for channel, transforms in (calibration or {}).items():
        if channel == FALSE or not isinstance(transforms, dict):
            continue
        for transform, one in transforms.items():
            if not isinstance(one, dict) or not one.get("planted"):
                continue
            low, high = one.get("ci95") or (one["recall"], one["recall"])
            y = TOP + (len(rows) + 0.5) * ROW
            rows.append(Row(channel, transform, one["planted"], one["found"], one["recall"], low, high, y,
                            _x(one["recall"]), _x(low), _x(high)))  # fmt: skip
    if not rows:
        return None
    ticks = tuple((_x(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1))
    limit = None if min_recall is None else _x(min_recall)
    return Plot(LEFT + WIDTH + RIGHT, TOP + len(rows) * ROW + 24, LEFT, TOP, tuple(rows), ticks, limit)


def _x(share: float) -> float:
    return round(LEFT + WIDTH * min(max(share, 0.0), 1.0), 1)
