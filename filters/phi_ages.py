"""Ages over 89, which 45 CFR 164.514(b)(2)(i)(C) counts as identifiers: in figures of twelve languages, in English."""

import re
from collections.abc import Iterator

from filters.phi_spans import Span

_UNIT = r"(?:year|yr|y)s?"
_OLD = r"(?:9\d|1[0-2]\d)"
_OLD_WORDS = (
    r"ninety(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?|"
    r"(?:one|a) hundred(?:(?: and)?[\s-](?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve))?"
)
_FREE = r"(?<![\d.,/-])"
_YEARS_OLD = rf"[\s-]*{_UNIT}[\s./-]*(?:o(?:lds?|\b|\.)|of\s+age\b)"
_NO_AGE = (
    r"(?!\d|[.,]\d|[^\S\r\n]?[%°]|"
    r"[^\S\r\n]*-?(?:(?:hours?|days?|weeks?|wks?|months?|mos?|degrees?)\b|(?-i:[hd])\b(?![/.:])))"
)
"""What follows on the same line makes it a span of time, a share or an angle: `95 d`, but not `92 h/o COPD`, `92 D`."""
_FOLLOWED = r"(?=\s*$|[.;,](?:\s|$)|\s+(?:and|with|who|today|now)\b)"
_OF_SOMEBODY = (
    r"(?=\s*(?:[.;:)\n]|,\s|$)|"
    r"\s+(?:with|who|presents?|presented|presenting|admitted|fell|was|is|h/o|s/p|c/o)(?!\w))"
)
"""What follows a number that stands behind somebody's sex."""
_IN_WORDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b({_OLD_WORDS})(?=[\s-]+{_UNIT}[\s-]*(?:old|of\s+age))",
        rf"\b(?:aged?|age of|turned)\s+({_OLD_WORDS})\b{_NO_AGE}",
    )
)
_IN_FIGURES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_FREE}({_OLD})\s?[MF](?=\s+(?:with|who|presents|presenting|presented|s/p|status|h/o|hx|admitted|p/w|w/))",
        rf"{_FREE}({_OLD}){_YEARS_OLD}",
        rf"{_FREE}({_OLD})(?=[\s-]{{0,2}}(?:to|and|or|-|,)[\s-]{{0,2}}\d{{2,3}}{_YEARS_OLD})",
        rf"{_FREE}{_OLD}\s?-\s?({_OLD}){_YEARS_OLD}",
        rf"\bage(?:d|s|\s+in\s+years|\s+at\s+\w+|\s+of)?\s*+[:=-]?\s*+(?:of\s+|is\s+|was\s+)?(0?{_OLD}){_NO_AGE}",
        rf"(?<![\w.,/-])(0{_OLD}|1[0-2]\d)Y\b",
        rf"(?:^|(?<=[.;:!?\n]\s)|(?<=\n))(?:the |this )?(?:patient|pt|he|she) is (?:now )?({_OLD}){_FOLLOWED}",
        rf"\b(?:patient|pt|he|she|who) (?:has )?(?:just |recently )?turned ({_OLD})\b{_NO_AGE}",
        rf"{_FREE}({_OLD})\s?/\s?(?:[MF]|male|female)(?![\w/])",
        rf"{_FREE}({_OLD})\s?{_UNIT}[\s,/]*(?:(?-i:[MF])(?!\w)|(?:fe)?male\b|(?:wo)?man\b)",
        rf"(?<![\w/])(?:(?-i:[MF])|(?:fe)?male|(?:wo)?man)\s?[,/]\s?({_OLD}){_OF_SOMEBODY}",
        rf"{_FREE}({_OLD})[\s-]+(?:male|female|man|woman)\b",
        rf"{_FREE}({_OLD})[\s-]*(?:años|anos|(?-i:ans)|anni|jahren?|j(?:ä|ae)hrig\w{{0,2}}|jaar|jarige?)\b",
        rf"{_FREE}({_OLD})\s*(?:岁|歲|歳|才(?=[男女ので、。,\s]|$)|세(?!트)|살|سنة|عام[اًا]{{0,2}}\b|лет\b|года?\b)",
        rf"\b(?:edad|âge|età|idade|leeftijd|возраст)(?:\s+(?:de|di|van))?\s*+[:=-]?\s*+({_OLD}){_NO_AGE}",
        rf"\balter(?:\s+von\s+|\s*+[:=]\s*+)({_OLD}){_NO_AGE}",
        rf"(?:年龄|年齡|年齢|나이|연령|العمر|عمره|عمرها)\s*+[:=]?\s*+({_OLD}){_NO_AGE}",
    )
)
"""Each with the number alone in its group."""
_FIGURE = re.compile(r"9\d|1[0-2]\d")


def age_spans(text: str) -> Iterator[Span]:
    """The numbers of ages from 90 on."""
    for pattern in _IN_WORDS if _FIGURE.search(text) is None else (*_IN_WORDS, *_IN_FIGURES):
        for match in pattern.finditer(text):
            yield Span(match.start(1), match.end(1), "age")
