"""Units of work of the gates: they run on workers like any other, and are found again by their content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from dedup.keys import KEY_BYTES, KEYS, sorted_keys
from pipelines.contracts.columns import IDS, Gate
from pipelines.contracts.flat import FLAT, flat_digests, flat_rows
from pipelines.contracts.outcomes import EXAMPLES
from pipelines.contracts.rules import Rule
from pipelines.contracts.suites import TOTALS
from pipelines.contracts.validation import gx_version, validate, validate_count
from pipelines.session import Session
from pipelines.view import View
from pipelines.work import Commit, Part, key_of
from shards.names import is_key, is_shard_name

VERSION = 1
BATCH_ROWS = 131_072
"""Rows validated at once: some 100 MB with what Great Expectations makes of them. A rule costs 9 ms a batch
whatever its rows, and about 0.1 us a row, so that smaller batches cost more."""
MAX_REPEATED = 1_000
"""Repeated ids that are looked at by name; how many there are is counted in any case."""


@dataclass(frozen=True)
class BatchTask:
    """Validates the rows of some fragments, and sends their ids to be compared with those of the others."""

    gate: Gate
    rules: tuple[Rule, ...]
    """Of shape `column` and `pair`: they are about one row at a time."""
    views: tuple[View, ...]
    number: int

    @property
    def label(self) -> str:
        """Gate and batch."""
        return f"contracts {self.gate} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `keys` (the ids, sorted), what every rule found, rows by source and, of kept samples, tokens."""
        node = f"contracts_{self.gate}"
        limits = session.recipe.steps.tokens.model_dump() if self.gate is Gate.KEPT else None
        key = key_of(
            node,
            VERSION,
            gx_version(),
            [rule.identity() for rule in self.rules],
            [flat_digests(self.gate, view) for view in self.views],
            [session.corpora[view.corpus].name for view in self.views],
            (limits, session.recipe.context_tokens),
        )
        found = session.work.find(node, key)
        if found is not None:
            return found
        table = pa.concat_tables([FLAT[self.gate](session, view) for view in self.views]).combine_chunks()
        ids, sources = table[IDS[self.gate]], table["source"]
        outcomes = [
            {"checked": outcome.checked, **_named(outcome.rows, ids, sources)}
            for outcome in validate(table, self.rules)
        ]
        facts = {"rows": table.num_rows, "outcomes": outcomes, "sources": _counted(sources)}
        if self.gate is Gate.KEPT:
            facts["tokens"] = int(pc.sum(table["tokens"], min_count=0).as_py())
        return session.work.put(node, key, {"keys": _keys(ids)}, facts)


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
        names, nowhere = table["name"], pa.repeat("", table.num_rows)
        return [
            {
                "checked": found[id(rule)].checked,
                "failed": rule.shape in ("table", "form") and not found[id(rule)].success,
                **_named(found[id(rule)].rows, names, nowhere),
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


def batches(gate: Gate, rules: tuple[Rule, ...], views: Sequence[View]) -> list[BatchTask]:
    """Neighbouring fragments together, up to BATCH_ROWS; half a batch is enough where a corpus ends.

    So the batches of a corpus that did not change mostly stay what they were when another one grows.
    """
    groups: list[list[View]] = [[]]
    rows = 0
    for view in views:
        more = flat_rows(gate, view)
        ends = bool(groups[-1]) and groups[-1][-1].corpus != view.corpus and rows >= BATCH_ROWS // 2
        if groups[-1] and (rows + more > BATCH_ROWS or ends):
            groups.append([])
            rows = 0
        groups[-1].append(view)
        rows += more
    return [BatchTask(gate, rules, tuple(group), number) for number, group in enumerate(groups) if group]


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


def _named(rows: npt.NDArray[np.int64], ids: pa.ChunkedArray, sources: pa.ChunkedArray) -> dict[str, Any]:
    """The rows counted by source, with the ids of the first few of each."""
    broken: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    if len(rows):
        of_rows = sources.take(pa.array(rows)).to_numpy(zero_copy_only=False)
        for source in dict.fromkeys(of_rows.tolist()):
            own = rows[of_rows == source]
            broken[source or ""] = len(own)
            examples[source or ""] = [_shown(name) for name in ids.take(pa.array(own[:EXAMPLES])).to_pylist()]
    return {"broken": broken, "examples": examples}


def _shown(name: str | None) -> str:
    """An id as it may be shown: one that has not the form of ours may hold anything."""
    return name if name is not None and (is_key(name) or is_shard_name(name)) else "(malformed)"


def _counted(values: pa.ChunkedArray) -> dict[str, int]:
    """Value -> how often it stands there."""
    return {str(row["values"]): row["counts"] for row in pc.value_counts(values).to_pylist()}


def _keys(ids: pa.ChunkedArray) -> pa.Table:
    """KEYS of the ids that have the form of one: others are named by the rule on their form."""
    series = pl.from_arrow(ids.cast(pa.string()))
    assert isinstance(series, pl.Series)
    decoded = series.str.decode("hex", strict=False)
    whole = (decoded.bin.size() == KEY_BYTES).fill_null(value=False)
    keys = decoded.filter(whole).to_arrow().cast(pa.binary()).cast(pa.binary(KEY_BYTES))
    rows = pa.array(whole.arg_true().to_numpy(), pa.int32())
    return sorted_keys(pa.table([keys, np.zeros(len(rows), np.int32), rows, keys], schema=KEYS))
