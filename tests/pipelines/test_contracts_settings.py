"""What a recipe may say of contracts, and what it is told when it says something else."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.contracts.columns import COLUMNS, Gate
from pipelines.contracts.rules import FORMS, OWN_FORMS
from pipelines.errors import UsageError
from pipelines.recipe import Recipe
from pipelines.recipe_file import load_recipe

IN_SET: dict[str, Any] = {
    "expect": "expect_column_values_to_be_in_set",
    "column": "language",
    "value_set": ["en"],
}


def load(place: Path, contracts: Any) -> Recipe:
    path = place / "recipe.yaml"
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": [{"name": "slake"}], "contracts": contracts}))
    return load_recipe(None, path, ())


def test_contracts_are_checked_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": [{"name": "slake"}]}))
    assert load_recipe(None, path, ()).contracts.enabled
    assert not load_recipe(None, path, ["contracts.enabled=false"]).contracts.enabled


def test_an_expectation_is_taken_as_it_is_written(tmp_path: Path) -> None:
    recipe = load(tmp_path, {"samples": [{**IN_SET, "severity": "warning", "source": "slake", "mostly": 0.9}]})
    rule = recipe.contracts.samples[0].rule()
    assert (rule.expect, dict(rule.arguments)) == (IN_SET["expect"], {"column": "language", "value_set": ["en"]})
    assert (rule.severity, rule.source, rule.mostly) == ("warning", "slake", 0.9)
    written = recipe.model_dump(mode="json")["contracts"]["samples"]
    assert written == [{**IN_SET, "severity": "warning", "source": "slake", "mostly": 0.9}]


@pytest.mark.parametrize(
    ("gate", "changed", "said"),
    [
        ("samples", {"expect": "expect_column_value_to_be_in_set"},
         "did you mean 'expect_column_values_to_be_in_set'?"),
        ("samples", {"expect": "expect_column_mean_to_be_between"}, "is not an expectation that contracts can check"),
        ("samples", {"column": "languages"}, "did you mean 'language'?"),
        ("images", {}, "'language' is not a column of images"),
        ("samples", {"column": None}, "needs a column"),
        ("samples", {"column_A": "task"}, "takes no column_A"),
        ("samples", {"value_set": None}, "needs value_set"),
        ("samples", {"value_set": [1]}, "language holds text, which 1 is not"),
        ("samples", {"column": "turns"}, "turns holds number, which 'en' is not"),
        ("samples", {"regex": "^e"}, "takes no regex; it takes column, value_set"),
        ("samples", {"severity": "fatal"}, "'critical', 'warning' or 'info'"),
        ("samples", {"source": "slak"}, "did you mean 'slake'?"),
        ("samples", {"mostly": 1.5}, "less than or equal to 1"),
        ("manifest", {"column": "name", "source": "slake"}, "they take no source"),
        ("samples", {"expect": "expect_column_values_to_be_between", "value_set": None, "min_value": 1},
         "language holds text, and this needs number"),
        ("kept", {"expect": "expect_column_values_to_be_between", "value_set": None, "column": "tokens",
                  "min_value": 3, "max_value": 2}, "min_value 3 is more than max_value 2"),
        ("samples", {"expect": "expect_column_values_to_match_regex", "value_set": None, "regex": "("},
         "is not a regular expression"),
        ("samples", {"expect": "expect_table_row_count_to_equal", "value_set": None, "column": None, "value": 1,
                     "mostly": 0.5}, "it takes no mostly"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused_with_what_would_do(
    tmp_path: Path, gate: str, changed: dict[str, Any], said: str
) -> None:
    wrong = {key: value for key, value in {**IN_SET, **changed}.items() if value is not None}
    with pytest.raises(UsageError) as raised:
        load(tmp_path, {gate: [wrong]})
    assert raised.value.status == 2
    assert said in f"{raised.value.message} {raised.value.hint}"


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        load(tmp_path, {"samples": [{**IN_SET, "colum": "language"}]})
    assert raised.value.message.endswith("contracts.samples.0.colum: unknown key")
    assert raised.value.hint == "did you mean 'column'?"
    with pytest.raises(UsageError) as raised:
        load(tmp_path, {"sample": []})
    assert raised.value.hint == "did you mean 'samples'?"


@pytest.mark.parametrize("name", [*FORMS, *OWN_FORMS])
def test_every_expectation_takes_the_arguments_that_great_expectations_gives_it(name: str) -> None:
    expectations = pytest.importorskip("great_expectations.expectations", reason="needs great_expectations")
    kind = getattr(expectations, "".join(part.capitalize() for part in name.split("_")))
    form = {**FORMS, **OWN_FORMS}[name]
    assert {*form.required, *form.optional, *form.one_of} <= set(kind.__fields__)
    columns = {"column": {"column"}, "unique": {"column"}, "pair": {"column_A", "column_B"}}.get(form.shape, set())
    assert columns <= set(kind.__fields__)
    assert "severity" in kind.__fields__


def test_the_documentation_lists_every_column_and_every_expectation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text(encoding="utf-8")
    for gate in Gate:
        missing = [name for name in COLUMNS[gate] if not name.startswith("group_") and f"`{name}`" not in page]
        assert not missing, gate
    assert not [name for name in FORMS if f"`{name}`" not in page]
