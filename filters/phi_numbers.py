"""Numbers and addresses that point at a person: record numbers, phones, e-mail, web and street addresses."""

import re
from collections.abc import Iterator

from filters.phi_spans import Kind, Span

_NOT_PEOPLE = re.compile(
    r"(?:PM(?:ID|C)|NCT|GSE|GSM|NM_|NC_|NP_|XM_|PRJ|SRR|SRP|ERR|ENS[GTP]|CVCL|RRID|ISRCTN|ISBN|ISSN|rs\d|chr|doi|10\.|"
    r"EU|CAS|CHEMBL|ATCC|DSM|UMIN|ChiCTR|CRD|COSM|OMIM|MIM|GO|HP|ORPHA|C0\d|SCTID)",
    re.IGNORECASE,
)
"""How numbers begin that name articles, trials, genes, cells and chemicals."""
_NAMES_BEFORE = re.compile(
    r"(?:PM(?:ID|C)|doi|ISBN|ISSN|NCT|OMIM|MIM|trial|registration|registry|gene(?:\s?ID)?|GenBank|ATCC|grant|project|"
    r"catalog(?:ue)?|cat|lot|protocol|patent|CAS)\b\.?\s*(?:number|no\.?|id|#)?\s*[:#=]?\s*\(?$",
    re.IGNORECASE,
)
_UNIT_AFTER = re.compile(
    r"\s*(?:cells?|copies|IU|U/|units?|reads|bp|base|genomes?|people|persons?|patients|samples|/|%|mg|ml|mL|k?Da|Hz|Pa|"
    r"euros?|dollars?|USD|°|\u00d7|x\s?\d|\.\d)"
)
_CUE = (
    r"\b(?:M\.?R\.?N\.?|med(?:ical)?\.? rec(?:ord)?s?|record|patient\s?(?:id(?:entifier)?|number|no|#)|pat\.?\s?id|pid|"
    r"hospital|accession|acc(?:ession)?(?=\s?[#:])|account|acct|encounter|visit|chart|unit|specimen|exam(?:ination)?|"
    r"study|case|SSN|social security|NHS|medicare|medicaid|insurance|policy|health plan|licen[cs]e|DEA|NPI|serial|"
    r"device|"
    r"passport|member)(?![a-z])"
    r"(?:\s*+(?:(?:number|num|no|nr|id(?:entifier)?)\b\.?|#))?\s*+(?:is|was|of)?\s*+[:#=]?\s*+[:#=]?\s*+"
)
_VALUE = (
    r"((?!(?:on|in|at|of|to|for|from|by|with|was|and|or|per|the|no)\s)[A-Z]{0,4}[-\s/]?\d(?:[\w-]|/(?=\d)|(?<=\d)\s(?=\d{3,})|"
    r"(?<=\d)\s(?=\d\d\b(?!\s*+(?:[cm]?m|m[gl]|kg|y(?:ea)?rs?|years?|y/?o|y|%|x|/|\.\d))))+)"
)
"""In groups, too, of which one of two digits is no measure or age."""
_CUED = re.compile(_CUE + _VALUE, re.IGNORECASE)
_TOO_SHORT = re.compile(r"(?:[A-Z]{0,2}[-\s/]?\d.|\d{1,3}/\d{1,3})", re.IGNORECASE)
"""Two digits behind at most two letters, and two numbers as blood pressures have them."""
_WEAK_CUE = re.compile(
    r"^(?:record|hospital|account|visit|chart|unit|specimen|exam|study|case|device|serial|member)", re.IGNORECASE
)
"""Words that also stand before years, counts and sizes: they need a mark (number, no, #, :) or five digits."""
_BARE_ID = re.compile(r"\bID\s*+(?:number|no\.?)?\s*+[:#]\s*+([A-Z]{0,4}-?\d[\w-]{2,})")
_SPECIMEN = re.compile(r"(?<![\w-])(?:(?:S|SP|SU|SC|CY|GS|HS|SS|BM)-?\d{2}-\d{3,6}|[CNFADH]\d{2}-\d{4,6})(?![\w-])")
"""Accession numbers of pathology: kind, year, number."""
_CJK_ID = re.compile(r"(?:病历号|住院号|门诊号|检查号|身份证号?)\s*[::\uff1a]?\s*([A-Z]{0,3}\d[\dXx-]{3,})")
_PLAIN: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("id", re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")),
    ("id", re.compile(r"(?<![\w.])[0-2](?:\.(?:0|[1-9]\d*)){6,}(?![\w])")),
    ("email", re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")),
    ("url", re.compile(r"\bhttps?://[^\s<>\"')\]]{3,500}|\bwww\.[\w-]+\.[^\s<>\"')\]]{2,500}")),
    ("id", re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])")),
    ("phone", re.compile(r"(?<![\w.-])(?:\+?1[-.\s])?\(\d{3}\)\s*\d{3}[-.\s]?\d{4}(?!\d)")),
    ("phone", re.compile(r"(?<![\w.-])(?:\+?1[-.\s])?[2-9]\d{2}([-.])\d{3}\1\d{4}(?![\w-])")),
    ("phone", re.compile(r"(?<![\w.])\+\d{1,3}[\s.-]?(?:\(?\d{1,4}\)?[\s.-]?){2,5}\d{2,4}(?!\d)")),
    ("phone", re.compile(r"(?<![\w.])0\d{2,4}\s\d{3,4}\s?\d{3,4}(?!\d)")),
)
_CUED_PHONE = re.compile(
    r"\b(?:tele?(?:phone)?|phone|ph|fax|pager|beeper|mobile|cell ?phone|"
    r"call(?:ed|ing)?(?: (?:us|me|back))?(?: (?:at|on))?|"
    r"reached at|contact(?:ed)?(?: at| on)?|extension|ext)\.?\s*+(?:number|no\.?|#)?\s*+[:#]?\s*+"
    r"(\+?\(?\d[\d\s()./-]{4,18}\d)(?!\d)",
    re.IGNORECASE,
)
_SHORT_PHONE = re.compile(
    r"\b(?:(?:pager|beeper|bleep)\.?\s*+(?:number|no\.?|#)?\s*+[:#]?\s*+(\d[\d-]{2,6}\d)|"
    r"(?:(?:call|dial|phone) x|ext(?:ension)?\.?\s?)(\d{4,6}))"
    r"(?![\w-])(?!\.\d)(?!\s*(?:m[lmg]|cc|units?|degrees?|\u00b0))",
    re.IGNORECASE,
)
_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Drive|Lane|Ln|Boulevard|Blvd|Court|Place|Way|Terrace|Close|Crescent|Parkway|"
    r"Pkwy|Highway|Hwy|Square|Circle|Trail|Row|Gardens)"
)
_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|"
    r"W[AIVY])"
)
_TOWN = r"(?:,\s*[A-Z][A-Za-z'\u2019.-]{1,40}(?:\s[A-Z][A-Za-z'\u2019.-]{1,40}){0,2})"
_STREET_WORD = r"[A-Z][A-Za-z'\u2019]{1,40}"
_PLACE_WORD = r"[A-Z][A-Za-z'\u2019.-]{1,40}"
_HOUSE = (
    rf"(?<![\w.,-])\d{{1,5}}[A-Za-z]?,?\s+(?:[NSEW]\.?\s+)?(?:(?:\d{{1,3}}(?:st|nd|rd|th)|{_STREET_WORD})\s+){{1,3}}"
    rf"{_STREET}\b\.?(?:,?\s*(?:Apt|Apartment|Suite|Unit|Flat|#)\.?\s*\w{{1,6}})?{_TOWN}?(?:,?\s*{_STATE})?"
    r"(?:,?\s+\d{5}(?:-\d{4})?|,?\s+[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2})?\b"
)
_NO_STREET = (
    r"(?:mm|cm|m|km|mg|g|kg|ml|l|ug|kda|bp|kb|mhz|hz|ms|sec|min|h|hours?|days?|weeks?|months?|years?|yo|patients?|"
    r"cases?|times|per|of|the|to|in|on|at|and|or|a|an|was|were|is|are|with|by|for|from|each|well|gel)"
)
_ANY_CASE = (
    rf"(?<![\w.,-])\d{{1,5}}[a-z]?,?\s+(?:[nsew]\.?\s+)?(?:(?!{_NO_STREET}\b)[a-z'\u2019]{{2,40}}\s+){{1,3}}"
    r"(?:street|avenue|road|drive|lane|boulevard|court|terrace|crescent|parkway|highway)\b\.?"
    r"(?:,?\s*(?:apt|apartment|suite|unit|flat|#)\.?\s*\w{1,6})?"
    rf"(?:,\s*[a-z'\u2019.-]{{2,40}}(?:\s[a-z'\u2019.-]{{2,40}}){{0,2}},\s*{_STATE})?(?:,?\s+\d{{5}}(?:-\d{{4}})?)?\b"
)
"""Reports without capitals, or all in them, say no more than that a number and a street's word stand together."""
_ADDRESSES = tuple(
    re.compile(pattern)
    for pattern in (
        _HOUSE,
        r"\bP\.?\s?O\.?\s?Box\s+\d{1,6}\b",
        rf"(?<![\w]){_PLACE_WORD}(?:\s{_PLACE_WORD}){{0,2}},\s*{_STATE},?\s+\d{{5}}(?:-\d{{4}})?(?!\d)",
        rf"(?i:{_ANY_CASE})",
    )
)
_LIVES = re.compile(
    r"\b(?:lives? (?:in|at)|living (?:in|at)|resid(?:es|ing|ent)(?: in| at| of)?|native of|home in|address\s*:)\s+"
    r"([A-Z][A-Za-z'\u2019-]{1,40}(?:[\s,]+[A-Z][A-Za-z'\u2019-]{1,40}){0,3})"
)
_HEADED = re.compile(
    r"\bA(?:ddress|DDRESS)\s*:[^\S\n]*((?:(?:Flat|Apt|Unit)\.? )?\d{1,5}[A-Za-z]?,? "
    r"[A-Z](?:[^\n;|:.]|(?<=\b[A-Z][a-z])\.){2,80}?)"
    r"(?=\s*(?:[\n;|.]|\s{2}|\w+\s*:|$))"
)
"""To the end of the line or sentence, which `St.` is not."""
_DIGIT_RUN = re.compile(r"(?<![A-Za-z0-9.,/+=-])(?:[A-Z]{1,3}-?)?\d{6,20}(?![\w-])(?!,\d)")
_MOST_PLAIN_DIGITS = 6
"""A bare run of so many digits may be a count or a magnification; seven and more are taken for a record number."""


def number_spans(text: str) -> Iterator[Span]:
    """Record numbers, phones, e-mail, web and street addresses."""
    for kind, pattern in _PLAIN:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), kind)
    yield from _cued(text)
    for match in _SHORT_PHONE.finditer(text):
        yield Span(*match.span(match.lastindex or 0), "phone")
    yield from _addresses(text)
    for match in (*_SPECIMEN.finditer(text), *_DIGIT_RUN.finditer(text)):
        if (match.re is _SPECIMEN or looks_like_record_number(match.group())) and _stands_alone(text, match):
            yield Span(match.start(), match.end(), "id")


def _addresses(text: str) -> Iterator[Span]:
    for pattern in _ADDRESSES:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), "address")
    for pattern in (_LIVES, _HEADED):
        for match in pattern.finditer(text):
            yield Span(match.start(1), match.end(1), "address")


def looks_like_record_number(word: str) -> bool:
    """Whether a word by itself is taken for a record number: seven digits or more, or six after letters."""
    digits = sum(character.isdigit() for character in word)
    if _NOT_PEOPLE.match(word) or set(word) <= {"0", "-"}:
        return False
    return digits > _MOST_PLAIN_DIGITS or (digits == _MOST_PLAIN_DIGITS and not word[0].isdigit())


def _cued(text: str) -> Iterator[Span]:
    for match in _CUED.finditer(text):
        value = match.group(1)
        if (
            _TOO_SHORT.fullmatch(value)
            or _NOT_PEOPLE.match(value.strip())
            or _NAMES_BEFORE.search(text, max(match.start(1) - 40, 0), match.start(1))
        ):
            continue
        head = text[match.start() : match.start(1)]
        digits = sum(character.isdigit() for character in value)
        marked = re.search(r"[:#=]|\b(?:no|num|number|nr|id)\b", head, re.IGNORECASE) is not None
        if _WEAK_CUE.match(head) and not ((marked and digits >= 4) or digits >= 6):
            continue
        yield Span(match.start(1), match.end(1), "id")
    for pattern in (_BARE_ID, _CJK_ID):
        for match in pattern.finditer(text):
            yield Span(match.start(1), match.end(1), "id")
    for match in _CUED_PHONE.finditer(text):
        if sum(character.isdigit() for character in match.group(1)) >= 6:
            yield Span(match.start(1), match.end(1), "phone")


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    if _UNIT_AFTER.match(text, match.end()):
        return False
    return _NAMES_BEFORE.search(text, max(match.start() - 40, 0), match.start()) is None
