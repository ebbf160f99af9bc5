"""What a search for identifiers answers: where in a text something stands and of which kind, never what it says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from sources.records import PhiKind

VERSION = 7
"""Raised when the same text may be redacted in another way."""

Kind = PhiKind
KINDS: tuple[Kind, ...] = get_args(Kind)
PLACEHOLDERS: dict[Kind, str] = {kind: f"[{kind.upper()}]" for kind in KINDS}
"""What stands in a redacted text where an identifier was."""


@dataclass(frozen=True, order=True)
class Span:
    """Characters `start:stop` of a text, and what kind of identifier they are."""

    start: int
    stop: int
    kind: Kind


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, without overlaps: of those that share characters the union, with the longest one's kind."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start < found[-1].stop:
            last = found[-1]
            longer = span if span.stop - span.start > last.stop - last.start else last
            found[-1] = Span(last.start, max(last.stop, span.stop), longer.kind)
        else:
            found.append(span)
    return found


def redacted(text: str, spans: Sequence[Span]) -> str:
    """The text with a placeholder for each span; they must not overlap."""
    parts, place = [], 0
    for span in sorted(spans):
        parts += [text[place : span.start], PLACEHOLDERS[span.kind]]
        place = span.stop
    return "".join([*parts, text[place:]])
