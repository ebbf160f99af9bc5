"""Copies of a text as rules and the model read it: plain digits, hyphens and letters, and nothing that nobody sees.

Rules are written for ASCII signs. What a person reads as the same (full-width or Arabic digits, a non-breaking hyphen,
an accent that stands behind its letter, a soft hyphen in a name) is the same in the copy, which knows where its
characters stand in the text.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from filters.phi_shapes import LOWER, UPPER
from filters.phi_spans import Span

_GAP = "\u200b"
"""In a copy in the making: a character that nobody sees."""
_HYPHENS = "\u2010\u2011\u2043\ufe63\uff0d"
_UNSEEN = "\u034f\u115f\u1160\u3164\uffa0"
"""Fillers and joiners that Unicode counts among letters and marks."""
_KEPT_FORMS = ("<super>", "<sub>", "<circle>")
"""`10\u00b2` is not 102."""
_DASH = re.compile(
    r"(?<=\d)[\u2012\u2013\u2212]|(?<=\d )[\u2012\u2013\u2212]|[\u2012\u2013\u2212](?= ?\d)|"
    r"(?<=\d)[\u2014\u2015](?=\d)|(?<=\d )[\u2014\u2015](?= \d)"
)
"""A dash beside a number: it joins (`2019\u201303\u201314`, `MRN\u2013123456`) or parts (`3/4/19\u2013home`)."""
_INSIDE = re.compile(rf"\S{_GAP}+\S")
_LATIN = frozenset(UPPER + LOWER)
_MOST_MARKS = 30
"""Behind one letter that are composed with it: more no language needs (Unicode Standard Annex 15, Stream-Safe Text
Format), and their ordering takes quadratic time."""


@dataclass(frozen=True)
class Copy:
    """A text to be searched; its character n is characters `starts[n]:stops[n]` of the original."""

    text: str
    starts: Sequence[int]
    stops: Sequence[int]

    def placed(self, spans: Iterable[Span]) -> Iterator[Span]:
        """Spans of the copy as spans of the original."""
        for span in spans:
            yield Span(self.starts[span.start], self.stops[span.stop - 1], span.kind)


def copies(text: str) -> list[Copy]:
    """What is to be searched in place of a text: itself where it is ASCII.

    What nobody sees may part two words or stand in the middle of one, and a dash beside a number may join or part:
    there are copies for both then.
    """
    if text.isascii():
        return [_as_it_stands(text)]
    return [_composed(copy) for seen in _seen(text.translate(_PLAIN)) for copy in _dashed(seen)]


def plain(text: str) -> str:
    """The first of a text's copies, for values that are sought in others."""
    return copies(text)[0].text


def _as_it_stands(text: str) -> Copy:
    return Copy(text, range(len(text)), range(1, len(text) + 1))


def _seen(plain: str) -> Iterator[Copy]:
    """The text without what nobody sees; where that stands between two characters, with blanks for it, too."""
    if _GAP not in plain:
        yield _as_it_stands(plain)
        return
    kept = [place for place, character in enumerate(plain) if character != _GAP]
    yield Copy(plain.replace(_GAP, ""), kept, [place + 1 for place in kept])
    if _INSIDE.search(plain):
        yield _as_it_stands(plain.replace(_GAP, " "))


def _dashed(copy: Copy) -> Iterator[Copy]:
    """The copy with hyphens for dashes beside numbers; where there are some, as it is, too."""
    hyphened = _DASH.sub("-", copy.text)
    yield Copy(hyphened, copy.starts, copy.stops)
    if hyphened != copy.text:
        yield copy


def _composed(copy: Copy) -> Copy:
    """The copy with one character for a letter and its accents, or for a Korean syllable, where Unicode has one.

    Marks that do not become one with a Latin letter, a digit or what else is ASCII are left out.
    """
    begins = [place for place, character in enumerate(copy.text) if not _goes_on(character) or not place]
    if len(begins) == len(copy.text) and unicodedata.is_normalized("NFC", copy.text):
        return copy
    parts: list[str] = []
    starts: list[int] = []
    stops: list[int] = []
    for start, stop in zip(begins, [*begins[1:], len(copy.text)], strict=True):
        composed = min(stop, start + 1 + _MOST_MARKS)
        part = unicodedata.normalize("NFC", copy.text[start:composed]) + copy.text[composed:stop]
        if part[0].isascii() or part[0] in _LATIN:
            part = part[0] + "".join(character for character in part[1:] if not unicodedata.combining(character))
        parts.append(part)
        starts += [copy.starts[start]] * len(part)
        stops += [copy.stops[stop - 1]] * len(part)
    return Copy("".join(parts), starts, stops)


def _goes_on(character: str) -> bool:
    """Whether a character may be one with the one before it: accents, vowels and finals of Korean syllables."""
    return unicodedata.combining(character) > 0 or "\u1160" <= character <= "\u11ff"


class _Plain(dict[int, str]):
    """One plain character for each, as `str.translate` asks for it."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _plain_character(chr(code))
        return found


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf" or character in _UNSEEN or unicodedata.name(character, "").startswith("VARIATION SELECTOR"):
        return _GAP
    if character in _HYPHENS:
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if unicodedata.decomposition(character).startswith(_KEPT_FORMS):
        return character
    alike = unicodedata.normalize("NFKC", character)
    return alike if len(alike) == 1 else character


_PLAIN = _Plain()
