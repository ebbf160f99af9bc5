"""Pairs of the rarest words of questions, and tables to look them up in (`kernels/windows.py` does)."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.compiled import kernel, part
from dedup.kernels.eval_search import MAX_TEXTS, EvalTexts
from dedup.kernels.mixing import mixed
from dedup.kernels.vocabulary import WORD_BITS

OF_TEXT, OF_LONG_TEXT, OF_WINDOW = 8, 12, 14
"""Rarest words of a question, of a long one and of a window whose pairs are looked for: a window costs 91 looks."""
LONG_TEXT = 40
"""Tokens of a question from which on it is a long one: a vignette that is reworded is also shortened."""
NO_RANK = np.int32(2**31 - 1)
COMMON_PAIR = 8
"""Questions that have a pair, beyond which it nominates none of them."""
FILTER_BITS = 16
"""Bits of the filter in front of the table for each pair."""
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
TEXT_BITS = np.uint64(MAX_TEXTS.bit_length() - 1)


class Pairs(NamedTuple):
    """Which questions have a pair of words; a word is its rank, 0 for the rarest of all, and the rarer comes first.

    In front is a filter: for each rarer word a row of bits in which its partners are marked, by two bits of one number
    each, so that all pairs of one word are looked up in few lines of memory. Behind it the postings in buckets by the
    highest bits of a pair's key.
    """

    ranks: npt.NDArray[np.int32]
    """Of each word of the vocabulary, NO_RANK for words that are in no pair and, at the end, for UNKNOWN."""
    filters: npt.NDArray[np.uint64]
    filter_starts: npt.NDArray[np.int64]
    buckets: npt.NDArray[np.int32]
    """First entry of each bucket (one more than there are, a power of two)."""
    shift: np.uint64
    """Bits of a key behind those that number its bucket."""
    entries: npt.NDArray[np.uint64]
    """The low bits of a pair's key, and the text."""
    needed: npt.NDArray[np.int32]
    """Pairs of each text that a window must have for their cosine to be taken."""
    heaviest: npt.NDArray[np.int32]
    """Distinct words of each text by falling weight, from `heaviest_starts` on; none of texts that have no pairs."""
    heaviest_starts: npt.NDArray[np.int64]
    norms: npt.NDArray[np.float64]
    """Their squared weight."""
    unknown: np.float64
    """Weight of a word that no eval item has."""


def pairs_of(
    texts: EvalTexts, chosen: npt.NDArray[np.int64], content: npt.NDArray[np.bool_], share: float, unknown: float
) -> Pairs:
    """The pairs of the chosen texts' words that are `content`; `share` as `pairs_needed` has it."""
    firsts, seconds, owners = _pairs(texts, chosen, content)
    ranks = _ranks(texts.weights, firsts, seconds)
    packed = (ranks[firsts].astype(np.uint64) << np.uint64(WORD_BITS)) | ranks[seconds].astype(np.uint64)
    used, numbers, counts = np.unique(packed, return_inverse=True, return_counts=True)
    kept = counts[numbers] <= COMMON_PAIR
    used = used[counts <= COMMON_PAIR]
    filters, filter_starts = _filters(used, int(np.count_nonzero(ranks != NO_RANK)))
    keys = np.empty(int(kept.sum()), np.uint64)
    _mix(packed[kept], keys)
    order = np.lexsort((owners[kept], keys))
    entries = (keys << TEXT_BITS) | owners[kept].astype(np.uint64)
    needed, norms = np.ones(len(texts.starts) - 1, np.int32), np.zeros(len(texts.starts) - 1)
    pairs_needed(texts, chosen, content, share, needed, norms)
    return Pairs(
        np.append(ranks, NO_RANK), filters, filter_starts, *buckets_of(keys[order]), entries[order], needed,
        *_heaviest(texts, chosen), norms, np.float64(unknown),
    )  # fmt: skip


def buckets_of(keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int32], np.uint64]:
    """Where among rising keys, whose bits are mixed, each bucket of about two begins, and the shift that numbers it."""
    size = max(1, (len(keys) // 2).bit_length())
    begins = np.arange(1 << size, dtype=np.uint64) << np.uint64(64 - size)
    starts = np.append(np.searchsorted(keys, begins), len(keys)).astype(np.int32)
    return starts, np.uint64(64 - size)


def _pairs(
    texts: EvalTexts, chosen: npt.NDArray[np.int64], content: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    words = np.where(np.diff(texts.starts)[chosen] >= LONG_TEXT, OF_LONG_TEXT, OF_TEXT)
    out = np.empty((3, max(1, int((words * (words - 1) // 2).sum()))), np.int32)
    count = pairs_of_texts(texts, chosen, content, out)
    return out[0, :count], out[1, :count], out[2, :count]


def _heaviest(texts: EvalTexts, chosen: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    lengths = np.diff(texts.starts)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    wanted = np.zeros(len(lengths), np.bool_)
    wanted[chosen] = True
    size = len(texts.weights)
    packed = np.unique((owners * size + texts.words)[wanted[owners]])
    owners, words = packed // max(1, size), (packed % max(1, size)).astype(np.int32)
    order = np.lexsort((-texts.weights[words], owners))
    return words[order], np.searchsorted(owners, np.arange(len(lengths) + 1)).astype(np.int64)


def _ranks(
    weights: npt.NDArray[np.float32], firsts: npt.NDArray[np.int32], seconds: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Rank of each word by falling weight, then by number, among those of pairs."""
    paired = np.unique(np.concatenate([firsts, seconds]))
    ranks = np.full(len(weights), NO_RANK, np.int32)
    ranks[paired[np.lexsort((paired, -weights[paired]))]] = np.arange(len(paired), dtype=np.int32)
    return ranks


def _filters(used: npt.NDArray[np.uint64], ranks: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    partners = np.bincount((used >> np.uint64(WORD_BITS)).astype(np.int64), minlength=ranks)
    lines = np.ceil(np.log2(np.maximum(64, partners * FILTER_BITS) / 64)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(np.where(partners > 0, 1 << lines, 0))]).astype(np.int64)
    filters = np.zeros(int(starts[-1]), np.uint64)
    _mark(used, starts, filters)
    return filters, starts


@kernel
def _mix(packed, out):
    for k in range(packed.shape[0]):
        out[k] = mixed(packed[k] + np.uint64(1))


@part
def spread(rank, bits):
    """Where in its row of so many bits, less one, a partner is marked: the number in the row, and the two bits."""
    mixed_rank = np.uint64(rank) * _SPREAD
    bit = (mixed_rank >> np.uint64(32)) & bits
    return bit >> np.uint64(6), bit & np.uint64(63), mixed_rank >> np.uint64(58)


@kernel
def _mark(used, starts, filters):
    for pair in used:
        first = pair >> np.uint64(WORD_BITS)
        second = pair & np.uint64((1 << WORD_BITS) - 1)
        bits = np.uint64(64 * (starts[first + np.uint64(1)] - starts[first]) - 1)
        at, one, other = spread(second, bits)
        filters[np.uint64(starts[first]) + at] |= (np.uint64(1) << one) | (np.uint64(1) << other)


@kernel
def _take_rare(word, weights, rarest, count):
    """Insert a word among the rarest, in order of falling weight, then of numbers; returns how many there are."""
    if count == rarest.shape[0]:
        last = rarest[count - 1]
        if weights[last] > weights[word] or (weights[last] == weights[word] and last < word):
            return count
        count -= 1
    at = count
    while at > 0:
        other = rarest[at - 1]
        if weights[other] > weights[word] or (weights[other] == weights[word] and other < word):
            break
        rarest[at] = other
        at -= 1
    rarest[at] = word
    return count + 1


@kernel
def pairs_needed(texts, chosen, rare, share, out, norms):
    """How many pairs of each chosen text's rarest words have `share` of its squared weight, as if they were alike.

    And the squared weight of its distinct words, in `norms`.
    """
    rarest = np.empty(OF_LONG_TEXT, np.int32)
    seen = np.full(texts.weights.shape[0], -1, np.int64)
    for text in chosen:
        size, norm = 0, 0.0
        limit = OF_LONG_TEXT if texts.starts[text + 1] - texts.starts[text] >= LONG_TEXT else OF_TEXT
        for k in range(texts.starts[text], texts.starts[text + 1]):
            word = texts.words[k]
            if seen[word] != text:
                seen[word] = text
                norm += np.float64(texts.weights[word]) ** 2
                if rare[word]:
                    size = _take_rare(word, texts.weights, rarest[:limit], size)
        norms[text] = norm
        mass = 0.0
        for word in rarest[:size]:
            mass += np.float64(texts.weights[word]) ** 2
        words = 2
        while words < size // 2 and words * mass < share * norm * size:
            words += 1
        out[text] = words * (words - 1) // 2


@kernel
def pairs_of_texts(texts, chosen, rare, out):
    """Write the pairs of each chosen text's rarest words that are `rare`: rarer word, other, text. Returns how many."""
    count = 0
    most = np.empty(OF_LONG_TEXT, np.int32)
    for text in chosen:
        rarest = most if texts.starts[text + 1] - texts.starts[text] >= LONG_TEXT else most[:OF_TEXT]
        size = 0
        for k in range(texts.starts[text], texts.starts[text + 1]):
            word = texts.words[k]
            known = False
            for other in rarest[:size]:
                known = known or other == word
            if rare[word] and not known:
                size = _take_rare(word, texts.weights, rarest, size)
        for i in range(size):
            for j in range(i + 1, size):
                out[0, count], out[1, count], out[2, count] = rarest[i], rarest[j], text
                count += 1
    return count
