"""What a scan needs of the index, made once a process: weights, rare grams and pairs with their tables."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dedup.decontamination.text_index import CONTEXT, QUESTION, RATIONALE, TEXT, TextIndex
from dedup.decontamination.text_tokens import Places
from dedup.decontamination.text_words import empty_answers, statement_letters, stock_words
from dedup.kernels.eval_search import EvalTexts, Grams, postings_of, set_bits
from dedup.kernels.rare_grams import choose
from dedup.kernels.rare_pairs import Pairs, buckets_of, pairs_of
from dedup.kernels.rewordings import Confirming, fill_musts

COMMON_GRAM = 16
"""Eval texts that have a gram from which on it nominates none of them, unless they have no rarer one."""
COMMON_SHARE = 0.01
"""Share of the background that has a gram, from which on the same holds."""
RARE_GRAM, RARE_SHARE = 8, 0.001
"""Eval texts, and share of the background, up to which a gram shows that a text is one of its kind."""
BOILERPLATE_BELOW = 13
"""A question of so many tokens is no boilerplate, though many texts of the background have it: it may be upsampled."""
FEWEST_RARE, FEWEST_CONTENT = 2, 3
"""Rare grams, and words that are not stock words, without which a text is generic."""
LEAKED_COPIES, LEAKED_SHARE = 4, 0.02
"""Texts, at most this share of all, up to which a word weighs as one that so many have: counts of what is searched
include the leak, and without this the words of a question that did not leak would be its rarest."""
NOMINATING_SHARE = 0.02
"""Share of a question's squared weight that the rare words shared with a window must have."""
REWORDED_TOKENS = 6
TELLING_WEIGHT = math.log(100)
"""Weight of words together that are no less telling than one word that one text in a hundred has."""
INFORMATIVE_SHARE = 0.01
"""Share of all texts up to which a word makes an answer say something."""

EXACT_UP_TO = 3
"""Words of an answer up to which it must be in a text word by word."""
LEAST_SHARE = 0.8
"""Share of the weight of a longer answer's words that must be there."""


class Search(NamedTuple):
    """All of it."""

    texts: EvalTexts
    grams: Grams
    pairs: Pairs
    generic: npt.NDArray[np.bool_]
    """Texts that are no evidence alone."""
    stock: npt.NDArray[np.bool_]
    """Texts of stock words alone: not even their answer helps."""
    content: npt.NDArray[np.bool_]
    """Words of the vocabulary that are no stock words."""
    informative: npt.NDArray[np.bool_]
    """Words of the vocabulary that make an answer say something."""
    empty: npt.NDArray[np.bool_]
    """Words of which an answer may consist and say nothing: yes, no, sides, numerals, letters of statements."""
    letters: npt.NDArray[np.bool_]
    """Words of the vocabulary that are letters of statements."""
    tells: npt.NDArray[np.bool_]
    """Items whose answer says something."""
    confirming: Confirming


@lru_cache(maxsize=2)
def search_of(index: TextIndex) -> Search:
    """The search of an index; of the last two indexes it is kept."""
    words, total = len(index.vocabulary.plains), len(index.starts) - 1 + index.documents
    background = index.background_counts if index.documents else np.zeros(words + len(index.grams[0]), np.int64)
    owners = np.repeat(np.arange(len(index.starts) - 1), np.diff(index.starts))
    word_counts = _distinct_counts(owners, index.words, words) + background[:words]
    least = max(1.0, min(LEAKED_COPIES, LEAKED_SHARE * total))
    weights = _idf(np.maximum(word_counts, least), total).astype(np.float32)
    keys, at_tokens = index.grams
    gram_counts = _distinct_counts(owners, at_tokens, len(keys))
    grams, totals = _grams(index, keys, at_tokens, gram_counts, background[words:], owners, total)
    passages = np.isin(index.roles, (CONTEXT, RATIONALE))
    texts = EvalTexts(index.words, index.starts, totals, weights, passages)
    stock = _words_in(index, stock_words())
    rare_counts = _per_text(index, owners, at_tokens, gram_counts, background[words:])
    content = np.bincount(owners, ~stock[index.words], len(index.starts) - 1)
    generic = (rare_counts < FEWEST_RARE) | (content < FEWEST_CONTENT)
    generic |= np.diff(index.item_starts) > index.settings.max_items
    generic |= np.diff(index.starts) < index.settings.short_tokens
    # A report or caption that two items have is a template of its corpus.
    generic |= (index.roles >= TEXT) & (np.diff(index.item_starts) > 1)
    empty = _words_in(index, empty_answers()) | index.vocabulary.numerals
    informative = (word_counts <= max(2.0, INFORMATIVE_SHARE * total)) & ~empty & ~stock
    unknown = float(_idf(np.array([least]), total)[0])
    tells = _telling(index, weights, informative, empty)
    return Search(
        texts, grams, _pairs(index, texts, ~stock, unknown), generic, content < 1, ~stock,
        informative, empty, _words_in(index, statement_letters()), tells,
        _confirming(index, weights, tells, generic),
    )  # fmt: skip


def _confirming(
    index: TextIndex, weights: npt.NDArray[np.float32], tells: npt.NDArray[np.bool_], generic: npt.NDArray[np.bool_]
) -> Confirming:
    settings = index.settings
    confirming = Confirming(
        np.float64(settings.paraphrase_alone), np.float64(settings.paraphrase_beside), index.items, index.item_starts,
        index.answers, index.answer_starts, tells, generic, np.empty(len(generic), np.int32),
        np.int64(settings.answer_reach), np.int64(EXACT_UP_TO), np.float64(LEAST_SHARE),
    )  # fmt: skip
    fill_musts(weights, confirming)
    return confirming


def _telling(
    index: TextIndex, weights: npt.NDArray[np.float32], informative: npt.NDArray[np.bool_],
    empty: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:  # fmt: skip
    count = len(index.answer_starts) - 1
    owners = np.repeat(np.arange(count), np.diff(index.answer_starts))
    mass = np.bincount(owners, np.where(empty, 0.0, weights)[index.answers], count)
    return (np.bincount(owners, informative[index.answers], count) > 0) | (mass >= TELLING_WEIGHT)


def _idf(counts: npt.NDArray[Any], total: int) -> npt.NDArray[np.float64]:
    return np.maximum(0.05, np.log((total + 1) / (counts + 0.5)))


def _distinct_counts(owners: Places, numbers: npt.NDArray[np.int32], size: int) -> npt.NDArray[np.int64]:
    """How many owners have each number; negative numbers are none."""
    pairs = np.unique(owners[numbers >= 0] * (size + 1) + numbers[numbers >= 0])
    return np.bincount(pairs % (size + 1), minlength=size).astype(np.int64)


def _grams(
    index: TextIndex, keys: npt.NDArray[np.uint64], at_tokens: npt.NDArray[np.int32], counts: npt.NDArray[np.int64],
    background: npt.NDArray[np.int64], owners: Places, total: int,
) -> tuple[Grams, npt.NDArray[np.float32]]:  # fmt: skip
    """The rare grams of each text with where they stand, and their weight in each text together."""
    crowded = counts > COMMON_GRAM
    common = crowded | (background > max(50, COMMON_SHARE * index.documents))
    chosen = np.zeros(len(at_tokens), np.bool_)
    choose(index.starts, at_tokens, counts + background, common, crowded, index.settings.short_tokens, chosen)
    places = np.flatnonzero(chosen)
    places = places[np.argsort(at_tokens[places], kind="stable")]
    used, numbers = np.unique(at_tokens[places], return_inverse=True)
    weights = _idf((counts + background)[used], total).astype(np.float32)
    totals = np.bincount(owners[places], weights[numbers], len(index.starts) - 1).astype(np.float32)
    postings = postings_of(owners[places], places - index.starts[owners[places]])
    starts = np.searchsorted(numbers, np.arange(len(used) + 1)).astype(np.int64)
    return Grams(_bitmap(keys[used]), *buckets_of(keys[used]), keys[used], starts, postings, weights), totals


def _bitmap(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Twenty bits or more for each key: a look at the table behind it costs ten looks at the bitmap."""
    bitmap = np.zeros(1 << max(10, int(len(keys) // 3).bit_length()), np.uint64)
    set_bits(bitmap, keys)
    return bitmap


def _per_text(
    index: TextIndex, owners: Places, at_tokens: npt.NDArray[np.int32], counts: npt.NDArray[np.int64],
    background: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:  # fmt: skip
    """How many rare grams each text has."""
    among_evals = counts <= RARE_GRAM
    everywhere = among_evals & (background <= max(3, RARE_SHARE * index.documents))
    long_question = (index.roles == QUESTION) & (np.diff(index.starts) >= BOILERPLATE_BELOW)
    present = at_tokens >= 0
    numbers = np.maximum(at_tokens, 0)
    if not len(counts):
        return np.zeros(len(index.starts) - 1, np.int64)
    rare = np.where(long_question[owners], among_evals[numbers], everywhere[numbers]) & present
    return np.bincount(owners, rare, len(index.starts) - 1).astype(np.int64)


def _words_in(index: TextIndex, hashes: frozenset[int]) -> npt.NDArray[np.bool_]:
    """Which words of the vocabulary have a form among these."""
    chosen = np.zeros(len(index.vocabulary.plains), np.bool_)
    forms = np.isin(index.vocabulary.forms, np.array(sorted(hashes), np.uint64))
    chosen[index.vocabulary.form_words[forms]] = True
    return chosen


def _pairs(index: TextIndex, texts: EvalTexts, content: npt.NDArray[np.bool_], unknown: float) -> Pairs:
    """Pairs of rare words of the questions that may be reworded."""
    wanted = np.flatnonzero((index.roles == QUESTION) & (np.diff(index.starts) >= REWORDED_TOKENS)).astype(np.int64)
    if not index.settings.paraphrase:
        wanted = wanted[:0]
    # A word that no item has weighs as the rarest that one has: else, in a small eval set, more than all others.
    return pairs_of(texts, wanted, content, NOMINATING_SHARE, unknown)
