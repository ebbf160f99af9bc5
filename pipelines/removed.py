"""What was taken down from a run, so that no later build brings it back: `removed.json`.

It holds hashes of what the lists named, the ids of the samples that went, and what each removal did. A build into
the run, or one that reuses its work, drops whatever matches, in ingest and, for pictures, when they were measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import blake3
import numpy as np
import orjson
import pyarrow as pa

from filters.verdicts import decided
from pipelines.errors import CurateError
from pipelines.work import key_of
from sources.cards import GROUP_KINDS
from sources.schema import Verdict
from sources.storage import Folder

REMOVED = "removed.json"
FORMAT = 1
STEP = "removed"
REASON = "removed.takedown"
DIGEST_DIGITS = 32
COLUMN_KINDS = {
    "sample_id": "sample_id", "parent_id": "sample_id", "source_key": "source_key", "license": "license",
    "source": "source",
}  # fmt: skip
"""Column of the samples table -> the kind of entry that its values are compared with."""
IMAGE_KINDS = ("image_id", "pixel_hash")
KINDS = (*dict.fromkeys(COLUMN_KINDS.values()), *IMAGE_KINDS, *GROUP_KINDS)
CONTENT = ("turns", "question", "options", "answer", "meta")
"""Columns of a sample that say something: blank once it is removed."""
OF_IMAGES = ("thumbnail", "facts")
"""Columns of a picture that show it, or come from its header."""
LOOKED_AT = (*COLUMN_KINDS, "groups", "images")

Entries = Mapping[str, frozenset[str]]
"""Kind -> digests of the values that were listed."""


def digest_of(kind: str, value: str) -> str:
    """What stands for a value: lists may name people."""
    return blake3.blake3(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]


def matches(entries: Entries, samples: pa.Table) -> dict[int, set[tuple[str, str]]]:
    """Row -> (kind, digest) of the entries that it matches. `samples` has the columns of `LOOKED_AT`, or some."""
    found: dict[int, set[tuple[str, str]]] = {}
    for column, kind in COLUMN_KINDS.items():
        if column in samples.column_names and entries.get(kind):
            _note(found, entries[kind], kind, enumerate(samples[column].to_pylist()))
    if "groups" in samples.column_names and any(entries.get(kind) for kind in GROUP_KINDS):
        for row, groups in enumerate(samples["groups"].to_pylist()):
            for group in groups or ():
                _note(found, entries.get(group["kind"], frozenset()), group["kind"], [(row, group["id"])])
    if "images" in samples.column_names and entries.get("image_id"):
        for row, images in enumerate(samples["images"].to_pylist()):
            _note(found, entries["image_id"], "image_id", [(row, image["image_id"]) for image in images or ()])
    return found


def _note(
    found: dict[int, set[tuple[str, str]]],
    digests: frozenset[str],
    kind: str,
    values: Iterable[tuple[int, str | None]],
) -> None:
    for row, value in values if digests else ():
        if value is not None and (digest := digest_of(kind, value)) in digests:
            found.setdefault(row, set()).add((kind, digest))


@dataclass(frozen=True)
class Record:
    """The content of `removed.json`."""

    entries: Entries
    samples: frozenset[str]
    """Ids of the samples that were removed."""
    batches: tuple[dict[str, Any], ...]
    """What each removal did, oldest first: counts, reason, fingerprints before and after. No times."""

    def to_bytes(self) -> bytes:
        """The file: equal records are equal bytes."""
        document = {
            "format": FORMAT,
            "entries": self._listed(),
            "samples": sorted(self.samples),
            "batches": list(self.batches),
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @property
    def digest(self) -> str:
        """Stands for everything that decides: what was listed, and which samples went."""
        return key_of(self._listed(), sorted(self.samples))

    @property
    def deciding(self) -> Entries:
        """Entries with the removed samples among them."""
        samples = frozenset(digest_of("sample_id", sample_id) for sample_id in self.samples)
        return {**self.entries, "sample_id": self.entries.get("sample_id", frozenset()) | samples}

    def _listed(self) -> dict[str, list[str]]:
        return {kind: sorted(digests) for kind, digests in self.entries.items() if digests}

    def with_more(self, entries: Entries, samples: Iterable[str]) -> "Record":
        """The record after another removal; its batch is not among `batches` yet."""
        kinds = {*self.entries, *entries}
        joined = {kind: self.entries.get(kind, frozenset()) | entries.get(kind, frozenset()) for kind in kinds}
        return Record(joined, self.samples | frozenset(samples), self.batches)


NOTHING = Record({}, frozenset(), ())


def read_record(folder: Folder) -> Record:
    """What was removed from a run; nothing where there is no file.

    Raises:
        CurateError: the file is damaged or of another format: going on might bring back what was removed.
    """
    try:
        data = folder.read(REMOVED)
    except FileNotFoundError:
        return NOTHING
    try:
        document = orjson.loads(data)
        known = document["format"] == FORMAT
        entries = {kind: frozenset(digests) for kind, digests in document["entries"].items()}
        record = Record(entries, frozenset(document["samples"]), tuple(document["batches"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        known = False
    if not known:
        raise CurateError(
            f"{folder.place}/{REMOVED}: damaged, or of another version",
            "restore it from a backup: without it a build would bring back what was removed",
        )
    return record


@dataclass(frozen=True)
class Removal:
    """The record as workers see it: small, and read by each process from the run when it is first needed."""

    folder: Folder
    digest: str

    @property
    def entries(self) -> Entries:
        """What decides.

        Raises:
            CurateError: the file is not the one that the build began with.
        """
        return _deciding(self)

    def matches(self, samples: pa.Table) -> dict[int, set[tuple[str, str]]]:
        """As the function of that name."""
        return matches(self.entries, samples)


@lru_cache(maxsize=4)
def _deciding(removal: Removal) -> Entries:
    record = read_record(removal.folder)
    if record.digest != removal.digest:
        raise CurateError(f"{REMOVED} changed while the build was running", "run the same command again")
    return record.deciding


def adopt(folder: Folder, reuse: Sequence[Folder]) -> Removal | None:
    """What a build into `folder` must leave out: its own record, joined with those of the runs whose work it uses."""
    record = own = read_record(folder)
    for other in reuse:
        theirs = read_record(other)
        record = record.with_more(theirs.entries, theirs.samples)
    if record.digest != own.digest:
        folder.write(REMOVED, record.to_bytes())
    return Removal(folder, record.digest) if record.digest != NOTHING.digest else None


def lineage(folder: Folder) -> dict[str, Any]:
    """What `run.json` keeps of the removals: `removed`, where there were any."""
    batches = read_record(folder).batches
    return {"removed": list(batches)} if batches else {}


def taken_out(removal: Removal, samples: pa.Table, verdicts: pa.Table) -> tuple[pa.Table, pa.Table, bool]:
    """Samples as they were read, without the content of those taken down, which are dropped; and whether any was."""
    found = removal.matches(samples)
    if not found:
        return samples, verdicts, False
    rows = sorted(found)
    gone = decided(
        np.full(len(rows), Verdict.DROP, object),
        np.full(len(rows), REASON, object),
        evidence=[evidence_of(kind for kind, _ in found[row]) for row in rows],
    )
    order = np.arange(samples.num_rows)
    order[rows] = samples.num_rows + np.arange(len(rows))
    return blanked(samples, rows), pa.concat_tables([verdicts, gone]).take(pa.array(order)).combine_chunks(), True


def published_without(removal: Removal, samples: pa.Table, images: pa.Table, dropped: pa.Array) -> list[pa.Table]:
    """Samples and images as tables may show them: without the content of the dropped rows and of listed pictures."""
    listed = {kind: removal.entries.get(kind, frozenset()) for kind in IMAGE_KINDS}
    rows = [
        row
        for row, image in enumerate(images.select(IMAGE_KINDS).to_pylist())
        if any(image[kind] is not None and digest_of(kind, image[kind]) in listed[kind] for kind in IMAGE_KINDS)
    ]
    return [blanked(samples, dropped.to_pylist()), blanked(images, rows, OF_IMAGES)]


def blanked(table: pa.Table, rows: Sequence[int], columns: Sequence[str] = CONTENT) -> pa.Table:
    """The table without the content of these rows; who they are stays."""
    gone = np.zeros(table.num_rows, bool)
    gone[list(rows)] = True
    places = pa.array(np.arange(table.num_rows), pa.int64(), mask=gone)
    for name in columns:
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(index), table[name].combine_chunks().take(places))
    return table


def evidence_of(kinds: Iterable[str], **more: Any) -> str:
    """Evidence of a removal: by which kinds of entry, never which entry."""
    return orjson.dumps({"by": sorted(set(kinds)), **more}, option=orjson.OPT_SORT_KEYS).decode()


class Takedown:
    """Drops what was taken down from the run, last of all steps: what it takes away brings back nothing else."""

    name = STEP
    version = 1
    reads = ("images",)
    columns = LOOKED_AT

    def __init__(self, removal: Removal) -> None:
        self.removal = removal

    def parameters(self) -> dict[str, Any]:
        """The hash of the record."""
        return {"record": self.removal.digest}

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:
        """One verdict a sample; the evidence names the kinds of entry that matched."""
        found = self.removal.matches(samples)
        hashes = self._hashed_pictures(facts["images"])
        for row, images in enumerate(samples["images"].to_pylist() if hashes else ()):
            if any(image["image_id"] in hashes for image in images or ()):
                found.setdefault(row, set()).add(("pixel_hash", ""))
        verdicts = np.full(samples.num_rows, Verdict.KEEP, object)
        reasons = np.full(samples.num_rows, None, object)
        evidence: list[str | None] = [None] * samples.num_rows
        for row, entries in found.items():
            verdicts[row], reasons[row] = Verdict.DROP, REASON
            evidence[row] = evidence_of(kind for kind, _ in entries)
        return decided(verdicts, reasons, evidence=evidence)

    def _hashed_pictures(self, images: pa.Table) -> set[str]:
        """Ids of the pictures whose pixels were taken down."""
        listed = self.removal.entries.get("pixel_hash", frozenset())
        if not listed:
            return set()
        pairs = zip(images["image_id"].to_pylist(), images["pixel_hash"].to_pylist(), strict=True)
        return {image_id for image_id, pixels in pairs if pixels and digest_of("pixel_hash", pixels) in listed}
