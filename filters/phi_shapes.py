"""How names of people are written, and which words are none: of these `phi_names.py` and `phi_people.py` are made."""

import re

from filters.phi_spans import Span
from filters.phi_words import AFTER_EPONYM, EPONYMS, GIVEN_NAMES, NOT_A_NAME
from filters.surnames import WORD_SURNAMES

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
FULL = rf"(?:{INITIAL}\s+|[{UPPER}]\.){{0,2}}{NAME}(?:\s+{INITIAL}(?=\s+{NAME}))?{_LAST}{{0,2}}"
"""One name or more, with initials: `Jane`, `J. Doe`, `Jane R. van der Doe`, `Jane DOE`."""
SEVERAL = (
    rf"(?:(?:[{UPPER}]\.\s*){{1,3}}{NAME}|{NAME}(?:\s+{INITIAL})?{_LAST}|{NAME}(?:\s+{NAME}){{1,2}})"
    rf"(?![\w-])(?![^\S\n]+[{UPPER}][{LOWER}])"
)
"""A name of more than one word, or with initials, that ends where words with capitals do."""
ALL_CAPS = rf"{CAPS}(?:,\s*|\s+){CAPS}(?:\s+{INITIAL}(?![\w]))?"
COMMA = rf"{NAME},\s*{NAME}(?:\s+{INITIAL}(?![\w]))?"
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
    words = [(start + match.start(), start + match.end()) for match in TOKEN.finditer(text[start:stop])]
    while words and _is_common(text[slice(*words[0])]):
        if surname and (is_word_surname(text[slice(*words[0])]) or _PARTICLES.match(text, words[0][0], stop)):
            break
        words.pop(0)
    while words and _is_common(text[slice(*words[-1])]):
        # `Peter Cross` and `Jane Doe White` are names, `Jane Doe Hand` is one and a part of the body
        last, others = text[slice(*words[-1])], sum(not _is_common(text[slice(*word)]) for word in words[:-1])
        broken = others > 0 and "\n" in text[words[-2][1] : words[-1][0]]
        if surname and not broken and is_word_surname(last) and (others < 2 or last.title() in _SELDOM_A_THING):
            break
        words.pop()
    if not words:
        return None
    end = words[-1][1]
    if text[end - 2 : end] in ("'s", "\u2019s"):
        end -= 2
    return Span(words[0][0], end, "name")


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
_PARTICLES = re.compile(rf"{PARTICLE}\s+(?=[{UPPER}])")
_SELDOM_A_THING = frozenset({"White", "Young", "Long", "Short", "Ward", "English", "French", "German", "Good", "Small"})
"""After two words of a name these are its last one."""


def is_no_name(text: str, span: Span) -> bool:
    """Whether the span is an eponym, or ends in the words of one (`Reed-Sternberg cells`, `Fisher's exact test`)."""
    after = re.match(r"(?:['\u2019]s?)?[\s-]+([A-Za-z]+)", text[span.stop : span.stop + 40])
    follows = after.group(1).lower() if after else ""
    words = [word.title() for word in re.findall(r"[^\W\d_]+", text[span.start : span.stop]) if len(word) > 1]
    known = [word in EPONYMS for word in words]
    if follows in AFTER_EPONYM and (any(known) or re.match(r"['\u2019]s", text[span.stop :]) is not None):
        return True
    return all(known) and (len(words) == 1 or not any(word in GIVEN_NAMES for word in words))
