"""Geometry of the page's charts: numbers in, shapes out; the template draws them as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.report.survey import EDGES

WIDTH, PANEL, GAP, LEFT = 480, 104, 44, 8
LABELS = 9
"""Labels on the axis of a histogram at most."""
UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))
LEAST = 1.5
"""Pixels of the smallest bar that is not zero: what is there can be seen."""


@dataclass(frozen=True)
class Bar:
    """One bar, and what is said of it."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True)
class Panel:
    """The bars of one outcome."""

    kind: str
    base: float
    highest: int
    total: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Histogram:
    """Two panels over one axis; each has its own scale, since far more is kept than lost."""

    width: int
    height: int
    left: int
    panels: tuple[Panel, ...]
    labels: tuple[tuple[float, str], ...]


def histogram(bins: Mapping[str, Sequence[int]], unit: str) -> Histogram | None:
    """A survey's histogram, or None where nothing was counted."""
    if not bins:
        return None
    edges = EDGES.tolist()
    places = [edges.index(int(edge)) for edge in bins]
    first, last = min(places), max(places)
    step = (WIDTH - 2 * LEFT) / (last - first + 1)
    panels = []
    for number, kind in enumerate(("kept", "lost")):
        counts = {place: row[number] for place, row in zip(places, bins.values(), strict=True) if row[number]}
        base = number * (PANEL + GAP) + PANEL + 18
        highest = max(counts.values(), default=0)
        bars = tuple(
            _bar(place - first, count, highest, step, base, f"{_range(place)} {unit}: {count:,} {kind}")
            for place, count in sorted(counts.items())
        )
        panels.append(Panel(kind, base, highest, sum(counts.values()), bars))
    powers = [place for place in range(first, last + 1) if edges[place] & (edges[place] - 1) == 0] or [first]
    labels = tuple(
        (round(LEFT + (place - first) * step + 1, 2), short(edges[place]))
        for place in powers[:: -(-len(powers) // LABELS)]
    )
    return Histogram(WIDTH, 2 * (PANEL + GAP) + 20, LEFT, tuple(panels), labels)


def _bar(place: int, count: int, highest: int, step: float, base: float, words: str) -> Bar:
    height = max(PANEL * count / highest, LEAST)
    return Bar(round(LEFT + place * step + 1, 2), round(base - height, 2), round(step - 2, 2), round(height, 2), words)


def _range(place: int) -> str:
    low = int(EDGES[place])
    high = int(EDGES[place + 1]) - 1 if place + 1 < len(EDGES) else low
    return f"{low:,}" if high <= low else f"{low:,} to {high:,}"


def short(number: float) -> str:
    """A number in few characters: 65536 as `65.5k`."""
    size, letter = next(((size, letter) for size, letter in UNITS if number >= size), (1, ""))
    return f"{number:.0f}" if number < 10_000 else f"{number / size:.3g}{letter}"


@dataclass(frozen=True)
class Stacked:
    """Shares of a bar in per cent, left to right; what is not zero is at least half a per cent wide."""

    kept: float
    dropped: float
    quarantined: float


def stacked(kept: int, dropped: int, quarantined: int, whole: int) -> Stacked:
    """Parts of a whole as widths; together they are at most 100."""
    if not whole:
        return Stacked(0, 0, 0)
    lost = [max(100 * part / whole, 0.5) if part else 0.0 for part in (dropped, quarantined)]
    return Stacked(round(min(100 * kept / whole, 100 - sum(lost)), 3), round(lost[0], 3), round(lost[1], 3))
