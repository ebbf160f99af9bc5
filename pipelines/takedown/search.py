"""Finding what a takedown concerns, in the published tables of a run, one part (one fragment) after the other.

Samples concerned are those that match an entry, those that were made from one of them, those that show a picture
that was listed (or one with the same pixels), and the ones that were dropped as exact duplicates of one of them:
with their leader gone, the next build would take them in its place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.holdout import STEP as HOLDOUT
from pipelines.takedown.listing import Entry
from pipelines.takedown.record import LOOKED_AT, Entries, Record, digest_of, matches
from pipelines.takedown.step import REASON
from sources.schema import Verdict
from sources.storage import Folder

TERMS = frozenset({"license", "source"})
"""Kinds that are about terms, not content: a duplicate under other terms does not follow."""
DUPLICATE, CHILD = "duplicate", "parent"


@dataclass(frozen=True)
class TablePart:
    """The published rows of one fragment."""

    folder: Folder
    name: str

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows of a table."""
        with self.folder.open(self.path(table)) as file:
            return pq.read_table(file, columns=None if columns is None else list(columns), use_threads=False)

    def path(self, table: str) -> str:
        """Where a table of it is published."""
        return f"tables/{table}/{self.name}"

    def fates(self) -> "Fates":
        """What became of its samples."""
        ledger = self.read("ledger", ["sample_id", "step", "verdict", "reason", "evidence"])
        ended = ledger.filter(pc.is_in(ledger["verdict"], pa.array([Verdict.DROP, Verdict.QUARANTINE])))
        removed = ended.filter(pc.equal(ended["reason"], REASON))["sample_id"].to_pylist()
        leaders = {}
        for sample_id, evidence in zip(ended["sample_id"].to_pylist(), ended["evidence"].to_pylist(), strict=True):
            leader = orjson.loads(evidence).get("kept") if evidence is not None and '"kept"' in evidence else None
            if isinstance(leader, str):
                leaders[sample_id] = leader
        sides = ledger.filter(pc.equal(ledger["step"], HOLDOUT))
        held = sides.filter(pc.is_valid(sides["evidence"]))
        components = [orjson.loads(evidence)["component"] for evidence in held["evidence"].to_pylist()]
        return Fates(
            frozenset(ended["sample_id"].to_pylist()),
            frozenset(removed),
            leaders,
            dict(zip(held["sample_id"].to_pylist(), components, strict=True)),
        )


@dataclass(frozen=True)
class Fates:
    """What the ledger says of one fragment's samples."""

    ended: frozenset[str]
    """Dropped or quarantined by any step."""
    removed: frozenset[str]
    """By a takedown."""
    leaders: dict[str, str]
    """Duplicate -> the sample that was kept in its place."""
    held: dict[str, str]
    """Sample on the validation side -> its component."""


@dataclass
class Found:
    """What a list concerns in a run."""

    by: dict[str, set[str]] = field(default_factory=dict)
    """Sample id -> kinds of entry by which it is concerned."""
    hits: dict[int, dict[str, int]] = field(default_factory=dict)
    """Number of the entry -> kind as which it matched -> samples (or pictures, of picture hashes)."""
    entries: Entries = field(default_factory=dict)
    """Digests of what matched something, as later builds look for it."""


def parts_of(run: Folder) -> list[TablePart]:
    """The parts of a run's tables, in the order of its fragments."""
    paths = sorted(stat.path for stat in run.glob(["tables/samples/*.parquet"]))
    return [TablePart(run, path.rpartition("/")[2]) for path in paths]


def search(run: Folder, listed: Sequence[Entry], record: Record) -> Found:
    """Everything in the run that a list concerns; what was removed before is among it."""
    wanted: dict[tuple[str, str], list[int]] = {}
    for number, entry in enumerate(listed):
        for kind in entry.kinds:
            for value in entry.values:
                wanted.setdefault((kind, digest_of(kind, value)), []).append(number)
    found = Found(hits={number: {} for number in range(len(listed))})
    pictures = _pictures(run, wanted, found)
    entries = _by_kind([*wanted, *pictures])
    parts = parts_of(run)
    used: set[tuple[str, str]] = set(pictures)
    for part in parts:
        samples = part.read("samples", LOOKED_AT)
        ids = samples["sample_id"]
        for row, matched in matches(entries, samples).items():
            found.by.setdefault(ids[row].as_py(), set()).update(kind for kind, _ in matched)
            used |= matched
            for pair in matched:
                for number in wanted.get(pair, ()):
                    hits = found.hits[number]
                    hits[pair[0]] = hits.get(pair[0], 0) + 1
    while _follow(parts, found, record):
        pass
    found.entries = _by_kind(sorted(used))
    return found


def _pictures(run: Folder, wanted: dict[tuple[str, str], list[int]], found: Found) -> set[tuple[str, str]]:
    """Entries for every picture that is listed by id or pixels, and for those with the same pixels."""
    kinds = {kind for kind, _ in wanted}
    if not kinds & {"image_id", "pixel_hash"}:
        return set()
    pixels: set[str] = set()
    for images in _image_parts(run):
        for image_id, pixel_hash in images:
            as_id, as_pixels = ("image_id", digest_of("image_id", image_id)), ("pixel_hash", _pixels(pixel_hash))
            if as_pixels in wanted:
                for number in wanted[as_pixels]:
                    hits = found.hits[number]
                    hits["pixel_hash"] = hits.get("pixel_hash", 0) + 1
            if (as_id in wanted or as_pixels in wanted) and pixel_hash is not None:
                pixels.add(pixel_hash)
    same: set[tuple[str, str]] = set()
    for images in _image_parts(run):
        for image_id, pixel_hash in images:
            if pixel_hash in pixels or ("image_id", digest_of("image_id", image_id)) in wanted:
                same.add(("image_id", digest_of("image_id", image_id)))
    return same | {("pixel_hash", _pixels(pixel_hash)) for pixel_hash in pixels}


def _image_parts(run: Folder) -> Iterator[Iterator[tuple[str, str | None]]]:
    for part in parts_of(run):
        images = part.read("images", ["image_id", "pixel_hash"])
        yield zip(images["image_id"].to_pylist(), images["pixel_hash"].to_pylist(), strict=True)


def _pixels(pixel_hash: str | None) -> str:
    return "" if pixel_hash is None else digest_of("pixel_hash", pixel_hash)


def _follow(parts: Sequence[TablePart], found: Found, record: Record) -> bool:
    """Add what was made from, or dropped in favour of, what is concerned; whether there was any."""
    before = len(found.by)
    for part in parts:
        for sample_id, leader in part.fates().leaders.items():
            kinds = found.by.get(leader, set())
            if kinds - TERMS and sample_id not in found.by:
                found.by[sample_id] = {DUPLICATE}
        samples = part.read("samples", ["sample_id", "parent_id"])
        made = samples.filter(pc.is_valid(samples["parent_id"]))
        for sample_id, parent in zip(made["sample_id"].to_pylist(), made["parent_id"].to_pylist(), strict=True):
            if (parent in found.by or parent in record.samples) and sample_id not in found.by:
                found.by[sample_id] = {CHILD}
    return len(found.by) > before


def _by_kind(pairs: Any) -> dict[str, frozenset[str]]:
    kinds: dict[str, set[str]] = {}
    for kind, digest in pairs:
        kinds.setdefault(kind, set()).add(digest)
    return {kind: frozenset(digests) for kind, digests in kinds.items()}
