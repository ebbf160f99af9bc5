"""Words of eval items as numbers, and the tokens of other texts looked up among them."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel, part
from dedup.kernels.folding import BASIS, SKIPPED
from dedup.kernels.mixing import mixed
from dedup.kernels.reading import BROKEN, WORD, decoded, plain_kind, read, taken, word_end

UNKNOWN = -1
"""Number of a word that is in no eval item."""
WORD_BITS = 21
"""Bits of a word's number: three make a key without collisions."""
_WORD_MASK = np.uint64((1 << WORD_BITS) - 1)
_EMPTY = np.uint64(2**64 - 1)
LONGEST_WORD = 64
"""Characters of a word beyond which it has no plain spelling."""
_A, _E, _O, _S, _U, _Z = (ord(letter) for letter in "aeosuz")


class Vocabulary(NamedTuple):
    """Spellings as they stand and, one for several, in the plain spelling; both found by open addressing."""

    form_table: npt.NDArray[np.uint64]
    """Open addressing from the lowest bits of a form: its highest bits, and in WORD_BITS the number of its word."""
    forms: npt.NDArray[np.uint64]
    form_words: npt.NDArray[np.int32]
    plain_slots: npt.NDArray[np.int32]
    plains: npt.NDArray[np.uint64]
    """Of each word, by its number."""
    numerals: npt.NDArray[np.bool_]
    """Words that are numerals."""


def slots_of(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    """Where each key's number stands: open addressing from the lowest bits of the key, linear, at most half full."""
    slots = np.full(1 << max(4, int(2 * len(keys)).bit_length()), UNKNOWN, np.int32)
    _fill(slots, keys)
    return slots


@kernel
def _fill(slots, keys):
    mask = np.uint64(slots.shape[0] - 1)
    for number in range(keys.shape[0]):
        place = keys[number] & mask
        while slots[place] != UNKNOWN:
            place = (place + np.uint64(1)) & mask
        slots[place] = number


def table_of(forms: npt.NDArray[np.uint64], words: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """A `form_table`, at most half full: a look costs one place in memory, where most tokens are answered."""
    table = np.full(1 << max(WORD_BITS - 5, int(2 * len(forms)).bit_length()), _EMPTY, np.uint64)
    _fill_table(table, forms, words)
    return table


@kernel
def _fill_table(table, forms, words):
    mask = np.uint64(table.shape[0] - 1)
    for number in range(forms.shape[0]):
        place = forms[number] & mask
        while table[place] != _EMPTY:
            place = (place + np.uint64(1)) & mask
        table[place] = (forms[number] & ~_WORD_MASK) | np.uint64(words[number])


@part
def word_of(form, table):
    """Number of the word of a form, UNKNOWN where no eval item has it. At least 59 of 64 bits are compared."""
    mask = np.uint64(table.shape[0] - 1)
    place = form & mask
    entry = table[place]
    while entry != _EMPTY:
        if (entry ^ form) & ~_WORD_MASK == 0:
            return np.int32(entry & _WORD_MASK)
        place = (place + np.uint64(1)) & mask
        entry = table[place]
    return np.int32(UNKNOWN)


@part
def found(key, slots, keys):
    """Number of a key, UNKNOWN where it is none of them."""
    mask = np.uint64(slots.shape[0] - 1)
    place = key & mask
    while slots[place] != UNKNOWN:
        if keys[slots[place]] == key:
            return slots[place]
        place = (place + np.uint64(1)) & mask
    return np.int32(UNKNOWN)


@kernel
def plain_hash(data, start, stop, folding, own, letters):
    """Hash of a word's plain spelling; its `own` where it is short or very long.

    Of more than 4 letters ae and oe are e, ou is o, z is s, a doubled letter is one, and an s at the end is left out:
    British and American spellings, and most plurals, are one word. `letters` is room for LONGEST_WORD.
    """
    count = 0
    at = start
    while at < stop:
        small = data[at] | np.uint8(32)
        if 97 <= small <= 122:
            folded = np.int64(small)
            at += 1
        else:
            code, at = decoded(data, at, stop, folding)
            folded = np.int64(folding.codes[code])
            if folded == SKIPPED or code in (39, 0x2019, 10, 13, 32, 45):
                continue
        if folded < SKIPPED or count == LONGEST_WORD:
            return own
        letters[count] = folded
        count += 1
    if count <= 4:
        return own
    if letters[count - 1] == _S:
        count -= 1
    h = BASIS
    for k in range(count):
        letter = letters[k]
        if letter in (_A, _O) and k + 1 < count and letters[k + 1] == _E:
            continue
        if k > 0 and (letters[k - 1] == letter or (letter == _U and letters[k - 1] == _O)):
            continue
        h = taken(h, np.int64(_S) if letter == _Z else letter)
    return mixed(h)


@kernel
def plain_hashes(data, bases, starts, stops, kinds, hashes, folding, out):
    """`plain_hash` of every token; a numeral's is its own. `bases` says where each token's text begins."""
    letters = np.empty(LONGEST_WORD, np.int64)
    for k in range(hashes.shape[0]):
        if plain_kind(kinds[k]) == WORD:
            out[k] = plain_hash(data, bases[k] + starts[k], bases[k] + stops[k], folding, hashes[k], letters)
        else:
            out[k] = hashes[k]


@kernel
def read_words(data, begins, ends, folding, vocabulary, hashes, starts, stops, kinds, words, piece_starts):
    """Tokens of the texts `data[begins[i]:ends[i]]`, as `reading.read`, with their numbers; returns how many.

    `piece_starts` (one more than there are texts) gets the first token of each text. A word that a line's end or a tag
    breaks is joined where the eval items know the whole but not both halves.
    """
    letters = np.empty(LONGEST_WORD, np.int64)
    count = 0
    for piece in range(begins.shape[0]):
        piece_starts[piece] = count
        base, stop = begins[piece], ends[piece]
        end = read(data, base, stop, folding, hashes, starts, stops, kinds, count)
        for k in range(count, end):
            here = hashes[k]
            word = word_of(here, vocabulary.form_table)
            if word == UNKNOWN and plain_kind(kinds[k]) == WORD:
                other = plain_hash(data, base + starts[k], base + stops[k], folding, here, letters)
                word = found(other, vocabulary.plain_slots, vocabulary.plains)
            hashes[count], starts[count], stops[count], kinds[count] = here, starts[k], stops[k], kinds[k]
            words[count] = word
            if kinds[k] & BROKEN and count > piece_starts[piece]:
                count -= _joined(data, base, folding, vocabulary, hashes, starts, stops, kinds, words, count)
            count += 1
    piece_starts[begins.shape[0]] = count
    return count


@kernel
def _joined(data, base, folding, vocabulary, hashes, starts, stops, kinds, words, at):
    """Join token `at` to the one before it, where that makes a word; 1 where it did."""
    if plain_kind(kinds[at - 1]) != WORD or plain_kind(kinds[at]) != WORD:
        return 0
    if words[at] != UNKNOWN and words[at - 1] != UNKNOWN:
        return 0
    _, h = word_end(data, base + starts[at - 1], base + stops[at - 1], BASIS, folding)
    _, h = word_end(data, base + starts[at], base + stops[at], h, folding)
    whole = mixed(h)
    word = word_of(whole, vocabulary.form_table)
    if word == UNKNOWN:
        return 0
    hashes[at - 1], stops[at - 1], words[at - 1] = whole, stops[at], word
    return 1
