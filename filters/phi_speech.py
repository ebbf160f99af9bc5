"""Names in transcripts of speech, which have no capital letters: by how people address and introduce one another."""

import re
from collections.abc import Iterator

from filters.phi_spans import Span
from filters.phi_words import GIVEN_NAMES, MEDICAL_ENDINGS, NOT_A_NAME

_MOST_CAPITALS = 0.01
_FEWEST_LETTERS = 40
"""A text with so many letters and hardly a capital is a transcript; in others capitals tell names (`phi_names.py`)."""

_COMMON = frozenset(word.lower() for word in NOT_A_NAME) | frozenset(
    """
    there everyone everybody all again how what why who okay ok yes yeah well sir ma'am doctor doc dr mr mrs miss mister
    good great sorry sure right just so um uh here today let let's please can could would will i you it she he we they
    do does did is was are very really still doing feeling going coming nice dragon patient my
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
_NAMES = frozenset(name.lower() for name in GIVEN_NAMES) | {
    "frank",
    "grace",
    "bobby",
    "bill",
    "jack",
    "rose",
    "sue",
    "ray",
}
_ALONE = frozenset(name.lower() for name in GIVEN_NAMES) - {
    "lee",
    "roy",
    "earl",
    "dawn",
    "jean",
    "robin",
    "carol",
    "jesus",
}
"""Given names that are no common words in lower case."""
_WORD = r"[a-z][a-z'\u2019-]{2,}"
_TITLED = re.compile(rf"\b(?:dr|mr|mrs|ms|miss|mister|missus|doctor)\b\s?\.?\s+({_WORD}(?:\s+{_WORD})?)")
_SHORT_TITLED = re.compile(rf"\b(?:[Dd]r|[Mm]rs?)\b\.?\s*({_WORD}(?:\s+{_WORD})?)")
_IMAGING = frozenset(
    (
        "sequence",
        "sequences",
        "scanner",
        "signal",
        "features",
        "technique",
        "suite",
        "spectroscopy",
        "perfusion",
        "system",
        "lesion",
        "lesions",
        "plaque",
        "plaques",
        "contin",
        "arthrograms",
    )
)
"""What follows `mr`, `ms` and `dr` where they are imaging or a disease."""
_GREETED = re.compile(
    rf"\b(?:hi|hello|hey|morning|afternoon|evening|bye|thanks|thank you|okay|alright|welcome|this is|named|"
    rf"(?:next )?patient(?: is)?|name is|name's|seeing|called|meet)\s*,?\s+({_WORD}(?:\s+{_WORD})?)"
)
_GIVEN = re.compile(rf"\b({_WORD})\b(?:\s+({_WORD})(?=\s*[.,?]|\s+(?:is|was|has|here|date)\b))?")


def speech_spans(text: str) -> Iterator[Span]:
    """Names in a transcript, titled ones in any text without capitals; none in a text that has them."""
    letters = sum(character.isalpha() for character in text)
    capitals = sum(character.isupper() for character in text)
    if capitals > _MOST_CAPITALS * letters + 1:
        return
    transcript = letters >= _FEWEST_LETTERS and capitals <= _MOST_CAPITALS * letters
    for match in (_TITLED if transcript else _SHORT_TITLED).finditer(text):
        first = match.group(1).split()[0]
        if first not in _IMAGING and not first.endswith(MEDICAL_ENDINGS):
            yield from _leading(match)
    if not transcript:
        return
    for match in _GREETED.finditer(text):
        if match.group(1).split()[0] in _NAMES:
            yield from _leading(match)
    for match in _GIVEN.finditer(text):
        first, last = match.group(1), match.group(2)
        if first in _ALONE:
            surname = last is not None and last not in _COMMON
            yield Span(match.start(1), match.end(2) if surname else match.end(1), "name")


def _leading(match: re.Match[str]) -> Iterator[Span]:
    """The words of the first group up to the first common one, where there is one."""
    stop = match.start(1)
    for word in re.finditer(r"\S+", match.group(1)):
        if word.group() in _COMMON:
            break
        stop = match.start(1) + word.end()
        if word.group() not in _NAMES:
            break
    if stop > match.start(1):
        yield Span(match.start(1), stop, "name")
