"""Panels of compound figures: the parts between white or black gutters, or lines of one level, and between letters.

A panel is a frame of its figure: number `FIRST_PANEL` + k is panel k, in reading order, of a picture of one frame.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from sources.pictures.panel_labels import Label, panel_labels
from sources.pictures.panel_seams import Region, corner_of, cut_between, has_seam, holds, in_one_corner

__all__ = ["FIRST_PANEL", "Region", "figure_panels", "panels_of"]

Grey = npt.NDArray[np.uint8]
Lines = npt.NDArray[np.bool_]
Gutters = tuple[Callable[[Grey, int], Lines], ...]
"""Functions of a part and the thinnest gutter in pixels: which of its rows lie in a gutter."""

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
LOOKED_AT = 1024
"""Pixels of the longer side at which panels are sought: gutters are seen at that size, and it bounds the cost."""
FIRST_PANEL = 2_000_000
"""Far above any number of frames. Other rules of cutting make other pictures: they need another number here."""
_EVEN = 40
"""Levels between the darkest and the brightest pixel of a line that separates two panels (JPEG leaves noise in it)."""
_UNLIKE = 24
"""Levels by which the pixels beside such a line differ from it, at least half of them on either side."""
_ALL_ALONG = 0.7
"""Of the pixels beside a black gutter: ultrasound, heads and letters reach 0.35 (some 780 pictures of 12 sets)."""


def figure_panels(grey: Image.Image) -> list[Region]:
    """The panels of a compound figure in 256 grey levels, in reading order; none where it is one picture.

    Sought at `LOOKED_AT` pixels, between white gutters, lines of one level, and black gutters where a picture ends
    sharply: an ultrasound that fades to black, two knees on black and the writing beside a head have gutters, too. What
    is in one piece then is cut where panels touch, or are black on black, if letters (A, B ...) say that it is several.
    """
    factor = max(max(grey.size) // LOOKED_AT, 1)
    looked_at = np.asarray(grey.reduce(factor) if factor > 1 else grey)
    gutters = (_white, _sharp_black)
    found = _panels(looked_at, gutters)
    found = _lettered(looked_at, gutters, found) or found
    ends = (grey.height, grey.height, grey.width, grey.width)
    return [Region(*(min(edge * factor, end) for edge, end in zip(one, ends, strict=True))) for one in found]


def panels_of(grey: Grey) -> list[Region]:
    """The parts of a picture H x W that may be panels, at most 24 in reading order; none where it is in one piece.

    Cut at gutters, black ones included, across the whole part, rows and columns in turn, each part again, four levels
    deep.
    """
    return _panels(grey, (_white, _black))


def _cutting(grey: Grey, gutters: Gutters) -> "_Cutting":
    longer = max(grey.shape)
    least = max(round(SMALLEST_PANEL * longer), _SMALLEST_PX)
    return _Cutting(grey, gutters, least, max(round(THINNEST_GUTTER * longer), 3))


def _panels(grey: Grey, gutters: Gutters) -> list[Region]:
    found = _cutting(grey, gutters).split(Region(0, grey.shape[0], 0, grey.shape[1]), _DEEPEST)
    return _in_reading_order(found)[:MOST_PANELS] if len(found) > 1 else []


def _lettered(grey: Grey, gutters: Gutters, found: list[Region]) -> list[Region]:
    """The parts that gutters left, each cut further so that it has one letter; none where letters say nothing new."""
    cutting = _cutting(grey, gutters)
    if not has_seam(grey, cutting.least):
        return []
    parts = found or [Region(0, grey.shape[0], 0, grey.shape[1])]
    for labels in panel_labels(grey, cutting.least):
        cut = _cut_between_letters(grey, parts, labels)
        if len(cut) > len(parts):
            panels = [cutting.trimmed(one) for one in cut]
            return _in_reading_order(panels)[:MOST_PANELS]
    return []


def _cut_between_letters(grey: Grey, parts: list[Region], labels: list[Label]) -> list[Region]:
    """Each part cut until it has one letter, all in the same corner; none where a part cannot be cut so."""
    corner = corner_of(_around(parts, labels), labels)
    panels, lettered = [], []
    for part in parts:
        inside = [one for one in labels if min(parts, key=lambda other: _away(other, one)) == part]
        cut = cut_between(grey, _around([part], inside), inside, corner) if inside else [part]
        if not cut:
            return []
        panels += cut
        lettered += cut if inside else []
    of_each = [next(one for one in labels if holds(panel, one)) for panel in lettered]
    return panels if in_one_corner(lettered, of_each) else []


def _around(parts: list[Region], labels: list[Label]) -> Region:
    """What holds all of them: a letter may stand in a margin that was cut off."""
    every = [*parts, *(Region(one.top, one.bottom, one.left, one.right) for one in labels)]
    tops, bottoms, lefts, rights = zip(*every, strict=True)
    return Region(min(tops), max(bottoms), min(lefts), max(rights))


def _away(part: Region, one: Label) -> int:
    """Pixels between a part and a letter, down and across; 0 where it is in it."""
    down = max(part.top - one.bottom, one.top - part.bottom, 0)
    return down + max(part.left - one.right, one.left - part.right, 0)


def _in_reading_order(found: list[Region]) -> list[Region]:
    """Row after row from the top, each from the left; what has its middle beside the row's first part is of the row."""
    left, ordered = sorted(found), []
    while left:
        row = [one for one in left if (one.top + one.bottom) / 2 < left[0].bottom]
        ordered += sorted(row, key=lambda one: (one.left, one.top))
        left = [one for one in left if one not in row]
    return ordered


def _white(part: Grey, thinnest: int) -> Lines:
    return _long_runs((part >= WHITE).mean(axis=1) >= GUTTER_SHARE, thinnest)


def _black(part: Grey, thinnest: int) -> Lines:
    return _long_runs((part <= BLACK).mean(axis=1) >= GUTTER_SHARE, thinnest)


def _sharp_black(part: Grey, thinnest: int) -> Lines:
    """Black gutters on one side of which a picture begins all along."""
    found = _black(part, thinnest)
    for low, high in _stretches(found):
        beside = [part[line] for line in (low - 2, high + 1) if 0 <= line < len(part)]
        level = int(np.median(part[low:high])) + _UNLIKE
        found[low:high] = any((line > level).mean() >= _ALL_ALONG for line in beside)
    return found


@dataclass(frozen=True)
class _Cutting:
    """One picture, what is a gutter in it, and the smallest panel and thinnest gutter in pixels."""

    grey: Grey
    gutters: Gutters
    least: int
    thinnest: int

    def split(self, region: Region, depth: int) -> list[Region]:
        """The panels of one part; itself where nothing cuts it."""
        region = self.trimmed(region)
        if depth == 0:
            return [region]
        best: list[Region] = []
        for axis in (0, 1):
            runs = self._runs(region, axis)
            if len(runs) < 2:
                continue
            found = [one for low, high in runs for one in self.split(_cut(region, axis, low, high), depth - 1)]
            if len(found) > len(best):
                best = found
        return best or [region]

    def _runs(self, region: Region, axis: int) -> list[tuple[int, int]]:
        """Stretches of rows (axis 0) or columns between gutters of one level that are large enough for a panel."""
        part = self.grey[region.top : region.bottom, region.left : region.right]
        lines = part if axis == 0 else part.T
        empty = _separators(lines)
        for gutters in self.gutters:
            empty |= gutters(lines, self.thinnest)
        return [(low, high) for low, high in _stretches(~empty) if high - low >= self.least]

    def trimmed(self, region: Region) -> Region:
        """A part without captions above or below and margins beside: its longest stretch both ways."""
        for axis in (0, 1):
            runs = self._runs(region, axis)
            if len(runs) == 1:
                region = _cut(region, axis, *runs[0])
        return region


def _cut(region: Region, axis: int, low: int, high: int) -> Region:
    if axis == 0:
        return Region(region.top + low, region.top + high, region.left, region.right)
    return Region(region.top, region.bottom, region.left + low, region.left + high)


def _separators(part: Grey) -> Lines:
    """Rows that are one level from side to side, two or more together, between rows that are not like them."""
    found = np.zeros(len(part), bool)
    even = part.max(axis=1) - part.min(axis=1) <= _EVEN
    for low, high in _stretches(even):
        if high - low < 2 or low == 0 or high == len(part):
            continue
        level = int(np.median(part[low:high]))
        beside = np.abs(part[[low - 1, high]].astype(np.int16) - level) > _UNLIKE
        found[low:high] = beside.mean(axis=1).min() >= 0.5
    return found


def _stretches(marked: Lines) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of marked lines."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [(int(low), int(high)) for low, high in zip(edges[::2], edges[1::2], strict=True)]


def _long_runs(blank: Lines, shortest: int) -> Lines:
    """Only the runs of at least `shortest` lines."""
    kept = np.zeros(len(blank), bool)
    for low, high in _stretches(blank):
        kept[low:high] = high - low >= shortest
    return kept
