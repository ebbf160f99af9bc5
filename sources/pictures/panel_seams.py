"""Seams: lines from side to side where one panel ends and the next one begins without a gutter between them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from sources.pictures.panel_labels import Label

Grey = npt.NDArray[np.uint8]
Strengths = npt.NDArray[np.float32]

CLEAR = 0.3
"""Strength from which a line may be a seam: 99 of 100 composed figures have one, 22 of 100 single pictures."""
_STEP = 14
_DARK, _LIGHT = 24, 235
_EMPTY = 0.97
_LEAST_SEEN = 0.1
_BESIDE = 9
_EVERY = 3
"""Of the pixels of a line: the others tell the same and cost time."""
_CORNER = 0.3
"""Of a panel's height and width: how far from its edges a letter is at most."""


class Region(NamedTuple):
    """Top, bottom, left and right (exclusive ends) in pixels."""

    top: int
    bottom: int
    left: int
    right: int


class Corner(NamedTuple):
    """Which corner of its panel a letter is in, and how far from the panel's edges it is at most, in pixels."""

    above: bool
    left: bool
    down: int
    across: int


def seams(part: Grey) -> Strengths:
    """For each row of a part, 0 to 1: how much of the line above it is a step, beyond what is usual beside it.

    Where both sides are black or both are white there is nothing to see; a line that has nothing else is a seam (1).
    """
    part = np.ascontiguousarray(part[:, ::_EVERY])
    found = np.zeros(len(part), np.float32)
    if len(part) < 4:
        return found
    two_above, above, below, two_below = part[:-3], part[1:-2], part[2:-1], part[3:]
    step = cv2.max(cv2.absdiff(below, above), cv2.absdiff(two_below, two_above)) > _STEP
    dark = cv2.max(cv2.max(two_above, above), cv2.max(below, two_below)) <= _DARK
    light = cv2.min(cv2.min(two_above, above), cv2.min(below, two_below)) >= _LIGHT
    empty = (dark | light).mean(axis=1)
    share = np.minimum(step.mean(axis=1) / np.maximum(1 - empty, _LEAST_SEEN), 1)
    usual = cv2.medianBlur(np.rint(255 * share).astype(np.uint8)[:, None], 2 * _BESIDE + 1)[:, 0] / 255
    found[2:-1] = np.where(empty >= _EMPTY, 1, np.maximum(share - usual, 0))
    return found


def has_seam(grey: Grey, least: int) -> bool:
    """Whether a line across the whole figure may be a seam with half of `least` lines of a picture on either side."""
    return any(_parts(seams(lines), least) for lines in (grey, grey.T))


def _parts(strengths: Strengths, least: int) -> bool:
    seen = np.cumsum(strengths < 1)
    return bool(((strengths >= CLEAR) & (seen >= least / 2) & (seen[-1] - seen >= least / 2)).any())


def corner_of(whole: Region, labels: Sequence[Label]) -> Corner:
    """The corner that the outermost letters are nearest to: those of the other panels are in the same."""
    above, below = min(one.top for one in labels) - whole.top, whole.bottom - max(one.bottom for one in labels)
    left, right = min(one.left for one in labels) - whole.left, whole.right - max(one.right for one in labels)
    slack = max(one.bottom - one.top for one in labels)
    return Corner(above <= below, left <= right, 2 * min(above, below) + slack, 2 * min(left, right) + slack)


def cut_between(grey: Grey, region: Region, labels: Sequence[Label], corner: Corner) -> list[Region]:
    """The region cut along seams, again and again, until each part has one letter; none where no seam parts two.

    Every way to cut is tried, the clearest seams first, but no part twice: many ways lead to the same parts.
    """
    known: dict[Region, list[Region]] = {}

    def cut(part: Region, inside: Sequence[Label]) -> list[Region]:
        if part not in known:
            known[part] = [part] if len(inside) == 1 else first_way(part, inside)
        return known[part]

    def first_way(part: Region, inside: Sequence[Label]) -> list[Region]:
        cuts = [one for axis in (0, 1) for one in _cuts(grey, part, inside, corner, axis)]
        for _, axis, at in sorted(cuts, key=lambda one: (-one[0], one[1:])):
            if axis == 0:
                halves = (part._replace(bottom=at), part._replace(top=at))
            else:
                halves = (part._replace(right=at), part._replace(left=at))
            found: list[Region] = []
            for half in halves:
                panels = cut(half, [one for one in inside if holds(half, one)])
                if not panels:
                    break
                found += panels
            else:
                return found
        return []

    return cut(region, labels)


def holds(region: Region, one: Label) -> bool:
    """Whether a letter begins in a region."""
    return region.top <= one.top < region.bottom and region.left <= one.left < region.right


def _cuts(
    grey: Grey, region: Region, labels: Sequence[Label], corner: Corner, axis: int
) -> Iterator[tuple[float, int, int]]:
    """The clearest seam between each two rows (axis 0) or columns of letters: how clear, the axis, and where."""
    part = grey[region.top : region.bottom, region.left : region.right]
    lines, start = (part, region.top) if axis == 0 else (part.T, region.left)
    at_start, away = (corner.above, corner.down) if axis == 0 else (corner.left, corner.across)
    ends = sorted((one.top, one.bottom) if axis == 0 else (one.left, one.right) for one in labels)
    strengths = seams(lines)
    reached = ends[0][1]
    for low, high in ends[1:]:
        if low > reached:
            begin, end = (max(reached, low - away), low) if at_start else (reached, min(low, reached + away))
            between = strengths[begin - start : end - start + 1]
            best = float(between.max())
            if best >= CLEAR:
                clearest = np.flatnonzero(between >= best)
                yield best, axis, begin + int(clearest[len(clearest) // 2])
        reached = max(reached, high)


def in_one_corner(panels: Sequence[Region], labels: Sequence[Label]) -> bool:
    """Whether every panel has its letter near the same corner."""
    sides = []
    for panel, one in zip(panels, labels, strict=True):
        tall, wide = _CORNER * (panel.bottom - panel.top), _CORNER * (panel.right - panel.left)
        down = (one.top - panel.top <= tall, panel.bottom - one.bottom <= tall)
        sides.append((*down, one.left - panel.left <= wide, panel.right - one.right <= wide))
    above, below, left, right = (all(side) for side in zip(*sides, strict=True))
    return (above or below) and (left or right)
