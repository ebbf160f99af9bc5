"""A fragment as the next step sees it: the parts that earlier steps committed, put together on reading."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ConservationError
from pipelines.work import Part, Work
from sources.identity import SAMPLE_ID_DIGITS
from sources.records import Fragment

ROWS = pa.schema([pa.field("row", pa.int32(), nullable=False)])
ERRORS = pa.schema([pa.field("row", pa.int32(), nullable=False), pa.field("evidence", pa.string())])


@dataclass(frozen=True)
class View:
    """The committed state of one fragment.

    `samples` are tables laid end to end: the ingested rows, then the made ones; a row's number in them never
    changes. `parts`: `alive` (numbers of the rows still kept), `ids` (duplicate records that got an id of
    their own), `links`, `images`, `tokens` ... `verdicts`: what each step that decided said.
    """

    corpus: int
    fragment: Fragment
    samples: tuple[Part, ...] = ()
    parts: dict[str, Part] = field(default_factory=dict)
    verdicts: tuple[tuple[str, Part], ...] = ()

    def with_parts(self, **parts: Part) -> "View":
        """The view after a step that left these parts."""
        return replace(self, parts={**self.parts, **parts})

    def with_samples(self, part: Part) -> "View":
        """The view after a step that made samples: their rows follow the others."""
        return replace(self, samples=(*self.samples, part))

    def with_verdicts(self, step: str, part: Part) -> "View":
        """The view after a step that decided."""
        return replace(self, verdicts=(*self.verdicts, (step, part)))

    def digests(self, columns: Sequence[str], *names: str) -> list[str]:
        """What a step that reads these columns of the samples, and these parts, depends on.

        Ids of duplicate records and of pictures are not in the samples as they were ingested.
        """
        implied = ("ids", "alive", *(("links",) if "images" in columns else ()))
        wanted = [
            f"{name} {self.parts[name].digest}" for name in dict.fromkeys((*implied, *names)) if name in self.parts
        ]
        return [part.digest for part in self.samples] + wanted


def alive_rows(work: Work, view: View) -> npt.NDArray[np.int32]:
    """The numbers of the rows still kept, ascending."""
    rows: npt.NDArray[np.int32] = work.read(view.parts["alive"])["row"].to_numpy()
    return rows


def read_samples(work: Work, view: View, rows: npt.NDArray[np.int32], columns: Sequence[str]) -> pa.Table:
    """The given rows of the fragment's samples, with final sample ids and, once measured, image ids."""
    table = pa.concat_tables([work.read(part, columns) for part in view.samples])
    if "sample_id" in columns and "ids" in view.parts:
        table = _renamed(table, work.read(view.parts["ids"]))
    everything = len(rows) == table.num_rows and bool((np.diff(rows, prepend=-1) == 1).all())
    taken = (table if everything else table.take(pa.array(rows, pa.int32()))).combine_chunks()
    if "images" in columns and "links" in view.parts:
        taken = _with_image_ids(taken, work.read(view.parts["links"], ["row", "images"]), rows)
    return taken


def aligned(fact: pa.Table, rows: npt.NDArray[np.int32]) -> pa.Table:
    """The rows of a fact table (column `row`, ascending) that belong to these samples, in their order.

    A sample without a row in the fact table gets nulls.
    """
    places, found = _places(fact, rows)
    return fact.take(pa.array(places, pa.int64(), mask=~found)).drop_columns(["row"]).combine_chunks()


def required(fact: pa.Table, rows: npt.NDArray[np.int32], name: str) -> pa.Table:
    """As `aligned`, for facts that every sample must have.

    Raises:
        ConservationError: a sample has none.
    """
    _, found = _places(fact, rows)
    if not found.all():
        raise ConservationError(f"{(~found).sum()} samples have no {name}")
    return aligned(fact, rows)


def _places(fact: pa.Table, rows: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where each row stands in a fact table, and whether it does."""
    known = fact["row"].to_numpy()
    if not len(known):
        return np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
    places = np.minimum(np.searchsorted(known, rows), len(known) - 1).astype(np.int64)
    return places, known[places] == rows


def numbered(rows: npt.NDArray[np.int32], table: pa.Table) -> pa.Table:
    """The table with the samples' numbers as its first column."""
    return table.add_column(0, ROWS.field("row"), pa.array(rows, pa.int32()))


def rows_table(rows: npt.NDArray[np.int32]) -> pa.Table:
    """Row numbers as a table of one column."""
    return pa.table([pa.array(rows, pa.int32())], schema=ROWS)


def distinct_id(sample_id: str, nth: int) -> str:
    """The id of the nth record (from 1) that repeats another's source, key and content."""
    import blake3

    return blake3.blake3(f"{sample_id}#{nth}".encode()).hexdigest()[:SAMPLE_ID_DIGITS]


def _with_image_ids(samples: pa.Table, links: pa.Table, rows: npt.NDArray[np.int32]) -> pa.Table:
    """Replace `images` by the measured ones; a sample that was not measured keeps its own."""
    places, found = _places(links, rows)
    both = pa.chunked_array([*links["images"].chunks, *samples["images"].chunks])
    chosen = np.where(found, places, links.num_rows + np.arange(len(rows)))
    index = samples.column_names.index("images")
    return samples.set_column(index, samples.schema.field("images"), both.take(pa.array(chosen)))


def _renamed(samples: pa.Table, followers: pa.Table) -> pa.Table:
    if not followers.num_rows:
        return samples
    ids = samples["sample_id"].to_pylist()
    for row, nth in zip(followers["row"].to_pylist(), followers["nth"].to_pylist(), strict=True):
        ids[row] = distinct_id(ids[row], nth)
    return samples.set_column(
        samples.column_names.index("sample_id"), samples.schema.field("sample_id"), pa.array(ids, pa.string())
    )


def kept_rows(rows: npt.NDArray[np.int32], verdicts: pa.Table) -> npt.NDArray[np.int32]:
    """The rows whose verdict is keep or edit."""
    kept = pc.is_in(verdicts["verdict"], pa.array(["keep", "edit"])).to_numpy(zero_copy_only=False)
    selected: npt.NDArray[np.int32] = rows[kept]
    return selected
