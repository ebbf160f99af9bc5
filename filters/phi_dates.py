"""Dates of days and months, which 45 CFR 164.514(b)(2)(i)(C) counts as identifiers.

A year alone, a week day and a time of day are none.
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
_COUNTED = (
    r"(?!\s+(?:\w+\s)?(?:patients?|cases?|subjects?|samples?|participants?|volunteers?|controls?|people|persons?|men|"
    r"women|children|adults?|infants?|eyes?|lesions?|specimens?|centers?|centres?|hospitals?)\b)"
)
"""What follows a number that is no year (`On 3 December 45 patients`)."""
_BEFORE = r"(?<![\w.,/:+=<>~-])"
"""Of forms that may be a ratio or a measure."""
_FREE = r"(?<![\w./-])(?<!\d,)"
"""Of forms with a whole year, which stand after any mark: `DOB:1956-03-04`, `<date>2019-08-14`."""
_WHOLE = r"(?<![A-Za-z0-9.])(?<!\d,)"
"""Of forms of three numbers, one a whole year: also within a file's name, and at the end of a range."""
_COMPACT = r"(?<![A-Za-z0-9.-])(?:19[2-9]\d|20[0-4]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_SHORT_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_SPELT_MONTH = rf"(?:{_CAPITAL_MONTH}|(?:Mar|Apr|Jun|Jul|Sep|JAN|FEB|MAR|APR|JUN|JUL|AUG|SEPT?|OCT|NOV|DEC)\b\.?)"
_OTHER_MONTH = (
    r"(?:januar|jänner|februar|märz|mai|juni|juli|oktober|dezember|"
    r"janvier|février|fevrier|mars|avril|juin|juillet|août|aout|septembre|octobre|novembre|décembre|decembre|"
    r"enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre|"
    r"gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|"
    r"janeiro|fevereiro|março|marco|maio|junho|julho|setembro|outubro|novembro|dezembro)\b"
)
"""German, French, Spanish, Italian, Portuguese; those spelt as in English are in the list above."""
_EASTERN_YEAR = rf"(?:{_YEAR}|(?:明治|大正|昭和|平成|令和|民國|民国)\s*(?:\d{{1,3}}|元))\s*[年년]"
"""Of our era, of Japanese ones and of the Republic of China."""

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
        (rf"{_FREE}(?:(?:0[1-9]|1[0-2])/{_YEAR}(?![\d/])|(?!1/2000)[1-9]/{_YEAR}(?![\d/]){_COUNTED})", 0),
        (rf"\b{_ANY_MONTH}\s+of\s+{_YEAR}\b", re.IGNORECASE),
        (rf"\b{_SPELT_MONTH}\s?['\u2019]\d{{2}}\b", 0),
        (r"(?<![\w-])(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{2}(?![\w-])", 0),
        (rf"{_BEFORE}{_DAY}/{_DAY}/\d{{2}}{_NO_MEASURE}(?![/-])", 0),
        (rf"{_BEFORE}(?:0[1-9]|[12]\d|3[01])-(?:0[1-9]|1[0-2])-\d{{2}}{_NO_MEASURE}(?![/-])", 0),
        (
            rf"{_FREE}{_DAY}(?:st|nd|rd|th)?(?:\s+of)?[\s-]*{_ANY_MONTH}[\s,'\u2019-]*(?:{_YEAR}|(?<=['\u2019-])\d{{2}})\b",
            re.IGNORECASE,
        ),
        (rf"{_BEFORE}{_DAY}(?:st|nd|rd|th)\s+(?:of\s+)?{_CAPITAL_MONTH}", 0),
        (rf"{_BEFORE}{_DAY}(?:st|nd|rd|th)?\s+{_SPELT_MONTH},?\s+\d{{2}}\b{_NO_MEASURE}{_COUNTED}", 0),
        (rf"{_BEFORE}{_DAY}\s+{_CAPITAL_MONTH}(?!\s+(?:be|have|not|also)\b)", 0),
        (rf"\b{_CAPITAL_MONTH}\s+{_DAY}(?:st|nd|rd|th)?(?:\s*+,?\s*+{_YEAR})?\b{_NO_MEASURE}", 0),
        (rf"\b{_ANY_MONTH}[\s/-]+{_DAY}(?:st|nd|rd|th)?[\s/-]*+,?\s*+{_YEAR}\b", re.IGNORECASE),
        (rf"\b(?:{_ANY_MONTH})[\s,'\u2019/-]+{_YEAR}\b", re.IGNORECASE),
        (rf"{_COMPACT}(?:[T_](?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?(?![A-Za-z0-9-])(?!\.\d)", 0),
        (rf"{_EASTERN_YEAR}\s*{_MONTH}\s*[月월](?:\s*{_DAY}\s*[日号號일])?", 0),
        (rf"(?<!\d){_MONTH}\s*(?:月\s*{_DAY}\s*[日号號]|월\s*{_DAY}\s*일)", 0),
    )
)
_DIGIT = re.compile(r"\d")
_CUED = re.compile(
    r"\b(?:D\.?O\.?B\.?|date of birth|birth ?date|born(?: on)?|dated|date|admitted(?: on)?|discharged(?: on)?|"
    r"dictated(?: on)?|exam(?:ination)? date|study date|seen on|visit(?: on)?|"
    r"date of (?:exam(?:ination)?|study|service|visit|procedure|surgery)|taken on|scanned on)\s*+[:=]?\s*+"
    rf"({_MONTH}[/-]{_DAY}(?:[/-]\d{{2,4}})?|{_DAY}[./-]{_MONTH}(?:[./-]\d{{2,4}})?|\d{{6}}|\d{{8}})(?!\d)(?!\s*[x\u00d7])",
    re.IGNORECASE,
)


def date_spans(text: str) -> Iterator[Span]:
    """Dates that say more than a year."""
    if _DIGIT.search(text) is None:
        return
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), "date")
    for match in _CUED.finditer(text):
        yield Span(match.start(1), match.end(1), "date")
