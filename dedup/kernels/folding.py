"""What each character becomes before texts are searched for eval items: lower case, without accents or ligatures."""

import html.entities
import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.characters import LETTER, UNASSIGNED_FROM, character_classes

SKIPPED = -1
"""Characters that are not there: zero-width ones, soft hyphens, accents, variation selectors."""
_ACCENTS = range(0x0300, 0x0370)
_INVISIBLE = (
    0x00AD, 0x034F, 0x061C, 0x180E, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E,
    0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0xFEFF, *range(0xFE00, 0xFE10),
)  # fmt: skip
ENTITY_SLOTS = 8192
BASIS = np.uint64(0xCBF29CE484222325)
PRIME = np.uint64(0x100000001B3)
"""FNV-1a, 64 bits."""


class Folding(NamedTuple):
    """The tables as kernels read them. Code points above the last letter of Unicode are separators and stay."""

    classes: npt.NDArray[np.uint8]
    """Class of each code point (kernels/characters.py) *after* it is folded."""
    codes: npt.NDArray[np.int32]
    """What it is folded to: a code point, SKIPPED, or -2 - k for the k-th expansion into several."""
    expansions: npt.NDArray[np.int32]
    expansion_offsets: npt.NDArray[np.int32]
    entities: npt.NDArray[np.uint64]
    """FNV-1a of the names of HTML's entities; open addressing from the lowest bits; 0 is an empty place."""
    entity_codes: npt.NDArray[np.int32]


@cache
def folding() -> Folding:
    """The tables, made once a process (about 0.4 s)."""
    classes = character_classes().copy()
    codes = np.arange(len(classes), dtype=np.int32)
    expansions: list[int] = []
    offsets = [0]
    for code in range(UNASSIGNED_FROM):
        if 0xD800 <= code < 0xE000:
            continue
        folded = _folded(chr(code))
        if len(folded) == 1 and ord(folded) != code:
            codes[code] = ord(folded)
        elif len(folded) > 1:
            codes[code] = -2 - (len(offsets) - 1)
            expansions.extend(map(ord, folded))
            offsets.append(len(expansions))
    classes[:UNASSIGNED_FROM] = _classes_after(classes, codes, expansions, offsets)
    for code in (*_INVISIBLE, *_ACCENTS, *range(0xE0100, 0xE01F0)):
        codes[code] = SKIPPED
    return Folding(
        classes, codes, np.array(expansions, np.int32), np.array(offsets, np.int32), *_entities()
    )  # fmt: skip


def _folded(character: str) -> str:
    """Compatibility form in lower case, accents of Latin, Greek and Cyrillic letters taken off."""
    if character.isascii():
        return character.lower()
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", character).casefold())
    bare = "".join(sign for sign in apart if ord(sign) not in _ACCENTS)
    return unicodedata.normalize("NFC", bare) or character


def _classes_after(
    classes: npt.NDArray[np.uint8], codes: npt.NDArray[np.int32], expansions: list[int], offsets: list[int]
) -> npt.NDArray[np.uint8]:
    single = np.maximum(codes[:UNASSIGNED_FROM], 0)
    after = classes[single]
    for code in np.flatnonzero(codes[:UNASSIGNED_FROM] <= -2).tolist():
        number = -2 - int(codes[code])
        signs = expansions[offsets[number] : offsets[number + 1]]
        # What is not all letters ("½", "℃", "…") stays what the character itself is.
        after[code] = LETTER if all(classes[sign] == LETTER for sign in signs) else classes[code]
    return after


def _entities() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    names, targets = np.zeros(ENTITY_SLOTS, np.uint64), np.zeros(ENTITY_SLOTS, np.int32)
    for name, text in html.entities.html5.items():
        if not name.endswith(";") or len(text) != 1:
            continue
        value = int(BASIS)
        for byte in name[:-1].encode():
            value = ((value ^ byte) * int(PRIME)) & 0xFFFFFFFFFFFFFFFF
        place = value % ENTITY_SLOTS
        while names[place]:
            place = (place + 1) % ENTITY_SLOTS
        names[place], targets[place] = value, ord(text)
    return names, targets
