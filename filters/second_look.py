"""A second look at what the detector nominated and the reader did not explain: each line alone, enlarged.

The reader finds lines by a network of its own, which overlooks small ones, faint ones and those at the rim. Here the
detector's lines are cut out and read without it: 25 ms each.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from filters.burned_in import Box, Grey
from filters.ocr import LINE_PX, Line, read_lines
from filters.phi_writing import TEXTURE, Writing, kind_by_marks

VERSION = 1

EXPLAINED = 0.8
"""Share of a line's width that is read, and how sure the reader is of it, from which on it is not read again."""
MOST_LINES = 24
"""Looked at again in one picture, the longest for their height first: textures have many short ones."""
TALLEST_PX = 48
"""Larger writing was not overlooked."""
LEAST_ASPECT = 2
"""Width over height: two letters name nobody, and upright lines are turned by the reader, not here."""
MARGIN = (0.6, 0.2)
"""What is cut out beside a line, and above and below it, in its heights."""
LONGEST_PX = 1600
"""Of an enlarged line."""


def looked_again(grey: Grey, nominated: Sequence[Box], lines: Sequence[Line], timeout_s: float) -> list[Writing]:
    """What identifies somebody by its own marks, in lines that were nominated and are not among the lines read.

    Raises:
        OcrError: as `read_lines`.
    """
    boxes = doubtful(nominated, lines)
    if not boxes:
        return []
    strip, places = _strip(grey, boxes)
    found = []
    for box, (text, confidence) in zip(boxes, read_lines(strip, places, timeout_s), strict=True):
        kind = kind_by_marks(text) if confidence >= TEXTURE else None
        if kind is not None:
            found.append(Writing(box, kind, len(text)))
    return found


def doubtful(nominated: Sequence[Box], lines: Sequence[Line]) -> list[Box]:
    """The lines to be read again: nominated and not explained, or read unsurely; pieces of one row are one line."""
    unsure = [line.box for line in lines if line.confidence < EXPLAINED]
    wanted = [box for box in nominated if _explained(box, lines) < EXPLAINED] + unsure
    wanted = [box for box in wanted if box.bottom - box.top <= TALLEST_PX and _aspect(box) >= LEAST_ASPECT]
    rows: list[Box] = []
    for box in sorted(wanted, key=lambda one: (one.left, one.top, one.right, one.bottom)):
        place = next((number for number, row in enumerate(rows) if _is_one_row(row, box)), None)
        if place is None:
            rows.append(box)
        else:
            row = rows[place]
            rows[place] = Box(
                row.left, min(row.top, box.top), max(row.right, box.right), max(row.bottom, box.bottom)
            )  # fmt: skip
    return sorted(rows, key=lambda one: (-_aspect(one), one.top, one.left))[:MOST_LINES]


def _aspect(box: Box) -> float:
    return (box.right - box.left) / max(box.bottom - box.top, 1)


def _is_one_row(row: Box, box: Box) -> bool:
    """Whether a box goes on with a row that begins left of it."""
    heights = sorted((row.bottom - row.top, box.bottom - box.top))
    shared = min(row.bottom, box.bottom) - max(row.top, box.top)
    return shared > 0.5 * heights[0] and heights[1] <= 2 * heights[0] and box.left - row.right <= heights[1]


def _explained(box: Box, lines: Sequence[Line]) -> float:
    """The share of its width over which surely read lines stand on it."""
    columns = np.zeros(box.right - box.left, bool)
    for line in lines:
        shared = min(line.box.bottom, box.bottom) - max(line.box.top, box.top)
        if line.confidence >= EXPLAINED and shared > 0.4 * min(line.box.bottom - line.box.top, box.bottom - box.top):
            columns[max(line.box.left - box.left, 0) : max(line.box.right - box.left, 0)] = True
    return float(columns.mean())


def _strip(grey: Grey, boxes: Sequence[Box]) -> tuple[Grey, list[Box]]:
    """The lines one below the other, each LINE_PX high, and where each is."""
    cut = [_enlarged(grey, box) for box in boxes]
    strip = np.zeros((LINE_PX * len(cut), max(one.shape[1] for one in cut)), np.uint8)
    places = []
    for number, one in enumerate(cut):
        top = LINE_PX * number
        strip[top : top + LINE_PX, : one.shape[1]] = one
        places.append(Box(0, top, one.shape[1], top + LINE_PX))
    return strip, places


def _enlarged(grey: Grey, box: Box) -> Grey:
    """A line with its margins; beyond the picture's rim these are of the level around it."""
    height, width = grey.shape
    beside, above = (int(share * (box.bottom - box.top)) + 1 for share in MARGIN)
    part = grey[
        max(box.top - above, 0) : min(box.bottom + above, height),
        max(box.left - beside, 0) : min(box.right + beside, width),
    ]
    level = int(np.median(np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])))
    missing = (
        max(above - box.top, 0), max(box.bottom + above - height, 0),
        max(beside - box.left, 0), max(box.right + beside - width, 0),
    )  # fmt: skip
    whole = cv2.copyMakeBorder(part, *missing, cv2.BORDER_CONSTANT, value=[level])
    scale = LINE_PX / whole.shape[0]
    size = (min(max(round(whole.shape[1] * scale), 1), LONGEST_PX), LINE_PX)
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return cv2.resize(whole, size, interpolation=method).astype(np.uint8, copy=False)
