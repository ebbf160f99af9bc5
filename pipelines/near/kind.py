"""What is compared: the items of a fragment (its samples or its pictures), as the stages of the search see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.keys import KEY_BYTES
from pipelines.session import Session
from pipelines.view import View
from sources.records import Fragment

AGAIN = "put the files back as they were, or start another run; the same command resumes"
"""What to do where pictures or records are not what they were when they were measured."""
ITEM = pa.schema(
    [
        pa.field("id", pa.binary(KEY_BYTES), nullable=False),
        pa.field("order", pa.uint64(), nullable=False),
    ]
)
"""How an item is told apart, and its place in the order of survivors (smaller is better, then the smaller id)."""

OUTCOMES = pa.schema(
    [
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("cause", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""What verification says of a pair: whether it is one of near-duplicates, how alike the two are, what spoke against
it where it is not, and, as JSON, what the evidence shows."""


class Opens(Protocol):
    """The pictures of one fragment."""

    def open(self, uri: str) -> bytes:
        """The bytes of a picture, as `pipelines.session.Located.open`.

        Raises:
            CurateError: it was there when it was measured, and is not any more.
        """
        ...


class Kind(Protocol):
    """Items of one kind. Small and picklable: every task carries it."""

    @property
    def name(self) -> str:
        """Part of the names of nodes under `work/`."""
        ...

    def parameters(self) -> dict[str, Any]:
        """Everything configurable that proposals and outcomes depend on."""
        ...

    def inputs(self, view: View) -> list[str]:
        """Digests of what is read of a fragment."""
        ...

    def bands(self, session: Session, view: View) -> pa.Table:
        """BAND_KEYS of the fragment's items, sorted by key."""
        ...

    def contents(self, session: Session, view: View, rows: npt.NDArray[np.int32]) -> pa.Table:
        """ITEM of the given items, in order, and the columns that `verify` needs of one that it meets."""
        ...

    @property
    def opens_pictures(self) -> bool:
        """Whether `verify` needs to know where the others' pictures are: their bytes never travel."""
        ...

    @property
    def tells_further(self) -> bool:
        """Whether it matters later which items were found to be near-duplicates of more than the one they go for."""
        ...

    def verify(self, ours: pa.Table, theirs: pa.Table, here: Opens | None, where: Sequence[Opens]) -> pa.Table:
        """OUTCOMES of pairs, row by row; both sides are `contents`. Which side is whose must not matter.

        `here` says where the pictures of our side are and `where` those of each of theirs, if pictures are opened.
        """
        ...


@dataclass(frozen=True)
class Place:
    """A fragment whose pictures may be opened: the number of its corpus, and what of it."""

    corpus: int
    fragment: Fragment
