"""Contents travel: each pair's earlier item is sent to the fragment of the later one, once for all pairs there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import blake3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.bands import PAIRS, items_of, pairs_of
from dedup.keys import KEY_BYTES
from pipelines.near.kind import ITEM, Kind
from pipelines.session import Session
from pipelines.sorted_runs import MAX_FRAGMENTS, put_part, read_spans, spans_of, to_row_groups
from pipelines.view import View
from pipelines.work import Commit, Compression, Part, Work, key_of, to_parquet

VERSION = 2
COMPRESSION: Compression = "none"
"""Of what is read once or twice, soon after it was written."""
SENT = pa.schema(
    [
        pa.field("to", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("other", pa.binary(KEY_BYTES), nullable=False),
        pa.field("fragment", pa.int32(), nullable=False),
        pa.field("other_row", pa.int32(), nullable=False),
    ]
)
"""Pairs on their way: fragment and row of the later item; id, fragment and row of the earlier one."""
ADDRESSED = pa.schema([pa.field("to", pa.int32(), nullable=False), *ITEM])
"""Contents on their way, with the fragment that they are sent to; a kind's own columns follow."""


@dataclass(frozen=True)
class SendTask:
    """Sends what is asked for of one run's fragments."""

    kind: Kind
    number: int
    """Of the run."""
    views: tuple[View, ...]
    pairs: tuple[Part, ...]
    digest: str
    """Stands for the pairs whose earlier item is in the run."""

    @property
    def label(self) -> str:
        """Kind and run."""
        return f"{self.kind.name} send {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `pairs` and `contents`, both sorted by `to`, the fragment of the later item."""
        work, node, kind = session.work, f"{self.kind.name}_send", self.kind
        inputs = [kind.inputs(view) for view in self.views]
        key = key_of(node, VERSION, kind.parameters(), self.number, self.digest, inputs)
        found = work.find(node, key)
        if found is not None:
            return found
        first = self.number * MAX_FRAGMENTS
        # A part at a time: copies of one text share all their bands, and propose one another in every partition.
        pairs = distinct_pairs(
            found for part in self.pairs for found in read_spans(work, [part], "fragment", first, first + MAX_FRAGMENTS)
        )
        sent, contents = [], []
        for fragment, start, stop in spans_of(pairs["fragment"].to_numpy(), 1):
            view = self.views[fragment - first]
            some = pairs.slice(start, stop - start)
            rows, places = np.unique(some["row"].to_numpy(), return_inverse=True)
            items = kind.contents(session, view, rows)
            sent.append(_addressed(some, items, places))
            contents.append(_once_for_each(sent[-1], items, places))
        tables = {"pairs": _by_address(sent), "contents": _by_address(contents)}
        return _put(work, node, key, tables)


@dataclass(frozen=True)
class GatherTask:
    """Collects what was sent to one run's fragments, a few small files for each.

    They are named after their content, in which no fragment's number stands: a fragment that nothing new was sent to
    is not verified again, however the corpora around it grow.
    """

    name: str
    number: int
    fragments: int
    pairs: tuple[Part, ...]
    contents: tuple[Part, ...]
    digest: str
    """Stands for what was sent to the run."""

    @property
    def label(self) -> str:
        """Kind and run."""
        return f"{self.name} gather {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `pairs N` (row, other), `places N` (id, fragment, row) and `contents N` of fragment N of the run."""
        work, node = session.work, f"{self.name}_gather"
        key = key_of(node, VERSION, self.number, self.fragments, self.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        parts = {}
        for place, (own, contents) in enumerate(arrived(work, self.number, self.fragments, self.pairs, self.contents)):
            places = _distinct(own.select(["other", "fragment", "other_row"])).rename_columns(["id", "fragment", "row"])
            tables = {"pairs": to_verify(own), "places": places, "contents": contents}
            for name, table in tables.items():
                parts[f"{name} {place}"] = put_named(work, node, table)
        return work.commit(node, key, parts, {})


@dataclass(frozen=True)
class Gathered:
    """What one fragment has to verify: (row, other), where the others stand, and what they hold."""

    pairs: Part
    places: Part
    contents: Part


def send_tasks(
    kind: Kind, spans: Sequence[range], views: Sequence[View], parts: Sequence[Part], shares: Sequence[dict[str, str]]
) -> list[SendTask]:
    """One task for each run that has the earlier item of a pair."""
    tasks = []
    for number, span in enumerate(spans):
        own = [(part, share[str(number)]) for part, share in zip(parts, shares, strict=True) if str(number) in share]
        if own:
            used = tuple(part for part, _ in own)
            digest = key_of([share for _, share in own])
            tasks.append(SendTask(kind, number, tuple(views[span.start : span.stop]), used, digest))
    return tasks


def gather_tasks(kind: Kind, spans: Sequence[range], sent: Sequence[Commit]) -> list[GatherTask]:
    """One task for each run."""
    arrivals = [(number, len(span), *sent_to(number, sent)) for number, span in enumerate(spans)]
    return [GatherTask(kind.name, *arrival) for arrival in arrivals]


def sent_to(run: int, sent: Sequence[Commit]) -> tuple[tuple[Part, ...], tuple[Part, ...], str]:
    """The `pairs` and `contents` that hold what was sent to a run's fragments, and what stands for them."""
    used = [commit for commit in sent if run in commit.facts["runs"]]
    pairs, contents = (tuple(commit.parts[name] for commit in used) for name in ("pairs", "contents"))
    return pairs, contents, key_of([commit.key for commit in used])


def arrived(
    work: Work, run: int, fragments: int, pairs: Sequence[Part], contents: Sequence[Part]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """For each fragment of a run the SENT and ADDRESSED to it, in order, without the column `to`; contents once."""
    first = run * MAX_FRAGMENTS
    all_pairs = _read(work, pairs, first, SENT.empty_table(), ["to", "row", "other", "fragment", "other_row"])
    all_contents = _read(work, contents, first, ADDRESSED.empty_table(), ["to", "id"])
    for number in range(first, first + fragments):
        met = _of(all_contents, number)
        yield _of(all_pairs, number), met.filter(_first_of_each(met["id"]))


def to_verify(sent: pa.Table) -> pa.Table:
    """(row, other) of SENT, each once."""
    return _distinct(sent.select(["row", "other"]))


def gathered(spans: Sequence[range], commits: Iterable[Commit]) -> list[Gathered]:
    """What each fragment has to verify, in their order."""
    names = ("pairs", "places", "contents")
    return [
        Gathered(*(commit.parts[f"{name} {place}"] for name in names))
        for span, commit in zip(spans, commits, strict=True)
        for place in range(len(span))
    ]


def distinct_pairs(tables: Iterable[pa.Table]) -> pa.Table:
    """PAIRS of all tables, each once. Those that wait to be merged are no more than were, or one table and the next."""
    distinct, waiting, rows = PAIRS.empty_table(), [PAIRS.empty_table()], 0
    for table in tables:
        waiting.append(table)
        rows += len(table)
        if rows > max(len(distinct), len(table)):
            distinct, waiting, rows = _merged([distinct, *waiting]), [], 0
    return _merged([distinct, *waiting]) if waiting else distinct


def _merged(tables: Sequence[pa.Table]) -> pa.Table:
    joined = pa.concat_tables(tables)
    return pairs_of(items_of(joined), items_of(joined, "other_"))


def _addressed(pairs: pa.Table, items: pa.Table, places: np.ndarray[Any, Any]) -> pa.Table:
    """SENT; `places` are the earlier items' in `items`."""
    columns = [pairs["other_fragment"], pairs["other_row"], items["id"].take(pa.array(places))]
    return pa.table([*columns, pairs["fragment"], pairs["row"]], schema=SENT)


def _once_for_each(sent: pa.Table, items: pa.Table, places: np.ndarray[Any, Any]) -> pa.Table:
    """The contents, once for each fragment that they are sent to."""
    addresses = np.unique(np.stack([sent["to"].to_numpy(), places.astype(np.int32)], axis=1), axis=0)
    chosen = items.take(pa.array(addresses[:, 1]))
    return chosen.add_column(0, "to", pa.array(addresses[:, 0], pa.int32()))


def _by_address(tables: Sequence[pa.Table]) -> pa.Table:
    joined = pa.concat_tables(tables)
    return joined.take(pa.array(np.argsort(joined["to"].to_numpy(), kind="stable"))).combine_chunks()


def _put(work: Work, node: str, key: str, tables: dict[str, pa.Table]) -> Commit:
    parts = {}
    for name, table in tables.items():
        data = to_row_groups(table, "to", COMPRESSION)
        parts[name] = put_part(work, work.path(node, key, f"{name}.parquet"), data, table.num_rows)
    runs = np.unique(tables["pairs"]["to"].to_numpy() // MAX_FRAGMENTS)
    return work.commit(node, key, parts, {"runs": runs.tolist()})


def _read(work: Work, parts: Sequence[Part], first: int, empty: pa.Table, columns: Sequence[str]) -> pa.Table:
    """What was sent to one run's fragments, sorted by these columns."""
    tables = read_spans(work, parts, "to", first, first + MAX_FRAGMENTS)
    joined = pa.concat_tables(tables) if tables else empty
    return joined.sort_by([(name, "ascending") for name in columns]).combine_chunks()


def _of(table: pa.Table, fragment: int) -> pa.Table:
    start, stop = np.searchsorted(table["to"].to_numpy(), [fragment, fragment + 1])
    return table.slice(start, stop - start).drop_columns(["to"])


def _distinct(table: pa.Table) -> pa.Table:
    return table.group_by(table.column_names, use_threads=False).aggregate([])


def _first_of_each(ids: pa.ChunkedArray) -> pa.Array:
    """Which rows of a sorted column differ from the one before."""
    if not len(ids):
        return pa.array([], pa.bool_())
    return pa.concat_arrays([pa.array([True]), pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).combine_chunks()])


def put_named(work: Work, node: str, table: pa.Table) -> Part:
    """A part named after its content: equal ones are one file, and one that is there is not written again."""
    data = to_parquet(table, COMPRESSION)
    digest = blake3.blake3(data).hexdigest()[:32]
    path = work.path(node, digest, "parquet")
    there = work.folder.stat(path)
    if there is None or there.size != len(data):
        work.folder.write(path, data, last=False)
    return Part(path, digest, table.num_rows, len(data))
