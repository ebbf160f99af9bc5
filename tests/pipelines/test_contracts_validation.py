"""Checking combinations of values says what checking every row says, and what a plain loop over the rows says."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from pipelines.contracts.outcomes import EXAMPLES
from pipelines.contracts.rules import FORMS, Rule
from pipelines.contracts.summaries import columns_of, portions, summary
from pipelines.contracts.units import _checked
from pipelines.contracts.validation import validate, validate_count
from pipelines.errors import CurateError
from pipelines.work import Commit, Part

pytest.importorskip("great_expectations", reason="contracts need great_expectations")

Row = dict[str, Any]


def rule(expect: str, column: str | None = None, **more: Any) -> Rule:
    told = {name: more.pop(name) for name in ("source", "verdicts") if name in more}
    return Rule(f"expect_{expect}", {**({} if column is None else {"column": column}), **more}, **told)


def has(column: str, complies: Callable[[Any], bool]) -> Callable[[Row], bool | None]:
    """Whether a row complies; None where its value is missing, so that it does not count."""
    return lambda row: None if row[column] is None else complies(row[column])


CASES: list[tuple[Rule, Callable[[Row], bool | None]]] = [
    (rule("column_values_to_be_in_set", "word", value_set=["a", "bb"]), has("word", lambda v: v in ("a", "bb"))),
    (rule("column_values_to_be_in_set", "number", value_set=[1, 2]), has("number", lambda v: v in (1, 2))),
    (rule("column_values_to_not_be_in_set", "word", value_set=["a"]), has("word", lambda v: v != "a")),
    (rule("column_values_to_be_null", "word"), lambda row: row["word"] is None),
    (rule("column_values_to_not_be_null", "number"), lambda row: row["number"] is not None),
    (rule("column_values_to_be_between", "number", min_value=1, max_value=3), has("number", lambda v: 1 <= v <= 3)),
    (rule("column_values_to_be_between", "number", min_value=1, strict_min=True), has("number", lambda v: v > 1)),
    (rule("column_values_to_match_regex", "word", regex="^b+$"),
     has("word", lambda v: re.match("^b+$", v) is not None)),
    (rule("column_values_to_not_match_regex", "word", regex="c"), has("word", lambda v: "c" not in v)),
    (rule("column_values_to_match_regex_list", "word", regex_list=["^a", "^b"], match_on="any"),
     has("word", lambda v: v[:1] in ("a", "b"))),
    (rule("column_values_to_not_match_regex_list", "word", regex_list=["^a", "^b"]),
     has("word", lambda v: v[:1] not in ("a", "b"))),
    (rule("column_value_lengths_to_be_between", "word", max_value=1), has("word", lambda v: len(v) <= 1)),
    (rule("column_value_lengths_to_equal", "word", value=2), has("word", lambda v: len(v) == 2)),
    (rule("column_pair_values_to_be_equal", column_A="number", column_B="other"),
     lambda row: row["number"] == row["other"]),
    (rule("column_pair_values_a_to_be_greater_than_b", column_A="other", column_B="floor", or_equal=True),
     lambda row: row["other"] >= row["floor"]),
    (rule("column_values_to_be_between", "other", min_value=2, source="x"),
     lambda row: row["other"] >= 2 if row["source"] == "x" else None),
    (rule("column_values_to_not_be_null", "word", verdicts=("drop", "quarantine")),
     lambda row: row["word"] is not None if row["verdict"] in ("drop", "quarantine") else None),
    (rule("column_values_to_be_between", "other", min_value=2, source="y", verdicts=("keep",)),
     lambda row: row["other"] >= 2 if (row["source"], row["verdict"]) == ("y", "keep") else None),
]  # fmt: skip


def rows_of(seed: int, count: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": [f"{number:032x}" for number in range(count)],
            "source": random.choice(["x", "y"], count),
            "verdict": random.choice(["keep", "drop", "quarantine"], count),
            "word": random.choice(np.array(["a", "bb", "ccc", "", None], object), count).tolist(),
            "number": random.choice(np.array([0, 1, 2, 3, 4, None], object), count).tolist(),
            "other": random.integers(0, 5, count),
            "floor": random.integers(0, 3, count),
        },
        schema_overrides={"word": pl.String, "number": pl.Int64},
    )


def test_every_expectation_of_rows_is_tried_here() -> None:
    tried = {case.expect for case, _ in CASES}
    assert tried == {name for name, form in FORMS.items() if form.shape in ("column", "pair")}


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_combinations_and_a_plain_loop_agree(seed: int) -> None:
    rows = rows_of(seed, 400)
    whole = validate(rows.to_arrow(), [case for case, _ in CASES])
    counted = rows.with_columns(rows=pl.lit(1, pl.Int64), ids=pl.concat_list("id"))
    for (case, complies), outcome in zip(CASES, whole, strict=True):
        answers = [complies(row) for row in rows.iter_rows(named=True)]
        broken = [number for number, answer in enumerate(answers) if answer is False]
        assert outcome.rows.tolist() == broken, case
        parts = [summary([counted.slice(start, 150)], columns_of(case)) for start in (0, 150, 300)]
        (found,) = _checked(summary(parts, columns_of(case)), [case])
        sources = rows["source"].gather(broken).value_counts()
        assert found["broken"] == dict(sources.iter_rows()), case
        if "number" not in (case.arguments.get("column_A"), case.arguments.get("column_B")):
            assert found["checked"] == sum(answer is not None for answer in answers), case
        names = set(rows["id"].gather(broken))
        for source, shown in found["examples"].items():
            assert set(shown) <= names
            assert len(shown) == min(EXAMPLES, found["broken"][source])


def test_a_summary_of_summaries_is_the_summary_of_all_rows() -> None:
    rows = rows_of(3, 300).with_columns(rows=pl.lit(1, pl.Int64), ids=pl.concat_list("id"))
    columns = ("number", "source", "word")
    parts = [summary([rows.slice(start, 70)], columns) for start in range(0, 300, 70)]
    assert summary(parts, columns).equals(summary([rows], columns))
    assert summary(parts, columns)["rows"].sum() == 300


def test_portions_hold_a_bounded_number_of_combinations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.contracts.summaries.BATCH_ROWS", 10)

    def commit(*sizes: int) -> Commit:
        parts = {f"values_{number}": Part("", "", size, 0) for number, size in enumerate(sizes)}
        return Commit("", "", {"keys": Part("", "", 99, 0), **parts}, {})

    summaries = [commit(1, 4), commit(1, 4), commit(1, 4), commit(1, 20), commit(1, 1)]
    assert [len(portion) for portion in portions(summaries)] == [2, 1, 1, 1]
    assert [one for portion in portions(summaries) for one in portion] == summaries


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        (rule("table_row_count_to_equal", value=3), [False, True, False]),
        (rule("table_row_count_to_be_between", min_value=3), [False, True, True]),
        (rule("table_row_count_to_be_between", max_value=3, strict_max=True), [True, False, False]),
    ],
)
def test_the_number_of_rows_is_checked_without_the_rows(asked: Rule, holds: list[bool]) -> None:
    assert [validate_count(rows, [asked])[0].success for rows in (2, 3, 10**12)] == holds


def test_an_expectation_that_raises_is_no_result_and_says_nothing_of_the_values() -> None:
    table = pl.DataFrame({"word": ["Doe, John", "b"]}).to_arrow()
    with pytest.raises(CurateError) as raised:
        validate(table, [rule("column_values_to_be_between", "word", min_value=1)])
    assert "could not be checked" in raised.value.message
    assert "Doe" not in f"{raised.value.message}{raised.value.hint}{raised.value.__cause__}"
