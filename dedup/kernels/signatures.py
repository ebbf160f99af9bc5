"""MinHash signatures of texts (Broder 1997) and the digests of their bands, in one pass over Arrow buffers.

Shingles are 64-bit hashes, of two forms (dedup/text.py says which text has which, and why):

- words: each token, and each pair of tokens that follow one another;
- letters: each four bytes that follow one another in the tokens written together.

Permutation k of a shingle is `(h ^ XORS[k]) * FACTORS[k]` modulo 2^32, of the upper 32 bits h of its hash: a bijection,
as factors are odd. A signature holds the smallest value of each of 64, then the largest of each, inverted: the largest
is the smallest of the reversed permutation, and costs a third of another one. Equal shares of two signatures estimate
the Jaccard similarity of the shingle sets without bias (tests hold it against `datasketch`).
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np
import numpy.typing as npt

from dedup.kernels.buffers import Texts
from dedup.kernels.characters import character_classes
from dedup.kernels.compiled import kernel, part
from dedup.kernels.mixing import mixed
from dedup.kernels.tokens import tokenise

PERMUTATIONS = 128
DRAWN = PERMUTATIONS // 2
"""The others are these reversed."""
SEED = 20261122

_random = np.random.Generator(np.random.PCG64(SEED))
XORS = _random.integers(0, 2**32, DRAWN, np.uint32)
FACTORS = _random.integers(0, 2**32, DRAWN, np.uint32) | np.uint32(1)

PAIR = np.uint64(0x9E3779B97F4A7C15)
"""Makes the hash of a pair depend on the order of its two tokens."""
LETTERS = np.uint64(0xD6E8FEB86659FD93)
"""Keeps the hashes of letters apart from those of words."""
_NOTHING = np.uint32(0xFFFFFFFF)
_UPPER = np.uint64(32)
_BYTE = np.uint64(8)
AT_ONCE = 64
"""Shingles that compilers take in one turn: those left over are taken one by one, which costs more than all others."""


def signatures_of(texts: Texts, *, letters: bool = False) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    """Signatures, shape (N, 128), of texts in normal form, and the number of tokens of each, shape (N,).

    `letters` chooses the form of the shingles. A text without any has a signature of all ones.
    """
    count = len(texts.offsets) - 1
    signatures_NK = np.full((count, PERMUTATIONS), 0xFFFFFFFF, np.uint32)
    tokens_N = np.zeros(count, np.int32)
    room = int(np.diff(texts.offsets).max(initial=0)) + 1
    sign_texts = sign_letters if letters else sign_words
    sign_texts(texts.data, texts.offsets, character_classes(), XORS, FACTORS, signatures_NK, tokens_N, room)
    return signatures_NK, tokens_N


def band_digests(
    signatures_NK: npt.NDArray[np.uint32],
    bands: int,
    rows: int,
    first: int = 0,
    salt: npt.NDArray[np.uint64] | None = None,
) -> npt.NDArray[np.uint64]:
    """Digests of bands, shape (N, bands).

    A digest is of `rows` values of the signature, the band's number (from `first`), and the text's salt if any.
    """
    if salt is None:
        salt = np.zeros(len(signatures_NK), np.uint64)
    digests_NB = np.empty((len(signatures_NK), bands), np.uint64)
    digest_bands(signatures_NK, np.ascontiguousarray(salt, np.uint64), rows, first, digests_NB)
    return digests_NB


@kernel
def sign(shingles, count, xors, factors, signature):
    """The signature of the first `count` shingles (the upper 32 bits of each).

    Four permutations at a time in registers, over all shingles: three times as fast as shingle by shingle. After them
    there is room for `AT_ONCE` more: the first is repeated there, which changes no smallest and no largest value.
    """
    while count > 0 and count % AT_ONCE:
        shingles[count] = shingles[0]
        count += 1
    for k in range(0, DRAWN, 4):
        x0, x1, x2, x3 = xors[k], xors[k + 1], xors[k + 2], xors[k + 3]
        f0, f1, f2, f3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        low0 = low1 = low2 = low3 = _NOTHING
        high0 = high1 = high2 = high3 = np.uint32(0)
        for i in range(count):
            h = shingles[i]
            p0, p1 = np.uint32(np.uint32(h ^ x0) * f0), np.uint32(np.uint32(h ^ x1) * f1)
            p2, p3 = np.uint32(np.uint32(h ^ x2) * f2), np.uint32(np.uint32(h ^ x3) * f3)
            low0, low1, low2, low3 = min(low0, p0), min(low1, p1), min(low2, p2), min(low3, p3)
            high0, high1, high2, high3 = max(high0, p0), max(high1, p1), max(high2, p2), max(high3, p3)
        signature[k], signature[k + 1], signature[k + 2], signature[k + 3] = low0, low1, low2, low3
        at = DRAWN + k
        signature[at], signature[at + 1], signature[at + 2], signature[at + 3] = ~high0, ~high1, ~high2, ~high3


@part
def pair_of(first, second):
    """Shingle of two tokens."""
    return mixed(first * PAIR + second)


@kernel
def sign_words(data, offsets, classes, xors, factors, signatures, tokens, room):
    """Signatures over words and pairs of words."""
    hashes = np.empty(room, np.uint64)
    spans = np.empty((room, 2), np.int64)
    kinds = np.empty(room, np.uint8)
    shingles = np.empty(2 * room + AT_ONCE, np.uint32)
    for text in range(tokens.shape[0]):
        count = tokenise(data, offsets[text], offsets[text + 1], classes, hashes, spans, kinds)
        tokens[text] = count
        for k in range(count):
            shingles[k] = np.uint32(hashes[k] >> _UPPER)
        for k in range(1, count):
            shingles[count + k - 1] = np.uint32(pair_of(hashes[k - 1], hashes[k]) >> _UPPER)
        sign(shingles, max(0, 2 * count - 1), xors, factors, signatures[text])


@kernel
def letters_of(data, spans, count, shingles):
    """Write the shingles of the letters of tokens, with repeats; returns how many. A text of fewer than 4 is one."""
    window = np.uint64(0)
    seen = 0
    written = 0
    for token in range(count):
        for k in range(spans[token, 0], spans[token, 1]):
            window = ((window << _BYTE) | np.uint64(data[k])) & np.uint64(0xFFFFFFFF)
            seen += 1
            if seen >= 4:
                shingles[written] = mixed(window ^ LETTERS)
                written += 1
    if 0 < seen < 4:
        shingles[0] = mixed(window ^ LETTERS)
        written = 1
    return written


@kernel
def sign_letters(data, offsets, classes, xors, factors, signatures, tokens, room):
    """Signatures over letters."""
    hashes = np.empty(room, np.uint64)
    spans = np.empty((room, 2), np.int64)
    kinds = np.empty(room, np.uint8)
    shingles = np.empty(room + AT_ONCE, np.uint32)
    for text in range(tokens.shape[0]):
        count = tokenise(data, offsets[text], offsets[text + 1], classes, hashes, spans, kinds)
        tokens[text] = count
        written = letters_of(data, spans, count, hashes)
        for k in range(written):
            shingles[k] = np.uint32(hashes[k] >> _UPPER)
        sign(shingles, written, xors, factors, signatures[text])


@kernel
def digest_bands(signatures, salt, rows, first, digests):
    """Digests of bands, see `band_digests`."""
    for text in range(digests.shape[0]):
        for band in range(digests.shape[1]):
            h = mixed(salt[text] ^ mixed(np.uint64(first + band + 1)))
            for row in range(rows):
                h = mixed(h * PAIR + np.uint64(signatures[text, band * rows + row]))
            digests[text, band] = h
