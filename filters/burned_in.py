"""Where a picture may have writing in it: strokes of one brightness, side by side or one above the other. No model.

It nominates; what is written there is for reading (`ocr.py`) to say.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

VERSION = 2

Grey = npt.NDArray[np.uint8]
Edges = npt.NDArray[Any]
"""Whole numbers: left or top edges, widths or heights of marks, one each."""

LONGEST_SIDE = 1600
"""Larger pictures are reduced: writing that is read on them is larger, too."""
SHORTEST_SIDE = 512
"""Smaller ones are enlarged twice: letters of 6 px then have strokes that a morphological opening can tell apart."""
STROKE_PX = 11
"""Strokes are thinner than this; a top-hat with such a window keeps them and nothing broader."""
CONTRASTS = (26, 64)
"""Grey levels that writing stands out by: faint writing, and writing on a busy ground."""
LETTER_PX = (6, 64)
"""Heights of a letter."""
HALVINGS = 2
"""How often a picture is halved and looked at again: letters of 256 px with strokes of 44 px are found so."""
LEAST_SIDE = 64
"""Pictures are not halved below this."""
LEAST_LETTERS = 3
"""Marks on a line from which on it is taken for writing (`LEE`); `L` and `R` alone name nobody."""

NEIGHBOURS = 48
"""Marks to the right that are looked at for the next letter."""
MOST_MARKS = 12_000
"""A picture with more is noise at this contrast, and writing in it is found at the other one or not at all."""


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture in pixels, `right` and `bottom` exclusive."""

    left: int
    top: int
    right: int
    bottom: int


def writing_in(grey: Grey) -> list[Box]:
    """Lines that look like writing in a picture of H x W grey levels, level or upright, top to bottom."""
    small, scale = _scaled(grey)
    height, width = grey.shape
    boxes: set[Box] = set()
    for _ in range(HALVINGS + 1):
        for left, top, right, bottom in _lines_in(small):
            boxes.add(
                Box(
                    max(int(left / scale) - 1, 0),
                    max(int(top / scale) - 1, 0),
                    min(int(np.ceil(right / scale)) + 1, width),
                    min(int(np.ceil(bottom / scale)) + 1, height),
                )
            )
        if min(small.shape) < 2 * LEAST_SIDE:
            break
        half = (small.shape[1] // 2, small.shape[0] // 2)
        small = np.asarray(cv2.resize(small, half, interpolation=cv2.INTER_AREA), np.uint8)
        scale /= 2
    return sorted(boxes, key=lambda box: (box.top, box.left, box.right, box.bottom))


def _lines_in(small: Grey) -> list[Edges]:
    """Left, top, right, bottom of the lines in a picture at one scale."""
    window = cv2.getStructuringElement(cv2.MORPH_RECT, (STROKE_PX, STROKE_PX))
    lines: list[Edges] = []
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        strokes = np.asarray(cv2.morphologyEx(small, operation, window), np.uint8)
        for contrast in CONTRASTS:
            x, y, w, h, area = _marks(strokes, contrast)
            lines += _lines(x, y, w, h, area)
            lines += [line[[1, 0, 3, 2]] for line in _lines(y, x, h, w, area)]
    return lines


def _scaled(grey: Grey) -> tuple[Grey, float]:
    longest, shortest = max(grey.shape), min(grey.shape)
    scale = (
        LONGEST_SIDE / longest
        if longest > LONGEST_SIDE
        else 2.0
        if shortest < SHORTEST_SIDE and longest <= LONGEST_SIDE / 2
        else 1.0
    )
    if scale == 1.0:
        return np.ascontiguousarray(grey), scale
    size = (max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(grey, size, interpolation=method).astype(np.uint8, copy=False), scale


def _marks(strokes: Grey, contrast: int) -> Edges:
    """Left, top, width, height and area of what hangs together at this contrast, one row each."""
    mask = (strokes >= contrast).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return np.asarray(stats[1:]).T


def _lines(x: Edges, y: Edges, w: Edges, h: Edges, area: Edges) -> list[Edges]:
    """Rows of marks: left, top, right, bottom of each."""
    low, high = LETTER_PX
    fill = area / np.maximum(w * h, 1)
    letters = (h >= low) & (h <= high) & (w * 12 >= h) & (area >= 8)
    letters &= np.where(w <= 2 * h + 2, (fill > 0.12) & (fill < 0.97), (w <= 12 * h) & (fill > 0.25) & (fill < 0.75))
    if not 1 <= letters.sum() <= MOST_MARKS:
        return []
    order = np.flatnonzero(letters)
    order = order[np.argsort(x[order], kind="stable")]
    return _chained(x[order], y[order], w[order], h[order])


def _chained(x: Edges, y: Edges, w: Edges, h: Edges) -> list[Edges]:
    """Chains of neighbours of like height on one base line; marks come from left to right."""
    following = _following(x, y, w, h).tolist()
    letters = np.where(w > 2 * h + 2, w / (0.8 * h), 1.0)
    taken = [False] * len(x)
    found = []
    for number in range(len(x)):
        chain, place = [], number
        while place >= 0 and not taken[place]:
            taken[place] = True
            chain.append(place)
            place = following[place]
        if len(chain) > 1 and letters[chain].sum() >= LEAST_LETTERS and h[chain].std() <= 0.35 * h[chain].mean():
            right, bottom = (x[chain] + w[chain]).max(), (y[chain] + h[chain]).max()
            found.append(np.array([x[chain].min(), y[chain].min(), right, bottom], np.int32))
    return found


def _following(x: Edges, y: Edges, w: Edges, h: Edges) -> npt.NDArray[np.int64]:
    """For each mark the next one of its line, or -1: the first to its right that is near, as tall and as low."""
    count = len(x)
    others = np.arange(count)[:, None] + np.arange(1, NEIGHBOURS + 1)[None, :]
    inside = others < count
    others = np.minimum(others, count - 1)
    bottom, middle = y + h, 2 * y + h
    tall = np.maximum(h[others], h[:, None])
    fits = inside & (x[others] <= (x + w + 1.6 * h + 1)[:, None]) & (x[others] >= (x + 0.4 * w)[:, None])
    fits &= tall <= 1.9 * np.minimum(h[others], h[:, None])
    fits &= (np.abs(bottom[others] - bottom[:, None]) <= 0.28 * tall) | (np.abs(y[others] - y[:, None]) <= 0.12 * tall)
    fits &= np.abs(middle[others] - middle[:, None]) <= 0.9 * tall
    first = np.argmax(fits, axis=1)
    rows = np.arange(count)
    return np.where(fits[rows, first], others[rows, first], -1)
