"""Letters that name the panels of a figure: A, B, C ... or a, b, c ... of one size, white or black, in a grid.

No text recognition: pieces of one level of a letter's size that stand alone (brackets may be beside them) are compared
with letters rendered in five faces (`benchmarks/panel_glyphs.py` makes that file). What makes it safe is that letters
must come in order from the first one, in one size, each beside or below an earlier one: L and R on a film are none.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from sources.shipped import usable

Grey = npt.NDArray[np.uint8]
Scores = npt.NDArray[np.float32]

GLYPHS = Path(__file__).parent / "data" / "panel_glyphs.npz"
_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_CASES = ("ABCDEFGHIJKL", "abcdefgh")
"""In order; of the small letters those that are of one piece (i is two)."""
_SAME = ("Il", "I1")
_OF_THE_TALL = {"a": 0.73, "c": 0.73, "e": 0.73, "g": 0.95}
"""Heights of small letters, b being 1, in the faces that are compared with."""
_BELOW_LINE = {"g": 0.22}

_WHITE, _BLACK = (225, 165), (90, 30)
"""A letter is looked for from these levels up or down: thin ones are never quite white or black."""
_SMALLEST_PX, _LARGEST = 7, 0.12
"""Height of a letter, the largest of the figure's longer side."""
_MOST = 150
"""Pieces like letters in one level: where there are more they are cells, grain or text."""
_ALIKE, _ALIKE_ON_AVERAGE = 0.74, 0.80
"""Correlation with a letter as drawn, of each letter and of all of a figure (small JPEGs reach 0.75)."""
_BETTER = 0.03
"""By how much another character may be more alike."""
_SIDE = 16
_EXACT = 1024


class Label(NamedTuple):
    """A letter (0 is A or a), how sure it is (at most 1), and its place in pixels, ends exclusive."""

    letter: int
    score: float
    top: int
    bottom: int
    left: int
    right: int


def panel_labels(grey: Grey, least: int) -> list[list[Label]]:
    """Runs of two or more letters in order from A or a, `least` pixels apart at least; the likeliest one first.

    A run is of one case and one polarity, and each of its letters is in the row or the column of an earlier one.

    Raises:
        PackageError: the letters as drawn cannot be read.
    """
    runs = []
    for bright, levels in ((True, _WHITE), (False, _BLACK)):
        shown = grey if bright else 255 - grey
        pieces = [piece for level in levels for piece in _pieces(shown, level if bright else 255 - level)]
        if len(pieces) < 2:
            continue
        scores = _scores(pieces)
        runs += [_run(_candidates(pieces, scores, case), least, case) for case in _CASES]
    sure = [run for run in runs if len(run) > 1 and _total(run) >= _ALIKE_ON_AVERAGE * len(run)]
    return sorted(sure, key=lambda run: (-len(run), -_total(run)))


def _total(run: Sequence[Label]) -> float:
    return sum(one.score for one in run)


class _Piece(NamedTuple):
    top: int
    bottom: int
    left: int
    right: int
    levels: npt.NDArray[np.float32]


def _pieces(shown: Grey, level: int) -> Iterator[_Piece]:
    """Connected pieces from `level` up of the size and shape of a letter that stands alone, and their grey levels."""
    _, marked, stats, _ = cv2.connectedComponentsWithStats((shown >= level).view(np.uint8), connectivity=8)
    left, top, width, height, area = stats[1:].T
    longer = max(shown.shape)
    share = area / (width * height)
    glyph = (
        (height >= _SMALLEST_PX) & (height <= _LARGEST * longer) & (width >= 0.15 * height) & (width <= 1.4 * height)
    )
    glyph &= (share >= 0.15) & (share <= 0.85 + 0.15 * (width < 0.4 * height))
    glyph &= (left > 0) & (top > 0) & (left + width < shown.shape[1]) & (top + height < shown.shape[0])
    wanted = np.flatnonzero(glyph)
    others = np.flatnonzero((height >= 5) & (height <= 1.6 * _LARGEST * longer) & (width <= 2.5 * height))
    if not 0 < len(wanted) <= 2 * _MOST or len(others) > 8 * _MOST:
        return
    wanted = wanted[_alone(stats[1:], wanted, others)]
    if len(wanted) > _MOST:
        return
    for index in wanted:
        low, high, begin, end = top[index], top[index] + height[index], left[index], left[index] + width[index]
        own = cv2.dilate((marked[low:high, begin:end] == index + 1).view(np.uint8), np.ones((3, 3), np.uint8))
        levels = shown[low:high, begin:end].astype(np.float32)
        yield _Piece(int(low), int(high), int(begin), int(end), (levels - levels.min()) * own)


def _alone(
    stats: npt.NDArray[Any], wanted: npt.NDArray[np.intp], others: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Which of the wanted pieces have none of like height beside them in their line, but for a pair of brackets."""
    left, top, width, height = (column[wanted][:, None] for column in stats[:, :4].T)
    left_2, top_2, width_2, height_2 = (column[others][None] for column in stats[:, :4].T)
    overlap = np.minimum(top + height, top_2 + height_2) - np.maximum(top, top_2)
    gap = np.maximum(left - left_2 - width_2, left_2 - left - width)
    beside = (overlap >= 0.6 * np.minimum(height, height_2)) & (gap < 0.6 * height)
    beside &= (height_2 >= 0.5 * height) & (height_2 <= 2 * height) & (wanted[:, None] != others[None])
    bracket = (width_2 <= 0.45 * height_2) & (height_2 >= height)
    alone: npt.NDArray[np.bool_] = ~(beside & ~bracket).any(axis=1) & ((beside & bracket).sum(axis=1) <= 2)
    return alone


@cache
def _drawn() -> tuple[Scores, Scores, npt.NDArray[np.intp]]:
    """Characters as drawn: T x 256, the logarithm of width by height, and which character, in order.

    Raises:
        PackageError: their file is missing or damaged.
    """
    with usable("letters of panels", GLYPHS), np.load(GLYPHS, allow_pickle=False) as data:
        glyphs = data["glyphs"].reshape(-1, _SIDE * _SIDE).astype(np.float32)
        return _normed(glyphs), np.log(data["aspects"]), data["characters"].astype(np.intp)


def _normed(rows: Scores) -> Scores:
    """Rows of mean 0 and length `_EXACT`, as whole numbers: their products are exact in any order of adding."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    whole: Scores = np.rint(_EXACT * rows / length).astype(np.float32)
    return whole


def _scores(pieces: Sequence[_Piece]) -> Scores:
    """N x 62: how much each piece is like each character, at most 1."""
    drawn, aspects_drawn, characters = _drawn()
    size = (_SIDE, _SIDE)
    rows = np.stack([cv2.resize(one.levels, size, interpolation=cv2.INTER_AREA).ravel() for one in pieces])
    alike = _normed(rows.astype(np.float32)) @ drawn.T / _EXACT**2
    aspects = np.log([(one.right - one.left) / (one.bottom - one.top) for one in pieces])
    alike -= 0.5 * np.clip(np.abs(aspects[:, None] - aspects_drawn[None]) - 0.2, 0, None)
    starts = np.flatnonzero(np.diff(characters, prepend=-1))
    scores = np.zeros((len(pieces), len(_CHARACTERS)), np.float32)
    scores[:, characters[starts]] = np.maximum.reduceat(alike, starts, axis=1)
    return scores


@cache
def _rivals(letter: str) -> list[int]:
    """The characters that a letter must be told from."""
    others = enumerate(_CHARACTERS)
    return [at for at, other in others if other.lower() != letter.lower() and letter + other not in _SAME]


def _candidates(pieces: Sequence[_Piece], scores: Scores, case: str) -> list[list[Label]]:
    """For each letter of a case the places where it may be, the likeliest first."""
    found = []
    for number, letter in enumerate(case):
        own = scores[:, _CHARACTERS.index(letter)]
        like = np.flatnonzero((own >= _ALIKE) & (own >= scores[:, _rivals(letter)].max(axis=1) - _BETTER))
        places: list[Label] = []
        for index in like[np.argsort(-own[like], kind="stable")]:
            one = Label(number, float(own[index]), *pieces[index][:4])
            if not any(abs(one.top - other.top) + abs(one.left - other.left) < 6 for other in places):
                places.append(one)
        found.append(places)
    return found


def _run(candidates: Sequence[Sequence[Label]], least: int, case: str) -> list[Label]:
    """The longest run of letters from the first one on; of equal ones the likeliest."""
    best: list[Label] = []
    for first in candidates[0]:
        run = [first]
        for places in candidates[1:]:
            fitting = [one for one in places if _follows(run, one, least, case)]
            if not fitting:
                break
            run.append(fitting[0])
        if (len(run), _total(run)) > (len(best), _total(best)):
            best = run
    return best


def _follows(run: Sequence[Label], one: Label, least: int, case: str) -> bool:
    """Whether a letter may be the next: of the same size, after all earlier ones, in the row or column of one."""
    size = sum(_size(other, case) for other in run) / len(run)
    if abs(_size(one, case) - size) > max(1.5, 0.12 * size):
        return False
    slack = max(0.5 * size, 4)
    aligned = False
    for other in run:
        down = _line(one, case) - _line(other, case)
        across = (one.left + one.right - other.left - other.right) / 2
        before = (down < -slack and across < slack) or (down < slack and across < -slack)
        if before or max(abs(down), abs(across)) < least:
            return False
        aligned |= abs(down) <= slack or abs(across) <= slack
    return aligned


def _size(one: Label, case: str) -> float:
    """Height in pixels that a capital or a b of the same writing has."""
    return (one.bottom - one.top) / _OF_THE_TALL.get(case[one.letter], 1.0)


def _line(one: Label, case: str) -> float:
    """The row that the letter stands on."""
    return one.bottom - _BELOW_LINE.get(case[one.letter], 0.0) * _size(one, case)
