"""Seams: lines from side to side where one panel ends and the next begins without a gutter between them."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from sources.pictures.panel_labels import Label

Grey = npt.NDArray[np.uint8]


class Box(NamedTuple):
    """Top, bottom, left and right (exclusive ends) in pixels."""

    top: int
    bottom: int
    left: int
    right: int


CLEAR = 0.45
_CORNER = 0.3
_EVERY = 3
_STEP = 14
_DARK, _LIGHT = 24, 235
_EMPTY = 0.97
_SEEN = 0.1
_BESIDE = 9


def seams(part: Grey) -> npt.NDArray[np.float32]:
    """For each row of a part, 0 to 1: how much of the line above it is a step, beyond what is usual beside it.

    Where both sides are black or both are white there is nothing to see: a line with nothing else is a seam (1).
    """
    part = np.ascontiguousarray(part[:, ::_EVERY])
    height, width = part.shape
    found = np.zeros(height, np.float32)
    if height < 4:
        return found
    near = cv2.absdiff(part[2:-1], part[1:-2])
    far = cv2.absdiff(part[3:], part[:-3])
    step = cv2.max(near, far) > _STEP
    darkest = cv2.max(cv2.max(part[:-3], part[1:-2]), cv2.max(part[2:-1], part[3:])) <= _DARK
    lightest = cv2.min(cv2.min(part[:-3], part[1:-2]), cv2.min(part[2:-1], part[3:])) >= _LIGHT
    empty = (np.count_nonzero(darkest, axis=1) + np.count_nonzero(lightest, axis=1)) / width
    share = np.count_nonzero(step, axis=1) / width / np.maximum(1 - empty, _SEEN)
    padded = np.pad(share, _BESIDE, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _BESIDE + 1)
    usual = np.median(windows, axis=1)
    found[2:-1] = np.where(empty >= _EMPTY, 1, np.clip(share - usual, 0, 1))
    return found


def may_be_touching(grey: Grey, least: int) -> bool:
    """Whether any line across the whole figure, `least` pixels from its edges, may be a seam."""
    return any(
        (seams(part)[least:-least] >= CLEAR).any() for part in (grey, grey.T) if len(part) > 2 * least
    )


def cut_between(grey: Grey, region: Box, labels: Sequence[Label]) -> list[Box] | None:
    """The region cut along seams, again and again, until each part has one label; none where no seam parts two."""
    if len(labels) == 1:
        return [region]
    top, bottom, left, right = region
    part = grey[top:bottom, left:right]
    cuts = []
    for axis, lines, start in ((0, part, top), (1, part.T, left)):
        ends = sorted((one.top, one.bottom) if axis == 0 else (one.left, one.right) for one in labels)
        strengths: npt.NDArray[np.float32] | None = None
        reached = ends[0][1]
        for low, high in ends[1:]:
            if low > reached:
                strengths = seams(lines) if strengths is None else strengths
                between = strengths[reached - start : low - start + 1]
                best = float(between.max())
                if best >= CLEAR:
                    near = np.flatnonzero(between >= best)
                    cuts.append((best, axis, reached + int(near[len(near) // 2])))
            reached = max(reached, high)
    for _, axis, at in sorted(cuts, key=lambda cut: (-cut[0], cut[1:])):
        before = [one for one in labels if (one.top if axis == 0 else one.left) < at]
        after = [one for one in labels if one not in before]
        ends_ = ((top, at, left, right), (at, bottom, left, right)) if axis == 0 else ((top, bottom, left, at), (top, bottom, at, right))
        first, second = (cut_between(grey, Box(*end), of) for end, of in zip(ends_, (before, after), strict=True))
        if first is not None and second is not None:
            return first + second
    return None


def in_one_corner(panels: Sequence[Box], labels: Sequence[Label]) -> bool:
    """Whether every panel has its label near the same corner."""
    sides = []
    for panel, one in zip(panels, labels, strict=True):
        tall, wide = panel.bottom - panel.top, panel.right - panel.left
        sides.append(
            (
                (one.top - panel.top) <= _CORNER * tall,
                (panel.bottom - one.bottom) <= _CORNER * tall,
                (one.left - panel.left) <= _CORNER * wide,
                (panel.right - one.right) <= _CORNER * wide,
            )
        )
    above, below, left, right = (all(side) for side in zip(*sides, strict=True))
    return (above or below) and (left or right)
