"""From verified pairs to verdicts: groups, who of each is kept, and what every other one was dropped for."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from dedup.bands import PAIRS, pairs_of
from dedup.groups import components, survivors
from dedup.keys import KEY_BYTES
from pipelines.errors import ConservationError
from pipelines.near.travel import put_named
from pipelines.near.verify import EDGES
from pipelines.partitions import shares_of
from pipelines.session import Session
from pipelines.sorted_runs import in_fragment, put_part, to_row_groups
from pipelines.work import Commit, Part, Work, key_of

VERSION = 4
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


@dataclass(frozen=True)
class ResolveTask:
    """Groups all items that verified pairs join, in one place.

    In memory are some 200 bytes for each accepted pair, and 100 for each that was rejected.

    `numbers` gives each fragment's number in pairs; `last` says that no second round follows.
    """

    name: str
    numbers: tuple[int, ...]
    edges: tuple[tuple[Part, ...], ...]
    """For each round, each fragment's EDGES."""
    places: tuple[tuple[Part, ...], ...]
    """For each round, where the other items of each fragment's pairs stand."""
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
        groups = Groups(*self._compared(work), self._places(work))
        pairs = groups.unverified().sort_by([(name, "ascending") for name in PAIRS.names])
        data = to_row_groups(pairs, "fragment")
        parts = {"unverified": put_part(work, work.path(node, key, "unverified.parquet"), data, pairs.num_rows)}
        answers = groups.answers()
        further = groups.further() if self.tells_further else answers.select("fragment", "row", "leader")[:0]
        for prefix, rows, schema in (("", answers, ANSWERS), ("further ", further, FURTHER)):
            bounds = rows["fragment"].to_numpy()
            for place, number in enumerate(self.numbers):
                start, stop = np.searchsorted(bounds, [number, number + 1])
                own = rows.slice(start, stop - start).drop("fragment").to_arrow()
                parts[f"{prefix}{place}"] = put_named(work, node, own.rename_columns(schema.names).cast(schema))
        return work.commit(node, key, parts, {"runs": shares_of(pairs), **groups.facts()})

    def _compared(self, work: Work) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Every accepted pair, with the place of the item whose fragment verified it; both ids of every rejected one.

        A group's members that were compared with its best need not be again.
        """
        accepted = [in_fragment(EDGES.empty_table(), 0)]
        rejected = [EDGES.empty_table().select(["id", "other"])]
        for number, part in self._parts():
            edges = work.read(part)
            accepted.append(in_fragment(edges.filter(edges["accepted"]), number))
            rejected.append(edges.select(["id", "other"]).filter(pc.invert(edges["accepted"])))
        return frame_of(pa.concat_tables(accepted)), frame_of(pa.concat_tables(rejected))

    def _places(self, work: Work) -> pl.DataFrame:
        """id, fragment, row of the other items."""
        tables = [work.read(part).cast(PLACES) for parts in self.places for part in parts if part.rows]
        return frame_of(pa.concat_tables([PLACES.empty_table(), *tables])).unique()

    def _parts(self) -> list[tuple[int, Part]]:
        return [
            (number, part)
            for parts in self.edges
            for number, part in zip(self.numbers, parts, strict=True)
            if part.rows
        ]


class Groups:
    """Items joined by accepted pairs. A node's number is its place in the order of survivors: the best is 0."""

    def __init__(self, accepted: pl.DataFrame, rejected: pl.DataFrame, places: pl.DataFrame) -> None:
        """`accepted`: EDGES with the `fragment` of `row`; `rejected`: id and other; `places`: id, fragment, row."""
        own = accepted.select("id", "order")
        met = accepted.select(id="other", order="other_order")
        self.nodes = pl.concat([own, met]).unique().sort("order", "id").with_row_index("node")
        everywhere = pl.concat([places, accepted.select("id", "fragment", "row")]).unique()
        self.places = everywhere.join(self.nodes.select("id"), on="id", how="semi")
        self.pairs = self._numbered(accepted).unique(["low", "high"], keep="first", maintain_order=True)
        self.rejected = self._numbered(rejected).select("low", "high")
        self.edges = self.pairs.select("low", "high").to_numpy().astype(np.uint32)
        self.roots = components(self.edges, len(self.nodes))
        self.leaders = survivors(self.edges, np.arange(len(self.nodes), dtype=np.uint32))
        """Of each node the best kept one that it was verified against, -1 where it is kept."""

    def unverified(self) -> pa.Table:
        """PAIRS of each group's best with the members that were not compared with it."""
        members = pl.DataFrame({"low": self.roots, "high": np.arange(len(self.roots), dtype=np.uint32)})
        compared = pl.concat([self.pairs.select("low", "high"), self.rejected])
        missing = members.filter(pl.col("low") != pl.col("high")).join(compared, on=["low", "high"], how="anti")
        first = self.places.sort("fragment", "row").unique("id", keep="first", maintain_order=True)
        items = self.nodes.join(first, on="id", how="left", maintain_order="left")
        if items["row"].null_count():
            raise ConservationError("a near-duplicate stands nowhere")
        fragments, rows = (items[name].to_numpy().astype(np.uint64) for name in ("fragment", "row"))
        numbers = fragments << np.uint64(32) | rows
        return pairs_of(numbers[missing["low"].to_numpy()], numbers[missing["high"].to_numpy()])

    def answers(self) -> pl.DataFrame:
        """ANSWERS with the column `fragment`, by fragment and row."""
        dropped = np.flatnonzero(self.leaders >= 0).astype(np.uint32)
        found = pl.DataFrame({"low": self.leaders[dropped].astype(np.uint32), "high": dropped})
        ids = self.nodes.select("node", "id")
        return (
            found.join(self.pairs, on=["low", "high"])
            .join(ids, left_on="high", right_on="node")
            .join(ids.rename({"id": "leader"}), left_on="low", right_on="node")
            .join(self.places, on="id")
            .select("fragment", "row", "leader", "score", "detail")
            .sort("fragment", "row")
        )

    def further(self) -> pl.DataFrame:
        """FURTHER with the column `fragment`, by fragment, row and the order of survivors."""
        kept = np.where(self.leaders >= 0, self.leaders, np.arange(len(self.leaders))).astype(np.uint32)
        low, high = self.edges.T
        apart = kept[low] != kept[high]
        ids = self.nodes.select("node", "id")
        return (
            pl.DataFrame({"low": kept[low[apart]], "high": high[apart]})
            .unique()
            .join(ids, left_on="high", right_on="node")
            .join(ids.rename({"id": "other"}), left_on="low", right_on="node")
            .join(self.places, on="id")
            .sort("fragment", "row", "low")
            .select("fragment", "row", "other")
        )

    def facts(self) -> dict[str, int]:
        """How many groups, and the members of the largest."""
        sizes = np.bincount(self.roots) if len(self.roots) else np.zeros(0, np.int64)
        return {"groups": int((sizes > 1).sum()), "largest": int(sizes.max(initial=0))}

    def _numbered(self, edges: pl.DataFrame) -> pl.DataFrame:
        """The pairs between nodes: `low` is the better one; of one that was compared twice the better score first."""
        ids = self.nodes.select("id", "node")
        both = edges.join(ids, on="id").join(ids.rename({"node": "other_node"}), left_on="other", right_on="id")
        numbered = both.filter(pl.col("node") != pl.col("other_node")).with_columns(
            low=pl.min_horizontal("node", "other_node"), high=pl.max_horizontal("node", "other_node")
        )
        if "score" not in numbered.columns:
            return numbered
        return numbered.sort("low", "high", "score", "detail", descending=[False, False, True, False]).select(
            "low", "high", "score", "detail"
        )


def frame_of(table: pa.Table) -> pl.DataFrame:
    """The table for polars."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
