"""What a table holds, small: each combination of values that some expectation looks at, and how many rows have it.

An expectation on a row depends on the row's values alone, so that checking each combination once, with the number of
its rows, says the same as checking every row. A million notes have a few hundred; of pictures, whose brightness is
a combination each, there are as many as rows, and those are checked in portions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from dedup.keys import KEY_BYTES, KEYS, sent_keys
from pipelines.contracts.columns import Gate
from pipelines.contracts.flat import FLAT, flat_digests, flat_rows
from pipelines.contracts.outcomes import EXAMPLES
from pipelines.contracts.rules import Rule
from pipelines.session import Session
from pipelines.view import View
from pipelines.work import Commit, key_of

VERSION = 1
BATCH_ROWS = 131_072
"""Rows of a batch of fragments, and combinations validated at once: some tens of MB either way."""

Columns = tuple[str, ...]


@dataclass(frozen=True)
class SummaryTask:
    """Summarises the rows of some fragments, and sends their ids to be compared with those of the others."""

    gate: Gate
    sets: tuple[Columns, ...]
    views: tuple[View, ...]
    number: int
    with_keys: bool = True
    """Whether ids are to be compared."""

    @property
    def label(self) -> str:
        """Gate and batch."""
        return f"contracts {self.gate} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `keys` (the ids, sorted), if asked for, and `values_0` ...: a summary for each set of columns.

        Facts: how many rows there are, by source too, and of kept samples their tokens.
        """
        node = f"contracts_{self.gate}"
        recipe = session.recipe
        limits = [recipe.steps.tokens.model_dump(), recipe.context_tokens] if self.gate is Gate.KEPT else None
        views = [(session.corpora[view.corpus].name, *flat_digests(self.gate, view)) for view in self.views]
        key = key_of(node, VERSION, self.sets, views, limits, self.with_keys)
        found = session.work.find(node, key)
        if found is not None:
            return found
        table = pa.concat_tables([FLAT[self.gate](session, view) for view in self.views])
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        counted = frame.with_columns(rows=pl.lit(1, pl.Int64), ids=pl.col("id").reshape((-1, 1)).arr.to_list())
        facts = {"rows": len(frame), "sources": dict(frame.group_by("source").len().sort("source").iter_rows())}
        if self.gate is Gate.KEPT:
            facts["tokens"] = int(pc.sum(table["tokens"], min_count=0).as_py())
        parts = {f"values_{number}": summary([counted], columns).to_arrow() for number, columns in enumerate(self.sets)}
        if self.with_keys:
            parts["keys"] = _keys(frame["id"])
        return session.work.put(node, key, parts, facts)


def column_sets(rules: Sequence[Rule]) -> tuple[Columns, ...]:
    """The sets of columns that rules on rows look at; `source` is in each, so that what fails can be told by source."""
    return tuple(dict.fromkeys(columns_of(rule) for rule in rules))


def columns_of(rule: Rule) -> Columns:
    """The columns that a rule on rows looks at, those of its condition included."""
    named = {str(rule.arguments[name]) for name in ("column", "column_A", "column_B") if name in rule.arguments}
    return tuple(sorted(named | {"source"} | ({"verdict"} if rule.verdicts else set())))


def summary(frames: Sequence[pl.DataFrame], columns: Columns) -> pl.DataFrame:
    """Each combination of values in order of its first row, its `rows`, and the `ids` of the first few of them.

    The frames have these columns, `rows` and `ids`: tables, or summaries of parts of one.
    """
    together = pl.concat([frame.select(*columns, "rows", "ids") for frame in frames], how="vertical_relaxed")
    return together.group_by(*columns, maintain_order=True).agg(
        pl.col("rows").sum(), pl.col("ids").head(EXAMPLES).list.explode().head(EXAMPLES)
    )


def batches(
    gate: Gate, sets: tuple[Columns, ...], views: Sequence[View], *, with_keys: bool = True
) -> list[SummaryTask]:
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
    return [SummaryTask(gate, sets, tuple(group), number, with_keys) for number, group in enumerate(groups) if group]


def portions(summaries: Sequence[Commit]) -> list[list[Commit]]:
    """Neighbouring summaries together, as long as no set of columns has more than BATCH_ROWS combinations in them."""
    made: list[list[Commit]] = [[]]
    sizes: dict[str, int] = {}
    for commit in summaries:
        own = {name: part.rows for name, part in commit.parts.items() if name != "keys"}
        if made[-1] and any(sizes.get(name, 0) + rows > BATCH_ROWS for name, rows in own.items()):
            made.append([])
            sizes = {}
        made[-1].append(commit)
        sizes = {name: sizes.get(name, 0) + rows for name, rows in own.items()}
    return [portion for portion in made if portion]


def _keys(ids: pl.Series) -> pa.Table:
    """SENT_KEYS of the ids that have the form of one: others are named by the rule on their form."""
    decoded = ids.str.decode("hex", strict=False)
    whole = (decoded.bin.size() == KEY_BYTES).fill_null(value=False)
    keys = decoded.filter(whole).to_arrow().cast(pa.binary()).cast(pa.binary(KEY_BYTES))
    rows = pa.array(whole.arg_true().to_numpy(), pa.int32())
    return sent_keys(pa.table([keys, np.zeros(len(rows), np.int32), rows, keys], schema=KEYS), 0)
