"""Recipes: what ships is valid, what is wrong is named, and the rate goes up, then down."""

import pytest

from pipelines.errors import UsageError
from workflows.train.recipe import load_train_recipe

STAGES = ("align", "mid", "instruct")


def test_only_the_projector_learns_in_align_and_everything_afterwards() -> None:
    parts = {stage: set(load_train_recipe(stage).learning_rate) for stage in STAGES}
    everything = {"vision", "projector", "language"}
    assert parts == {"align": {"projector"}, "mid": everything, "instruct": everything}


def test_the_rate_rises_to_its_peak_from_above_zero_and_falls_to_its_end() -> None:
    recipe = load_train_recipe("mid", ["warmup_steps=4", "final_share=0.1"])
    factors = [recipe.factor(step, 40) for step in range(40)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert factors[-1] == pytest.approx(0.1)
    assert all(0.0 < load_train_recipe("mid").factor(0, steps) <= 1 for steps in range(1, 30))


def test_a_share_of_warm_up_can_take_the_place_of_steps() -> None:
    recipe = load_train_recipe("mid", ["warmup_share=0.1"])
    assert recipe.warmup_steps is None
    assert recipe.factor(1, 20) == 1.0


@pytest.mark.parametrize(("setting", "told"), [
    ("learning_rat=1", "learning_rate"), ("learning_rate={heart: 1}", "heart"), ("clip=-1", "clip"), ("clip", "value"),
    ("spike.factr=2", "factor"), ("clip.x=2", "no keys"),
])  # fmt: skip
def test_a_wrong_setting_is_named(setting: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_train_recipe("mid", [setting])
    assert told in f"{refused.value.message} {refused.value.hint}"
