from pathlib import Path

import pytest
import yaml

from filters.tokens import HARMONY, load_counter
from pipelines.errors import UsageError
from pipelines.recipe_file import load_recipe

MINIMAL = {"stage": "mid", "sources": [{"name": "medquad"}]}


def recipe_file(folder: Path, **changes: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | changes), encoding="utf-8")
    return path


@pytest.mark.parametrize("stage", ["align", "mid", "instruct"])
def test_shipped_recipes_load_and_every_source_is_optional(stage: str) -> None:
    recipe = load_recipe(stage, None, ())
    assert recipe.stage == stage
    assert all(entry.optional for entry in recipe.sources)


@pytest.mark.parametrize("stage", ["align", "mid", "instruct"])
def test_shipped_prompts_are_of_one_length_so_that_none_decides_about_a_sample(stage: str) -> None:
    prompts, count = load_recipe(stage, None, ()).prompts, load_counter(HARMONY)
    for choices in (prompts.caption, prompts.report):
        assert len({count(prompt) for prompt in choices}) == 1


def test_set_overrides_one_value_and_a_source_by_its_name() -> None:
    recipe = load_recipe("mid", None, ["steps.tokens.max=2048", "sources.medquad.weight=2.5"])
    assert recipe.steps.tokens.max == 2048
    assert next(entry.weight for entry in recipe.sources if entry.name == "medquad") == 2.5


def test_the_stage_on_the_command_line_wins_over_the_recipe(tmp_path: Path) -> None:
    assert load_recipe("align", recipe_file(tmp_path), ()).stage == "align"


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("steps.tokens.maxx=3", "did you mean 'max'?"),
        ("steps.token.max=3", "did you mean 'tokens'?"),
        ("shard.max_bytes=3", "did you mean 'shards'?"),
        ("sources.medquat.weight=3", "did you mean 'medquad'?"),
        ("steps.tokens.per_task.vqa.mn=3", "did you mean 'min'?"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest(tmp_path: Path, override: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(None, recipe_file(tmp_path), [override])
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps.tokens.min=-1", "greater than or equal to 0"),
        ("steps.tokens.min=5000", "min 5000 is more than max 1024"),
        ("steps.license.access=[opn]", "'opn' is not one of open"),
        ("steps.tokens.per_task.poem={min: 1}", "'poem' is not one of"),
        ("budget.quarantined=2", "less than or equal to 1"),
        ("stage=pretrain", "'align', 'mid' or 'instruct'"),
    ],
)
def test_a_value_out_of_range_says_what_is_allowed(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(None, recipe_file(tmp_path), [override])
    assert message in caught.value.message


@pytest.mark.parametrize("text", ["stage: [", "- just\n- a list", ""])
def test_a_file_that_is_no_recipe_is_a_usage_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"broken\.yaml"):
        load_recipe(None, path, ())


def test_a_source_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="named twice: medquad"):
        load_recipe(None, recipe_file(tmp_path, sources=[{"name": "medquad"}, {"name": "medquad"}]), ())
