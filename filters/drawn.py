"""What shows that a program drew a picture, and no camera or scanner made it: for rules about junk pictures."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from filters.burned_in import Grey

LOOKED_AT = 768
"""Pixels of the longer side: larger pictures are averaged by a whole factor first."""
MOST_PIXELS = 0.95
"""Share of the pixels that the grey levels counted hold."""
MOST_INSIDE = 0.75
"""Share of the pixels inside the marks that the grey levels counted hold."""
INSIDE_PX = 2
"""How far from the edge of a mark its inside begins: a letter's softened edge, and what JPEG adds, are no inside."""
INK = 24
"""Grey levels by which a mark differs from the commonest one."""
LEAST_MARK_PX = 4
LINE = 1 / 12
"""Of the longer side: shorter edges are letters."""
_EVEN, _STEP = 2, 4
"""Levels by which neighbours along an edge differ at most (JPEG), and by which its two sides differ at least."""


class DrawnMarks:
    """Fills `levels`, `marks` and `ruled`.

    `levels`: how many grey levels hold 95 % of the pixels, the commonest first, or 75 % of those inside the marks where
    that is more (cells on a dark ground); `marks`: how many separate things stand on the commonest level; `ruled`:
    length of the level and upright edges that are even on both sides, over half the circumference.
    """

    name = "drawn"
    version = 2
    fields = ("levels", "marks", "ruled")
    whole = True

    def measure(self, grey: Grey, picture: Image.Image) -> Mapping[str, Any]:  # noqa: ARG002 - protocol's
        """The values of `fields`."""
        factor = max(max(picture.size) // LOOKED_AT, 1)
        return marks_of(np.asarray(picture.reduce(factor) if factor > 1 else picture))


def marks_of(grey: Grey) -> dict[str, Any]:
    """`levels`, `marks` and `ruled` of H x W grey levels."""
    counts = np.bincount(grey.ravel(), minlength=256)
    ink = (cv2.absdiff(grey, np.full_like(grey, int(counts.argmax()))) > INK).astype(np.uint8)
    inside = cv2.erode(ink, np.ones((2 * INSIDE_PX + 1,) * 2, np.uint8)) > 0
    levels = max(_levels(counts, MOST_PIXELS), _levels(np.bincount(grey[inside], minlength=256), MOST_INSIDE))
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    marks = int((stats[1:, cv2.CC_STAT_AREA] >= LEAST_MARK_PX).sum())
    least = max(round(LINE * max(grey.shape)), 2)
    length = _ruled(grey, least) + _ruled(np.ascontiguousarray(grey.T), least)
    return {"levels": levels, "marks": marks, "ruled": round(length / sum(grey.shape), 3)}


def _levels(counts: npt.NDArray[np.int64], share: float) -> int:
    """How many grey levels hold so much of the pixels, the commonest first."""
    held = np.cumsum(np.sort(counts)[::-1])
    return int(np.searchsorted(held, share * held[-1])) + 1


def _ruled(grey: Grey, least: int) -> int:
    """Pixels of level edges of `least` and more, even along both sides."""
    if grey.shape[0] < 2 or grey.shape[1] <= least:
        return 0
    even = np.zeros(grey.shape, bool)
    even[:, 1:] = cv2.absdiff(grey[:, 1:], grey[:, :-1]) <= _EVEN
    edge = (cv2.absdiff(grey[1:], grey[:-1]) >= _STEP) & even[1:] & even[:-1]
    lengths = _runs(edge)
    return int(lengths[lengths >= least].sum())


def _runs(marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Lengths of the runs of marked pixels in all rows."""
    padded = np.pad(marked, ((0, 0), (1, 1))).ravel().astype(np.int8)
    steps = np.diff(padded)
    return np.flatnonzero(steps == -1) - np.flatnonzero(steps == 1)
