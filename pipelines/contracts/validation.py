"""Great Expectations, as the gates use it: imported when first needed, without telemetry, noise, files or values.

What it answers is taken by row number; its lists of unexpected values are never asked for, and what it says of an
exception is never repeated: both may quote a record.
"""

import logging
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.contracts.rules import Rule
from pipelines.errors import CurateError

QUIET_RESULTS = {
    "result_format": "COMPLETE",
    "include_unexpected_rows": False,
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
}
"""Row numbers and counts, no values. Named index columns would cost 50 us for each unexpected row; numbers cost 4."""


@dataclass(frozen=True)
class Outcome:
    """What one rule found in one table: how many rows it looked at, and the numbers of those that break it."""

    checked: int
    rows: npt.NDArray[np.int64]
    success: bool


def gx_version() -> str:
    """The installed version, without importing it."""
    return version("great_expectations")


def validate(table: pa.Table, rules: Sequence[Rule]) -> list[Outcome]:
    """Check a flat table; one outcome a rule, in order. Every rule is checked strictly, whatever its `mostly`.

    Raises:
        CurateError: Great Expectations is not there, or cannot check a rule.
    """
    return _validated(table.to_pandas(), rules) if rules else []


def validate_count(rows: int, rules: Sequence[Rule]) -> list[Outcome]:
    """Check rules on the number of rows alone, without the rows: the number is the value that is checked.

    A table of that length would be hashed by the library, whatever it holds.
    """
    outcomes = validate(pa.table({"rows": [rows]}), [_on_number(rule) for rule in rules])
    return [Outcome(rows, outcome.rows[:0], outcome.success) for outcome in outcomes]


def _on_number(rule: Rule) -> Rule:
    """A rule on the number of rows (of its source, if it names one) as the same rule on a column that holds it."""
    if rule.expect == "expect_table_row_count_to_equal":
        expect, arguments = "expect_column_values_to_be_in_set", {"value_set": [rule.arguments["value"]]}
    else:
        expect, arguments = "expect_column_values_to_be_between", dict(rule.arguments)
    return Rule(expect, {"column": "rows", **arguments})


def gx_expectation(rule: Rule, number: int = 0) -> Any:
    """The rule as an object of Great Expectations; `number` comes back with its result."""
    with library() as gx:
        name = "".join(part.capitalize() for part in rule.expect.split("_"))
        kind = getattr(gx.expectations, name)
        return kind(**rule.arguments, **_condition(rule), severity=rule.severity, meta={"rule": number})


@contextmanager
def library() -> Iterator[Any]:
    """The module, with its warnings and logging silenced while it is used.

    Raises:
        CurateError: it is not installed.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported, in this and in child processes
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import great_expectations as gx
            import great_expectations.expectations
        except ImportError:
            raise CurateError(
                "contracts: great_expectations cannot be imported",
                "install the requirements (`make setup`), or build with --set contracts.enabled=false",
            ) from None
        _without_semaphore()
        yield gx


def _without_semaphore() -> None:
    """Give the progress bars of tqdm, which stay off, a lock of threads.

    Their own would hold a semaphore of the system, which a worker that is killed at the end leaves behind.
    """
    from tqdm.std import tqdm  # type: ignore[import-untyped]

    tqdm.set_lock(threading.RLock())


@contextmanager
def context() -> Iterator[Any]:
    """The context of this process, in memory: no project, no files, no cloud, no progress bars."""
    with library():
        yield _context()


@cache
def _context() -> Any:
    with library() as gx:
        from great_expectations.data_context.types.base import ProgressBarsConfig

        made = gx.get_context(mode="ephemeral")
        made.enable_analytics(enable=False)
        made.variables.progress_bars = ProgressBarsConfig(globally=False)
        return made


@cache
def _tables() -> Any:
    """What a table is validated as; made once, since the library writes its whole configuration for every new one."""
    with context() as made:
        return (
            made.data_sources.add_pandas("curate")
            .add_dataframe_asset("rows")
            .add_batch_definition_whole_dataframe("all")
        )


def _condition(rule: Rule) -> dict[str, Any]:
    """The rows that count, as a condition."""
    from great_expectations.expectations.row_conditions import Column

    parts = []
    if rule.source is not None:
        parts.append(Column("source") == rule.source)
    if rule.verdicts:
        parts.append(Column("verdict").is_in(list(rule.verdicts)))
    if not parts:
        return {}
    return {"row_condition": parts[0] if len(parts) == 1 else parts[0] & parts[1]}


def _validated(frame: Any, rules: Sequence[Rule]) -> list[Outcome]:
    with library() as gx:
        batch = _tables().get_batch({"dataframe": frame})
        expectations = [gx_expectation(rule, number) for number, rule in enumerate(rules)]
        suite = gx.ExpectationSuite("contract", expectations=expectations)
        answered = batch.validate(suite, result_format=QUIET_RESULTS)
        by_rule = {result.expectation_config.meta["rule"]: result for result in answered.results}
        return [_outcome(rule, by_rule.get(number), len(frame)) for number, rule in enumerate(rules)]


def _outcome(rule: Rule, result: Any, rows: int) -> Outcome:
    if result is None or _raised(result.exception_info):
        raise CurateError(
            f"contracts: {rule.expect} on {rule.column or 'the table'} could not be checked",
            "if the recipe asks for it, check its arguments (docs/contracts.md); else this is a defect: report it",
        )
    found = result.result
    if rule.shape in ("table", "form"):
        return Outcome(rows, np.empty(0, np.int64), bool(result.success))
    missing = found.get("missing_count") or 0
    numbers = np.asarray(found["unexpected_index_list"] or [], np.int64)
    if len(numbers) != found["unexpected_count"]:
        raise CurateError(f"contracts: {rule.expect} answered in a form this version does not know", "report it")
    return Outcome(found["element_count"] - missing, np.sort(numbers), bool(result.success))


def _raised(info: Mapping[str, Any] | None) -> bool:
    """Whether anything was raised: told of the expectation, or of each metric it needed."""
    if not info:
        return False
    nested = [part for part in info.values() if isinstance(part, Mapping)]
    return bool(info.get("raised_exception")) or any(part.get("raised_exception") for part in nested)
