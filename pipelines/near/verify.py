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
from pipelines.session import Session
from pipelines.view import View
from pipelines.work import Commit, key_of

VERSION = 1
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
        ours = kind.contents(session, self.view, rows).take(pa.array(places))
        met = work.read(self.gathered.contents)
        theirs = met.take(_places(met["id"], pairs["other"]))
        verify = partial(_verified, kind, session, self.view, ours, theirs, self._where(session, pairs["other"]))
        pieces = bisect(isolated(verify, self.attempt, kind), pairs.num_rows)
        outcomes = pa.concat_tables([_told_of(piece) for piece in pieces])
        columns = [pairs["row"], ours["id"], ours["order"], theirs["id"], theirs["order"]]
        edges = pa.table([*columns, *(outcomes[name] for name in OUTCOMES.names)], schema=EDGES)
        return work.put(node, key, {"edges": edges})

    def _where(self, session: Session, others: pa.ChunkedArray) -> list[Place]:
        """For each pair where the other's picture is; of several fragments that have it, the first."""
        if not self.places:
            return []
        stands = session.work.read(self.gathered.places).sort_by([("fragment", "descending")])
        first = dict(zip(stands["id"].to_pylist(), stands["fragment"].to_pylist(), strict=True))
        places = dict(self.places)
        return [places[first[other]] for other in others.to_pylist()]

    def again(self) -> "VerifyTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


def _verified(
    kind: Kind,
    session: Session,
    view: View,
    ours: pa.Table,
    theirs: pa.Table,
    where: list[Place],
    start: int,
    stop: int,
) -> pa.Table:
    count = stop - start
    return kind.verify(session, view, ours.slice(start, count), theirs.slice(start, count), where[start:stop])


def _told_of(piece: Piece[pa.Table]) -> pa.Table:
    """The outcomes of some pairs; one that cannot be compared, or killed who tried, joins nothing."""
    if not isinstance(piece.result, Failure):
        return piece.result.cast(OUTCOMES)
    count = piece.stop - piece.start
    failed = {"accepted": False, "score": 0.0, "cause": FAILED, "detail": piece.result.evidence}
    return pa.Table.from_pylist([failed] * count, schema=OUTCOMES)


def _places(ids: pa.ChunkedArray, wanted: pa.ChunkedArray) -> pa.Array:
    return pc.index_in(wanted, value_set=ids.combine_chunks()).combine_chunks()
