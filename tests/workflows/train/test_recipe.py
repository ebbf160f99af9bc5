"""Recipes: what ships is valid, what is wrong is named, and the rate goes up, then down."""

import pytest

from pipelines.errors import UsageError
from workflows.train.recipe import RECIPES, load_train_recipe

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


def test_every_stage_says_how_much_it_takes_a_step_and_how_often_and_where_that_is_from() -> None:
    for stage, epochs in (("align", 1), ("mid", 1), ("instruct", 2)):  # LLaVA-1.5; Lingshu
        recipe = load_train_recipe(stage)
        assert (recipe.epochs, recipe.batch_tokens) == (epochs, 2**20)
        lines = (RECIPES / f"{stage}.yaml").read_text(encoding="utf-8").splitlines()
        [line] = [line for line in lines if line.startswith("epochs")]
        assert "LLaVA-1.5" in line or "Lingshu" in line


def test_rows_of_a_step_are_asked_for_by_number_or_by_tokens() -> None:
    asked = {setting: load_train_recipe("mid", [setting]).rows_asked(4096) for setting in (
        "keep=2", "batch_tokens=524288", "batch_tokens=100", "rows_per_step=12")}  # fmt: skip
    assert list(asked.values()) == [None, 128, 1, 12]


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
