"""Every proposed pair is verified on the contents themselves, where its later item is."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.keys import KEY_BYTES
from pipelines.bisect import Failure, Piece, bisect
from pipelines.isolation import isolated
from pipelines.near.kind import OUTCOMES, Kind, Place
from pipelines.near.travel import Gathered
from pipelines.session import Located, Session, locate
from pipelines.view import View
from pipelines.work import Commit, key_of

VERSION = 2
AT_ONCE = 2_000
"""Pairs whose contents are in memory together."""
FAILED = "failed"
EDGES = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("id", pa.binary(KEY_BYTES), nullable=False),
        pa.field("order", pa.uint64(), nullable=False),
        pa.field("other", pa.binary(KEY_BYTES), nullable=False),
        pa.field("other_order", pa.uint64(), nullable=False),
        *OUTCOMES,
    ]
)
"""Verified pairs: number, id and order of the fragment's own item, id and order of the other, and the outcome."""


@dataclass(frozen=True)
class VerifyTask:
    """Verifies the pairs whose later item is in one fragment."""

    kind: Kind
    view: View
    number: int
    gathered: Gathered
    places: tuple[tuple[int, Place], ...] = ()
    """Of the fragments that others come from, where pictures are opened: fragment number in pairs, place."""
    attempt: int = 0

    @property
    def label(self) -> str:
        """Kind and fragment."""
        return f"{self.kind.name} verify {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `edges`, EDGES by row and other id."""
        work, node, kind = session.work, f"{self.kind.name}_verify", self.kind
        sent = (self.gathered.pairs.digest, self.gathered.contents.digest)
        key = key_of(node, VERSION, kind.parameters(), kind.inputs(self.view) if self.gathered.pairs.rows else (), sent)
        found = work.find(node, key)
        if found is not None:
            return found
        if not self.gathered.pairs.rows:
            return work.put(node, key, {"edges": EDGES.empty_table()})
        pairs = work.read(self.gathered.pairs)
        rows, places = np.unique(pairs["row"].to_numpy(), return_inverse=True)
        ours, theirs = kind.contents(session, self.view, rows), work.read(self.gathered.contents)
        met = _places(theirs["id"], pairs["other"]).to_numpy()
        here, where = self._located(session, pairs["other"])
        told = [EDGES.empty_table()]
        for start in range(0, pairs.num_rows, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            one, other = ours.take(pa.array(places[some])), theirs.take(pa.array(met[some]))
            verify = partial(_verified, kind, one, other, here, where[some])
            pieces = bisect(isolated(verify, self.attempt, kind), one.num_rows)
            outcomes = pa.concat_tables([_told_of(piece) for piece in pieces])
            columns = [pairs["row"][some], one["id"], one["order"], other["id"], other["order"]]
            told.append(pa.table([*columns, *(outcomes[name] for name in OUTCOMES.names)], schema=EDGES))
        return work.put(node, key, {"edges": pa.concat_tables(told)})

    def _located(self, session: Session, others: pa.ChunkedArray) -> tuple[Located | None, list[Located]]:
        """Where the fragment's own pictures are and, for each pair, the other's: of several places the first."""
        if not self.places:
            return None, []
        stands = session.work.read(self.gathered.places).sort_by([("fragment", "descending")])
        first = dict(zip(stands["id"].to_pylist(), stands["fragment"].to_pylist(), strict=True))
        located = {number: locate(session, place.corpus, place.fragment, self.attempt) for number, place in self.places}
        here = locate(session, self.view.corpus, self.view.fragment, self.attempt)
        return here, [located[first[other]] for other in others.to_pylist()]

    def again(self) -> "VerifyTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


def _verified(
    kind: Kind, ours: pa.Table, theirs: pa.Table, here: Located | None, where: list[Located], start: int, stop: int
) -> pa.Table:
    count = stop - start
    return kind.verify(ours.slice(start, count), theirs.slice(start, count), here, where[start:stop])


def _told_of(piece: Piece[pa.Table]) -> pa.Table:
    """The outcomes of some pairs; one that cannot be compared, or killed who tried, joins nothing."""
    if not isinstance(piece.result, Failure):
        return piece.result.cast(OUTCOMES)
    count = piece.stop - piece.start
    failed = {"accepted": False, "score": 0.0, "cause": FAILED, "detail": piece.result.evidence}
    return pa.Table.from_pylist([failed] * count, schema=OUTCOMES)


def _places(ids: pa.ChunkedArray, wanted: pa.ChunkedArray) -> pa.Array:
    return pc.index_in(wanted, value_set=ids.combine_chunks()).combine_chunks()
