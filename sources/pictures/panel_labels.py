"""Panel letters burned into a figure: A, B, C ... or a, b, c ..., in one size and polarity, in rows and columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
_GLYPHS = Path(__file__).parent / "data" / "panel_glyphs.npz"
_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_CASES = ("ABCDEFGHIJKL", "abcdefgh")
"""Of the small letters those of one piece: an i is two."""
_LEVELS = ((True, 225), (True, 165), (False, 30), (False, 90))
_SMALLEST, _LARGEST = 7, 0.12
_MOST = 400
_ALIKE = 0.80
_NOT_OTHER = 0.03
_SIDE = 16


class Label(NamedTuple):
    """A letter (0 is A or a) and its place in pixels, ends exclusive."""

    letter: int
    score: float
    top: int
    bottom: int
    left: int
    right: int


def panel_labels(grey: Grey, least: int) -> Iterator[list[Label]]:
    """Runs of letters from A on, at least `least` pixels apart, that may be those of a figure's panels; best first."""
    height, width = grey.shape
    found = []
    for bright in (True, False):
        boxes, pieces = [], []
        for polarity, level in _LEVELS:
            if polarity == bright:
                mask = (grey >= level) if bright else (grey <= level)
                for box, piece in _pieces(mask.view(np.uint8), grey if bright else 255 - grey, max(height, width)):
                    boxes.append(box)
                    pieces.append(piece)
        if len(boxes) < 2:
            continue
        scores = _scores(pieces, np.array([(r - l) / (b - t) for t, b, l, r in boxes]))
        for case in _CASES:
            found.append(_run(_candidates(boxes, scores, case), least, case))
    found = [run for run in found if len(run) > 1]
    yield from sorted(found, key=lambda run: (-len(run), -sum(one.score for one in run)))


def _pieces(mask: npt.NDArray[np.uint8], levels: Grey, longer: int):
    """Connected pieces of the size and shape of a letter that stands alone, and their pixels."""
    count, marked, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    left, top, width, height, area = stats[1:].T
    share = area / np.maximum(width * height, 1)
    of_size = (height >= 5) & (height <= 1.6 * _LARGEST * longer)
    glyph = of_size & (height >= _SMALLEST) & (height <= _LARGEST * longer) & (width >= 0.15 * height) & (width <= 1.4 * height)
    glyph &= (share >= 0.15) & (share <= 0.85 + 0.15 * (width < 0.4 * height))
    glyph &= (left > 0) & (top > 0) & (left + width < mask.shape[1]) & (top + height < mask.shape[0])
    wanted = np.flatnonzero(glyph)
    if not 0 < len(wanted) <= _MOST:
        return
    others = np.flatnonzero(of_size & (width <= 2.5 * height))
    if len(others) > 4 * _MOST:
        return
    alone = _alone(wanted, others, left, top, width, height)
    for index in wanted[alone]:
        t, l, b, r = top[index], left[index], top[index] + height[index], left[index] + width[index]
        own = cv2.dilate((marked[t:b, l:r] == index + 1).astype(np.uint8), np.ones((3, 3), np.uint8))
        part = levels[t:b, l:r].astype(np.float32)
        floor = part.min()
        yield (int(t), int(b), int(l), int(r)), (part - floor) * own


def _alone(wanted, others, left, top, width, height):
    """Whether no piece of like height stands beside a letter in its line, but for brackets."""
    w, o = wanted[:, None], others[None]
    overlap = np.minimum(top[w] + height[w], top[o] + height[o]) - np.maximum(top[w], top[o])
    gap = np.maximum(left[w] - left[o] - width[o], left[o] - left[w] - width[w])
    beside = (overlap >= 0.6 * np.minimum(height[w], height[o])) & (gap < 0.6 * height[w]) & (w != o)
    beside &= (height[o] >= 0.5 * height[w]) & (height[o] <= 2 * height[w])
    bracket = (width[o] <= 0.45 * height[o]) & (height[o] >= height[w])
    return ~(beside & ~bracket).any(axis=1) & ((beside & bracket).sum(axis=1) <= 2)


@cache
def _templates():
    data = np.load(_GLYPHS)
    glyphs = data["glyphs"].reshape(len(data["glyphs"]), -1).astype(np.float32)
    return _normed(glyphs), data["aspects"], data["characters"]


def _normed(rows):
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _scores(pieces, aspects):
    """N x 62: how much each piece is like each character, at most 1."""
    glyphs, of_glyphs, characters = _templates()
    rows = np.stack([cv2.resize(one.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel() for one in pieces])
    alike = _normed(rows) @ glyphs.T
    ratio = aspects[:, None] / of_glyphs[None]
    alike -= np.clip(np.abs(np.log(ratio)) - 0.2, 0, None) * 0.5
    scores = np.zeros((len(pieces), len(_CHARACTERS)), np.float32)
    for character in range(len(_CHARACTERS)):
        of = characters == character
        if of.any():
            scores[:, character] = alike[:, of].max(axis=1)
    return scores


def _candidates(boxes, scores, case):
    """For each letter the pieces that are like it, no other character being more so."""
    best = scores.max(axis=1)
    found = []
    for number, letter in enumerate(case):
        own = np.maximum(scores[:, _CHARACTERS.index(letter)], 0)
        like = np.flatnonzero((own >= _ALIKE) & (own >= best - _NOT_OTHER))
        places = {}
        for index in like[np.argsort(-own[like], kind="stable")]:
            box = boxes[index]
            if not any(abs(box[0] - o[0]) + abs(box[2] - o[2]) < 6 for o in places):
                places[box] = Label(number, float(own[index]), *box)
        found.append(list(places.values()))
    return found


_TALL = {"a": 0.73, "c": 0.73, "e": 0.73, "g": 0.95}


def _run(candidates, least, case):
    best: list[Label] = []
    for a in candidates[0]:
        run = [a]
        for letters in candidates[1:]:
            fitting = [one for one in letters if _follows(run, one, least, case)]
            if not fitting:
                break
            run.append(max(fitting, key=lambda one: (one.score, -one.top, -one.left)))
        if (len(run), sum(one.score for one in run)) > (len(best), sum(one.score for one in best)):
            best = run
    return best


def _em(one, case):
    return (one.bottom - one.top) / _TALL.get(case[one.letter], 1.0)


def _baseline(one, case):
    return one.bottom - (0.22 * _em(one, case) if case[one.letter] == "g" else 0)


def _follows(run, one, least, case):
    """Whether a letter may be the next: of the same size, in the row or column of an earlier one, after all of them."""
    ems = [_em(other, case) for other in run]
    em = sum(ems) / len(ems)
    if abs(_em(one, case) - em) > max(1.5, 0.12 * em):
        return False
    aligned = False
    for other in run:
        down = _baseline(one, case) - _baseline(other, case)
        across = (one.left + one.right - other.left - other.right) / 2
        slack = max(0.5 * em, 4)
        if max(abs(down), abs(across)) < least or (down < -slack and across < slack) or (down < slack and across < -slack):
            return False
        aligned |= abs(down) <= slack or abs(across) <= slack
    return aligned
