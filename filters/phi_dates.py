"""Dates of days and months, and ages over 89: what 45 CFR 164.514(b)(2)(i)(C) counts as identifiers.

A year alone, a week day, a time of day and an age up to 89 are none.
"""

import re
from collections.abc import Iterator

from filters.phi_spans import Span

_MONTH_NAMES = (
    "January|February|March|April|May|June|July|August|September|October|November|December|"
    "JANUARY|FEBRUARY|MARCH|APRIL|MAY|JUNE|JULY|AUGUST|SEPTEMBER|OCTOBER|NOVEMBER|DECEMBER"
)
_ANY_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_CAPITAL_MONTH = rf"(?:{_MONTH_NAMES}|(?:Jan|Feb|Aug|Sept|Oct|Nov|Dec)\b\.?)"
"""Months that are believed beside a day without a year: short ones that are words (mar, may, sep) are not."""
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_YEAR = r"(?:19|20)\d{2}"
_NO_MEASURE = r"(?!\s*(?:months?|weeks?|days?|hours?|years?|mm|cm|mg|ml|mL|%)\b)(?![\d%])(?!\.\d)"
_BEFORE = r"(?<![\w.,/:+=<>~-])"
"""Of forms that may be a ratio or a measure."""
_FREE = r"(?<![\w./-])(?<!\d,)"
"""Of forms with a whole year, which stand after any mark: `DOB:1956-03-04`, `<date>2019-08-14`."""
_WHOLE = r"(?<![A-Za-z0-9.])(?<!\d,)"
"""Of forms of three numbers, one a whole year: also within a file's name, and at the end of a range."""
_COMPACT = r"(?<![A-Za-z0-9.-])(?:19[2-9]\d|20[0-4]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_SHORT_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_OTHER_MONTH = (
    r"(?:januar|jänner|februar|märz|mai|juni|juli|oktober|dezember|"
    r"janvier|février|fevrier|mars|avril|juin|juillet|août|aout|septembre|octobre|novembre|décembre|decembre|"
    r"enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre|"
    r"gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|"
    r"janeiro|fevereiro|março|marco|maio|junho|julho|setembro|outubro|novembro|dezembro)\b"
)
"""German, French, Spanish, Italian, Portuguese; those spelt as in English are in the list above."""

_PATTERNS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (rf"{_WHOLE}{_YEAR}([-/._]){_MONTH}\1{_DAY}(?![\d])", 0),
        (rf"{_WHOLE}{_DAY}(\s?[-/._]\s?){_DAY}\1{_YEAR}(?!\d)", 0),
        (rf"{_WHOLE}{_YEAR}[-/. ]{_ANY_MONTH}[-/. ]?{_DAY}(?!\d)", re.IGNORECASE),
        (rf"(?<![\w.]){_DAY}{_SHORT_MONTH}(?:{_YEAR}|\d{{2}})(?!\w)", re.IGNORECASE),
        (rf"{_BEFORE}{_DAY}/{_DAY}/\d{{2}}\s?[-\u2013]\s?{_DAY}/{_DAY}/\d{{2}}(?![\d/])", 0),
        (rf"{_FREE}{_DAY}\s?[-\u2013]\s?{_DAY}\s+{_ANY_MONTH}[\s,]*{_YEAR}\b", re.IGNORECASE),
        (rf"\b{_ANY_MONTH}\s+{_DAY}\s?[-\u2013]\s?{_DAY}\s*+,?\s*+{_YEAR}\b", re.IGNORECASE),
        (
            rf"{_FREE}{_DAY}\.?\s*(?:de\s+|der\s+)?(?:{_OTHER_MONTH}|{_ANY_MONTH})\s*(?:de\s+|del\s+)?{_YEAR}\b",
            re.IGNORECASE,
        ),
        (rf"{_FREE}{_DAY}(?:\.|er|º)?\s+(?:de\s+)?{_OTHER_MONTH}", re.IGNORECASE),
        (rf"\b{_OTHER_MONTH}\s+(?:de\s+|del\s+)?{_YEAR}\b", re.IGNORECASE),
        (rf"{_FREE}{_DAY}\.\s+{_CAPITAL_MONTH}", 0),
        (rf"{_BEFORE}(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.\d{{2}}(?![\d.])", 0),
        (rf"(?<=[A-Za-z][:=>]){_DAY}/{_DAY}/\d{{2}}{_NO_MEASURE}(?![/-])", 0),
        (rf"(?:(?<=ompared to )|(?<=ompared with )){_MONTH}/{_DAY}(?=\s*(?:[.;)](?!\d)|$))", 0),
        (rf"{_FREE}(?:0[1-9]|1[0-2])/{_YEAR}(?![\d/])", 0),
        (rf"{_BEFORE}{_DAY}/{_DAY}/\d{{2}}{_NO_MEASURE}(?![/-])", 0),
        (rf"{_BEFORE}(?:0[1-9]|[12]\d|3[01])-(?:0[1-9]|1[0-2])-\d{{2}}{_NO_MEASURE}(?![/-])", 0),
        (
            rf"{_FREE}{_DAY}(?:st|nd|rd|th)?(?:\s+of)?[\s-]*{_ANY_MONTH}[\s,'\u2019-]*(?:{_YEAR}|(?<=['\u2019-])\d{{2}})\b",
            re.IGNORECASE,
        ),
        (rf"{_BEFORE}{_DAY}(?:st|nd|rd|th)\s+(?:of\s+)?{_CAPITAL_MONTH}", 0),
        (rf"{_BEFORE}{_DAY}\s+{_CAPITAL_MONTH}(?!\s+(?:be|have|not|also)\b)", 0),
        (rf"\b{_CAPITAL_MONTH}\s+{_DAY}(?:st|nd|rd|th)?(?:\s*+,?\s*+{_YEAR})?\b{_NO_MEASURE}", 0),
        (rf"\b{_ANY_MONTH}[\s/-]+{_DAY}(?:st|nd|rd|th)?[\s/-]*+,?\s*+{_YEAR}\b", re.IGNORECASE),
        (rf"\b(?:{_ANY_MONTH})[\s,'\u2019/-]+{_YEAR}\b", re.IGNORECASE),
        (rf"{_COMPACT}(?:[T_](?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?(?![A-Za-z0-9-])(?!\.\d)", 0),
        (rf"{_YEAR}\s*年\s*{_MONTH}\s*月(?:\s*{_DAY}\s*[日号])?", 0),
    )
)
_CUED = re.compile(
    r"\b(?:D\.?O\.?B\.?|date of birth|birth ?date|born(?: on)?|dated|date|admitted(?: on)?|discharged(?: on)?|"
    r"dictated(?: on)?|exam(?:ination)? date|study date|seen on|visit(?: on)?|"
    r"date of (?:exam(?:ination)?|study|service|visit|procedure|surgery)|taken on|scanned on)\s*+[:=]?\s*+"
    rf"({_MONTH}[/-]{_DAY}(?:[/-]\d{{2,4}})?|{_DAY}[./-]{_MONTH}(?:[./-]\d{{2,4}})?|\d{{6}}|\d{{8}})(?!\d)(?!\s*[x\u00d7])",
    re.IGNORECASE,
)
_UNIT = r"(?:year|yr|y)s?"
_OLD = r"(?:9\d|1[0-2]\d)"
_OLD_WORDS = (
    r"ninety(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?|"
    r"(?:one|a) hundred(?:(?: and)?[\s-](?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve))?"
)
_AGES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<![\d.,/-])({_OLD})\s?[MF](?=\s+(?:with|who|presents|presenting|presented|s/p|status|h/o|hx|admitted|p/w|w/))",
        rf"\b({_OLD_WORDS})(?=[\s-]+{_UNIT}[\s-]*(?:old|of age))",
        rf"(?<![\d.,/-])({_OLD})(?:[\s-]*{_UNIT}[\s./-]*o(?:ld|\b|\.))",
        rf"(?<![\d.,/-])({_OLD})\s*{_UNIT}\s+of\s+age\b",
        rf"\b(?:aged?|at the age of|age of|age at \w+)\s*+[:=]?\s*+(?:of\s+|is\s+)?(0?{_OLD})(?!\d|[.,]\d|%)",
        rf"(?<![\d.,/-])({_OLD})\s?/\s?[MF](?![\w/])",
        rf"(?<![\d.,/-])({_OLD})\s*(?:岁|歲)",
        rf"(?<![\d.,/-])({_OLD})[\s-]+(?:male|female|man|woman)\b",
    )
)


def date_spans(text: str) -> Iterator[Span]:
    """Dates that say more than a year."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), "date")
    for match in _CUED.finditer(text):
        yield Span(match.start(1), match.end(1), "date")


def age_spans(text: str) -> Iterator[Span]:
    """The numbers of ages from 90 on."""
    for pattern in _AGES:
        for match in pattern.finditer(text):
            yield Span(match.start(1), match.end(1), "age")
