"""How names of people are written, and which words are none: of these `phi_names.py` and `phi_people.py` are made."""

import re
from itertools import pairwise

from filters.phi_spans import Span
from filters.phi_words import AFTER_EPONYM, AFTER_WORD, EPONYMS, GIVEN_NAMES, NOT_A_NAME
from filters.surnames import SURNAMES, WORD_SURNAMES

_LETTERS = [chr(code) for code in (*range(0x41, 0x250), *range(0x1E00, 0x1F00)) if chr(code).isalpha()]
UPPER = "".join(letter for letter in _LETTERS if letter.isupper())
LOWER = "".join(letter for letter in _LETTERS if letter.islower())
"""Latin letters of any language, for a class of characters."""

_WORD = rf"(?:(?:O|D|d|L|l)['\u2019]|(?:[Aa]l|[Ee]l)-)?(?:Mc|Mac|De|Van|Le|La|Di)?[{UPPER}][{LOWER}]+"
NAME = rf"{_WORD}(?:-{_WORD})?"
INITIAL = rf"[{UPPER}]\.?"
PARTICLE = r"(?:van der|van den|van|von|de la|de los|de|del|della|di|da|dos|do|bin|ibn|al|el|ten|ter)"
CAPS = rf"[{UPPER}][{UPPER}'\u2019-]{{1,24}}"
_LAST = (
    rf"(?:\s+(?:{PARTICLE}\s+)?{NAME}|"
    rf"[^\S\r\n]+(?:{PARTICLE}[^\S\r\n]+)?[{UPPER}]{{4,24}}(?![\w]))"
)
"""With the blank before it; what stands in capitals on the next line is a heading."""
_NEXT_LINE = rf"[^\S\r\n]*\n(?=[{UPPER}][{LOWER}]+(?!\w)[^\S\n]*(?:[a-z,.;]|\n|$))"
FULL = rf"(?:{INITIAL}[^\S\r\n]+|[{UPPER}]\.(?:{_NEXT_LINE})?){{0,2}}{NAME}(?:\s+{INITIAL}(?=\s+{NAME}))?{_LAST}{{0,2}}"
"""One name or more, with initials: `Jane`, `J. Doe`, `Jane R. van der Doe`, `Jane DOE`."""
SEVERAL = (
    rf"(?:(?:[{UPPER}]\.\s*){{1,3}}{NAME}|{NAME}(?:\s+{INITIAL})?{_LAST}|{NAME}(?:\s+{NAME}){{1,2}})"
    rf"(?![\w-])(?![^\S\n]+[{UPPER}][{LOWER}])"
)
"""A name of more than one word, or with initials, that ends where words with capitals do."""
ALL_CAPS = rf"{CAPS}(?:,\s*|\s+){CAPS}(?:\s+{INITIAL}(?![\w]))?"
COMMA = rf"{NAME},\s*{NAME}(?:\s+{INITIAL}(?![\w]))?"
MORE = r"[^\S\r\n]+(?!(?i:mrn|dob|d\.o\.b|age|sex|gender|id|date|ward|room|md|phd)\b)"
"""The blank before a further word that is not the next field of a form."""
LISTED = (
    rf"(?:{PARTICLE}[^\S\r\n]+)?{NAME}(?:[^\S\r\n]+{NAME}){{0,2}},\s*{NAME}"
    rf"(?:{MORE}(?:{NAME}|{INITIAL})(?![\w'\u2019-]|\s*:))?|"
    rf"{CAPS}(?:[^\S\r\n]+{CAPS}){{0,3}},\s*{CAPS}(?:{MORE}(?:{CAPS}|{INITIAL})(?![\w'\u2019-]|\s*:))?"
)
"""Surnames, with particles, before given names: `van der Berg, Pieter`, `GARCIA LOPEZ, MARIA J`."""
_LINE = re.compile(r"(?:[^\n]*,[^\S\n]*\n)?[^\n]*")
"""And the next one where a comma ends it."""
TOKEN = re.compile(r"[^\W\d_][\w'\u2019-]*")


def trimmed(text: str, start: int, stop: int, *, line: bool = False, surname: bool = False) -> Span | None:
    """The span without words at its ends that are no names; None where nothing is left.

    `line`: of its first line, and of the second where a comma ends the first. `surname`: a name is expected there, so
    that words that are surnames (`White`, `Young`) and particles before one (`de la`) are believed.
    """
    if line:
        kept = _LINE.match(text, start, stop)
        stop = kept.end() if kept else stop
    words = _on_one_line(text, [match.span() for match in TOKEN.finditer(text, start, stop)])
    while words and _is_common(text[slice(*words[0])]):
        if surname and (is_word_surname(text[slice(*words[0])]) or _BEFORE_NAMES.match(text, words[0][0], stop)):
            break
        words.pop(0)
    while words and _is_common(text[slice(*words[-1])]):
        # `Peter Cross` and `Jane Doe White` are names, `Jane Doe Hand` is one and a part of the body
        last, others = text[slice(*words[-1])], sum(not _is_common(text[slice(*word)]) for word in words[:-1])
        of_a_thing = (
            others > 0 and (follows := FOLLOWING.match(text, words[-1][1])) and follows[1].lower() in AFTER_WORD
        )
        if surname and not of_a_thing and is_word_surname(last) and (others < 2 or last.title() in _SELDOM_A_THING):
            break
        words.pop()
    if not words:
        return None
    end = words[-1][1]
    if text[end - 2 : end] in ("'s", "\u2019s"):
        end -= 2
    return Span(words[0][0], end, "name")


_SMALL = re.compile(rf"(?<![\w'\u2019-])[{LOWER}]{{3,}}")
FOLLOWING = re.compile(r"(?:['\u2019]s?)?[\s-]+([^\W\d_]+)")
"""The next word."""


def _on_one_line(text: str, words: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The words of a name without a next line that begins with a word and surname, where it has a surname already."""
    for number, (before, after) in enumerate(pairwise(words), 1):
        if "\n" in text[before[1] : after[0]] and text[slice(*after)].lower() in WORD_SURNAMES:
            named = (text[slice(*word)] for word in words[:number])
            if any(not _is_common(word) and word not in GIVEN_NAMES for word in named):
                return words[:number]
    return words


def small_words(text: str) -> frozenset[str]:
    """The words of a text that stand there without a capital, of three letters and more."""
    return frozenset(_SMALL.findall(text))


def is_word_surname(word: str) -> bool:
    """Whether a word that has a capital, of which little can be said, may be a surname (`White`)."""
    return word[0].isupper() and word.removesuffix("'s").removesuffix("\u2019s").lower() in WORD_SURNAMES


def is_common_only(text: str, span: Span) -> bool:
    """Whether every word of a span is one that is also no name."""
    return all(_is_common(word) for word in TOKEN.findall(text[span.start : span.stop]))


def _is_common(word: str) -> bool:
    return word in NOT_A_NAME or word in _TITLES or (word.title() in NOT_A_NAME and word.isupper()) or word.islower()


_TITLES = frozenset({"Dr", "Drs", "Mr", "Mrs", "Ms", "Miss", "Prof"})
"""Where a pattern takes a title for the name itself."""
_BEFORE_NAMES = re.compile(rf"(?:{PARTICLE}\s+|A\.\s?)(?=[{UPPER}])")
"""Particles, and the initial that is a word, too."""
_SELDOM_A_THING = frozenset({"White", "Young", "Long", "Short", "Ward", "English", "French", "German", "Good", "Small"})
"""After two words of a name these are its last one."""


_PUBLISHED = re.compile(r"\s+et al\b")
_PUBLISHED_BY = re.compile(r"\s+(?:et al\b|and (?:colleagues|co-?workers))")


def is_no_name(text: str, span: Span, *, cued: bool = False) -> bool:
    """Whether the span is an eponym, or ends in the words of one (`Reed-Sternberg cells`, `Fisher's exact test`).

    So are authors (`Smith et al.`). `cued`: a name is expected there, so that a common surname is one, eponym or not
    (`Surgeon: Jones`).
    """
    if (_PUBLISHED if cued else _PUBLISHED_BY).match(text, span.stop):
        return True
    after = FOLLOWING.match(text, span.stop)
    follows = after.group(1).lower() if after else ""
    words = [word.title() for word in re.findall(r"[^\W\d_]+", text[span.start : span.stop]) if len(word) > 1]
    known = [word in EPONYMS for word in words]
    if follows in AFTER_EPONYM and (any(known) or re.match(r"['\u2019]s", text[span.stop :]) is not None):
        return True
    if cued and any(word.upper() in SURNAMES for word in words):
        return False
    return all(known) and (len(words) == 1 or not any(word in GIVEN_NAMES for word in words))
