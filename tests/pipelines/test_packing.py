import pytest

from pipelines.errors import UsageError
from pipelines.packing import plan_settings
from pipelines.recipe_file import load_recipe
from shards.manifest import Manifest, Mixture

MANIFEST = Manifest(
    build="b", stage="mid", tokenizer="o200k_harmony", context_tokens=4096, shards=(),
    mixture=Mixture(seed=0, epochs=1, weights={"slake": 2.0}),
)  # fmt: skip


def test_the_recipe_says_how_the_default_plan_is_made() -> None:
    values = ["images={policy: tiles}", "weights.modality.ct=2", "caps.slake=10", "temperature=2", "rows_per_step=16",
              "token_caps.slake=9000"]  # fmt: skip
    recipe = load_recipe("mid", None, [f"mixture.{value}" for value in values])
    found = plan_settings(recipe.mixture, MANIFEST)
    assert (found.context, found.rows_per_step, found.temperature, found.caps) == (4096, 16, 2.0, {"slake": 10})
    assert found.token_caps == {"slake": 9000}
    assert found.weights == {"source": {"slake": 2.0}, "modality": {"ct": 2.0}, "task": {}}
    assert (found.images.policy, found.images.tokens_per_tile, found.images.max_tiles) == ("tiles", 576, 12)


@pytest.mark.parametrize("stage", ["align", "mid", "instruct"])
def test_shipped_recipes_use_each_sample_once_and_let_the_data_say_how_large_a_step_is(stage: str) -> None:
    found = plan_settings(load_recipe(stage, None, []).mixture, MANIFEST)
    assert (found.rows_per_step, found.epochs, found.temperature, found.caps, found.cut) == (None, 1, 1.0, {}, False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("weights.modality.cat=1", "'cat' is not one of xray, ct"),
        ("caps.slak=1", "mixture.caps: 'slak' is no source of this recipe"),
        ("token_caps.slak=1", "mixture.caps: 'slak' is no source of this recipe"),
        ("temprature=2", "mixture.temprature: unknown key"),
        ("images.policy=tile", "Input should be 'fixed' or 'tiles'"),
        ("max_repeats=0", "greater than or equal to 1"),
    ],
)
def test_a_mixture_that_cannot_be_is_told(value: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe("mid", None, [f"mixture.{value}"])
    assert said in caught.value.message
