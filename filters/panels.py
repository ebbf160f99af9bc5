"""Panels of compound figures: the parts between white or black gutters."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]

WHITE, BLACK = 235, 20
"""Levels from which a line is gutter. JPEG leaves noise in it, and captions are cut off as lines of their own."""
GUTTER_SHARE = 0.985
"""Of a line's pixels: letters and scale bars that reach into a gutter do not close it."""
THINNEST_GUTTER = 0.006
"""Of the figure's longer side (at least 3 px): thinner ones are lines of a drawing or the edge of a bone."""
SMALLEST_PANEL = 0.12
"""Of the figure's longer side, and at least 48 px: smaller parts are letters, captions and colour bars."""
_SMALLEST_PX = 48
MOST_PANELS = 24
_DEEPEST = 4


class Region(NamedTuple):
    """Top, bottom, left and right (exclusive ends) in pixels."""

    top: int
    bottom: int
    left: int
    right: int


def panels_of(grey: Grey) -> list[Region]:
    """The panels of a figure H x W, at most 24 in reading order; none where the picture is in one piece.

    Cut at gutters across the whole part, rows and columns in turn, each part again, four levels deep.
    """
    height, width = grey.shape
    whole = Region(0, height, 0, width)
    least = max(round(SMALLEST_PANEL * max(height, width)), _SMALLEST_PX)
    gutter = max(round(THINNEST_GUTTER * max(height, width)), 3)
    panels = _split(grey, whole, least, gutter, _DEEPEST)
    return sorted(panels)[:MOST_PANELS] if len(panels) > 1 else []


def _split(grey: Grey, region: Region, least: int, gutter: int, depth: int) -> list[Region]:
    """The panels of one part; itself where nothing cuts it."""
    region = _trimmed(grey, region, least, gutter)
    if depth == 0:
        return [region]
    part = grey[region.top : region.bottom, region.left : region.right]
    best: list[Region] = []
    for axis in (0, 1):
        runs = [(low, high) for low, high in _runs(part, axis, gutter) if high - low >= least]
        if len(runs) < 2:
            continue
        parts = [_cut(region, axis, low, high) for low, high in runs]
        found = [one for cut in parts for one in _split(grey, cut, least, gutter, depth - 1)]
        if len(found) > len(best):
            best = found
    return best or [region]


def _cut(region: Region, axis: int, low: int, high: int) -> Region:
    if axis == 0:
        return Region(region.top + low, region.top + high, region.left, region.right)
    return Region(region.top, region.bottom, region.left + low, region.left + high)


def _runs(part: Grey, axis: int, gutter: int) -> list[tuple[int, int]]:
    """Stretches of rows (axis 0) or columns between gutters of one level."""
    empty = np.zeros(part.shape[axis], bool)
    for level in (part >= WHITE, part <= BLACK):
        blank = level.mean(axis=1 - axis) >= GUTTER_SHARE
        empty |= _long_runs(blank, gutter)
    edges = np.flatnonzero(np.diff(np.concatenate([[1], empty.astype(np.int8), [1]])))
    return [(int(low), int(high)) for low, high in zip(edges[::2], edges[1::2], strict=True)]


def _long_runs(blank: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.bool_]:
    """Only the runs of at least `shortest` lines."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], blank.astype(np.int8), [0]])))
    kept = np.zeros(len(blank), bool)
    for low, high in zip(edges[::2], edges[1::2], strict=True):
        kept[low:high] = high - low >= shortest
    return kept


def _trimmed(grey: Grey, region: Region, least: int, gutter: int) -> Region:
    """A part without captions above or below and margins beside: its longest stretch both ways."""
    for axis in (0, 1):
        part = grey[region.top : region.bottom, region.left : region.right]
        runs = [(low, high) for low, high in _runs(part, axis, gutter) if high - low >= least]
        if len(runs) == 1:
            region = _cut(region, axis, *runs[0])
    return region
