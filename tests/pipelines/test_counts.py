from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.verdicts import decided
from pipelines.counts import ErrorBudget, StepCounts, balance, tally
from pipelines.errors import BudgetError, ConservationError

fates = st.sampled_from([("keep", None), ("edit", "x.y"), ("drop", "a.b"), ("drop", "a.c"), ("quarantine", "d.error")])


@given(st.lists(fates, max_size=60), st.integers(0, 5))
def test_a_tally_of_any_verdicts_balances(rows: list[tuple[str, str | None]], made: int) -> None:
    made = min(made, len(rows))
    verdicts = decided(np.array([v for v, _ in rows], object), np.array([r for _, r in rows], object))
    counts = tally(len(rows) - made, made, verdicts)
    assert counts["kept"] == sum(verdict in ("keep", "edit") for verdict, _ in rows)
    assert Counter(counts["dropped"]) == Counter(reason for verdict, reason in rows if verdict == "drop")


def test_a_lost_sample_is_noticed() -> None:
    with pytest.raises(ConservationError, match="3 samples went in, 2 came out"):
        tally(3, 0, decided(np.array(["keep", "keep"], object), np.array([None, None], object)))


def test_a_drop_without_reason_is_noticed() -> None:
    with pytest.raises(ConservationError, match="without a reason"):
        tally(1, 0, decided(np.array(["drop"], object), np.array([None], object)))


def test_a_sample_lost_between_steps_is_noticed() -> None:
    counts = StepCounts("tokens", given=9, kept=9)
    with pytest.raises(ConservationError, match="step tokens was given 9 samples, 10 were kept before it"):
        counts.check(10)


def test_made_samples_count_as_going_in() -> None:
    balance({"in": 2, "made": 3, "kept": 4, "dropped": {"a": 1}, "quarantined": {}})


def step(source: str, given_: int, **quarantined: int) -> StepCounts:
    counts = StepCounts("ingest")
    reasons = {name.replace("_", ".", 1): number for name, number in quarantined.items()}
    counts.add(
        source,
        {"in": given_, "made": 0, "kept": given_ - sum(reasons.values()), "dropped": {}, "quarantined": reasons},
    )
    return counts


def test_twenty_errors_are_always_tolerated_and_one_more_is_not() -> None:
    ErrorBudget(0.0, {}, Counter(s=100)).spend(step("s", 100, record_malformed=20))
    with pytest.raises(BudgetError, match="21 of 100 records"):
        ErrorBudget(0.0, {}, Counter(s=100)).spend(step("s", 100, record_malformed=21))


def test_policy_quarantines_do_not_spend_the_budget() -> None:
    ErrorBudget(0.0, {}, Counter(s=1000)).spend(step("s", 1000, phi_burned_in=900))


def test_a_source_with_its_own_budget_spends_only_that() -> None:
    budget = ErrorBudget(0.01, {"messy": 0.5}, Counter(messy=1000, clean=1000))
    budget.spend(step("messy", 1000, record_malformed=400))
    budget.spend(step("clean", 1000, record_malformed=20))
    with pytest.raises(BudgetError, match="source messy"):
        budget.spend(step("messy", 1000, record_malformed=200))


def test_errors_add_up_over_steps() -> None:
    budget = ErrorBudget(0.03, {}, Counter(s=1000))
    budget.spend(step("s", 1000, record_malformed=29))
    with pytest.raises(BudgetError):
        budget.spend(step("s", 971, image_undecodable=2))


def test_a_step_in_which_everything_fails_ends_the_run() -> None:
    with pytest.raises(BudgetError, match="every one of 3 samples failed"):
        ErrorBudget(1.0, {}, Counter(s=3)).spend(step("s", 3, tokens_error=3))


def test_an_error_with_a_known_cure_says_what_to_do() -> None:
    for taken in (300, 3000):
        with pytest.raises(BudgetError) as raised:
            ErrorBudget(0.01, {}, Counter(s=3000)).spend(step("s", taken, record_encoding=300))
        assert "encoding: windows-1252" in raised.value.hint
