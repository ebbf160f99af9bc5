"""Which items may be near-duplicates: fragments send bands, equal bands meet in partitions and propose pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dedup.bands import BAND_KEYS, proposed_pairs
from pipelines.near.kind import Kind
from pipelines.partitions import Solver, solved
from pipelines.session import Session
from pipelines.sorted_runs import Run, merged_runs, put_part, to_row_groups
from pipelines.view import View
from pipelines.work import Commit, Part, key_of

PARTITION_ROWS = 2_000_000
"""Bands solved at once: 28 bytes each, and about four times as much while they are sorted."""
FEW_ROWS = 2**17
"""Bands of a small corpus are cut in up to four partitions of half as many at least, for workers to share."""
RUN_ROWS = 2**18
"""Most bands of a run: as many as 4 fragments of 4,096 texts send. What is sent and gathered is so by run."""
FEW_FRAGMENTS = 8
"""Up to as many are not merged to runs: reading each of their files costs less."""
COMPRESSION = "none"
"""Of bands: hashes would shrink by a fifth, and writing them takes six times as long."""
VERSION = 2
NUMBERED_BANDS = BAND_KEYS.append(pa.field("fragment", pa.int32(), nullable=False))
"""Bands as partitions see them."""


@dataclass(frozen=True)
class BandsTask:
    """Reduces one fragment to the bands of its items. What it commits is the index that later builds search."""

    kind: Kind
    view: View
    number: int

    @property
    def label(self) -> str:
        """Kind and fragment."""
        return f"{self.kind.name} bands {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `bands`."""
        work, node = session.work, f"{self.kind.name}_bands"
        key = key_of(node, VERSION, self.kind.parameters(), self.kind.inputs(self.view))
        found = work.find(node, key)
        if found is not None:
            return found
        bands = self.kind.bands(session, self.view)
        data = to_row_groups(bands, "key", COMPRESSION)
        part = put_part(work, work.path(node, key, "bands.parquet"), data, bands.num_rows)
        return work.commit(node, key, {"bands": part}, {})


@dataclass(frozen=True)
class Proposed:
    """Pairs of the items of a run's fragments with later ones."""

    runs: Sequence[Run]
    parts: Sequence[Part]
    """PAIRS, sorted by fragment; a pair may stand in several."""
    shares: Sequence[dict[str, str]]
    """For each part: run -> digest of its rows whose earlier item is in that run."""


def proposed(each: Callable[[str, Sequence[Any]], list[Commit]], kind: Kind, views: Sequence[View]) -> Proposed:
    """The pairs of all fragments; `each` runs tasks and gives their commits.

    In them a fragment's number is its run's times 128 plus its number in the run.
    """
    name = kind.name
    sent = each(f"{name} bands", [BandsTask(kind, view, number) for number, view in enumerate(views)])
    parts = [commit.parts["bands"] for commit in sent]
    most = RUN_ROWS if len(views) > FEW_FRAGMENTS else 1
    runs = merged_runs(each, f"{name}_bands", parts, [part.rows for part in parts], most, compression=COMPRESSION)
    solver = Solver(name, "buckets", VERSION, NUMBERED_BANDS, _pairs)
    rows = room_for(sum(part.rows for part in parts))
    answered = solved(each, solver, runs, rows, min(PARTITION_ROWS, max(FEW_ROWS, rows // 4)))
    return Proposed(runs, [commit.parts["rows"] for commit in answered], [commit.facts["runs"] for commit in answered])


def room_for(rows: int) -> int:
    """The next power of two: by it partitions are counted, so that a corpus that grows seldom changes all of them."""
    return 1 << max(0, rows - 1).bit_length()


def _pairs(bands: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """PAIRS by the earlier item, and how the buckets looked."""
    buckets = proposed_pairs(bands)
    return buckets.pairs, {"largest": buckets.largest, "hot": buckets.hot}
