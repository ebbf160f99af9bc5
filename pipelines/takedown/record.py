"""What was taken down from a run, so that no later build brings it back: `removed.json`.

It holds hashes of what the lists named, the ids of the samples that went, and what each removal did. A build into
the run, or one that reuses its work, drops whatever matches, in ingest and, for pictures, when they were measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import blake3
import orjson
import pyarrow as pa

from pipelines.errors import CurateError
from pipelines.work import Commit, Work, key_of
from sources.cards import GROUP_KINDS
from sources.storage import Folder

REMOVED = "removed.json"
FORMAT = 1
DIGEST_DIGITS = 32
COLUMN_KINDS = {
    "sample_id": "sample_id", "parent_id": "sample_id", "source_key": "source_key", "license": "license",
    "source": "source",
}  # fmt: skip
"""Column of the samples table -> the kind of entry that its values are compared with."""
IMAGE_KINDS = ("image_id", "pixel_hash")
KINDS = (*dict.fromkeys(COLUMN_KINDS.values()), *IMAGE_KINDS, *GROUP_KINDS)
LOOKED_AT = (*COLUMN_KINDS, "groups", "images")

Entries = Mapping[str, frozenset[str]]
"""Kind -> digests of the values that were listed."""


def digest_of(kind: str, value: str) -> str:
    """What stands for a value: lists may name people."""
    return blake3.blake3(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]


def joined(several: Iterable[Entries]) -> Entries:
    """Everything that any of them lists."""
    kinds: dict[str, set[str]] = {}
    for entries in several:
        for kind, digests in entries.items():
            kinds.setdefault(kind, set()).update(digests)
    return {kind: frozenset(digests) for kind, digests in kinds.items()}


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
    pictures: frozenset[str]
    """Ids of the pictures that no kept sample showed any more: they are not shown again."""
    batches: tuple[dict[str, Any], ...]
    """What each removal did, oldest first: counts, reason, fingerprints before and after. No times."""

    def to_bytes(self) -> bytes:
        """The file: equal records are equal bytes."""
        document = {
            "format": FORMAT,
            "entries": self._listed(),
            "samples": sorted(self.samples),
            "pictures": sorted(self.pictures),
            "batches": list(self.batches),
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @property
    def digest(self) -> str:
        """Stands for everything that decides: what was listed, which samples and pictures went."""
        return key_of(self._listed(), sorted(self.samples), sorted(self.pictures))

    @property
    def deciding(self) -> Entries:
        """Entries with the removed samples among them."""
        samples = frozenset(digest_of("sample_id", sample_id) for sample_id in self.samples)
        return {**self.entries, "sample_id": self.entries.get("sample_id", frozenset()) | samples}

    def _listed(self) -> dict[str, list[str]]:
        return {kind: sorted(digests) for kind, digests in self.entries.items() if digests}

    def with_more(self, entries: Entries, samples: Iterable[str], pictures: Iterable[str]) -> "Record":
        """The record after another removal; its batch is not among `batches` yet."""
        gone, unshown = self.samples | frozenset(samples), self.pictures | frozenset(pictures)
        return Record(joined([self.entries, entries]), gone, unshown, self.batches)


NOTHING = Record({}, frozenset(), frozenset(), ())


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
        samples, pictures = (frozenset(document[name]) for name in ("samples", "pictures"))
        record = Record(entries, samples, pictures, tuple(document["batches"]))
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
        return _deciding(self)[0]

    @property
    def pictures(self) -> frozenset[str]:
        """Ids of the pictures that are not shown again.

        Raises:
            CurateError: as `entries`.
        """
        return _deciding(self)[1]

    def matches(self, samples: pa.Table) -> dict[int, set[tuple[str, str]]]:
        """As the function of that name."""
        return matches(self.entries, samples)

    def leaves(self, work: Work, ingested: Commit) -> bool:
        """Whether a commit of ingest holds nothing that was taken down."""
        return not self.matches(work.read(ingested.parts["samples"], LOOKED_AT))

    def hidden(self, images: pa.Table) -> list[int]:
        """Rows of pictures (columns `image_id` and `pixel_hash`) that may not be shown."""
        return hidden(self.entries, self.pictures, images)


@lru_cache(maxsize=4)
def _deciding(removal: Removal) -> tuple[Entries, frozenset[str]]:
    record = read_record(removal.folder)
    if record.digest != removal.digest:
        raise CurateError(f"{REMOVED} changed while the build was running", "run the same command again")
    return record.deciding, record.pictures


def hidden(entries: Entries, pictures: frozenset[str], images: pa.Table) -> list[int]:
    """Rows of pictures that were taken down, or listed by id or pixels."""
    listed = {kind: entries.get(kind, frozenset()) for kind in IMAGE_KINDS}
    return [
        row
        for row, image in enumerate(images.select(IMAGE_KINDS).to_pylist())
        if image["image_id"] in pictures
        or any(image[kind] is not None and digest_of(kind, image[kind]) in listed[kind] for kind in IMAGE_KINDS)
    ]


def adopted(folder: Folder, reuse: Sequence[Folder]) -> Record:
    """What a build into `folder` must leave out: its own record, joined with those of the runs whose work it uses."""
    record = read_record(folder)
    for other in reuse:
        theirs = read_record(other)
        record = record.with_more(theirs.entries, theirs.samples, theirs.pictures)
    return record


def lineage(folder: Folder) -> dict[str, Any]:
    """What `run.json` keeps of the removals: `removed`, where there were any."""
    batches = read_record(folder).batches
    return {"removed": list(batches)} if batches else {}
