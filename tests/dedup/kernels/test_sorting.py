import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.kernels.sorting import MOST_AT_ONCE, MOST_PER_BUCKET, order_of_hashes, spread


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 7, 2**64 - 1]), max_size=300))
def test_hashes_are_sorted_as_a_stable_sort_does(values: list[int]) -> None:
    hashes = np.array(values, np.uint64)
    assert (order_of_hashes(hashes) == np.argsort(hashes, kind="stable")).all()


@pytest.mark.parametrize("count", [1, 5000, MOST_AT_ONCE + 1])
def test_many_hashes_some_of_them_repeated_are_sorted_as_a_stable_sort_does(count: int) -> None:
    hashes = np.random.default_rng(count).integers(0, 2**64, count, np.uint64)
    hashes[: count // 3] = hashes[count - count // 3 :]
    assert (order_of_hashes(hashes) == np.argsort(hashes, kind="stable")).all()


@pytest.mark.parametrize("crowded", [np.zeros(9000, np.uint64), np.arange(9000, dtype=np.uint64)], ids=["equal", "low"])
def test_what_crowds_into_one_bucket_is_left_to_a_sort_by_comparison(crowded: np.ndarray) -> None:
    assert len(spread(crowded, 8, MOST_PER_BUCKET)) == 0
    assert (order_of_hashes(crowded) == np.arange(9000)).all()
