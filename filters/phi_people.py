"""Names told by the people around them: relatives, roles, who did what to whom, letters, labels."""

import re
from collections.abc import Iterator

from filters.phi_capitals import ORDINARY
from filters.phi_headings import is_known, is_nobody
from filters.phi_shapes import CAPS, COMMA, FULL, INITIAL, NAME, SEVERAL, TOKEN, is_no_name, small_words, trimmed
from filters.phi_spans import Span
from filters.phi_words import GIVEN_NAMES, MEDICAL_ENDINGS, NOT_A_NAME, RELATIVES, ROLES, TITLES

_FOUND = rf"({COMMA}(?=\s+[a-z]|[.;)]|\n|$)|{FULL}(?![\w-])(?![^\S\n]+[A-Z0-9]))"
_BESIDE = re.compile(
    rf"\b([a-zé]+|[A-Z][a-zé]+|GP|PCP|RN|NP)(?=(?:,|\s+is|\s+named|\s+called)?"
    rf"(?:[^\S\n]+|[^\S\n]*\n[^\S\n]*)(?:{TITLES})?{_FOUND})"
)
"""`Her daughter Jane`, `physical therapist Jane Doe`: where the first word is a relative or a role."""
_SECOND = re.compile(
    rf"\b{TITLES}{FULL}(?:\s?/\s?|\s+(?:and|&|or)\s+)({NAME})(?![\w-])(?![^\S\n]+(?:[A-Z]|(?:(?:was|were|is) )?"
    r"(?:given|held|started|stopped|administered|ordered|prescribed|infused)))"
)
"""`Dr. Doe and Roe`."""
_SIGNED = re.compile(
    r"(?i:\b(?:yours (?:sincerely|faithfully|truly)|sincerely(?: yours)?|(?:kind(?:est)?|best|warm|with) regards|"
    r"regards|best wishes|many thanks|cordially|respectfully),?)\s+"
    rf"(?:{TITLES})?({FULL})(?=[^\S\n]*+(?:[,.]?[^\S\n]*+(?:\n|$)|,?\s*(?i:M\.?D|MBBS|FRCR|FRCS|RN|Ph\.?D)\b))"
)
"""Below a letter."""
_DOING = re.compile(r"\s+[a-z]|\s*[.\n]|\s*$")
_ENCLOSED = re.compile(rf"\b([a-zé]+|[A-Z][a-zé]+)(?=\s?\(\s*(?:{TITLES})?({COMMA}|{FULL})\s*[),;])")
"""`Patient (Jane Doe)`."""
_PAPERS = (
    r"(?:images?|films?|slides?|scans?|x-?rays?|radiographs?|specimens?|records?|charts?|cases?|care|consent|admission|"
    r"discharge|transfer|mother|father|parents?|wife|husband|son|daughter|sister|brother|family) of"
)
_BEFORE = (
    r"(?:stud(?:y|ies)|reports?|results?|those|that|name|request|visit|review|history|birth|death|evaluation|examination)"
    r" of|by|to|with|for|per|than|via|named|see|saw|met|call|called|contacted|notified|informed|paged|asked|told|"
    r"examined|evaluated|counsell?ed|admitted|discharged|regarding|about"
)
_IN_FULL = rf"({SEVERAL}|{COMMA}(?=,|\s+[a-z]|[.;)]))"
_MEANT = re.compile(
    r"(?:\b(?i:according to|belongs? to|belonging to|referring|meeting|thank|thanking|courtesy of|on behalf of)\s+|"
    rf"\bI,\s+)(?:{TITLES})?{_IN_FULL}"
)
"""A full name where hardly anything but a person can stand."""
_IN_PLACE = re.compile(
    rf"\b(?i:seeing|book|(?:transferred|referred|handed over) to|{_PAPERS})\s+{_IN_FULL}|"
    rf"(?:(?:^|[.:;,(]\s+)(?:[A-Z][a-z]+\s+)?(?i:{_BEFORE})|\b[a-z]{{2,}}\s+(?:{_BEFORE}))\s+({SEVERAL})"
)
"""A full name where a person may stand."""
_DONE_BY = re.compile(
    r"\b(?i:protocol+ed|authenticated|dictated|transcribed|typed|presented|read|reported|signed|co-?signed|"
    r"counter-?signed|verified|approved|interpreted|requested|ordered|referred|accompanied|assisted|seen|staffed|"
    r"supervised|scrubbed|performed|obtained|administered|witnessed|consented|intubated|delivered|completed|reviewed|"
    rf"discussed|spoke|spoken)\s+(?:by|with|to)\s*:?\s+(?:{TITLES})?{_FOUND}"
)
_CALLED = re.compile(
    r"\b(?i:name is|names are|goes by|answers to|prefers(?: to be called)?|nicknamed?|alias|a\.k\.a\.|aka|n[ée]e|"
    r"(?:name of|under the name(?: of)?)(?: the)?(?: patient)?|"
    rf"label+ed(?: as| with)?(?: the name)?:?)\s+[\"'\u201c\u2018]?(?:{TITLES})?({COMMA}|{CAPS},\s*{CAPS}|{FULL})"
    rf"(?![\w-])"
)
_GREETED = re.compile(
    rf"(?:\b[Dd]ear\s+(?!Sirs?\b|Madam\b|Colleagues?\b|Parents?\b|Editor\b)({FULL})(?=\s*[,:!\n]|$))|"
    rf"(?:^|\n|[.;] )[ \t]*(?i:re|regarding|attn|attention|on call|assistants?|first assistant|surgeons?)[ \t]*:[ \t]*"
    rf"((?:{INITIAL}[ \t]*){{0,3}}(?:{COMMA}|{CAPS},\s*{CAPS}|{FULL}))"
)
"""`Dear Jane,`, `Re: Jane Doe`."""
_NEWBORN = re.compile(
    rf"\b(?:[Bb]aby|[Ii]nfant|[Nn]ewborn)\s+(?:(?:[Bb]oy|[Gg]irl)\s+)?(?:of\s+)?({NAME})(?=\s+[a-z(]|[.,])"
)
_OWNED = re.compile(
    rf"\b({FULL})['\u2019]s?\s+(?:case|chart|mother|father|parents|wife|husband|son|daughter|sister|brother|family|"
    r"partner|records?|results?|care|visit|appointment|history|symptoms|pain|condition|films?|scans?|images|"
    r"medications?|wound|recovery|surgery|(?:chest|last|first|previous|prior) (?:film|visit|scan|study|x-ray))\b"
)
"""`We discussed Jane's case`."""
_DOES = re.compile(
    rf"(?:^|(?<=[.:;!?]\s)|(?<=\n))({FULL}|{COMMA}),?\s+(?:is an? (?:\d|\w+-year|very |pleasant |delightful )|"
    r"(?:was|has been|is being) (?:extubated|intubated|admitted|discharged|seen|transferred|counsell?ed|informed|"
    r"advised|referred|taken to|brought|started on|told|asked|doing|feeling|able to|unable to|born|married|present)|"
    r"(?:did|does|will|would|could|can) not (?:attend|want|wish|have|report|feel|take|remember|smoke|drink)|"
    r"(?:reports|reported|denies|denied|states|stated|complains|complained|lives|attended|underwent|tolerated|returned|"
    r"presented|presents|came|agrees|agreed|consented|accepted|requested|asked|declined|refused|walks|works|smokes|"
    r"feels|felt|says|said|told|called|phoned|and (?:his|her) (?:wife|husband|partner|mother|father|family))\b)"
)
"""At the beginning of a sentence, what only people do; one word alone is believed, too."""
_HEADER = re.compile(
    rf"(?:^|(?<=\n))[ \t]*({CAPS},[ \t]*{CAPS}[ \t]+{INITIAL}|{NAME},[ \t]*{NAME}(?:[ \t]+{INITIAL})?"
    rf"(?=[ \t]+(?:[-\u2013(]|(?:MRN|DOB|D\.O\.B|Age|Sex)\b|\d{{1,3}}[ -]?(?:[MFymf]\b|yo|year))))(?![\w])"
)
"""`DOE, JANE R`, `Doe, Jane - visit`, `Doe, Jane 45F`, on a line of their own."""

ACTS = re.compile(
    r",?\s+(?:is an? \d|was (?:seen (?:in clinic|by|today|for)|admitted|informed|referred|discharged|told|asked)|"
    r"reports|reported|denies|denied|presented|presents|states|stated|complains|complained|returned|underwent|lives)\b"
)
"""What only people do."""
_CERTAIN = (_ENCLOSED, _CALLED, _GREETED, _SIGNED)
"""Where these stand is a name unless its words are known to be none."""
_LIKELY = (_BESIDE, _SECOND, _MEANT, _IN_PLACE, _DONE_BY, _NEWBORN, _OWNED, _DOES, _HEADER)
"""What stands here may be a thing, too: of these every word must be one that may be a name."""
_LONG_ENDINGS = tuple(ending for ending in MEDICAL_ENDINGS if len(ending) > 3)
_PLACES = frozenset(
    """
    New North South East West Northern Southern Eastern Western United Saudi Hong Los Las San Santa Sao Sri Cape Costa
    Puerto Buenos Great Mount Lake Fort Port Rio Kuala Abu Tel
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
"""How places of several words begin."""


def told_by_people(text: str, *, capitals: bool = False) -> Iterator[Span]:
    """Names that the people around them tell. `capitals`: any word of the text may have one."""
    for pattern in _CERTAIN:
        for match in pattern.finditer(text):
            span = trimmed(text, *match.span(match.lastindex or 0), line=True)
            words = [] if span is None else TOKEN.findall(text[span.start : span.stop])
            if span is None or is_nobody(words) or any(word.lower() in ROLES for word in words):
                continue
            if _is_beside_people(match) and not is_no_name(text, span, cued=True):
                yield span
    small: frozenset[str] | None = None
    for pattern in (_MEANT, _DOES, _BESIDE) if capitals else _LIKELY:
        for match in pattern.finditer(text):
            acts = not capitals or pattern is not _BESIDE or ACTS.match(text, match.end(match.lastindex or 0))
            if not acts or not _is_beside_people(match) or _is_beside_letters(text, match):
                continue
            if small is None:
                small = small_words(text)
            yield from _first_named(text, match, small)


def _is_beside_people(match: re.Match[str]) -> bool:
    """Whether the word that the name stands beside is one for people, where the pattern takes any."""
    if match.re not in (_BESIDE, _ENCLOSED):
        return True
    word = match.group(1).lower()
    return word in RELATIVES or word in ROLES or (match.re is _ENCLOSED and word in ("patient", "pt", "client"))


def _is_beside_letters(text: str, match: re.Match[str]) -> bool:
    """Whether `GP`, `RN` and the like stand beside what is none of theirs: `RN Notified`, `PCP, Eliquis held`."""
    if match.re is not _BESIDE or not match.group(1).isupper():
        return False
    words = TOKEN.findall(match.group(2))
    return not is_known(words) and ("," in text[match.start() : match.start(2)] or not _DOING.match(text, match.end(2)))


def _first_named(text: str, match: re.Match[str], small: frozenset[str]) -> Iterator[Span]:
    """What was matched, or else its first line if it has several words, where that may be a name."""
    start, stop = match.span(match.lastindex or 0)
    first, broken, _ = text[start:stop].partition("\n")
    shorter = [Span(start, start + len(first.rstrip()), "name")] if broken and " " in first else []
    for span in (Span(start, stop, "name"), *shorter):
        cued = match.re in (_BESIDE, _DONE_BY, _SECOND)
        if _may_be_named(text, span, small, relative=match.re is _BESIDE, cued=cued):
            yield span
            return


def _may_be_named(text: str, span: Span, small: frozenset[str], *, relative: bool, cued: bool) -> bool:
    """Whether words where a person's name may stand are one: none is an ordinary word, here (`small`) or elsewhere.

    `relative`: beside a relative a given name is one, if an eponym, too (`his wife Ahmed`); `cued`: as in `is_no_name`.
    """
    words = [word for word in TOKEN.findall(text[span.start : span.stop]) if len(word) > 1 and word[0].isupper()]
    if not words or all(word.isupper() and len(word) < 4 for word in words) or words[0] in _PLACES:
        return False
    if any(word.title() in NOT_A_NAME or word.lower() in ORDINARY or word.lower() in small for word in words):
        return False
    if is_nobody(words):
        return False
    if any(word.lower().endswith(_LONG_ENDINGS) for word in words) or all(
        word.lower().endswith(MEDICAL_ENDINGS) and word not in GIVEN_NAMES for word in words
    ):
        return False
    if relative and all(word.title() in GIVEN_NAMES for word in words):
        return re.match(r"['\u2019]", text[span.stop : span.stop + 1]) is None
    return not is_no_name(text, span, cued=cued)
