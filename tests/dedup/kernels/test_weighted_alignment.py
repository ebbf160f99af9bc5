import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dedup.kernels.weighted_alignment import UNMATCHED, align

TOKENS = st.lists(st.integers(0, 5), min_size=1, max_size=14)


def heaviest(a, b, weights):
    """Weight of the heaviest common subsequence, by the textbook recurrence."""
    table = np.zeros((len(a) + 1, len(b) + 1))
    for i in range(len(a)):
        for j in range(len(b)):
            with_both = table[i, j] + weights[a[i]] if a[i] == b[j] else 0
            table[i + 1, j + 1] = max(table[i, j + 1], table[i + 1, j], with_both)
    return table[-1, -1]


@given(TOKENS, TOKENS, st.lists(st.floats(0.5, 9), min_size=6, max_size=6))
def test_the_alignment_has_the_greatest_weight_and_is_one(a, b, weights):
    a, b = np.array(a, np.int32), np.array(b, np.int32)
    weights = np.array(weights, np.float32)
    matched = np.empty(len(a), np.int64)

    share = align(a, b, weights, matched, np.empty(len(a) * len(b), np.uint8))

    present = matched != UNMATCHED
    assert np.isclose(share * weights[a].sum(), heaviest(a, b, weights), rtol=1e-5)
    assert np.isclose(weights[a[present]].sum(), heaviest(a, b, weights), rtol=1e-5)
    assert (b[matched[present]] == a[present]).all()
    assert (np.diff(matched[present]) > 0).all()
