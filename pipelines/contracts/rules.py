"""What a contract is made of: one expectation of Great Expectations, on flat columns, with its severity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
Shape = Literal["column", "pair", "table", "unique", "form"]


@dataclass(frozen=True)
class Form:
    """How an expectation is used: on each value of a column, each pair of two, or the table as a whole.

    `kind` is what its columns must hold; `any` where both texts and numbers will do.
    """

    shape: Shape
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """Arguments of which at least one must be given."""
    kind: Literal["text", "number", "any"] = "any"


_RANGE = ("min_value", "max_value")
FORMS: dict[str, Form] = {
    "expect_column_values_to_be_in_set": Form("column", ("value_set",)),
    "expect_column_values_to_not_be_in_set": Form("column", ("value_set",)),
    "expect_column_values_to_be_null": Form("column"),
    "expect_column_values_to_not_be_null": Form("column"),
    "expect_column_values_to_be_between": Form("column", (), ("strict_min", "strict_max"), _RANGE, "number"),
    "expect_column_values_to_match_regex": Form("column", ("regex",), kind="text"),
    "expect_column_values_to_not_match_regex": Form("column", ("regex",), kind="text"),
    "expect_column_values_to_match_regex_list": Form("column", ("regex_list",), ("match_on",), kind="text"),
    "expect_column_values_to_not_match_regex_list": Form("column", ("regex_list",), kind="text"),
    "expect_column_value_lengths_to_be_between": Form("column", (), ("strict_min", "strict_max"), _RANGE, "text"),
    "expect_column_value_lengths_to_equal": Form("column", ("value",), kind="text"),
    "expect_column_pair_values_to_be_equal": Form("pair"),
    "expect_column_pair_values_a_to_be_greater_than_b": Form("pair", (), ("or_equal",), kind="number"),
    "expect_table_row_count_to_be_between": Form("table", (), ("strict_min", "strict_max"), _RANGE),
    "expect_table_row_count_to_equal": Form("table", ("value",)),
}
"""What users may expect. Each can be decided of any part of a table (`table`: from its number of rows), so that a
run of any size is checked a bounded number of rows at a time. Expectations on a column as a whole (its mean, its
unique values) cannot; the run's ids are checked to be unique in any case."""

OWN_FORMS: dict[str, Form] = {
    "expect_column_values_to_be_unique": Form("unique"),
    "expect_table_columns_to_match_ordered_list": Form("form", ("column_list",)),
}
"""What only the project's own contracts use."""


@dataclass(frozen=True)
class Rule:
    """One expectation of a gate. `arguments` are those of Great Expectations, JSON values."""

    expect: str
    arguments: Mapping[str, Any]
    severity: Severity = "critical"
    source: str | None = None
    """Only rows of this source count."""
    verdicts: tuple[str, ...] = ()
    """Only rows with one of these verdicts count; empty: all."""
    mostly: float = 1.0
    """The share of the rows looked at that must comply."""
    why: str = field(default="", compare=False)
    """For people: what would go wrong otherwise."""

    @property
    def shape(self) -> Shape:
        """How it is checked."""
        return (FORMS.get(self.expect) or OWN_FORMS[self.expect]).shape

    @property
    def column(self) -> str | None:
        """The column or columns, as people read them; None of a whole table."""
        columns = [str(self.arguments[name]) for name in ("column", "column_A", "column_B") if name in self.arguments]
        return ", ".join(columns) or None

    def identity(self) -> list[Any]:
        """JSON of what its outcome depends on."""
        return [self.expect, dict(self.arguments), self.source, self.verdicts]


def rule(
    expect: str, column: str | None = None, *, why: str = "", severity: Severity = "critical", **arguments: Any
) -> Rule:
    """A rule on all rows of a gate; `expect` without its leading `expect_`."""
    named = {} if column is None else {"column": column}
    return Rule(f"expect_{expect}", {**named, **arguments}, severity, why=why)
