"""Texts that were UTF-8 and were read as Latin-1 or Windows-1252: "naÃ¯ve" of what was "naïve".

A letter beyond ASCII is two to four bytes, of which all but the first are 80 to BF; each was taken for a letter.
"""

import re

_LATER = "\u0080-\u00bf" + "".join(bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xA0))
"""The later bytes, as Latin-1 has them (up to 9F characters that no text has) and as Windows-1252 has them."""
_NO_CAPITAL = "(?!(?<=[A-Z\u00c7\u0110])\u00c3[\u00a0\u00bb\u2019\u201d\u2026])"
"""Portuguese and Vietnamese words in capitals end in \u00c3, before a blank, a quotation mark or dots."""
_ALONE = (
    rf"\u00c2[\u0080-\u00bf]|{_NO_CAPITAL}\u00c3[{_LATER}]|[\u00ce\u00cf][{_LATER}]"
    rf"|\u00e2[\u0080-\u00bf\u20ac\u02c6\u2030][{_LATER}]|\u00ef\u00bf\u00bd|\u00ef\u00bb\u00bf|\ufffd"
)
"""Accents, signs, Greek letters, punctuation and mathematics, and the replacement character: of these one is proof."""
_IN_A_ROW = (
    rf"(?:(?!\u00d8\u00a0)[\u00c2-\u00db][{_LATER}\ufffd]|[\u00e0-\u00ef][{_LATER}\ufffd][{_LATER}\ufffd]){{2,}}+"
)
"""Two letters or more of other writings: Cyrillic, Hebrew and Arabic have two bytes, Chinese, Japanese, Korean and most
others three. One is no proof: French sets a blank and a quotation mark behind a last accented letter, and a blank that
does not break stands behind the multiplication sign, or behind that of a diameter before it."""
_MOJIBAKE = re.compile(f"{_IN_A_ROW}|{_ALONE}")


def mojibake_share(text: str) -> float:
    """Share of the characters that are UTF-8 read as Latin-1 or Windows-1252, or the replacement character."""
    return sum(len(found) for found in _MOJIBAKE.findall(text)) / max(len(text), 1)
