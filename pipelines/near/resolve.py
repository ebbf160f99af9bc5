"""From verified pairs to verdicts: groups, who of each is kept, and what every other one was dropped for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from dedup.bands import PAIRS, items_of, pairs_of, split_items
from dedup.groups import components, survivors
from dedup.keys import KEY_BYTES, places_by
from pipelines.errors import ConservationError
from pipelines.near.travel import put_named
from pipelines.near.verify import EDGES
from pipelines.partitions import shares_of
from pipelines.session import Session
from pipelines.sorted_runs import in_fragment, put_part, to_row_groups
from pipelines.work import Commit, Part, Work, key_of

VERSION = 6
ANSWERS = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("leader", pa.binary(KEY_BYTES), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("detail", pa.string()),
    ]
)
"""The items of a fragment that are near-duplicates of a kept one: its id, and the outcome of the two."""
FURTHER = pa.schema(
    [pa.field("row", pa.int32(), nullable=False), pa.field("other", pa.binary(KEY_BYTES), nullable=False)]
)
"""The items of a fragment that are near-duplicates of an item with another kept one than theirs, and the id of that:
the better of the two is the other kept one, or follows it."""
PLACES = pa.schema(
    [
        pa.field("id", pa.binary(KEY_BYTES), nullable=False),
        pa.field("fragment", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
    ]
)


JOINED = ["row", "id", "order", "other", "other_order"]
"""Columns of EDGES that make groups."""
HEARD = ["id", "other", "accepted", "score", "detail"]
"""Columns of EDGES that groups are asked about again."""


@dataclass(frozen=True)
class ResolveTask:
    """Groups all items that verified pairs join, in one place.

    In memory are some 350 bytes for each accepted pair, and as many again where it drops an item. EDGES are read twice,
    a fragment's at a time: of rejected pairs nothing stays.

    `numbers` gives each fragment's number in pairs.
    """

    name: str
    numbers: tuple[int, ...]
    edges: tuple[tuple[Part, ...], ...]
    """For each round, each fragment's EDGES."""
    places: tuple[tuple[Part, ...], ...]
    """For each round, SENT: where the other items of pairs stand."""
    tells_further: bool = False
    """Whether anyone asks for FURTHER; else they are empty."""

    @property
    def label(self) -> str:
        """Kind and round."""
        return f"{self.name} groups, round {len(self.edges)}"

    def run(self, session: Session) -> Commit:
        """Commit `unverified` (PAIRS of members with their group's best), and of each fragment ANSWERS and FURTHER.

        Fragment N's are the parts `N` and `further N`.
        """
        work, node = session.work, f"{self.name}_groups"
        digests = [[part.digest for part in parts] for parts in (*self.edges, *self.places)]
        key = key_of(node, VERSION, self.numbers, digests, self.tells_further)
        found = work.find(node, key)
        if found is not None:
            return found
        groups = Groups(self._accepted(work), self._places(work))
        for _, part in self._parts():
            groups.hear(work.read(part, HEARD))
        pairs = groups.unverified().sort_by([(name, "ascending") for name in PAIRS.names])
        data = to_row_groups(pairs, "fragment")
        parts = {"unverified": put_part(work, work.path(node, key, "unverified.parquet"), data, pairs.num_rows)}
        answers = groups.answers()
        further = groups.further() if self.tells_further else in_fragment(FURTHER.empty_table(), 0)
        for prefix, rows, schema in (("", answers, ANSWERS), ("further ", further, FURTHER)):
            bounds = rows["fragment"].to_numpy()
            for place, number in enumerate(self.numbers):
                start, stop = np.searchsorted(bounds, [number, number + 1])
                own = rows.slice(start, stop - start).select(schema.names).combine_chunks()
                parts[f"{prefix}{place}"] = put_named(work, node, own)
        return work.commit(node, key, parts, {"runs": shares_of(pairs), **groups.facts()})

    def _accepted(self, work: Work) -> pa.Table:
        """What joins items of every accepted pair, with the number of the fragment that verified it."""
        tables = [in_fragment(EDGES.empty_table().select(JOINED), 0)]
        for number, part in self._parts():
            edges = work.read(part, [*JOINED, "accepted"])
            tables.append(in_fragment(edges.filter(edges["accepted"]).select(JOINED), number))
        return pa.concat_tables(tables)

    def _places(self, work: Work) -> Iterator[pa.Table]:
        """PLACES of the other items, those of a run at a time."""
        stand = ["other", "fragment", "other_row"]
        parts = [part for parts in self.places for part in parts if part.rows]
        return (work.read(part, stand).select(stand).rename_columns(PLACES.names) for part in parts)

    def _parts(self) -> list[tuple[int, Part]]:
        return [
            (number, part)
            for parts in self.edges
            for number, part in zip(self.numbers, parts, strict=True)
            if part.rows
        ]


class Groups:
    """Items joined by accepted pairs. A node's number is its place in the order of survivors: the best is 0."""

    def __init__(self, accepted: pa.Table, places: Iterable[pa.Table]) -> None:
        """`accepted`: JOINED and the `fragment` of `row`; `places`: PLACES of any items, some of which are joined."""
        self.nodes = Nodes([accepted["id"], accepted["other"]], [accepted["order"], accepted["other_order"]])
        count = self.nodes.count
        own, met = (self.nodes.numbers_of(accepted[name]).astype(np.uint32) for name in ("id", "other"))
        self.edges = np.stack([np.minimum(own, met), np.maximum(own, met)], axis=1)[own != met]
        self.places = _places(self.nodes, [accepted.select(PLACES.names), *places])
        self.roots = components(self.edges, count)
        self.leaders = survivors(self.edges, np.arange(count, dtype=np.uint32))
        """Of each node the best kept one that it was verified against, -1 where it is kept."""
        self._compared = self.roots == np.arange(count)
        """Whether a node was compared with its group's best, or is it."""
        self._outcomes: list[pl.DataFrame] = [pl.DataFrame(schema=OUTCOME)]

    def hear(self, edges: pa.Table) -> None:
        """Learn of verified pairs (HEARD): who was compared with whom, and the outcomes of those that count.

        All accepted pairs must be heard before `answers`, and all before `unverified`.
        """
        one, other = (self.nodes.numbers_of(edges[name]) for name in ("id", "other"))
        known = np.flatnonzero((one >= 0) & (other >= 0) & (one != other))
        low, high = np.minimum(one[known], other[known]), np.maximum(one[known], other[known])
        self._compared[high[self.roots[high] == low]] = True
        answered = np.flatnonzero((self.leaders[high] == low) & edges["accepted"].to_numpy()[known])
        if len(answered):
            pairs = pl.DataFrame({"low": low[answered], "high": high[answered]}, schema=NUMBERS)
            told = frame_of(edges.select(["score", "detail"]).take(pa.array(known[answered])))
            self._outcomes.append(pl.concat([pairs, told], how="horizontal").cast(OUTCOME))

    def unverified(self) -> pa.Table:
        """PAIRS of each group's best with the members that were not compared with it."""
        missing = np.flatnonzero(~self._compared)
        first = self.places.unique("node", keep="first", maintain_order=True)
        if len(first) != self.nodes.count:
            raise ConservationError("a near-duplicate stands nowhere")
        fragments, rows = (first[name].to_numpy().astype(np.uint64) for name in ("fragment", "row"))
        numbers = fragments << np.uint64(32) | rows
        return pairs_of(numbers[self.roots[missing]], numbers[missing])

    def answers(self) -> pa.Table:
        """ANSWERS with the column `fragment`, by fragment and row: of several outcomes of a pair the best score."""
        order = ["low", "high", "score", "detail"]
        told = pl.concat(self._outcomes).sort(order, descending=[False, False, True, False])
        found = told.unique("high", keep="first", maintain_order=True)
        if len(found) != np.count_nonzero(self.leaders >= 0):
            raise ConservationError("a near-duplicate goes for nothing that was measured")
        rows = found.join(self.places, left_on="high", right_on="node").sort("fragment", "row")
        return self._named(rows, "leader", ["score", "detail"], ANSWERS)

    def further(self) -> pa.Table:
        """FURTHER with the column `fragment`, by fragment, row and the order of survivors."""
        kept = np.where(self.leaders >= 0, self.leaders, np.arange(len(self.leaders))).astype(np.uint32)
        low, high = self.edges.T
        apart = kept[low] != kept[high]
        pairs = pl.DataFrame({"low": kept[low[apart]], "high": high[apart]}, schema=NUMBERS).unique()
        rows = pairs.join(self.places, left_on="high", right_on="node").sort("fragment", "row", "low")
        return self._named(rows, "other", [], FURTHER)

    def facts(self) -> dict[str, int]:
        """How many groups, and the members of the largest."""
        sizes = np.bincount(self.roots) if len(self.roots) else np.zeros(0, np.int64)
        return {"groups": int((sizes > 1).sum()), "largest": int(sizes.max(initial=0))}

    def _named(self, rows: pl.DataFrame, name: str, more: list[str], schema: pa.Schema) -> pa.Table:
        """The rows with the id of `low` under a name, and their fragment."""
        told = rows.select("row", "fragment", *more).to_arrow()
        named = told.append_column(name, self.nodes.ids_of(rows["low"].to_numpy()))
        return named.select([*schema.names, "fragment"]).cast(schema.append(named.schema.field("fragment")))


class Nodes:
    """Items by number, which is their place by order, then id: 32 bytes each."""

    def __init__(self, ids: list[pa.ChunkedArray], orders: list[pa.ChunkedArray]) -> None:
        """`ids` and `orders` of items, side by side; of an item that stands there several times they are the same."""
        names = np.concatenate([_names(column) for column in ids])
        sequence = places_by(_high(names), names)
        names = names[sequence]
        first = np.ones(len(names), bool)
        first[1:] = names[1:] != names[:-1]
        order = np.concatenate([column.to_numpy() for column in orders])[sequence[first]]
        self._names = names[first]
        self._high = _high(self._names)  # to search among: numbers are found several times faster
        self._by_number = np.argsort(order, kind="stable").astype(np.uint32)
        self._numbers = np.empty_like(self._by_number)
        self._numbers[self._by_number] = np.arange(len(order), dtype=np.uint32)
        self.count = len(order)

    def numbers_of(self, ids: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """The number of each item, -1 where it is none of these."""
        if not self.count:
            return np.full(len(ids), -1)
        wanted = _names(ids)
        places = np.minimum(np.searchsorted(self._high, _high(wanted)), self.count - 1)
        off = np.flatnonzero(self._names[places] != wanted)  # none of these, or one of several that begin alike
        places[off] = np.minimum(np.searchsorted(self._names, wanted[off]), self.count - 1)
        return np.where(self._names[places] == wanted, self._numbers[places].astype(np.int64), -1)

    def ids_of(self, numbers: npt.NDArray[np.uint32]) -> pa.Array:
        """The ids of items by number."""
        names = self._names[self._by_number[numbers]]
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(names), [None, pa.py_buffer(names)])


NUMBERS = {"low": pl.UInt32, "high": pl.UInt32}
OUTCOME = pl.Schema({**NUMBERS, "score": pl.Float64, "detail": pl.String})
"""The better and the worse item of a pair, and what verification said of the two."""


def _names(ids: pa.ChunkedArray) -> npt.NDArray[np.bytes_]:
    """Ids as strings of 16 bytes, which order as they do."""
    column = ids.combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return np.frombuffer(column.buffers()[1] or b"", f"S{KEY_BYTES}", len(column), column.offset * KEY_BYTES)


def _high(names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.uint64]:
    """The first half of ids, as numbers."""
    return names.view(">u8")[::2].astype(np.uint64)


def _places(nodes: Nodes, stand: Iterable[pa.Table]) -> pl.DataFrame:
    """node, fragment and row of the items of PLACES that are nodes, each once, in that order."""
    found = []
    for some in stand:
        numbers = nodes.numbers_of(some["id"])
        known = np.flatnonzero(numbers >= 0)
        found.append((numbers[known].astype(np.uint32), items_of(some)[known]))
    numbers, items = (np.concatenate(side) for side in zip(*found, strict=True))
    sequence = np.lexsort((items, numbers))
    numbers, items = numbers[sequence], items[sequence]
    first = np.ones(len(numbers), bool)
    first[1:] = (numbers[1:] != numbers[:-1]) | (items[1:] != items[:-1])
    fragments, rows = split_items(items[first])
    return pl.DataFrame({"node": numbers[first], "fragment": fragments, "row": rows})


def frame_of(table: pa.Table) -> pl.DataFrame:
    """The table for polars."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
