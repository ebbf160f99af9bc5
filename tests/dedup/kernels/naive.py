"""The kernels once more in plain Python, from their descriptions: slow, obvious, and not sharing a line with them."""

import re
import unicodedata
from itertools import pairwise

MASK = 2**64 - 1
HYPHENS = "-\u2010\u2011\u2212"
APOSTROPHES = "'\u2019"


def kind_of(character: str) -> str:
    for kind, characters in (("h", HYPHENS), ("'", APOSTROPHES), (".", "."), (",", ","), ("s", "%"), (" ", "|~")):
        if character in characters:
            return kind
    category = unicodedata.category(character)
    if category[0] in "LM" or category in ("No", "Nl"):
        letter = "c" if is_written_without_blanks(ord(character)) else "l"
        return letter if ord(character) < 0x33480 else " "
    return {"Nd": "d", "Sm": "s", "So": "s", "Sc": "s"}.get(category, " ") if ord(character) < 0x33480 else " "


def is_written_without_blanks(code: int) -> bool:
    ranges = (
        "0E00-0EFF 1000-109F 1780-17FF 2E80-2FDF 3005-3007 3021-30FF 31F0-31FF "
        "3400-4DBF 4E00-9FFF F900-FAFF 20000-33480"
    )
    return any(int(low, 16) <= code <= int(high, 16) for low, high in (part.split("-") for part in ranges.split()))


def tokens_of(text: str) -> list[tuple[str, int]]:
    """The tokens as they are hashed (no apostrophes, one form of minus), and their kind: 0 word, 1 numeral, 2 sign."""
    kinds = "".join(kind_of(character) for character in text)
    pattern = re.compile(
        r"(?P<word>l(?:l|'(?=l))*)"
        r"|(?P<numeral>(?:(?<![ldch'])h(?=\.?d)\.?|(?<![ldch'])\.(?=d))?d(?:d|[.,](?=d))*)"
        r"|(?P<alone>c)|(?P<sign>s)|(?P<end>(?<=[ld])h(?![ldch]))"
    )
    found = []
    for match in pattern.finditer(kinds):
        piece = text[match.start() : match.end()]
        piece = "".join("-" if c in HYPHENS else c for c in piece if c not in APOSTROPHES)
        found.append((piece, {"word": 0, "numeral": 1, "alone": 0, "sign": 2, "end": 2}[str(match.lastgroup)]))
    return found


def mixed(x: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> 33) * factor & MASK
    return x ^ x >> 33


def token_hash(token: str) -> int:
    h = 0xCBF29CE484222325
    spelled = token.encode()
    for at in range(0, len(spelled), 8):
        h = mixed(h ^ int.from_bytes(spelled[at : at + 8], "little"))
    return h


def word_shingles(text: str) -> set[int]:
    hashes = [token_hash(token) for token, _ in tokens_of(text)]
    pairs = [mixed((one * 0x9E3779B97F4A7C15 + two) & MASK) for one, two in pairwise(hashes)]
    return {*hashes, *pairs}


def letter_shingles(text: str) -> set[int]:
    letters = b"".join(raw_bytes(text))
    grams = {letters[at : at + 4] for at in range(max(1, len(letters) - 3))} if letters else set()
    return {mixed(int.from_bytes(gram, "big") ^ 0xD6E8FEB86659FD93) for gram in grams}


def raw_bytes(text: str) -> list[bytes]:
    """The tokens' bytes as they stand in the text, apostrophes and all."""
    pieces, at = [], 0
    for token, kind in tokens_of(text):
        pattern = "['\u2019]*".join(f"[{HYPHENS}]" if c == "-" and kind else re.escape(c) for c in token)
        match = re.compile(pattern).search(text, at)
        assert match is not None
        pieces.append(match.group().encode())
        at = match.end()
    return pieces


def signature(shingles: set[int], xors: list[int], factors: list[int]) -> list[int]:
    permuted = [
        [((shingle >> 32) ^ x) * f & 0xFFFFFFFF for shingle in shingles] for x, f in zip(xors, factors, strict=True)
    ]
    smallest = [min(values, default=0xFFFFFFFF) for values in permuted]
    return smallest + [0xFFFFFFFF - max(values, default=0) for values in permuted]


def digest(values: list[int], band: int, salt: int = 0) -> int:
    h = mixed(salt ^ mixed(band + 1))
    for value in values:
        h = mixed((h * 0x9E3779B97F4A7C15 + value) & MASK)
    return h
