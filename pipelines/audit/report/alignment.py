"""Two texts side by side: what only one of them says is marked, what both say at length is left out."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from pipelines.report.examples import excerpt

COMPARED = 4000
"""Characters of a text that are compared; longer ones are told by their beginning."""
AROUND = 60
"""Characters of the text before and after what was found."""
LONGEST_SAME, KEPT_OF_SAME = 160, 60
"""A longer passage that both texts have is shown by so many of its first and last characters."""
LONGEST_MARKED = 240
PIECES = 24
"""Pieces of a text that are shown."""
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """Part of a text. `marked`: the other text does not have it."""

    text: str
    marked: bool = False


@dataclass(frozen=True)
class Passage:
    """What was found of one side: in which of its fields, what stands before and after it, and the text in pieces."""

    field: str
    before: str
    pieces: tuple[Piece, ...]
    after: str


@dataclass(frozen=True)
class Aligned:
    """The same passage in the data and in the eval item."""

    ours: Passage
    theirs: Passage
    same: bool
    """No word differs: at most case, punctuation, spaces and line breaks do."""


def aligned(ours: tuple[str, str, int, int], theirs: tuple[str, str, int, int]) -> Aligned:
    """Compare two spans, each given as name of the field, its text, and start and stop in code points."""
    one, other = (_span(text, start, stop) for _, text, start, stop in (ours, theirs))
    pieces = difference(one, other)
    same = not any(piece.marked and re.search(r"\w", piece.text) for side in pieces for piece in side)
    sides = [
        Passage(name, _before(text, start), shown, _after(text, stop))
        for (name, text, start, stop), shown in zip((ours, theirs), pieces, strict=True)
    ]
    return Aligned(sides[0], sides[1], same)


def difference(one: str, other: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces; words are compared without regard to case, spaces not at all."""
    tokens = [list(_TOKEN.finditer(text)) for text in (one, other)]
    words = [[match.group().casefold() for match in found] for found in tokens]
    marks = [[True] * len(found) for found in words]
    if words[0] == words[1]:
        marks = [[False] * len(found) for found in words]
    else:
        for block in SequenceMatcher(None, words[0], words[1], autojunk=False).get_matching_blocks():
            marks[0][block.a : block.a + block.size] = [False] * block.size
            marks[1][block.b : block.b + block.size] = [False] * block.size
    first, second = (
        _pieces(text, found, marked) for text, found, marked in zip((one, other), tokens, marks, strict=True)
    )
    return first, second


def _pieces(text: str, tokens: list[re.Match[str]], marks: list[bool]) -> tuple[Piece, ...]:
    runs: list[tuple[bool, int, int]] = []
    for match, marked in zip(tokens, marks, strict=True):
        if runs and runs[-1][0] == marked:
            runs[-1] = (marked, runs[-1][1], match.end())
        else:
            runs.append((marked, match.start(), match.end()))
    pieces: list[Piece] = []
    last = 0
    for marked, start, stop in runs[:PIECES]:
        if start > last:
            pieces.append(Piece(text[last:start]))
        pieces.append(_shortened(text[start:stop], marked=marked))
        last = stop
    if len(runs) > PIECES:
        pieces.append(Piece(" …"))
    return tuple(pieces)


def _shortened(text: str, *, marked: bool) -> Piece:
    if marked:
        return Piece(text if len(text) <= LONGEST_MARKED else f"{text[:LONGEST_MARKED].rstrip()} …", marked=True)
    if len(text) <= LONGEST_SAME:
        return Piece(text)
    head, tail = text[:KEPT_OF_SAME].rpartition(" ")[0], text[-KEPT_OF_SAME:].partition(" ")[2]
    return Piece(f"{head or text[:KEPT_OF_SAME]} […] {tail or text[-KEPT_OF_SAME:]}")


def _span(text: str, start: int, stop: int) -> str:
    return excerpt(text[max(start, 0) : max(stop, 0)], COMPARED)


def _before(text: str, start: int) -> str:
    head = text[max(start - AROUND, 0) : max(start, 0)]
    return ("…" if start > AROUND else "") + excerpt(head, AROUND) + (" " if head[-1:].isspace() else "")


def _after(text: str, stop: int) -> str:
    tail = text[max(stop, 0) : max(stop, 0) + AROUND]
    blank = " " if tail[:1].isspace() else ""
    return blank + excerpt(tail, AROUND) + ("…" if len(text) > stop + AROUND else "")
