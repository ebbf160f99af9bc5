"""Whether two words are spellings of one, or opposites of one another, from their bytes."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.compiled import kernel

_A, _E, _O, _S, _U, _Z = (np.uint8(ord(letter)) for letter in "aeosuz")
_LETTER_A, _LETTER_Z = np.uint8(97), np.uint8(122)
_APOSTROPHE = np.uint8(39)


@kernel
def opposite_words(data_a, start_a, stop_a, data_b, start_b, stop_b, prefixes, offsets):
    """Whether words begin with the prefixes of a pair, either way round, and go on the same for 3 bytes or more."""
    if data_a[stop_a - 1] != data_b[stop_b - 1]:
        return False
    for pair in range(0, offsets.shape[0] - 1, 2):
        for swap in range(2):
            first, second = (pair + 1, pair) if swap else (pair, pair + 1)
            rest_a = _after_prefix(data_a, start_a, stop_a, prefixes, offsets[first], offsets[first + 1])
            rest_b = _after_prefix(data_b, start_b, stop_b, prefixes, offsets[second], offsets[second + 1])
            if rest_a < 0 or rest_b < 0 or stop_a - rest_a != stop_b - rest_b or stop_a - rest_a < 3:
                continue
            same = True
            for k in range(stop_a - rest_a):
                if data_a[rest_a + k] != data_b[rest_b + k]:
                    same = False
                    break
            if same:
                return True
    return False


@kernel
def _after_prefix(data, start, stop, prefixes, low, high):
    """Where the word goes on after a prefix, -1 where it has another beginning."""
    if stop - start <= high - low:
        return -1
    for k in range(high - low):
        if data[start + k] != prefixes[low + k]:
            return -1
    return start + high - low


@kernel
def same_writing(data_a, spans_a, data_b, spans_b):
    """Whether words differ only in division ("x-ray", "xray"), a plural's s, doubled letters or British spelling."""
    if spans_a.shape[0] == 0 or spans_b.shape[0] == 0:
        return spans_a.shape[0] == spans_b.shape[0]
    plain_a, plain_b = _plain(data_a, spans_a), _plain(data_b, spans_b)
    if plain_a.shape[0] != plain_b.shape[0]:
        return False
    for k in range(plain_a.shape[0]):  # noqa: SIM110 - numba has no all() over a generator
        if plain_a[k] != plain_b[k]:
            return False
    return True


@kernel
def _plain(data, spans):
    """The words in one piece without apostrophes; those of more than 4 bytes also in a plain spelling.

    That is ae and oe as e, ou as o, z as s, a doubled letter once, no s at the end.
    """
    room = 0
    for word in range(0, spans.shape[0], 2):
        room += spans[word + 1] - spans[word]
    plain = np.empty(room, np.uint8)
    count = 0
    for word in range(0, spans.shape[0], 2):
        start, stop = spans[word], spans[word + 1]
        long = stop - start > 4
        if long and data[stop - 1] == _S:
            stop -= 1
        for k in range(start, stop):
            letter = data[k]
            if letter == _APOSTROPHE:
                continue
            if long and _LETTER_A <= letter <= _LETTER_Z:
                if letter in (_A, _O) and k + 1 < stop and data[k + 1] == _E:
                    continue
                if k > start and (data[k - 1] == letter or (letter == _U and data[k - 1] == _O)):
                    continue
                if letter == _Z:
                    letter = _S
            plain[count] = letter
            count += 1
    return plain[:count]
