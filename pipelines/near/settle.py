"""Samples that only their pictures tell apart: those pictures are compared, wherever they had not been before.

Buckets of many pictures are stars: copies of one picture meet the best of them, and few of each other. Where texts are
near-duplicates the pictures beside them are asked about, place by place, so that there are at most as many pairs of
pictures as such texts have places, never all pairs of a bucket. No pair follows from others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from dedup.bands import PAIRS, pairs_of
from dedup.keys import KEY_BYTES
from pipelines.near.kind import Kind
from pipelines.near.resolve import frame_of
from pipelines.near.search import Each, Round, numbers_of, verified
from pipelines.near.texts import PICTURES, PictureTexts, doubtful
from pipelines.near.travel import Gathered, put_named
from pipelines.near.verify import EDGES
from pipelines.partitions import shares_of
from pipelines.session import Session
from pipelines.sorted_runs import put_part, to_row_groups
from pipelines.view import View
from pipelines.work import Commit, Part, Work, key_of

VERSION = 2
NAME = "near_image"
ASKS = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("sample", pa.binary(KEY_BYTES), nullable=False),
        pa.field("id", pa.binary(KEY_BYTES), nullable=False),
        pa.field("picture", pa.int32(), nullable=False),
        pa.field("other", pa.binary(KEY_BYTES), nullable=False),
        pa.field("other_picture", pa.int32(), nullable=False),
    ]
)
"""Pictures to be compared for a pair of samples: the fragment's own sample and the id of the other; for each side the
picture's id and its row among IMAGES."""
OUTCOMES = pa.schema(
    [
        pa.field("low", pa.binary(KEY_BYTES), nullable=False),
        pa.field("high", pa.binary(KEY_BYTES), nullable=False),
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("detail", pa.string()),
    ]
)
"""Pairs of pictures by id, the smaller first, and what verification said of them."""
GRANTED = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("other", pa.binary(KEY_BYTES), nullable=False),
        pa.field("picture", pa.binary(KEY_BYTES), nullable=False),
        pa.field("other_picture", pa.binary(KEY_BYTES), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("detail", pa.string()),
    ]
)
"""Pairs of samples all of whose pictures are copies, and of each, a row each, their pictures that were asked about:
the own one, the other sample's, and the outcome of the two."""


@dataclass(frozen=True)
class AskTask:
    """Finds the pictures of one fragment that nobody has compared with those of a sample with nearly the same text."""

    kind: PictureTexts
    view: View
    number: int
    gathered: Gathered
    edges: Part

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{NAME} asks {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `asks`, ASKS in the order of EDGES."""
        work, node = session.work, f"{NAME}_asks"
        edges = work.read(self.edges, ["row", "other", "cause"])
        pairs = edges.filter(pc.equal(edges["cause"], PICTURES))
        compared = (self.edges.digest, self.gathered.contents.digest)
        inputs = (*compared, self.kind.parameters(), self.kind.inputs(self.view)) if len(pairs) else ()
        key = key_of(node, VERSION, inputs)
        found = work.find(node, key)
        if found is not None:
            return found
        asks = self._asks(session, pairs) if len(pairs) else []
        return work.put(node, key, {"asks": pa.Table.from_pylist(asks, schema=ASKS)})

    def _asks(self, session: Session, pairs: pa.Table) -> list[dict[str, object]]:
        rows = np.unique(pairs["row"].to_numpy())
        ours = self.kind.contents(session, self.view, rows)[PICTURES].to_pylist()
        theirs = session.work.read(self.gathered.contents, ["id", PICTURES])
        own = dict(zip(rows.tolist(), map(orjson.loads, ours), strict=True))
        met = dict(zip(theirs["id"].to_pylist(), theirs[PICTURES].to_pylist(), strict=True))
        return [
            {"row": pair["row"], "sample": pair["other"], "id": bytes.fromhex(one[0]), "picture": one[3],
             "other": bytes.fromhex(other[0]), "other_picture": other[3]}
            for pair in pairs.to_pylist()
            if len(own[pair["row"]]) == len(shown := orjson.loads(met[pair["other"]]))
            for one, other in doubtful(own[pair["row"]], shown)
        ]  # fmt: skip


@dataclass(frozen=True)
class QuestionsTask:
    """Puts together what all fragments ask, in one place: some 100 bytes for each ask.

    A pair of pictures is asked about once, and not if a round before has compared it.
    """

    numbers: tuple[int, ...]
    """Of each fragment in pairs."""
    asks: tuple[Part, ...]
    places: tuple[Part, ...]
    """Where the other samples of each fragment's pairs stand."""
    known: tuple[Part, ...]
    """EDGES of pictures."""

    label = f"{NAME} questions"

    def run(self, session: Session) -> Commit:
        """Commit `pairs`, PAIRS of pictures by the earlier one, and `known`, OUTCOMES of what was asked before."""
        work, node = session.work, f"{NAME}_questions"
        digests = [[part.digest for part in parts] for parts in (self.asks, self.places, self.known)]
        key = key_of(node, VERSION, self.numbers, digests)
        found = work.find(node, key)
        if found is not None:
            return found
        asked = pl.concat([self._asked(work, place) for place, part in enumerate(self.asks) if part.rows])
        first = asked.sort("low", "high", "one", "two").unique(["low", "high"], keep="first", maintain_order=True)
        known = outcomes(work, self.known, first)
        missing = first.join(known, on=["low", "high"], how="anti")
        pairs = pairs_of(missing["one"].to_numpy(), missing["two"].to_numpy())
        pairs = pairs.sort_by([(name, "ascending") for name in PAIRS.names])
        data = to_row_groups(pairs, "fragment")
        parts = {
            "pairs": put_part(work, work.path(node, key, "pairs.parquet"), data, pairs.num_rows),
            "known": put_named(work, node, known.to_arrow().cast(OUTCOMES)),
        }
        return work.commit(node, key, parts, {"runs": shares_of(pairs)})

    def _asked(self, work: Work, place: int) -> pl.DataFrame:
        """What a fragment asks: ids of both pictures, the smaller first, and both as items (fragment << 32 | row)."""
        stands = frame_of(work.read(self.places[place])).select("id", "fragment").unique().sort("id", "fragment")
        there = stands.unique("id", keep="first").rename({"id": "sample"})
        asks = frame_of(work.read(self.asks[place])).join(there, on="sample")
        one = _items(np.full(len(asks), self.numbers[place]), asks["picture"])
        two = _items(asks["fragment"].to_numpy(), asks["other_picture"])
        return asks.select(**LOW_HIGH, one=pl.lit(np.minimum(one, two)), two=pl.lit(np.maximum(one, two)))


@dataclass(frozen=True)
class OutcomesTask:
    """Tells every fragment which of its pairs of samples have the same pictures, in one place."""

    asks: tuple[Part, ...]
    known: Part
    """OUTCOMES of what was compared before it was asked."""
    edges: tuple[Part, ...]
    """EDGES of the pictures that were compared because of it."""

    label = f"{NAME} outcomes"

    def run(self, session: Session) -> Commit:
        """Commit GRANTED of fragment N as the part `N`."""
        work, node = session.work, f"{NAME}_outcomes"
        digests = [[part.digest for part in parts] for parts in (self.asks, (self.known,), self.edges)]
        key = key_of(node, VERSION, digests)
        found = work.find(node, key)
        if found is not None:
            return found
        asks = [frame_of(work.read(part)).with_columns(**LOW_HIGH) for part in self.asks]
        asked = pl.concat([one.select("low", "high") for one in asks]).unique()
        known = pl.concat([frame_of(work.read(self.known)), outcomes(work, self.edges, asked)])
        parts = {}
        for number, own in enumerate(asks):
            answered = own.join(known, on=["low", "high"], how="left").with_columns(
                pl.col("accepted").fill_null(value=False)
            )
            pairs = answered.filter(pl.col("accepted").all().over("row", "sample"))
            names = {"row": "row", "other": "sample", "picture": "id", "other_picture": "other"}
            granted = pairs.select(score="score", detail="detail", **names).select(GRANTED.names).unique()
            parts[str(number)] = put_named(work, node, granted.sort(GRANTED.names[:4]).to_arrow().cast(GRANTED))
        return work.commit(node, key, parts, {})


@dataclass(frozen=True)
class SettleTask:
    """Accepts the pairs of one fragment's samples whose pictures were found to be copies."""

    number: int
    edges: Part
    granted: Part

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{NAME} settle {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `edges`, EDGES in their order."""
        work, node = session.work, f"{NAME}_settle"
        key = key_of(node, VERSION, self.edges.digest, self.granted.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        granted: dict[tuple[int, bytes], list[dict[str, Any]]] = {}
        for copies in work.read(self.granted).to_pylist():
            granted.setdefault((copies["row"], copies["other"]), []).append(copies)
        rows = work.read(self.edges).to_pylist()
        settled = [_accepted(row, granted.get((row["row"], row["other"]))) for row in rows]
        return work.put(node, key, {"edges": pa.Table.from_pylist(settled, schema=EDGES)})


class Settling:
    """Settles the rounds of a search among samples with pictures, one after the other."""

    def __init__(
        self, each: Each, work: Work, kinds: tuple[PictureTexts, Kind], views: Sequence[View], known: Sequence[Part]
    ) -> None:
        """`kinds`: of the samples and of their pictures; `known`: EDGES of the pictures that were compared already."""
        self._each = each
        self._work = work
        self._texts, self._pictures = kinds
        self._views = views
        self._known = tuple(known)

    def __call__(self, done: Round) -> list[Part]:
        """EDGES of all fragments after the pictures behind them were compared."""
        tasks = [
            AskTask(self._texts, view, number, gathered, edges)
            for number, (view, gathered, edges) in enumerate(zip(self._views, done.gathered, done.edges, strict=True))
        ]
        asks = tuple(commit.parts["asks"] for commit in self._each(f"{NAME} asks", tasks))
        if not any(part.rows for part in asks):
            return list(done.edges)
        places = tuple(gathered.places for gathered in done.gathered)
        task = QuestionsTask(numbers_of(done.spans), asks, places, self._known)
        (questions,) = self._each(f"{NAME} questions", [task])
        pairs = questions.parts["pairs"]
        compared: tuple[Part, ...] = ()
        if pairs.rows:
            runs = questions.facts["runs"]
            again = verified(self._each, self._work, self._pictures, self._views, done.spans, [pairs], [runs])
            compared = tuple(again.edges)
        (answered,) = self._each(f"{NAME} outcomes", [OutcomesTask(asks, questions.parts["known"], compared)])
        self._known += tuple(part for part in compared if part.rows)
        return self._settled(done.edges, answered)

    def _settled(self, edges: Sequence[Part], answered: Commit) -> list[Part]:
        tasks = [
            SettleTask(number, part, answered.parts[str(number)])
            for number, part in enumerate(edges)
            if answered.parts[str(number)].rows
        ]
        settled = dict(zip([task.number for task in tasks], self._each(f"{NAME} settle", tasks), strict=True))
        return [settled[number].parts["edges"] if number in settled else part for number, part in enumerate(edges)]


def _accepted(edge: dict[str, Any], granted: list[dict[str, Any]] | None) -> dict[str, Any]:
    """A row of EDGES: where it was granted, with the `pictures` of the worse sample that are copies of the better's."""
    if granted is None:
        return edge
    worse = (edge["order"], edge["id"]) > (edge["other_order"], edge["other"])
    sides = ("picture", "other_picture") if worse else ("other_picture", "picture")
    pictures = [
        {**{name: copies[side].hex() for name, side in zip(("image", "copy_of"), sides, strict=True)},
         "score": round(copies["score"], 4), **orjson.loads(copies["detail"] or b"{}")}
        for copies in granted
    ]  # fmt: skip
    detail = orjson.dumps({**orjson.loads(edge["detail"] or b"{}"), PICTURES: pictures}).decode()
    return {**edge, "accepted": True, "cause": None, "detail": detail}


LOW_HIGH = {"low": pl.min_horizontal("id", "other"), "high": pl.max_horizontal("id", "other")}


def outcomes(work: Work, edges: Sequence[Part], asked: pl.DataFrame) -> pl.DataFrame:
    """OUTCOMES of the pairs `asked` (low, high) that stand in EDGES, each once: of several the most alike."""
    tables = [frame_of(OUTCOMES.empty_table())]
    for part in edges:
        if part.rows:
            edges_there = frame_of(work.read(part, ["id", "other", *OUTCOMES.names[2:]]))
            compared = edges_there.with_columns(**LOW_HIGH).select(OUTCOMES.names)
            tables.append(compared.join(asked, on=["low", "high"], how="semi"))
    best = pl.concat(tables).sort(OUTCOMES.names, descending=[False, False, True, True, False])
    return best.unique(["low", "high"], keep="first", maintain_order=True)


def _items(fragments: npt.NDArray[np.int32], rows: pl.Series) -> npt.NDArray[np.uint64]:
    items: npt.NDArray[np.uint64] = fragments.astype(np.uint64) << np.uint64(32) | rows.to_numpy().astype(np.uint64)
    return items
