"""What each Unicode character is to the tokeniser: one byte per code point."""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SEPARATOR, LETTER, DIGIT, ALONE, SYMBOL, APOSTROPHE, HYPHEN, POINT = range(8)

UNASSIGNED_FROM = 0x33480
"""No letter is assigned above (Unicode 17); the variation selectors further up are separators here."""

_BY_CATEGORY = {"L": LETTER, "M": LETTER, "N": LETTER, "Nd": DIGIT, "Sm": SYMBOL, "So": SYMBOL, "Sc": SYMBOL}
_EXCEPTIONS = {
    "'": APOSTROPHE, "\u2019": APOSTROPHE, "-": HYPHEN, "\u2010": HYPHEN, "\u2011": HYPHEN, "\u2212": HYPHEN,
    ".": POINT, ",": POINT, "%": SYMBOL, "|": SEPARATOR, "~": SEPARATOR,
}  # fmt: skip
_WRITTEN_WITHOUT_BLANKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),  # ideographic marks
    (0x3021, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # ideographs
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, UNASSIGNED_FROM),
)


@cache
def character_classes() -> npt.NDArray[np.uint8]:
    """classes[code point] for all of Unicode, from Python's own tables; made once a process (about 0.1 s)."""
    classes = np.zeros(0x110000, np.uint8)
    for code in range(UNASSIGNED_FROM):
        category = unicodedata.category(chr(code))
        classes[code] = _BY_CATEGORY.get(category, _BY_CATEGORY.get(category[0], SEPARATOR))
    for low, high in _WRITTEN_WITHOUT_BLANKS:
        part = classes[low : high + 1]
        part[part == LETTER] = ALONE
    for character, kind in _EXCEPTIONS.items():
        classes[ord(character)] = kind
    return classes
