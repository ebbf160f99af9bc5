import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dedup.decontamination.calibration.intervals import at_most, most_missed, wilson


@pytest.mark.parametrize(("found", "of"), [(0, 5), (5, 5), (3, 7), (190, 200), (1, 1000)])
def test_the_interval_is_wilsons(found: int, of: int) -> None:
    known = stats.binomtest(found, of).proportion_ci(method="wilson")
    assert wilson(found, of) == pytest.approx((known.low, known.high), abs=1e-6)


def test_nothing_counted_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.01, 0.99))
def test_the_probability_of_no_more_is_the_binomials(seen: int, missed: int, share: float) -> None:
    known = float(stats.binom.cdf(seen, seen + missed, share))
    assert at_most(seen, seen + missed, share) == pytest.approx(known, abs=1e-9)


@given(st.integers(0, 60), st.floats(0.05, 0.99))
def test_the_bound_on_the_missed_is_the_largest_that_is_not_refuted(seen: int, share: float) -> None:
    found = most_missed(seen, share, 10_000, 0.025)
    assert stats.binom.cdf(seen, seen + found, share) > 0.025 or found == 0
    assert stats.binom.cdf(seen, seen + found + 1, share) <= 0.025 or found == 10_000


def test_where_nothing_would_have_been_seen_all_may_have_been_missed() -> None:
    assert most_missed(0, 0.0, 300, 0.025) == 300
    assert most_missed(7, 1.0, 300, 0.025) == 0
