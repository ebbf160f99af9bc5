"""The common subsequence of greatest weight of an eval text and a window of a document."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.compiled import kernel

UNMATCHED = -1
MAX_CELLS = 8_000_000
"""Tokens of the text times tokens of the window up to which they are aligned: 8 MB of trace, some 20 ms."""
_UP, _LEFT, _MATCH = np.uint8(0), np.uint8(1), np.uint8(2)


@kernel
def align(a, b, weights, matched, trace):
    """Mark for each token of `a` its place in `b`, or UNMATCHED; returns the matched share of the weight of `a`.

    Tokens are numbers of words; `weights` has each word's. `trace` is room for len(a) * len(b) bytes.
    """
    n, m = a.shape[0], b.shape[0]
    before, here = np.zeros(m + 1), np.zeros(m + 1)
    total = 0.0
    for i in range(n):
        word, weight = a[i], np.float64(weights[a[i]])
        total += weight
        row = i * m
        here[0] = 0.0
        for j in range(m):
            if b[j] == word:
                here[j + 1] = before[j] + weight
                trace[row + j] = _MATCH
            elif before[j + 1] >= here[j]:
                here[j + 1] = before[j + 1]
                trace[row + j] = _UP
            else:
                here[j + 1] = here[j]
                trace[row + j] = _LEFT
        before, here = here, before
    i, j = n - 1, m - 1
    for k in range(n):
        matched[k] = UNMATCHED
    while i >= 0 and j >= 0:
        step = trace[i * m + j]
        if step == _MATCH:
            matched[i] = j
            i -= 1
            j -= 1
        elif step == _UP:
            i -= 1
        else:
            j -= 1
    return before[m] / max(total, 1e-9)


@kernel
def align_all(words, texts, starts, weights, candidates, matched, offsets, scores):
    """Align every candidate (`eval_search.search`); its text's tokens get places among `words` from its offset on.

    A pair of more than MAX_CELLS gets the score -1 and no places.
    """
    trace = np.empty(1 << 16, np.uint8)
    for row in range(candidates.shape[0]):
        text, low, high = candidates[row, 1], candidates[row, 5], candidates[row, 6]
        a, b = texts[starts[text] : starts[text + 1]], words[low:high]
        places = matched[offsets[row] : offsets[row + 1]]
        cells = a.shape[0] * b.shape[0]
        if cells > MAX_CELLS:
            scores[row] = -1.0
            places[:] = UNMATCHED
            continue
        if cells > trace.shape[0]:
            trace = np.empty(2 * cells, np.uint8)
        scores[row] = align(a, b, weights, places, trace)
        for k in range(places.shape[0]):
            if places[k] != UNMATCHED:
                places[k] += low
