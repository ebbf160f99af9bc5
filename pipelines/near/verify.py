"""Every proposed pair is verified on the contents themselves, where its later item is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import blake3
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dedup.keys import KEY_BYTES
from pipelines.bisect import FATAL_ERRORS, Failure, Piece, bisect
from pipelines.errors import CurateError, code_locations
from pipelines.isolation import KILLS_BEFORE_ISOLATION, isolated
from pipelines.near.kind import AGAIN, OUTCOMES, Kind, Opens, Place
from pipelines.near.travel import COMPRESSION, Gathered, arrived, to_verify
from pipelines.session import Located, Session, locate
from pipelines.view import View
from pipelines.work import Commit, Part, key_of

VERSION = 3
AT_ONCE = 2_000
AT_ONCE_BYTES = 2**26
"""Pairs whose contents are in memory together, and of how many bytes, if it is not one pair alone: a long text that
many are copies of stands there once for each."""
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
        here, where = self._opened(session, pairs["other"])
        contents = work.read(self.gathered.contents)
        edges = edges_of(session, kind, self.view, pairs, contents, here, where, self.attempt)
        return work.put(node, key, {"edges": edges}, compression=COMPRESSION)

    def _opened(self, session: Session, others: pa.ChunkedArray) -> tuple[Opens | None, list[Opens]]:
        """Who opens the fragment's own pictures and, for each pair, the other's: of several places the first."""
        if not self.places:
            return None, []
        stands = session.work.read(self.gathered.places).sort_by([("fragment", "descending")])
        first = dict(zip(stands["id"].to_pylist(), stands["fragment"].to_pylist(), strict=True))
        there = {number: OpenedLate(session, place, self.attempt) for number, place in self.places}
        here = OpenedLate(session, Place(self.view.corpus, self.view.fragment), self.attempt)
        if self.attempt >= KILLS_BEFORE_ISOLATION:  # what runs apart has no time for it, and may be begun anew
            for late in (here, *there.values()):
                late.locate()
        return here, [there[first[other]] for other in others.to_pylist()]

    def again(self) -> "VerifyTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class VerifyRunTask:
    """Verifies the pairs whose later item is in one run's fragments, where none needs a picture.

    What was sent to them is not written once more. A fragment that nothing new was sent to is not verified again.
    """

    kind: Kind
    views: tuple[View, ...]
    number: int
    """Of the run."""
    pairs: tuple[Part, ...]
    contents: tuple[Part, ...]
    digest: str
    """Stands for what was sent to the run."""
    attempt: int = 0

    @property
    def label(self) -> str:
        """Kind and run."""
        return f"{self.kind.name} verify run {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `edges N`, EDGES of fragment N of the run by row and other id."""
        work, node, kind = session.work, f"{self.kind.name}_verify", self.kind
        inputs = [kind.inputs(view) for view in self.views]
        key = key_of(node, VERSION, kind.parameters(), self.number, inputs, self.digest)
        found = work.find(node, key)
        if found is not None:
            return found
        tables = arrived(work, self.number, len(self.views), self.pairs, self.contents)
        verified = [self._verified(session, view, *sent) for view, sent in zip(self.views, tables, strict=True)]
        return work.commit(node, key, {f"edges {place}": part for place, part in enumerate(verified)}, {})

    def _verified(self, session: Session, view: View, sent: pa.Table, contents: pa.Table) -> Part:
        """EDGES of one fragment."""
        work, node, kind = session.work, f"{self.kind.name}_verify", self.kind
        pairs = to_verify(sent)
        compared = [blake3.blake3(to_stream(table)).hexdigest() for table in (pairs, contents)]
        key = key_of(node, VERSION, kind.parameters(), kind.inputs(view) if len(pairs) else (), compared)
        found = work.find(node, key)
        if found is None:
            edges = EDGES.empty_table()
            if len(pairs):
                edges = edges_of(session, kind, view, pairs, contents, None, [], self.attempt)
            found = work.put(node, key, {"edges": edges}, compression=COMPRESSION)
        return found.parts["edges"]

    def again(self) -> "VerifyRunTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


def to_stream(table: pa.Table) -> pa.Buffer:
    """The table as Arrow's stream: what is equal in it is equal in the table."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return sink.getvalue()


def edges_of(
    session: Session,
    kind: Kind,
    view: View,
    pairs: pa.Table,
    theirs: pa.Table,
    here: Opens | None,
    where: list[Opens],
    attempt: int,
) -> pa.Table:
    """EDGES of `pairs` (row, other) of a fragment's items with those whose contents are `theirs`, in their order."""
    rows, places = np.unique(pairs["row"].to_numpy(), return_inverse=True)
    ours = kind.contents(session, view, rows)
    met = _places(theirs["id"], pairs["other"]).to_numpy()
    told = [EDGES.empty_table()]
    sizes = _sizes(ours)[places] + _sizes(theirs)[met]
    for start, stop in batches(sizes, AT_ONCE, AT_ONCE_BYTES):
        some = slice(start, stop)
        one, other = ours.take(pa.array(places[some])), theirs.take(pa.array(met[some]))
        verify = partial(_verified, kind, one, other, here, where[some])
        pieces = bisect(isolated(verify, attempt, kind), one.num_rows)
        outcomes = pa.concat_tables([_told_of(piece) for piece in pieces])
        columns = [pairs["row"][some], one["id"], one["order"], other["id"], other["order"]]
        told.append(pa.table([*columns, *(outcomes[name] for name in OUTCOMES.names)], schema=EDGES))
    return pa.concat_tables(told)


def batches(sizes: npt.NDArray[np.int64], count: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of consecutive stretches of at most `count` items, and of at most `size` where not one alone."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = min(int(np.searchsorted(ends, before + size, "right")), start + count)
        yield start, max(stop, start + 1)
        start = max(stop, start + 1)


def _sizes(contents: pa.Table) -> npt.NDArray[np.int64]:
    """Bytes of the texts and other values of any length in each row."""
    found = np.zeros(contents.num_rows, np.int64)
    for column in contents.columns:
        if pa.types.is_large_string(column.type) or pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            found += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    return found


class OpenedLate:
    """The pictures of a fragment, which are located when the first of them is opened.

    Those of a keyed corpus lie where only its records say, which are all read for that; most pairs need no picture.
    """

    def __init__(self, session: Session, place: Place, attempt: int) -> None:
        """`attempt` counts the workers that the task has killed."""
        self._session = session
        self._place = place
        self._attempt = attempt
        self._located: Located | None = None

    def open(self, uri: str) -> bytes:
        """The bytes of a picture, as `Located.open`.

        Raises:
            CurateError: it is not there any more, or the records that say where it lies cannot be read again.
        """
        located = self.locate()
        try:
            if located.paths is None or uri in located.paths:  # else no record names it any more
                return located.open(uri)
        except FileNotFoundError:
            pass
        name = self._session.corpora[self._place.corpus].name
        raise CurateError(f"source {name}: a picture that was measured before is not there any more", AGAIN)

    def locate(self) -> Located:
        """Read the records, if they were not yet; raises as `open` does."""
        if self._located is None:
            self._located = self._found()
        return self._located

    def _found(self) -> Located:
        """Errors here are none of the picture's, nor of the pair's that needs it: they end the run."""
        name = self._session.corpora[self._place.corpus].name
        try:
            return locate(self._session, self._place.corpus, self._place.fragment, self._attempt)
        except FileNotFoundError:
            error = "they are not there any more"
        except FATAL_ERRORS:
            raise
        except Exception as other:  # noqa: BLE001 - readers may raise anything; what it says may hold PHI
            error = f"{type(other).__name__} at {', '.join(code_locations(other))}"
        raise CurateError(f"source {name}: records that were read before cannot be read again: {error}", AGAIN)


def _verified(
    kind: Kind, ours: pa.Table, theirs: pa.Table, here: Opens | None, where: list[Opens], start: int, stop: int
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
