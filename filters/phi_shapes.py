"""How names of people are written: pieces of patterns, of which others (`phi_names.py`, `phi_people.py`) are made."""

_LETTERS = [chr(code) for code in (*range(0x41, 0x250), *range(0x1E00, 0x1F00)) if chr(code).isalpha()]
UPPER = "".join(letter for letter in _LETTERS if letter.isupper())
LOWER = "".join(letter for letter in _LETTERS if letter.islower())
"""Latin letters of any language, for a class of characters."""

_WORD = rf"(?:(?:O|D|d|L|l)['\u2019]|(?:[Aa]l|[Ee]l)-)?(?:Mc|Mac|De|Van|Le|La|Di)?[{UPPER}][{LOWER}]+"
NAME = rf"{_WORD}(?:-{_WORD})?"
INITIAL = rf"[{UPPER}]\.?"
PARTICLE = r"(?:van der|van den|van|von|de la|de|del|della|di|da|dos|bin|ibn|al|el|ten|ter)"
CAPS = rf"[{UPPER}][{UPPER}'\u2019-]{{1,24}}"
_LAST = rf"(?:{PARTICLE}\s+)?(?:{NAME}|[{UPPER}]{{4,24}}(?![\w]))"
FULL = rf"(?:{INITIAL}\s+|[{UPPER}]\.){{0,2}}{NAME}(?:\s+{INITIAL}(?=\s+{NAME}))?(?:\s+{_LAST}){{0,2}}"
"""One name or more, with initials: `Jane`, `J. Doe`, `Jane R. van der Doe`, `Jane DOE`."""
SEVERAL = (
    rf"(?:(?:[{UPPER}]\.\s*){{1,3}}{NAME}|{NAME}(?:\s+{INITIAL})?\s+{_LAST}|{NAME}(?:\s+{NAME}){{1,2}})"
    rf"(?![\w-])(?![^\S\n]+[{UPPER}][{LOWER}])"
)
"""A name of more than one word, or with initials, that ends where words with capitals do."""
ALL_CAPS = rf"{CAPS}(?:,\s*|\s+){CAPS}(?:\s+{INITIAL}(?![\w]))?"
COMMA = rf"{NAME},\s*{NAME}(?:\s+{INITIAL})?"
