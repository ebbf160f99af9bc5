"""The section `contracts` of a recipe: whether contracts are checked, and the user's own expectations."""

import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from pipelines.contracts.columns import COLUMNS, Gate
from pipelines.contracts.rules import FORMS, Form, Rule, Severity
from sources.cards import Strict

_OF_THE_RULE = ("expect", "column", "column_A", "column_B", "severity", "source", "mostly")
"""Keys that are no arguments of one expectation in particular."""
_COLUMN_KEYS = {"column": ("column",), "pair": ("column_A", "column_B"), "table": ()}

Value = str | int | float | bool


class Expectation(Strict):
    """One expectation of the user's. Which arguments it takes depends on its name."""

    expect: str
    column: str | None = None
    column_A: str | None = None  # noqa: N815 - as Great Expectations spells it
    column_B: str | None = None  # noqa: N815 - as above
    severity: Severity = "critical"
    source: str | None = None
    """Only rows of this source count."""
    mostly: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of rows that must comply."""
    value_set: tuple[Value, ...] | None = None
    min_value: int | float | None = None
    max_value: int | float | None = None
    strict_min: bool | None = None
    strict_max: bool | None = None
    value: Annotated[int, Field(ge=0)] | None = None
    regex: str | None = None
    regex_list: tuple[str, ...] | None = None
    match_on: str | None = None
    or_equal: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("expect"), str) and value["expect"] not in FORMS:
            raise ValueError(_unknown(value["expect"], tuple(FORMS), "an expectation that contracts can check"))
        return value

    @field_validator("match_on")
    @classmethod
    def _any_or_all(cls, value: str | None) -> str | None:
        if value not in (None, "any", "all"):
            raise ValueError(_unknown(str(value), ("any", "all"), "a value of match_on"))
        return value

    @model_validator(mode="after")
    def _arguments(self) -> "Expectation":
        form = FORMS[self.expect]
        given = {name for name in self.model_fields_set if getattr(self, name) is not None} - set(_OF_THE_RULE)
        wrong = sorted(given - {*form.required, *form.optional, *form.one_of})
        if wrong:
            takes = ", ".join((*_COLUMN_KEYS[form.shape], *form.required, *form.one_of, *form.optional))
            raise ValueError(f"{self.expect} takes no {', '.join(wrong)}; it takes {takes or 'nothing'}")
        missing = sorted(set(form.required) - given)
        if missing or (form.one_of and not given & set(form.one_of)):
            raise ValueError(f"{self.expect} needs {', '.join(missing) or ' or '.join(form.one_of)}")
        self._check_columns_named(form)
        self._check_values()
        if form.shape == "table" and self.mostly != 1.0:
            raise ValueError(f"{self.expect} is about the table as a whole: it takes no mostly")
        return self

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As the user wrote it, with its severity."""
        written: dict[str, Any] = handler(self)
        return {name: value for name, value in written.items() if name in self.model_fields_set or name == "severity"}

    def rule(self) -> Rule:
        """As the gates check it."""
        names = set(type(self).model_fields) - {"expect", "severity", "source", "mostly"}
        arguments = {name: _plain(getattr(self, name)) for name in sorted(names) if getattr(self, name) is not None}
        return Rule(
            self.expect, arguments, self.severity, self.source, mostly=self.mostly, why="asked for in the recipe"
        )

    def columns(self) -> list[str]:
        """The columns it names."""
        return [name for name in (self.column, self.column_A, self.column_B) if name is not None]

    def _check_columns_named(self, form: Form) -> None:
        wanted = _COLUMN_KEYS[form.shape]
        for name in ("column", "column_A", "column_B"):
            is_given = getattr(self, name) is not None
            if is_given != (name in wanted):
                raise ValueError(f"{self.expect} {'takes no' if is_given else 'needs a'} {name}")

    def _check_values(self) -> None:
        for pattern in (*(self.regex_list or ()), *((self.regex,) if self.regex is not None else ())):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        if self.min_value is not None and self.max_value is not None and self.min_value > self.max_value:
            raise ValueError(f"min_value {self.min_value} is more than max_value {self.max_value}")


class ContractSettings(Strict):
    """Contracts are checked unless `enabled` is false; the lists add to the project's own."""

    enabled: bool = True
    samples: tuple[Expectation, ...] = ()
    images: tuple[Expectation, ...] = ()
    kept: tuple[Expectation, ...] = ()
    manifest: tuple[Expectation, ...] = ()

    @model_validator(mode="after")
    def _columns(self) -> "ContractSettings":
        for gate, known in COLUMNS.items():
            for number, expectation in enumerate(self.of(gate)):
                for name in expectation.columns():
                    where = f"{gate}.{number}: {expectation.expect}"
                    if name not in known:
                        raise ValueError(f"{where}: {_unknown(name, tuple(known), f'a column of {gate}')}")
                    _check_kind(where, expectation, name, known[name])
                if gate == Gate.MANIFEST and expectation.source is not None:
                    raise ValueError(f"{gate}.{number}: a manifest's rows are shards: they take no source")
        return self

    def of(self, gate: Gate) -> tuple[Expectation, ...]:
        """The user's expectations of a gate."""
        found: tuple[Expectation, ...] = getattr(self, gate.value)
        return found

    def check_sources(self, names: Sequence[str]) -> None:
        """Whether every source that an expectation is limited to is one of these.

        Raises:
            ValueError: it is not; the message names the nearest.
        """
        for gate in Gate:
            for number, expectation in enumerate(self.of(gate)):
                if expectation.source is not None and expectation.source not in names:
                    raise ValueError(f"contracts.{gate}.{number}: "
                                     f"{_unknown(expectation.source, names, 'a source of this recipe')}")  # fmt: skip


def _check_kind(where: str, expectation: Expectation, column: str, holds: str) -> None:
    kind = FORMS[expectation.expect].kind
    if kind not in ("any", holds):
        raise ValueError(f"{where}: {column} holds {holds}, and this needs {kind}")
    for value in expectation.value_set or ():
        if isinstance(value, str) != (holds == "text"):
            raise ValueError(f"{where}: {column} holds {holds}, which {value!r} is not")


def _unknown(word: str, known: Sequence[str], what: str) -> str:
    nearest = difflib.get_close_matches(word, known, 1, 0.5)
    return f"{word!r} is not {what}; " + (f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
