"""Leaving out what was taken down: while records are read, at the last step of a build, and in published tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from filters.verdicts import decided
from pipelines.takedown.record import LOOKED_AT, Removal, digest_of
from sources.schema import Verdict

STEP = "removed"
REASON = "removed.takedown"
CONTENT = ("turns", "question", "options", "answer", "meta")
"""Columns of a sample that say something: blank once it is removed."""
OF_IMAGES = ("thumbnail", "facts", "pdq", "pdq_canonical", "pdq_turned", "pdq_waves", "phash")
"""Columns of a picture that show it, or come from its header."""


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
    """Samples and images as tables may show them: without the content of the dropped rows and of hidden pictures."""
    return [blanked(samples, dropped.to_pylist()), blanked(images, removal.hidden(images), OF_IMAGES)]


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
