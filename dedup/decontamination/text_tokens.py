"""Texts read into tokens, and runs of tokens cut, gathered and told apart."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.kernels.folding import folding
from dedup.kernels.pieces import code_points, digests
from dedup.kernels.reading import NUMERAL
from dedup.kernels.vocabulary import Vocabulary, plain_hashes, read_words, slots_of, table_of

Places = npt.NDArray[np.int64]
NOTHING = Vocabulary(
    table_of(np.zeros(0, np.uint64), np.zeros(0, np.int32)), np.zeros(0, np.uint64), np.zeros(0, np.int32),
    slots_of(np.zeros(0, np.uint64)), np.zeros(0, np.uint64), np.zeros(0, np.bool_),
)  # fmt: skip


class Tokens(NamedTuple):
    """Tokens of texts, one text after the other; text i has those from `texts[i]` to `texts[i + 1]`."""

    hashes: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int32]
    stops: npt.NDArray[np.int32]
    """Bytes from the beginning of the text."""
    kinds: npt.NDArray[np.uint8]
    words: npt.NDArray[np.int32]
    """Numbers in the vocabulary, -1 for words that are not in it."""
    texts: Places


def tokens_of(data: npt.NDArray[np.uint8], begins: Places, ends: Places, vocabulary: Vocabulary = NOTHING) -> Tokens:
    """Tokens of the texts `data[begins[i]:ends[i]]` (`dedup/kernels/reading.py`)."""
    room = int((ends - begins).sum()) + 1
    hashes, kinds = np.empty(room, np.uint64), np.empty(room, np.uint8)
    starts, stops, words = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    texts = np.empty(len(begins) + 1, np.int64)
    count = read_words(data, begins, ends, folding(), vocabulary, hashes, starts, stops, kinds, words, texts)
    return Tokens(hashes[:count], starts[:count], stops[:count], kinds[:count], words[:count], texts)


def vocabulary_of(
    data: npt.NDArray[np.uint8], begins: Places, tokens: Tokens
) -> tuple[Vocabulary, npt.NDArray[np.int32]]:
    """The vocabulary of some tokens, and each token's number of its form in it."""
    forms, firsts, numbers = np.unique(tokens.hashes, return_index=True, return_inverse=True)
    bases = begins[np.searchsorted(tokens.texts, firsts, side="right") - 1]
    plain = np.empty(len(forms), np.uint64)
    plain_hashes(
        data, bases, tokens.starts[firsts], tokens.stops[firsts], tokens.kinds[firsts], forms, folding(), plain
    )  # fmt: skip
    plains, words = np.unique(plain, return_inverse=True)
    numerals = np.zeros(len(plains), np.bool_)
    numerals[words[tokens.kinds[firsts] & 3 == NUMERAL]] = True
    return vocabulary_from(forms, words.astype(np.int32), plains, numerals), numbers.astype(np.int32)


def vocabulary_from(
    forms: npt.NDArray[np.uint64], words: npt.NDArray[np.int32], plains: npt.NDArray[np.uint64],
    numerals: npt.NDArray[np.bool_],
) -> Vocabulary:  # fmt: skip
    """The vocabulary with its tables for looking up."""
    return Vocabulary(table_of(forms, words), forms, words, slots_of(plains), plains, numerals)


def code_point_spans(
    data: npt.NDArray[np.uint8], begins: Places, tokens: Tokens
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start and stop of each token in code points of its text."""
    bases = np.repeat(begins, np.diff(tokens.texts))
    starts, stops = np.empty(len(bases), np.int64), np.empty(len(bases), np.int64)
    code_points(data, bases, tokens.starts, starts)
    code_points(data, bases, tokens.stops, stops)
    return starts, stops


def cut(starts: Places, longest: int) -> tuple[Places, Places]:
    """Runs cut into pieces of at most so many: starts of the pieces (one more than there are), and whose they are."""
    counts = np.maximum(1, -(-np.diff(starts) // longest))
    owners = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.concatenate([starts[owners] + within * longest, starts[-1:]]), owners


def gathered(starts: Places, chosen: Places) -> tuple[Places, Places]:
    """Places of the members of some runs, and where each run begins among them (one more than there are)."""
    lengths = np.diff(starts)[chosen]
    new_starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(new_starts[-1]) - np.repeat(new_starts[:-1], lengths) + np.repeat(starts[chosen], lengths)
    return places, new_starts


def distinct(
    words: npt.NDArray[np.int32], starts: Places, salts: npt.NDArray[np.uint8]
) -> tuple[Places, npt.NDArray[np.int64]]:
    """The first of equal runs (of one salt), in order, and for each run the number of its like among them."""
    values = np.empty(len(starts) - 1, np.uint64)
    digests(words, starts, salts, values)
    _, firsts, numbers = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(firsts, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return firsts[order].astype(np.int64), rank[numbers]
