"""Steps of other packages as the graph runs them: what they are given is ours, what they answer is checked.

A step that raises costs the record it raises on, as any step does. One that answers in the wrong form ends the
run with its name and that of its distribution: no record is to blame for that.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dedup.keys import KEYS
from filters.verdicts import decided
from pipelines.bisect import Failure, bisect
from pipelines.plugins import FACTS, Made, PluginError, own_facts
from sources.schema import VERDICTS, Verdict

ALLOWED = (Verdict.KEEP, Verdict.DROP, Verdict.QUARANTINE)
"""`edit` needs a step that changes samples: there is no such shape."""


class Plugged:
    """What every shape of step of another package has in common. The step itself is made in each process anew."""

    def __init__(self, made: Made) -> None:
        step = made.step
        self.made = made
        self.name = made.name
        self.version = int(step.version)
        self.columns: tuple[str, ...] = step.columns
        for need in ("cpus", "gpus", "gpus_optional", "deadline_s"):  # what one worker of it needs, where it says so
            if hasattr(step, need):
                setattr(self, need, float(getattr(step, need)))

    def parameters(self) -> dict[str, Any]:
        """The step's own, the recipe's settings, and the distribution: with another of them its work is done anew.

        The settings are there beside what the step says of itself: one that it forgets must not bring stale answers.
        """
        made = self.made
        return {
            "own": made.step.parameters(),
            "settings": made.settings,
            "distribution": made.distribution,
            "version": made.version,
        }


class PluggedFacts(Plugged):
    """Computes the facts of a step of another package; they are kept as `{step}_{fact}`."""

    def __init__(self, made: Made) -> None:
        super().__init__(made)
        self.name = f"{made.name}_facts"
        self.facts = own_facts(made.step)

    def measure(self, samples: pa.Table) -> dict[str, pa.Table]:
        """Its facts.

        Raises:
            PluginError: other facts than it reads, or not one row a sample.
        """
        answer = self.made.step.measure(samples)
        if not isinstance(answer, dict) or set(answer) != set(self.facts):
            raise wrong(self.made, f"`measure` must return a dict of the facts it reads: {', '.join(self.facts)}")
        for fact, table in answer.items():
            if not isinstance(table, pa.Table) or table.num_rows != samples.num_rows or "row" in table.column_names:
                raise wrong(self.made, f"fact {fact} must be a table of one row a sample, without a column `row`")
        return {f"{self.made.name}_{fact}": table for fact, table in answer.items()}


class PluggedFilter(Plugged):
    """Decides about each sample as a step of another package does."""

    def __init__(self, made: Made) -> None:
        super().__init__(made)
        self.kept_as = {fact: fact if fact in FACTS else f"{made.name}_{fact}" for fact in made.step.reads}

    @property
    def reads(self) -> tuple[str, ...]:
        """The facts as they are kept."""
        return tuple(self.kept_as.values())

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:
        """Its verdicts.

        Raises:
            PluginError: they are not one proper row a sample.
        """
        given = {fact: facts[kept] for fact, kept in self.kept_as.items()}
        return checked(self.made, self.made.step.decide(samples, given), samples.num_rows)


class PluggedExchange(Plugged):
    """Compares samples as a step of another package does."""

    def keys(self, samples: pa.Table, rows: pa.Array, facts: Mapping[str, pa.Table]) -> pa.Table:
        """Its keys.

        Raises:
            PluginError: they are no KEYS of these rows.
        """
        answer = self.made.step.keys(samples, rows, facts)
        try:
            keys = answer.select(KEYS.names).cast(KEYS).combine_chunks()
            keys.validate(full=True)
        except (AttributeError, KeyError, pa.ArrowException):
            raise wrong(self.made, "`keys` must return a table of dedup.keys.KEYS") from None
        if any(keys[name].null_count for name in KEYS.names):
            raise wrong(self.made, "`keys` has null values")
        if not pc.all(pc.is_in(keys["row"], rows)).as_py() and keys.num_rows:
            raise wrong(self.made, "`keys` names rows that it was not given")
        return keys

    def decide(self, samples: pa.Table, rows: pa.Array, answers: pa.Table) -> pa.Table:
        """Its verdicts; a sample on which it raises is quarantined.

        Raises:
            PluginError: they are not one proper row a sample.
        """

        def decide(start: int, stop: int) -> pa.Table:
            span = stop - start
            answer = self.made.step.decide(samples.slice(start, span), rows.slice(start, span), answers)
            return checked(self.made, answer, span)

        pieces = bisect(decide, samples.num_rows)
        tables = [
            self._failed(piece.result, piece.stop - piece.start) if isinstance(piece.result, Failure) else piece.result
            for piece in pieces
        ]
        return pa.concat_tables([VERDICTS.empty_table(), *tables])

    def _failed(self, failure: Failure, count: int) -> pa.Table:
        quarantined, reason = np.full(count, Verdict.QUARANTINE, object), np.full(count, f"{self.name}.error", object)
        return decided(quarantined, reason, evidence=[failure.evidence] * count)


def checked(made: Made, answer: Any, rows: int) -> pa.Table:
    """The answer of a deciding step as VERDICTS.

    Raises:
        PluginError: it is not one row a sample, a verdict or a reason is none, or evidence is no JSON object.
    """
    try:
        verdicts = answer.select(VERDICTS.names).cast(VERDICTS).combine_chunks()
    except (AttributeError, KeyError, pa.ArrowException):
        raise wrong(made, f"`decide` must return a table of VERDICTS ({', '.join(VERDICTS.names)})") from None
    if verdicts.num_rows != rows:
        raise wrong(made, f"`decide` was given {rows} samples and answered {verdicts.num_rows}")
    token = re.compile(rf"{made.name}(\.[a-z0-9_]+)+")
    for verdict, reason in {*zip(verdicts["verdict"].to_pylist(), verdicts["reason"].to_pylist(), strict=True)}:
        if verdict not in ALLOWED:
            raise wrong(made, f"a verdict of `decide` is none of {', '.join(ALLOWED)}")
        if reason is None and verdict != Verdict.KEEP:
            raise wrong(made, "`decide` drops or quarantines without a reason")
        if reason is not None and not token.fullmatch(reason):
            raise wrong(made, f"a reason of `decide` is not `{made.name}.` and a token in lower case")
    if not all(_is_object(text) for text in verdicts["evidence"].to_pylist()):
        raise wrong(made, "evidence must be null or the JSON of an object")
    return verdicts


def wrong(made: Made, what: str) -> PluginError:
    """The error that names the step and its distribution; never what it answered."""
    return PluginError(f"{made.shown}: {what}", f"this is a defect of {made.distribution}: tell its authors")


def _is_object(text: str | None) -> bool:
    if text is None:
        return True
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
