"""Where what a takedown concerns stands: in which shards, which parts of the tables, which pictures nobody else shows.

No tar is searched: the shards of a source hold its kept samples in the order of the tables, so a sample's place among
them and the sizes in the manifest tell its shard.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from pipelines.errors import CurateError
from pipelines.takedown.record import Record
from pipelines.takedown.search import Found, TablePart
from shards.manifest import Manifest, ShardEntry
from shards.names import parse_shard_name

Stream = tuple[str, bool]
"""A source, and whether its samples are on the validation side of a hold-out."""


@dataclass
class Places:
    """What is to be changed."""

    samples: dict[str, list[int]] = field(default_factory=dict)
    """Part -> rows of the samples table to blank."""
    ledger: dict[str, list[str]] = field(default_factory=dict)
    """Part -> ids of the kept samples that are dropped now, in order."""
    images: dict[str, list[int]] = field(default_factory=dict)
    """Part -> rows of the images table to blank: pictures that no kept sample shows any more."""
    shards: dict[str, set[str]] = field(default_factory=dict)
    """Shard -> ids of the samples to leave out."""
    ids: set[str] = field(default_factory=set)
    """Everything concerned that was not removed before."""
    keys: set[tuple[str, str]] = field(default_factory=set)
    """Source and source key of all that is concerned or was removed before, as work may hold it."""
    image_ids: set[str] = field(default_factory=set)
    """The pictures in `images`."""
    by_source: Counter[str] = field(default_factory=Counter)
    """Kept samples that are dropped now, by source."""
    kept: int = 0
    """Samples that were kept before."""
    held: int = 0
    """Samples on the validation side that stay."""
    components: set[str] = field(default_factory=set)
    """Of those."""


def places_of(parts: Sequence[TablePart], manifest: Manifest, found: Found, record: Record) -> Places:
    """Find the places of everything that is concerned.

    Raises:
        CurateError: tables and manifest disagree about how many samples were kept.
    """
    places = Places()
    shards = {stream: _Shelf(entries) for stream, entries in _streams(manifest).items()}
    taken: Counter[Stream] = Counter()
    shown: set[str] = set()
    for part in parts:
        samples = part.read("samples", ["sample_id", "source", "source_key", "images"]).to_pylist()
        fates = part.fates()
        places.keys |= _keys(samples, found.by, fates.removed, record.samples)
        for row, sample in enumerate(samples):
            sample_id, source = sample["sample_id"], sample["source"]
            stream = source, sample_id in fates.held
            kept = sample_id not in fates.ended
            if sample_id in found.by:
                shown.update(image["image_id"] for image in sample["images"] or () if image["image_id"])
                if sample_id not in fates.removed and sample_id not in record.samples:
                    places.ids.add(sample_id)
                    places.samples.setdefault(part.name, []).append(row)
                    if kept:
                        places.ledger.setdefault(part.name, []).append(sample_id)
                        places.by_source[source] += 1
                        if stream in shards:
                            places.shards.setdefault(shards[stream].at(taken[stream]), set()).add(sample_id)
            if kept and stream[1] and sample_id not in found.by:
                places.held += 1
                places.components.add(fates.held[sample_id])
            taken[stream] += kept
    written = {stream: shelf.samples for stream, shelf in shards.items()}
    if +taken != Counter(written):
        raise CurateError("tables and shards/manifest.json disagree about the samples kept", "build the run again")
    places.kept = taken.total()
    if places.ids:
        places.image_ids = _unshown(parts, found, shown)
        _place_images(parts, places)
    return places


def _keys(samples: Iterable[Mapping[str, Any]], *ids: Container[str]) -> set[tuple[str, str]]:
    """Source and source key of the samples whose id is among any of these."""
    return {
        (sample["source"], sample["source_key"])
        for sample in samples
        if any(sample["sample_id"] in listed for listed in ids)
    }


class _Shelf:
    """The shards of one stream in order."""

    def __init__(self, entries: Sequence[ShardEntry]) -> None:
        self._names = [entry.name for entry in entries]
        self._ends = list(accumulate(entry.samples for entry in entries))

    @property
    def samples(self) -> int:
        return self._ends[-1]

    def at(self, place: int) -> str:
        """The shard of the sample that so many of the stream come before."""
        number = bisect_right(self._ends, place)
        return self._names[min(number, len(self._names) - 1)]


def _streams(manifest: Manifest) -> dict[Stream, list[ShardEntry]]:
    streams: dict[Stream, list[ShardEntry]] = {}
    for entry in manifest.every_shard:
        name = parse_shard_name(entry.name)
        if name is None:
            raise CurateError(f"{entry.name}: not the name of a shard of a build", "build the run again")
        streams.setdefault((name.source, name.validation), []).append(entry)
    return streams


def _unshown(parts: Iterable[TablePart], found: Found, shown: set[str]) -> set[str]:
    """Of the pictures that concerned samples show, those that no other kept sample does."""
    left = set(shown)
    for part in parts if left else ():
        ended = part.fates().ended
        for sample in part.read("samples", ["sample_id", "images"]).to_pylist():
            if sample["sample_id"] not in ended and sample["sample_id"] not in found.by:
                left.difference_update(image["image_id"] for image in sample["images"] or ())
    return left


def _place_images(parts: Iterable[TablePart], places: Places) -> None:
    for part in parts if places.image_ids else ():
        ids = part.read("images", ["image_id"])["image_id"].to_pylist()
        rows = [row for row, image_id in enumerate(ids) if image_id in places.image_ids]
        if rows:
            places.images[part.name] = rows
