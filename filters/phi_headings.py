"""Names that a heading of a form or a report tells: `Patient: ...`, `Dictated by: ...`, `Surname  ...`."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from filters.phi_capitals import ORDINARY
from filters.phi_shapes import (
    ALL_CAPS,
    CAPS,
    FULL,
    INITIAL,
    LISTED,
    LOWER,
    PARTICLE,
    TOKEN,
    is_common_only,
    is_no_name,
    trimmed,
)
from filters.phi_spans import Span
from filters.phi_words import GIVEN_NAMES, MEDICAL_ENDINGS, NOBODY, RELATIVES, ROLES, TITLES
from filters.surnames import SURNAMES

_NAME_OF = (
    r"(?:patient|pt\.?)(?:['\u2019]s)?\s+name|(?:first|last|given|family|middle|maiden|full|legal)\s+name|surname|"
    r"forename"
)
_DONE_BY = (
    r"(?:(?:electronically|digitally)\s+)?(?:co-?|counter-?)?signed(?:\s+(?:by|electronically))?|(?:dictated|transcribed|"
    r"typed|reported|reviewed|read|verified|requested|ordered|referred|performed|seen|approved|interpreted|authenticated|"
    r"supervised|prepared|entered|finali[sz]ed) by"
)
CUE = (
    rf"\b(?i:{_NAME_OF}|patient|pt\.?|name|{_DONE_BY}|(?:referring|requesting|ordering|admitting|treating|consulting) "
    r"(?:physician|doctor|provider|clinician|md)|attending(?: physician)?|radiologist|physician|clinician|surgeon|"
    r"sonographer|technologist|operator|consultant|author|provider|primary care (?:physician|provider)|pcp|gp|"
    r"next of kin|emergency contact|guardian|cc)"
)
"""Headings behind which people stand."""
_ROLE = rf"\b(?i:{'|'.join(sorted(RELATIVES | ROLES, key=len, reverse=True))})"
_VALUE = rf"(?=(?:{TITLES})?({LISTED}|{ALL_CAPS}|(?:{PARTICLE}\s+)?{FULL}|{CAPS}\b))"
"""Only looked at, since the next heading may be taken for a part of it (`Last name: Doe First name: Jane`)."""
_CUED = re.compile(rf"({CUE}|{_ROLE})(?:\s*[:\uff1a=]|\s+[-\u2013]\s)\s*{_VALUE}")
_IN_A_FORM = re.compile(
    rf"\b((?i:{_NAME_OF}))(?:[^\S\r\n]*[|\t][^\S\r\n]*|[^\S\r\n]{{2,}}|[^\S\r\n]*\n[^\S\r\n]*){_VALUE}"
)
"""Without a colon: between cells, or on the line below."""
_HEADED = re.compile(rf"\b((?i:(?:patient\s+)?name))\s+({CAPS},\s*{CAPS}(?:\s+{INITIAL}(?![\w]))?)")
_ENDED = re.compile(
    r"\s*(?:[,.;)|\d(/]|\n|$)|\s{2,}|\s+[A-Z]\.?\s*(?:[,(\n]|$)|\s+(?i:mrn|dob|age|sex|id|gender|date|md|m\.d)\b"
)
_HEADING = re.compile(r"\b([A-Za-z]+)\.?\s?:")
_LINE_ENDED = re.compile(r"[^\S\n]*(?:\n|$)|\s{2,}|,?\s+(?i:mrn|dob|age|sex|id|gender|date|md|m\.d)\b|[,;(]?\s*\d")
_WHO_SPEAK = RELATIVES | ROLES | {"patient", "pt"}
_SAID = frozenset({"Good", "Long", "Small", "Short", "Back", "Foot", "Hand", "Low", "High"})
"""What stands behind `Patient:` in a dialogue or a form and is no name."""
_LIKE_NAMES = frozenset({"ment", "ness", "ella", "gram", "omas", "oses", "esis"})
"""Of the endings of medicine those that surnames have (`Ingram`, `Moses`)."""
_UNLIKE_NAMES = (
    *(ending for ending in MEDICAL_ENDINGS if len(ending) > 3 and ending not in _LIKE_NAMES),
    *("ology", "surgery", "iatry", "iatrics", "medicine"),
)
"""How drugs, diseases and departments end, and hardly a name."""


def names_behind_headings(text: str, *, capitals: bool = False) -> Iterator[Span]:
    """The names that stand behind headings. `capitals`: any word of the text may have one."""
    small: frozenset[str] | None = None
    spoken: frozenset[str] = frozenset()
    for pattern in (_CUED,) if capitals else (_CUED, _IN_A_FORM, _HEADED):
        for match in pattern.finditer(text):
            span = trimmed(text, *match.span(2), line=not capitals, surname=True)
            if span is None or is_no_name(text, span, cued=True):
                continue
            if small is None:
                small, spoken = frozenset(_SMALL.findall(text)), _speakers(text)
            heading = match.group(1).lower().removesuffix(".")
            said = heading in _WHO_SPEAK and _is_speech(text, span, dialogue=heading in spoken)
            if not said and _is_person(text, span, heading, small):
                yield span


_SMALL = re.compile(rf"(?<![\w'\u2019-])[{LOWER}]{{3,}}")


def _is_person(text: str, span: Span, heading: str, small: frozenset[str]) -> bool:
    """Whether what stands behind a heading is somebody: not `Consultant: Neurology`, `CC: Dizziness`."""
    words = TOKEN.findall(text[span.start : span.stop])
    if is_common_only(text, span):
        return _ENDED.match(text, span.stop) is not None and text[span.start : span.stop] not in _SAID
    if is_known(words):
        return True
    unlike = [word.lower().endswith(_UNLIKE_NAMES) or word.lower() in ORDINARY for word in words]
    if is_nobody(words) or all(unlike):
        return False
    if heading in RELATIVES:  # of whose diseases, too, records tell
        return len(words) > 1 and not any(unlike)
    # behind `CC:` stands what a patient complains of, too
    return len(words) > 1 or (words[0].lower() not in small and heading != "cc")


def is_known(words: Sequence[str]) -> bool:
    """Whether one of the words is a common name."""
    return any(word.title() in GIVEN_NAMES or word.upper() in SURNAMES for word in words)


def is_nobody(words: Sequence[str]) -> bool:
    """Whether words where a name is expected are a department, a state, or the beginning of an answer."""
    return next((word for word in words if len(word) > 1), "").lower() in NOBODY


def _speakers(text: str) -> frozenset[str]:
    """The headings behind which people may speak, in small letters: any that comes twice, `Doctor:` and `Patient:`."""
    counts = Counter(heading.lower() for heading in _HEADING.findall(text))
    of_two = counts["doctor"] > 0 and counts["patient"] > 0
    return frozenset(heading for heading, number in counts.items() if number > 1 or of_two)


def _is_speech(text: str, span: Span, *, dialogue: bool) -> bool:
    """Whether what stands behind a heading begins what somebody says (`Patient: Walking hurts.`).

    `dialogue`: there only what fills its line, as no sentence does, and `DOE, JANE` are names.
    """
    said = text[span.start : span.stop]
    if dialogue:
        return not ("," in said and said.isupper()) and _LINE_ENDED.match(text, span.stop) is None
    words = TOKEN.findall(said)
    if text[span.stop : span.stop + 1] in ("'", "\u2019"):
        return True
    return len(words) < 2 and not is_known(words) and _ENDED.match(text, span.stop) is None
