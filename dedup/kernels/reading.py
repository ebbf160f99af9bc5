"""Tokens of a text as it comes: with markup, entities, escapes, invisible characters, broken lines.

As `kernels/tokens.py` without signs, of raw UTF-8: folded (`kernels/folding.py`), tags left out, HTML entities,
percent escapes and the escapes of JSON read. A numeral's thousands are joined ("1,000" is "1000").
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.characters import ALONE, APOSTROPHE, DIGIT, HYPHEN, LETTER
from dedup.kernels.compiled import kernel, part
from dedup.kernels.folding import BASIS, PRIME, SKIPPED
from dedup.kernels.mixing import mixed

WORD, NUMERAL = range(2)
NAME = 4
"""Added to the kind of a word with a capital first letter that opens no sentence."""
BROKEN = 8
"""Added to the kind of a word between which and the one before stands a line's end or a tag, but no blank."""
_KIND = 3
BREAK, BLANK = 10, 32
LONGEST_TAG = 200
LONGEST_NAME = 32
_AMP, _SEMICOLON, _HASH, _LESS, _MORE, _BACKSLASH, _PERCENT = 38, 59, 35, 60, 62, 92, 37
_ASCII_END = np.uint8(0x80)


@part
def plain_kind(kind):
    """WORD or NUMERAL."""
    return kind & _KIND


@part
def _hex(byte):
    """Value of a hexadecimal digit, -1 for another byte."""
    if 48 <= byte <= 57:
        return np.int64(byte) - 48
    if 65 <= byte <= 70:
        return np.int64(byte) - 55
    if 97 <= byte <= 102:
        return np.int64(byte) - 87
    return -1


@part
def _letter(byte):
    return 65 <= byte <= 90 or 97 <= byte <= 122


@kernel
def decoded(data, at, stop, folding):
    """Code point that stands here, written in whatever way, and where the next begins. A tag reads as BREAK."""
    byte = data[at]
    if byte < _ASCII_END:
        if byte == _AMP:
            return _entity(data, at, stop, folding)
        if byte == _LESS:
            return _tag(data, at, stop)
        if byte == _PERCENT:
            return _percent(data, at, stop)
        if byte == _BACKSLASH:
            return _escape(data, at, stop)
        return np.int64(byte), at + 1
    return _utf8(data, at, stop)


@kernel
def _utf8(data, at, stop):
    first = np.int64(data[at])
    if first < 0xE0:
        width, code = 2, first & 0x1F
    elif first < 0xF0:
        width, code = 3, first & 0x0F
    else:
        width, code = 4, first & 0x07
    if at + width > stop:
        return BLANK, at + 1
    for k in range(1, width):
        code = (code << 6) | (np.int64(data[at + k]) & 0x3F)
    return min(code, 0x10FFFF), at + width


@kernel
def _entity(data, at, stop, folding):
    """`&nbsp;`, `&#160;`, `&#xA0;`, and those whose ampersand is one too (`&amp;nbsp;`)."""
    begin = at + 1
    while stop - begin > 4 and data[begin] == 97 and data[begin + 1] == 109 and data[begin + 2] == 112:
        if data[begin + 3] != _SEMICOLON:
            break
        begin += 4
    end = begin
    h = BASIS
    while end < stop and end - begin < LONGEST_NAME and data[end] != _SEMICOLON:
        h = (h ^ np.uint64(data[end])) * PRIME
        end += 1
    if end == begin or end >= stop or data[end] != _SEMICOLON:
        return np.int64(_AMP), at + 1
    if data[begin] == _HASH:
        code = _number(data, begin + 1, end)
        return (np.int64(_AMP), at + 1) if code < 0 else (code, end + 1)
    mask = np.uint64(folding.entities.shape[0] - 1)
    place = h & mask
    while folding.entities[place]:
        if folding.entities[place] == h:
            return np.int64(folding.entity_codes[place]), end + 1
        place = (place + np.uint64(1)) & mask
    return np.int64(_AMP), at + 1


@kernel
def _number(data, start, stop):
    """A code point in decimal, or in hexadecimal after an x; -1 where it is none."""
    base = 10
    if start < stop and (data[start] | 32) == 120:
        base = 16
        start += 1
    code = np.int64(0)
    for k in range(start, stop):
        value = _hex(data[k])
        if value < 0 or value >= base or code > 0x10FFFF:
            return np.int64(-1)
        code = code * base + value
    return code if start < stop and 0 < code <= 0x10FFFF else np.int64(-1)


@kernel
def _tag(data, at, stop):
    """A tag of markup or a placeholder reads as BREAK; "<" before anything but a name or a slash is itself."""
    begin = at + 1
    if begin < stop and (data[begin] == 47 or data[begin] == 33):
        begin += 1
    if begin >= stop or not _letter(data[begin]):
        return np.int64(_LESS), at + 1
    for k in range(begin, min(stop, begin + LONGEST_TAG)):
        if data[k] == _MORE:
            return BREAK, k + 1
        if data[k] == _LESS:
            break
    return np.int64(_LESS), at + 1


@kernel
def _percent(data, at, stop):
    """`%20`, and `%C3%A9` for a character of several bytes; a per cent sign before anything else is itself."""
    if at + 2 >= stop or _hex(data[at + 1]) < 0 or _hex(data[at + 2]) < 0:
        return np.int64(_PERCENT), at + 1
    code = 16 * _hex(data[at + 1]) + _hex(data[at + 2])
    after = at + 3
    if code < 0x80:
        return code, after
    more = 1 if 0xC2 <= code < 0xE0 else 2 if 0xE0 <= code < 0xF0 else 3 if 0xF0 <= code < 0xF5 else 0
    if more == 0 or after + 3 * more > stop:
        return np.int64(_PERCENT), at + 1
    code &= 0x3F >> more
    for _ in range(more):
        if data[after] != _PERCENT:
            return np.int64(_PERCENT), at + 1
        value = 16 * _hex(data[after + 1]) + _hex(data[after + 2])
        if value & 0xC0 != 0x80:
            return np.int64(_PERCENT), at + 1
        code = (code << 6) | (value & 0x3F)
        after += 3
    return code, after


@kernel
def _escape(data, at, stop):
    r"""`\u00e9`, and `\n` `\r` `\t` where no small letter follows: `\theta` is a formula."""
    if at + 1 >= stop:
        return BLANK, at + 1
    byte = data[at + 1]
    if byte == 117 and at + 5 < stop:
        code = np.int64(0)
        for k in range(at + 2, at + 6):
            value = _hex(data[k])
            if value < 0:
                return BLANK, at + 1
            code = 16 * code + value
        return (BLANK if 0xD800 <= code < 0xE000 else code), at + 6
    if byte in (110, 114, 116) and (at + 2 >= stop or not 97 <= data[at + 2] <= 122):
        return BREAK, at + 2
    return BLANK, at + 1


@part
def taken(h, code):
    """A code point's UTF-8 taken into a hash."""
    if code < 0x80:
        return (h ^ np.uint64(code)) * PRIME
    if code < 0x800:
        h = (h ^ np.uint64(0xC0 | (code >> 6))) * PRIME
    else:
        if code < 0x10000:
            h = (h ^ np.uint64(0xE0 | (code >> 12))) * PRIME
        else:
            h = (h ^ np.uint64(0xF0 | (code >> 18))) * PRIME
            h = (h ^ np.uint64(0x80 | ((code >> 12) & 0x3F))) * PRIME
        h = (h ^ np.uint64(0x80 | ((code >> 6) & 0x3F))) * PRIME
    return (h ^ np.uint64(0x80 | (code & 0x3F))) * PRIME


@kernel
def _folded_into(h, code, folding):
    """A character of a word taken into its hash as it is folded."""
    folded = np.int64(folding.codes[code])
    if folded >= 0:
        return taken(h, folded)
    if folded < SKIPPED:
        number = -2 - folded
        for k in range(folding.expansion_offsets[number], folding.expansion_offsets[number + 1]):
            h = taken(h, np.int64(folding.expansions[k]))
    return h


@part
def _letters_end(data, at, stop, h):
    """End of the ASCII letters that stand here, and the hash with them."""
    place, end = np.uint64(at), np.uint64(stop)
    while place < end:
        byte = data[place]
        small = byte | np.uint8(32)
        if byte >= _ASCII_END or small < 97 or small > 122:
            break
        h = (h ^ np.uint64(small)) * PRIME
        place += np.uint64(1)
    return np.int64(place), h


@part
def _as_it_stands(byte):
    """Whether an ASCII character is itself: it opens no entity, tag or escape, and is no apostrophe."""
    return byte < _ASCII_END and not (
        byte == _AMP or byte == _LESS or byte == _PERCENT or byte == _BACKSLASH or byte == 39  # noqa: PLR1714
    )


@kernel
def word_end(data, at, stop, h, folding):
    """End of the word whose characters go on here, and its hash (not yet mixed), from the hash so far."""
    while True:
        at, h = _letters_end(data, at, stop, h)
        if at >= stop or _as_it_stands(data[at]):
            return at, h
        code, after = decoded(data, at, stop, folding)
        kind = folding.classes[code]
        if folding.codes[code] == SKIPPED:
            at = after
        elif kind == LETTER:
            h = _folded_into(h, code, folding)
            at = after
        elif kind == APOSTROPHE and after < stop and folding.classes[decoded(data, after, stop, folding)[0]] == LETTER:
            at = after
        else:
            return at, h


@kernel
def _numeral_end(data, at, stop, folding):
    """End and hash of the numeral that begins here: a point between digits belongs to it, a comma before three."""
    h = BASIS
    end = at
    while at < stop:
        code, after = decoded(data, at, stop, folding)
        kind = folding.classes[code]
        if folding.codes[code] == SKIPPED:
            at = after
        elif kind == DIGIT:
            h = _folded_into(h, code, folding)
            at = end = after
        elif code == 46 and after < stop and folding.classes[decoded(data, after, stop, folding)[0]] == DIGIT:
            h = taken(h, np.int64(46))
            at = after
        elif code == 44 and _thousands(data, after, stop):
            at = after
        else:
            return end, h
    return end, h


@kernel
def _thousands(data, at, stop):
    """Whether three digits stand here, and no fourth."""
    if at + 3 > stop:
        return False
    for k in range(at, at + 3):
        if not 48 <= data[k] <= 57:
            return False
    return at + 3 == stop or not 48 <= data[at + 3] <= 57


@kernel
def read(data, start, stop, folding, hashes, starts, stops, kinds, count):
    """Write the tokens of `data[start:stop]` from entry `count` on; the arrays have room for a token a byte.

    `hashes` (u64), `starts`, `stops` (i32, bytes from `start`) and `kinds` (u8: WORD or NUMERAL, with NAME and BROKEN
    added) get an entry each. Returns the new count.
    """
    at = start
    opens, gap, hyphen = True, BLANK, False
    while at < stop:
        byte = data[at]
        if byte == BLANK:
            at += 1
            gap = BLANK if gap != BREAK or not hyphen else BREAK
            continue
        if _as_it_stands(byte):
            code, after = np.int64(byte), at + 1
        else:
            code, after = decoded(data, at, stop, folding)
        kind = folding.classes[code]
        if kind == LETTER and folding.codes[code] != SKIPPED:
            end, h = _letters_end(data, at, stop, BASIS)
            if end < stop and not _as_it_stands(data[end]):
                end, h = word_end(data, end, stop, h, folding)
            token = WORD + (NAME if not opens and folding.codes[code] != code else 0)
            token += BROKEN if gap == BREAK else 0
        elif kind == DIGIT:
            end, h = _numeral_end(data, at, stop, folding)
            token = NUMERAL
        elif kind == ALONE:
            end, h = after, _folded_into(BASIS, code, folding)
            token = WORD
        else:
            if folding.codes[code] != SKIPPED:
                opens, gap, hyphen = _between(code, kind, opens, gap, hyphen)
            at = after
            continue
        hashes[count] = mixed(h)
        starts[count] = at - start
        stops[count] = end - start
        kinds[count] = token
        count += 1
        at = end
        opens, gap, hyphen = False, 0, False
    return count


@part
def _between(code, kind, opens, gap, hyphen):
    """After a character that is in no token: does a sentence open, what gap is it, is a hyphen in it?"""
    ends = code in (46, 63, 33, 58)
    if code in (BREAK, 13):
        return True, (BREAK if gap in (0, BREAK) else BLANK), hyphen
    if kind == HYPHEN and gap == 0 and not hyphen:
        return opens, gap, True
    return opens or ends, BLANK, hyphen
