from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shards.mixture import Coded, PlanSettings, default_rows_per_step, fitting_rows_per_step, hashes, multipliers, uses

HASHES = [7285384763619858921, 5247535679529136363, 17121752444799677620]


def settings_of(**given: Any) -> PlanSettings:
    return PlanSettings(context=4096, rows_per_step=8, **given)


def words_of(sources: list[int]) -> dict[Any, Coded]:
    codes = np.array(sources, np.int16)
    return {
        "source": Coded(codes, ("a", "b")),
        "modality": Coded(codes * 0, ("xray",)),
        "task": Coded(codes * 0, ("vqa",)),
    }


def multiplied(given: PlanSettings, sources: list[int]) -> list[float]:
    return multipliers(given, words_of(sources), np.ones(len(sources), np.bool_)).tolist()


def used(given: PlanSettings, wanted: Any, words: dict[Any, Coded], epoch: int, tokens: Any = None) -> Any:
    return uses(given, wanted, words["source"], np.ones(len(wanted), np.int64) if tokens is None else tokens, epoch)


def test_each_sample_is_used_once_if_nothing_is_said() -> None:
    words = words_of([0, 0, 1])
    found = multipliers(settings_of(), words, np.ones(3, np.bool_))
    assert used(settings_of(), found, words, 0).tolist() == [1, 1, 1]


def test_weights_of_source_modality_and_task_are_multiplied() -> None:
    given = settings_of(weights={"source": {"b": 0.5}, "modality": {"xray": 3}, "task": {"vqa": 0.5}})
    assert multiplied(given, [0, 1]) == [1.5, 0.75]


def test_temperature_brings_sources_nearer_to_the_largest() -> None:
    assert multiplied(settings_of(temperature=2.0), [0] * 16 + [1] * 4) == [1.0] * 16 + [2.0] * 4


def test_no_sample_is_used_more_often_than_max_repeats() -> None:
    words, hundred = words_of([0]), np.full(1, 100.0)
    assert multiplied(settings_of(weights={"source": {"a": 100}}), [0]) == [100.0]
    assert used(settings_of(), hundred, words, 0).tolist() == [4]
    assert used(settings_of(max_repeats=7), hundred, words, 0).tolist() == [7]


def test_unusable_samples_are_not_used_and_do_not_count_for_their_source() -> None:
    usable = np.array([True] * 4 + [False] * 12 + [True] * 16)
    found = multipliers(settings_of(temperature=2.0), words_of([0] * 16 + [1] * 16), usable)
    assert found.tolist() == [2.0] * 4 + [0.0] * 12 + [1.0] * 16


def test_a_share_of_a_use_comes_up_in_that_share_of_the_samples() -> None:
    count = 20_000
    words = words_of([0] * count)
    found = used(settings_of(), np.full(count, 2.25), words, 0)
    assert set(found.tolist()) == {2, 3}
    assert abs(float(found.mean()) - 2.25) < 0.015  # 4.9 standard deviations


def test_another_epoch_or_seed_draws_others() -> None:
    words = words_of([0] * 1000)
    half = np.full(1000, 0.5)
    drawn = [used(settings_of(seed=seed), half, words, epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(one) for one in drawn}) == 4
    assert drawn[0] == used(settings_of(), half, words, 0).tolist()


@given(st.integers(1, 60), st.floats(0, 4), st.integers(1, 100))
def test_a_cap_is_kept_exactly_and_every_sample_is_used_before_any_is_repeated(
    count: int, multiplier: float, cap: int
) -> None:
    words = words_of([0] * count + [1] * 5)
    wanted = np.full(count + 5, round(multiplier, 12))
    free = used(settings_of(), wanted, words, 0)
    capped = used(settings_of(caps={"a": cap}), wanted, words, 0)
    assert capped[:count].sum() == min(cap, free[:count].sum())
    assert capped[count:].tolist() == free[count:].tolist()
    if capped[:count].sum() == cap < free[:count].sum():
        assert (capped[:count] <= free[:count]).all()
        assert capped[:count].max() <= max(1, -(-cap // max(1, int((free[:count] > 0).sum()))) + 1)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 400), st.sampled_from([1.0, 2.25]))
def test_a_cap_of_tokens_is_filled_and_never_passed(lengths: list[int], cap: int, multiplier: float) -> None:
    words = words_of([0] * len(lengths) + [1] * 5)
    tokens, wanted = np.array([*lengths, *[50] * 5], np.int64), np.full(len(lengths) + 5, multiplier)
    free = used(settings_of(), wanted, words, 0)
    capped = used(settings_of(token_caps={"a": cap}), wanted, words, 0, tokens)
    assert capped[len(lengths) :].tolist() == free[len(lengths) :].tolist()
    taken, whole = ((uses_n * tokens)[: len(lengths)].sum() for uses_n in (capped, free))
    assert taken <= cap
    assert taken == whole or taken > cap - max(lengths)


def test_random_numbers_are_the_same_on_every_machine() -> None:
    """Written down once: another number here would be another order of training for the same recipe."""
    assert hashes(0, 0, 3, 3).tolist() == HASHES
    assert hashes(0, 0, 3, 2).tolist() == HASHES[:2]
    assert (
        len({*hashes(0, 0, 1, 1000).tolist(), *hashes(0, 1, 1, 1000).tolist(), *hashes(1, 0, 1, 1000).tolist()}) == 3000
    )


def test_steps_are_halved_while_the_last_one_would_be_half_empty() -> None:
    assert fitting_rows_per_step(131_072, 8 * 34 + 1) == 8
    assert fitting_rows_per_step(131_072, 28) == 4
    assert fitting_rows_per_step(131_072, 3) == 1
    assert fitting_rows_per_step(4096, 0) == 256


def test_a_step_has_about_a_million_tokens() -> None:
    assert [default_rows_per_step(context) for context in (4096, 131_072, 2**21)] == [256, 8, 1]


def test_the_rows_of_a_step_are_a_power_of_two_whatever_the_context_is() -> None:
    assert [default_rows_per_step(context) for context in (3072, 12_288, 40_960)] == [256, 64, 16]
    assert fitting_rows_per_step(3072, 28) == 4


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0},
        {"weights": {"source": {"a": -1}}},
        {"caps": {"a": 0}},
        {"weights": {"colour": {}}},
        {"spice": 1},
    ],
)
def test_values_out_of_range_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings_of(**given)
