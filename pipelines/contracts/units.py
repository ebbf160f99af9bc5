"""Units of work of the gates that ask Great Expectations: they run on workers like any other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow as pa

from pipelines.contracts.columns import IDS, Gate
from pipelines.contracts.outcomes import EXAMPLES
from pipelines.contracts.rules import Rule
from pipelines.contracts.suites import TOTALS
from pipelines.contracts.summaries import Columns, columns_of, summary
from pipelines.contracts.validation import gx_version, validate, validate_count
from pipelines.session import Session
from pipelines.work import Commit, Part, key_of
from shards.names import is_key, is_shard_name

VERSION = 1
MAX_REPEATED = 1_000
"""Repeated ids that are looked at by name; how many there are is counted in any case."""


@dataclass(frozen=True)
class CheckTask:
    """Validates a portion of a table, given as the summaries of its batches."""

    gate: Gate
    rules: tuple[Rule, ...]
    """Of shape `column` and `pair`: they are about one row at a time."""
    values: tuple[tuple[Columns, tuple[Part, ...]], ...]
    """Set of columns -> their summaries, batch after batch."""
    number: int

    @property
    def label(self) -> str:
        """Gate and portion."""
        return f"contracts {self.gate} checks {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit what every rule found."""
        node = f"contracts_{self.gate}"
        digests = [(columns, [part.digest for part in parts]) for columns, parts in self.values]
        rules = [rule.identity() for rule in self.rules]
        key = key_of(node, "checks", VERSION, gx_version(), rules, digests)
        found = session.work.find(node, key)
        if found is not None:
            return found
        outcomes: dict[int, dict[str, Any]] = {}
        for columns, parts in self.values:
            own = [number for number, rule in enumerate(self.rules) if columns_of(rule) == columns]
            frames = [pl.DataFrame(session.work.read(part)) for part in parts]
            checked = _checked(summary(frames, columns), [self.rules[number] for number in own])
            outcomes.update(zip(own, checked, strict=True))
        return session.work.put(node, key, {}, {"outcomes": [outcomes[number] for number in range(len(self.rules))]})


@dataclass(frozen=True)
class WholeTask:
    """Checks what is true of the whole table only: that ids are unique, and how many rows there are."""

    gate: Gate
    rules: tuple[Rule, ...]
    """Of shape `unique` and `table`."""
    rows: int
    by_source: tuple[tuple[str, int], ...]
    repeated: tuple[Part, ...]
    """FOLLOWERS of the batches that have an id another row has too."""

    @property
    def label(self) -> str:
        """The gate."""
        return f"contracts {self.gate} whole"

    def run(self, session: Session) -> Commit:
        """Commit what every rule found."""
        node = f"contracts_{self.gate}"
        digests = [part.digest for part in self.repeated]
        rules = [rule.identity() for rule in self.rules]
        key = key_of(node, "whole", VERSION, gx_version(), rules, self.rows, self.by_source, digests)
        found = session.work.find(node, key)
        if found is not None:
            return found
        outcomes = [self._unique(session, rule) if rule.shape == "unique" else self._count(rule) for rule in self.rules]
        return session.work.put(node, key, {}, {"rows": self.rows, "outcomes": outcomes})

    def _count(self, rule: Rule) -> dict[str, Any]:
        rows = self.rows if rule.source is None else dict(self.by_source).get(rule.source, 0)
        (outcome,) = validate_count(rows, [rule])
        return {"checked": rows, "failed": not outcome.success, "broken": {}, "examples": {}}

    def _unique(self, session: Session, rule: Rule) -> dict[str, Any]:
        """The rule on the ids that were met more than once: where there are none it holds for all rows."""
        tables = [session.work.read(part, ["leader"]).slice(0, MAX_REPEATED) for part in self.repeated]
        again = [key.hex() for table in tables for key in table["leader"].to_pylist()]
        (outcome,) = validate(pa.table({IDS[self.gate]: pa.array(again + sorted(set(again)), pa.string())}), [rule])
        repeats = sum(part.rows for part in self.repeated)
        number = repeats + len(set(again)) if repeats else 0
        broken = {"": number} if len(outcome.rows) else {}
        return {"checked": self.rows, "broken": broken, "examples": {"": sorted(set(again))[:EXAMPLES]}}


@dataclass(frozen=True)
class ManifestTask:
    """Checks the manifest as it will be written, and that it adds up to what the run counted."""

    manifest: bytes
    rules: tuple[Rule, ...]
    counted: tuple[tuple[str, int], ...]
    """`shards`, `samples`, `bytes`, `tokens` as the run has them."""

    @property
    def label(self) -> str:
        """The gate."""
        return f"contracts {Gate.MANIFEST}"

    def run(self, session: Session) -> Commit:
        """Commit what every rule found: the shards' own, then TOTALS."""
        node = f"contracts_{Gate.MANIFEST}"
        manifest = orjson.loads(self.manifest)
        shards = [*manifest["shards"], *(manifest.get("validation") or ())]
        rules = [rule.identity() for rule in self.rules]
        key = key_of(node, VERSION, gx_version(), rules, self.manifest.decode(), self.counted)
        found = session.work.find(node, key)
        if found is not None:
            return found
        outcomes = self._of_shards(shards) + self._of_totals(shards)
        return session.work.put(node, key, {}, {"rows": len(shards), "outcomes": outcomes})

    def _of_shards(self, shards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        counts = [rule for rule in self.rules if rule.shape == "table"]
        others = [rule for rule in self.rules if rule.shape != "table"]
        table = _shard_table(shards)
        found = dict(zip(map(id, counts), validate_count(len(shards), counts), strict=True))
        found |= dict(zip(map(id, others), validate(table, others), strict=True))
        return [
            {
                "checked": found[id(rule)].checked,
                "failed": rule.shape in ("table", "form") and not found[id(rule)].success,
                **_of_shards(found[id(rule)].rows, table["name"]),
            }
            for rule in self.rules
        ]

    def _of_totals(self, shards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        sums = {name: sum(shard[name] for shard in shards) for name in ("samples", "bytes", "tokens")}
        sums["shards"] = len(shards)
        totals = {f"manifest_{name}": [number] for name, number in sums.items()}
        totals |= {f"run_{name}": [number] for name, number in self.counted}
        outcomes = validate(pa.table(totals), TOTALS)
        return [{"checked": 1, "broken": {}, "examples": {}, "failed": not outcome.success} for outcome in outcomes]


def _shard_table(shards: Sequence[Mapping[str, Any]]) -> pa.Table:
    """One row a shard; the columns in the order of the first one's keys."""
    names = list(shards[0]) if shards else ["name", "sha256", "bytes", "samples", "tokens", "first_key", "last_key"]
    numbers = {"bytes", "samples", "tokens"}
    return pa.table(
        {
            name: pa.array([shard.get(name) for shard in shards], pa.int64() if name in numbers else pa.string())
            for name in names
        }
    )


def _checked(values: pl.DataFrame, rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """What each rule found in the rows that a summary stands for."""
    if values.is_empty():
        return [{"checked": 0, "broken": {}, "examples": {}} for _ in rules]
    table = values.drop("rows", "ids").to_arrow()
    weights = values["rows"].to_numpy()
    answers = []
    for rule, outcome in zip(rules, validate(table, rules), strict=True):
        broken = (
            values[outcome.rows]
            .group_by("source", maintain_order=True)
            .agg(pl.col("rows").sum(), pl.col("ids").list.explode().head(EXAMPLES))
        )
        answers.append(
            {
                "checked": int(weights[_looked_at(values, rule)].sum()),
                "broken": dict(zip(broken["source"], broken["rows"], strict=True)),
                "examples": {
                    source: [_shown(name) for name in names]
                    for source, names in zip(broken["source"], broken["ids"], strict=True)
                },
            }
        )
    return answers


def _looked_at(values: pl.DataFrame, rule: Rule) -> npt.NDArray[np.bool_]:
    """The rows that a rule decides about: missing values comply with any rule that is not about them."""
    counts = pl.lit(value=True)
    if rule.source is not None:
        counts &= pl.col("source") == rule.source
    if rule.verdicts:
        counts &= pl.col("verdict").is_in(list(rule.verdicts))
    if rule.shape == "pair":
        counts &= pl.any_horizontal(pl.col(rule.arguments[name]).is_not_null() for name in ("column_A", "column_B"))
    elif not rule.expect.endswith("_be_null"):
        counts &= pl.col(rule.arguments["column"]).is_not_null()
    found: npt.NDArray[np.bool_] = values.select(counts.fill_null(value=False).alias("counts"))["counts"].to_numpy()
    return np.broadcast_to(found, len(values))


def _of_shards(rows: npt.NDArray[np.int64], names: pa.ChunkedArray) -> dict[str, Any]:
    """The shards that break a rule."""
    if not len(rows):
        return {"broken": {}, "examples": {}}
    shown = [_shown(name) for name in names.take(pa.array(rows[:EXAMPLES])).to_pylist()]
    return {"broken": {"": len(rows)}, "examples": {"": shown}}


def _shown(name: str | None) -> str:
    """An id as it may be shown: one that has not the form of ours may hold anything."""
    return name if name is not None and (is_key(name) or is_shard_name(name)) else "(malformed)"
