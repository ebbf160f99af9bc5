"""Names that a heading of a form or a report tells: `Patient: ...`, `Dictated by: ...`, `Surname | ...`."""

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
    MORE,
    NAME,
    PARTICLE,
    TOKEN,
    is_common_only,
    is_no_name,
    small_words,
    trimmed,
)
from filters.phi_spans import Span
from filters.phi_words import AFTER_EPONYM, GIVEN_NAMES, MEDICAL_ENDINGS, NOBODY, NOT_A_NAME, RELATIVES, ROLES, TITLES
from filters.surnames import SURNAMES, WORD_SURNAMES

_NAME_OF = (
    r"(?:patient|pt\.?)(?:['\u2019]s)?[\s_]+name|(?:first|last|given|family|middle|maiden|full|legal)[\s_]+name|surname|"
    r"forename"
)
_DONE_BY = (
    r"(?:(?:electronically|digitally)\s+)?(?:co-?|counter-?)?signed(?:\s+(?:by|electronically))?|(?:dictated|transcribed|"
    r"typed|reported|reviewed|read|verified|requested|ordered|referred|performed|seen|approved|interpreted|authenticated|"
    r"supervised|prepared|entered|finali[sz]ed) by|(?:patient|physician|provider|electronic) signature"
)
CUE = (
    rf"\b(?i:{_NAME_OF}|patient|pt\.?|name|{_DONE_BY}|(?:referring|requesting|ordering|admitting|treating|consulting) "
    r"(?:physician|doctor|provider|clinician|md)|attending(?: physician)?|radiologist|physician|clinician|"
    r"surgeon(?:\(s\))?|sonographer|technologist|operator|consultant|author|provider|"
    r"primary care (?:physician|provider)|next of kin|nok|emergency contact|guardian|cc)"
)
"""Headings behind which people stand."""
_ROLE = rf"\b(?i:{'|'.join(sorted(RELATIVES | ROLES, key=len, reverse=True))})"
_MARKUP = r"(?:[*_\"]{1,2}|</?\w{1,6}>)"
_FIRST_IN_CAPITALS = rf"{CAPS}(?:{MORE}{NAME}(?![\w'\u2019-]|\s*:)){{1,2}}"
_VALUE = rf"(?=(?:{TITLES})?({LISTED}|{_FIRST_IN_CAPITALS}|{ALL_CAPS}|(?:{PARTICLE}\s+)?{FULL}|{CAPS}\b))"
"""Only looked at, since the next heading may be taken for a part of it (`Last name: Doe First name: Jane`)."""
_CUED = re.compile(rf"({CUE}|{_ROLE}){_MARKUP}{{0,3}}\s?[:\uff1a]\s*+(?:{_MARKUP}{{1,3}}\s*+)?{_VALUE}")
_DASHED = re.compile(rf"({CUE})\s+[-\u2013]\s+{_VALUE}")
_NO_HEADING = (
    r"(?!(?i:(?:first|last|given|family|middle|maiden|preferred|surname|forename|guardian|ward|consent|telephone)\b))"
)
_IN_A_FORM = re.compile(
    rf"\b((?i:{_NAME_OF}))(?:\s?=\s?\"?|[ ]*+[|\t][^\S\r\n]*+|</td>\s*+<td>|[^\S\r\n]{{2,}}+|[^\S\r\n]*+\n[^\S\r\n]*+)"
    rf"{_NO_HEADING}{_VALUE}"
)
"""Without a colon: between cells, or on the line below."""
_IN_A_CELL = re.compile(
    rf"\b((?i:patient|name))(?:\s?=\s?\"?|[ ]*+[|\t][^\S\r\n]*+|</td>\s*+<td>){_NO_HEADING}{_VALUE}"
)
"""The heading of a column in any table, too."""
_HEADED = re.compile(rf"\b((?i:(?:patient\s+)?name))\s+({CAPS},\s*{CAPS}(?:\s+{INITIAL}(?![\w]))?)")

_NEXT_FIELD = r"(?i:mrn|dob|d\.o\.b|age|sex|id|gender|date|md|m\.d|rn|rt|aged)\b"
_ENDED = re.compile(
    rf"\s*+(?:[,.;)|\d(/\[<#&\":*\u2013\u2014-]|\n|$)|\s{{2,}}|\s+(?:[A-Z]|{_NEXT_FIELD}|"
    r"(?:at|on|was|with|presented|presents|reviewed|signed|admitted|by|male|female)\b)"
)
_PREDICATE = re.compile(r"\s+(?:is|has|had|and|in|to|from|seen|fell|arrived|came|went|c/o|reports|denies|complains)\b")
_NO_SUBJECT = ("ing", "ly", "ed")
"""How words end that begin a sentence and are no name (`Walking is hard`)."""
_MARK_OR_END = re.compile(r"\s*(?:[,.;)|]|\n|$)")
_LINE_ENDED = re.compile(
    rf"[^\S\n]*+(?:\n|$|[|\[<#\u2013\u2014-])|\s{{2,}}|[,;(]*\s*(?:\d|{_NEXT_FIELD})|\s*\([A-Z]|\s+\w+:"
)
"""What follows a name that fills its line or its field, as no sentence does."""
_SENTENCE_ENDED = re.compile(r"\.?\s*(?:\n|$)")
_HEADING = re.compile(r"\b([A-Za-z]+)\.?\s?:")
_SPEECH = re.compile(r"\?|\bI(?:['\u2019]\w+)?\s|\b[Yy]ou\b")
_ASKED = re.compile(r"\b(?:name\b[^\n]*|who\b[^.?\n]*\?\s*)\n[^\n]*$", re.IGNORECASE)
_WHO_SPEAK = RELATIVES | {"patient", "pt", "doctor", "nurse", "physician", "clinician", "therapist"}
_SAID = frozenset({"Good", "Long", "Small", "Short", "Back", "Foot", "Hand", "Low", "High"})
"""What stands behind `Patient:` in a dialogue or a form and is no name."""
_LESS_SURE = RELATIVES | frozenset(
    """
    gp pcp np rn employer donor recipient interpreter translator student worker scribe therapist resident officer
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
"""Headings behind which other things stand as often: diseases, states, a language."""
_UNITS = frozenset({"ED", "ER", "ICU", "OR", "OT", "PT"})
"""Departments by their letters; in small ones some are names and words."""
_LIKE_NAMES = frozenset(
    """
    ment ness ella gram omas oses esis pathy amine caine parin toin terol sone
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
"""Of the endings of medicine those that surnames have (`Ingram`, `Moses`, `Tripathy`)."""
_UNLIKE_NAMES = (
    *(ending for ending in MEDICAL_ENDINGS if len(ending) > 3 and ending not in _LIKE_NAMES),
    *("ology", "surgery", "iatry", "iatrics", "medicine"),
)
"""How drugs, diseases and departments end, and hardly a name."""


def names_behind_headings(text: str, *, capitals: bool = False) -> Iterator[Span]:
    """The names that stand behind headings. `capitals`: any word of the text may have one."""
    small: frozenset[str] | None = None
    dialogue: frozenset[str] = frozenset()
    for pattern in (_CUED,) if capitals else (_CUED, _DASHED, _IN_A_FORM, _IN_A_CELL, _HEADED):
        for match in pattern.finditer(text):
            span = trimmed(text, *match.span(2), line=not capitals, surname=True)
            if span is None or is_no_name(text, span, cued=True):
                continue
            if small is None:
                small, dialogue = small_words(text), _speakers(text)
            heading = "CC" if match.group(1) == "CC" else match.group(1).lower().removesuffix(".")
            said = heading in _WHO_SPEAK and _is_speech(text, span, dialogue=heading in dialogue)
            sure = pattern is not _IN_A_CELL and heading not in _LESS_SURE
            if not said and _is_person(text, span, heading, small, sure=sure):
                yield span


def _is_person(text: str, span: Span, heading: str, small: frozenset[str], *, sure: bool) -> bool:
    """Whether what stands behind a heading is somebody: not `Consultant: Neurology`, `CC: Dizziness`."""
    said = text[span.start : span.stop]
    words = TOKEN.findall(said)
    if is_common_only(text, span):
        return sure and _MARK_OR_END.match(text, span.stop) is not None and said not in _SAID
    if is_known(words):
        return words[-1].lower() not in AFTER_EPONYM
    if is_nobody(words) or all(_is_unlike(word) for word in words):
        return False
    if not sure:
        return _is_name_alone(text, span, words, heading)
    # of what a patient complains stands behind `CC:`
    return len(words) > 1 or (words[0].lower() not in small and heading != "CC")


def _is_name_alone(text: str, span: Span, words: Sequence[str], heading: str) -> bool:
    """Whether behind a heading of which little can be said stands a name and nothing else."""
    if "," in text[span.start : span.stop]:
        return heading not in RELATIVES and len(words) > 1 and not any(_is_unlike(word) for word in words)
    unlike = any(_is_unlike(word) or word.lower() in ROLES or (word.isupper() and len(word) < 5) for word in words)
    ended = _LINE_ENDED.match(text, span.stop) is not None
    return (len(words) > 1 or heading in ("gp", "pcp", "rn", "np")) and not unlike and ended


def is_known(words: Sequence[str]) -> bool:
    """Whether one of the words is a common name."""
    return any(word.title() in GIVEN_NAMES or word.upper() in SURNAMES for word in words)


def is_nobody(words: Sequence[str]) -> bool:
    """Whether words where a name is expected are departments, states, or the beginning of an answer."""
    long = [word for word in words if len(word) > 1]
    unlike = (word in _UNITS or word.lower() in NOBODY or word.lower().endswith(_UNLIKE_NAMES) for word in long)
    return bool(long) and all(unlike)


def _is_unlike(word: str) -> bool:
    """Whether a word is hardly a part of a name."""
    lower = word.lower()
    common = lower in ORDINARY or (word.title() in NOT_A_NAME and lower not in WORD_SURNAMES)
    return common or is_nobody([word])


def _speakers(text: str) -> frozenset[str]:
    """The headings behind which people speak, in small letters: of texts in which somebody asks or says I."""
    if _SPEECH.search(text) is None:
        return frozenset()
    counts = Counter(heading.lower() for heading in _HEADING.findall(text))
    of_two = counts["doctor"] > 0 and counts["patient"] > 0
    return frozenset(heading for heading, number in counts.items() if number > 1 or of_two)


def _is_speech(text: str, span: Span, *, dialogue: bool) -> bool:
    """Whether what stands behind a heading begins what somebody says (`Patient: Walking hurts.`)."""
    said = text[span.start : span.stop]
    words = TOKEN.findall(said)
    if text[span.stop : span.stop + 1] in ("'", "\u2019"):
        return True
    if not dialogue:
        ended = _ENDED.match(text, span.stop) or (_PREDICATE.match(text, span.stop) and not said.endswith(_NO_SUBJECT))
        return len(words) < 2 and not is_known(words) and not ended
    if ("," in said and said.isupper()) or _LINE_ENDED.match(text, span.stop):
        return False
    asked = _ASKED.search(text, max(span.start - 200, 0), span.start) is not None
    whole = len(words) > 1 and _SENTENCE_ENDED.match(text, span.stop) is not None
    return not (asked or whole) or any(_is_unlike(word) for word in words)
