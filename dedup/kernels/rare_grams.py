"""Which runs of three words of each eval text are indexed, and how often they are in other texts."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

from dedup.kernels.compiled import kernel
from dedup.kernels.eval_search import GRAM, gram_key
from dedup.kernels.vocabulary import UNKNOWN, found

ALL_UP_TO = 16
"""Tokens of a text up to which every gram is indexed."""
WINDOW = 4
"""Of longer texts the rarest of each so many grams in a row: a run of WINDOW + 2 tokens always holds an indexed one."""


@kernel
def choose(starts, grams, counts, common, crowded, short, chosen):
    """Mark the tokens at which an indexed gram begins.

    `grams` has the number of the gram at each token (UNKNOWN: none), `counts` how many texts have it, `common` whether
    that is too many, `crowded` whether too many eval texts do. A text all of whose grams are common (it may be in the
    background many times over) gets those that are not crowded, and always its rarest one; a short text only that.
    """
    for text in range(starts.shape[0] - 1):
        low, high = starts[text], starts[text + 1] - GRAM + 1
        if high <= low:
            continue
        any_chosen = False
        if high - low + GRAM - 1 >= short:
            step = 1 if high - low + GRAM - 1 <= ALL_UP_TO else WINDOW
            any_chosen = _chosen(grams, counts, common, low, high, step, chosen)
            if not any_chosen:
                _chosen(grams, counts, crowded, low, high, step, chosen)
        if not any_chosen:
            chosen[_rarest(grams, counts, low, high)] = True


@kernel
def _chosen(grams, counts, barred, low, high, step, chosen):
    """Mark the rarest gram of each `step` in a row that is not barred; whether there is one."""
    found_one = False
    for window in range(low, max(low + 1, high - step + 1)):
        best = _rarest(grams, counts, window, min(high, window + step))
        if not barred[grams[best]]:
            chosen[best] = found_one = True
    return found_one


@kernel
def _rarest(grams, counts, low, high):
    best = low
    for k in range(low + 1, high):
        if counts[grams[k]] < counts[grams[best]]:
            best = k
    return best


@kernel
def document_counts(words, documents, slots, keys, word_counts, gram_counts, word_seen, gram_seen):
    """Add to the counts one for each document that has a word, or a gram; `*_seen` is room, as long as the counts."""
    word_seen[:] = -1
    gram_seen[:] = -1
    for document in range(documents.shape[0] - 1):
        for k in range(documents[document], documents[document + 1]):
            word = words[k]
            if word < 0:
                continue
            if word_seen[word] != document:
                word_seen[word] = document
                word_counts[word] += 1
            if k + GRAM <= documents[document + 1] and words[k + 1] >= 0 and words[k + 2] >= 0:
                gram = found(gram_key(word, words[k + 1], words[k + 2]), slots, keys)
                if gram != UNKNOWN and gram_seen[gram] != document:
                    gram_seen[gram] = document
                    gram_counts[gram] += 1
