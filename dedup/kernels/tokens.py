"""Tokens of a text: 64-bit hashes of its words, numerals and signs, and the bytes they stand at.

A text is in normal form (dedup/exact.py: `normalise`). Its tokens are

- words: letters and combining marks, an apostrophe between two of them left out ("patient's" is "patients");
  scripts written without blanks (ideographs, kana, Thai, Khmer, Burmese) give one token a character;
- numerals: digits with points and commas between them and, where nothing stands before it, one ahead ("1.5",
  "1,000", ".05"), and a minus directly ahead that follows no letter or digit ("-5", but "3-5" is "3", "5");
- signs, one token each: % and the other mathematical, currency and pictorial symbols (< > = + ± ≤ ° ↑), and a
  hyphen that ends a word ("CD20-").

Digits and letters are never one token: "3cm" is "3 cm", "T2" is "T", "2". Everything else separates.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.characters import (
    ALONE,
    APOSTROPHE,
    DIGIT,
    HYPHEN,
    LETTER,
    POINT,
    SEPARATOR,
    SYMBOL,
    character_classes,
)
from dedup.kernels.compiled import kernel, part
from dedup.kernels.mixing import mixed

WORD, NUMERAL, SIGN = range(3)
"""Kinds of tokens."""

BASIS = np.uint64(0xCBF29CE484222325)
"""A token's hash is made of its bytes eight at a time, little-endian, the last ones filled up with zeros: each eight
are joined by xor to the hash of those before (at first BASIS), and mixed."""
_MINUS = np.uint64(45)
_ASCII_END = np.uint8(0x80)
_ZERO, _ONE, _TOP = np.uint64(0), np.uint64(1), np.uint64(56)
_FULL_STOP = np.uint8(46)
_EACH = np.uint64(0x0101010101010101)
"""Times a byte: eight of it, to be compared at once with those of a text."""
_HIGH = np.uint64(0x80) * _EACH
_LOW = np.uint64(0x7F) * _EACH
_FROM_A, _ABOVE_Z = np.uint64(0x80 - 97) * _EACH, np.uint64(0x80 - 123) * _EACH


def hash_of_word(word: str) -> int:
    """The hash of a word, numeral or sign that stands alone.

    Raises:
        ValueError: it is not one token.
    """
    # A letter before a hyphen makes it a token of its own, which it is not at the start of a text.
    data = np.frombuffer(f"x{word}".encode() if word == "-" else word.encode(), np.uint8)
    hashes, spans = np.empty(len(data), np.uint64), np.empty((len(data), 2), np.int64)
    count = tokenise(data, 0, len(data), character_classes(), hashes, spans, np.empty(len(data), np.uint8))
    if count != 1 + (word == "-"):
        raise ValueError(f"{word!r} is {count} tokens")
    return int(hashes[count - 1])


@part
def character_at(data, at, stop, classes):
    """Class and width in bytes of the character at a place; a separator of width 1 at the end."""
    if at >= stop:
        return SEPARATOR, 1
    byte = data[np.uint64(at)]
    if byte < _ASCII_END:
        return np.int64(classes[byte]), 1
    first = np.int64(byte)
    if first < 0xE0:
        width, code = 2, first & 0x1F
    elif first < 0xF0:
        width, code = 3, first & 0x0F
    else:
        width, code = 4, first & 0x07
    if at + width > stop:
        return SEPARATOR, 1
    for k in range(1, width):
        code = (code << 6) | (np.int64(data[at + k]) & 0x3F)
    return (np.int64(classes[code]) if code < classes.shape[0] else SEPARATOR), width


@kernel
def tokenise(data, start, stop, classes, hashes, spans, kinds):
    """Write the tokens of `data[start:stop]`; the arrays have room for a token a byte. Returns how many there are.

    `hashes` (u64), `spans` (start, stop; i64) and `kinds` (u8) get one entry a token.
    """
    count = 0
    at = start
    before = SEPARATOR
    while at < stop:
        kind, width = character_at(data, at, stop, classes)
        if kind == SEPARATOR:
            at += width
            before = SEPARATOR
            continue
        begin = at
        if kind == LETTER:
            at, h = _word(data, at, stop, classes)
            token = WORD
        elif kind == DIGIT or _opens_numeral(data, at, stop, classes, kind, width, before):
            at, h = _numeral(data, at, stop, classes)
            token = NUMERAL
            kind = DIGIT
        elif kind == HYPHEN and _ends_word(data, at + width, stop, classes, before):
            at += width
            h = mixed(BASIS ^ _MINUS)
            token = SIGN
        elif kind == ALONE or kind == SYMBOL:  # noqa: SIM109, PLR1714 - in the innermost loop
            at, h = _character(data, at, width)
            token = WORD if kind == ALONE else SIGN
        else:
            at += width
            before = kind
            continue
        before = kind
        hashes[count] = h
        spans[count, 0] = begin
        spans[count, 1] = at
        kinds[count] = token
        count += 1
    return count


@part
def _appended(data, at, width, h, eight, held):
    """Take the bytes of a character into a hash that waits for eight of them, of which it holds some."""
    for k in range(at, at + width):
        eight |= np.uint64(data[k]) << np.uint64(8 * held)
        held += 1
        if held == 8:
            h = mixed(h ^ eight)
            eight, held = _ZERO, 0
    return h, eight, held


@part
def _finished(h, eight, held):
    return mixed(h ^ eight) if held else h


@part
def _character(data, at, width):
    """End and hash of a character that is a token."""
    h, eight, held = _appended(data, at, width, BASIS, _ZERO, 0)
    return at + width, _finished(h, eight, held)


@part
def _eight_at(data, at):
    """Eight bytes as one number, the first in its lowest bits: compilers make this one load."""
    p = np.uint64(at)  # unsigned: numba checks others for being negative
    low = np.uint64(data[p]) | np.uint64(data[p + _ONE]) << np.uint64(8)
    low |= np.uint64(data[p + np.uint64(2)]) << np.uint64(16) | np.uint64(data[p + np.uint64(3)]) << np.uint64(24)
    high = np.uint64(data[p + np.uint64(4)]) | np.uint64(data[p + np.uint64(5)]) << np.uint64(8)
    high |= np.uint64(data[p + np.uint64(6)]) << np.uint64(16) | np.uint64(data[p + np.uint64(7)]) << np.uint64(24)
    return low | high << np.uint64(32)


@part
def _word(data, at, stop, classes):
    """End and hash of the word that begins here: eight letters from a to z at a time, where it has no others."""
    begin, h = at, BASIS
    while at + 8 <= data.shape[0]:
        eight = _eight_at(data, at)
        plain = eight & _LOW
        others = (~((plain + _FROM_A) & ~(plain + _ABOVE_Z)) | eight) & _HIGH  # the high bit of each that is no letter
        if others == _ZERO:
            at += 8
            if at > stop:
                break
            h = mixed(h ^ eight)
            continue
        letters = ((others & (~others + _ONE)) >> np.uint64(7)) - _ONE  # all bits of the bytes before the first such
        at += np.int64(((letters & _EACH) * _EACH) >> _TOP)
        if at > stop or (at < stop and (data[np.uint64(at)] >= _ASCII_END or _goes_on(data[np.uint64(at)], classes))):
            break
        return at, mixed(h ^ (eight & letters)) if letters else h
    return _word_by_characters(data, begin, stop, classes)


@part
def _goes_on(byte, classes):
    """Whether a byte of ASCII after a letter may belong to its word."""
    kind = classes[byte]
    return kind == LETTER or kind == APOSTROPHE  # noqa: PLR1714 - in the innermost loop


@kernel
def _word_by_characters(data, at, stop, classes):
    h, eight, held = BASIS, _ZERO, 0
    while True:
        kind, width = character_at(data, at, stop, classes)
        if kind == LETTER:
            h, eight, held = _appended(data, at, width, h, eight, held)
        elif kind != APOSTROPHE or character_at(data, at + width, stop, classes)[0] != LETTER:
            return at, _finished(h, eight, held)
        at += width


@kernel
def _numeral(data, at, stop, classes):
    """End and hash of the numeral that begins here, with its minus or point."""
    h, eight, held = BASIS, _ZERO, 0
    kind, width = character_at(data, at, stop, classes)
    if kind == HYPHEN:
        eight, held = _MINUS, 1
        at += width
        kind, width = character_at(data, at, stop, classes)
    while kind == DIGIT or (kind == POINT and character_at(data, at + width, stop, classes)[0] == DIGIT):
        h, eight, held = _appended(data, at, width, h, eight, held)
        at += width
        kind, width = character_at(data, at, stop, classes)
    return at, _finished(h, eight, held)


@kernel
def _opens_numeral(data, at, stop, classes, kind, width, before):
    """Whether a minus or a decimal point stands here that belongs to the digits after it."""
    if kind not in (HYPHEN, POINT) or before not in (SEPARATOR, SYMBOL, POINT):
        return False
    if kind == POINT and data[at] != _FULL_STOP:
        return False
    after, after_width = character_at(data, at + width, stop, classes)
    if kind == HYPHEN and after == POINT and data[at + width] == _FULL_STOP:
        after, _ = character_at(data, at + width + after_width, stop, classes)
    return after == DIGIT


@kernel
def _ends_word(data, after, stop, classes, before):
    """Whether the hyphen before `after` follows a letter or digit and is followed by none, nor by another hyphen."""
    if before not in (LETTER, DIGIT):
        return False
    kind, _ = character_at(data, after, stop, classes)
    return kind not in (LETTER, DIGIT, ALONE, HYPHEN)
