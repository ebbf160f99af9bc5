"""Preparing a takedown: new shards, tables, manifest and run.json, and the plan that makes them count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson
import pyarrow as pa

from pipelines.audit.places import PAGE as AUDIT_PAGE
from pipelines.audit.places import TREES as AUDIT_TREES
from pipelines.contracts.publish import REPORT, SITE
from pipelines.counts import StepCounts
from pipelines.errors import CurateError
from pipelines.holdout import STEP as STEP_OF_SIDES
from pipelines.phi.page import PAGE as PHI_PAGE
from pipelines.report.page import PAGE
from pipelines.run_directory import MANIFEST, RUN
from pipelines.run_document import check_written
from pipelines.steps import own_fingerprint
from pipelines.takedown.apply import NEW, PLAN
from pipelines.takedown.energon import Companions, stage_energon
from pipelines.takedown.packing import stage_packing
from pipelines.takedown.places import Places
from pipelines.takedown.record import REMOVED, Record, Removal
from pipelines.takedown.search import Found, TablePart
from pipelines.takedown.step import OF_IMAGES, REASON, STEP, Takedown, blanked, evidence_of
from pipelines.work import key_of, to_parquet
from shards.manifest import Manifest, ShardEntry, manifest_bytes
from shards.rewrite import RewriteError, rewrite_shard
from sources.schema import LEDGER, Verdict
from sources.storage import Folder


@dataclass(frozen=True)
class Takedowns:
    """One takedown: what the run was, what was found, and why."""

    run: Folder
    document: Mapping[str, Any]
    manifest: Manifest
    record: Record
    """What is removed once this takedown is done; its own batch is not in it yet."""
    found: Found
    places: Places
    reason: str | None
    remembered: int = 0
    """Entries that matched nothing, and that later builds look for."""

    @property
    def fingerprint_of_step(self) -> str:
        """Of the step `removed`, as a build with this record has it: hung on the step before it."""
        before = [step["name"] for step in self.document["steps"] if step["name"] != STEP][-1]
        step = own_fingerprint(Takedown(Removal(self.run, self.record.digest)))
        return key_of(self.document["fingerprints"][before], step)


def stage(takedown: Takedowns, parts: Sequence[TablePart]) -> dict[str, Any]:
    """Write everything new under `work/removal`, the plan last; returns the batch as `run.json` keeps it.

    Raises:
        CurateError: a shard is damaged; nothing was changed.
    """
    run, places = takedown.run, takedown.places
    files = _stage_tables(takedown, parts)
    gone: dict[str, list[int]] = {}
    shards = {entry.name: _stage_shard(takedown, entry, gone) for entry in takedown.manifest.every_shard}
    rewritten = sorted(name for name, entry in shards.items() if name in places.shards and entry is not None)
    deleted = sorted(name for name, entry in shards.items() if entry is None)
    before = takedown.document["fingerprint"]
    digests = [entry.sha256 for entry in shards.values() if entry is not None]
    fingerprint = key_of(STEP, before, takedown.record.digest, digests) if places.ids else before
    stale = bool(places.ids) and run.stat(REPORT) is not None
    batch = {
        "number": len(takedown.record.batches) + 1,
        "reason": takedown.reason,
        "samples": len(places.ids),
        "from_shards": places.by_source.total(),
        "by": kinds_of(takedown.found, places.ids),
        "images": len(places.image_ids),
        "shards": {"rewritten": rewritten, "deleted": deleted},
        "contracts": "deleted" if stale else None,
        "remembered": takedown.remembered,
        "previous": before,
        "fingerprint": fingerprint,
    }
    record = replace(takedown.record, batches=(*takedown.record.batches, batch))
    old = takedown.manifest
    manifest = _manifest(old, shards, fingerprint) if places.ids else old
    document = _document(takedown, manifest, record, len(parts))
    companions = [f"shards/{name}" for name in (old.index, old.plan, old.audit) if name is not None and places.ids]
    audited = old.audit is not None and bool(places.ids)
    companions += [*([REPORT] if stale else []), *([AUDIT_PAGE] if audited else [])]
    companions += [PHI_PAGE] if places.ids and run.stat(PHI_PAGE) is not None else []
    energon = stage_energon(run, old, manifest, rewritten) if places.ids else Companions()
    packing = stage_packing(run, document, old, manifest, gone) if places.ids else Companions()
    plan = {
        "files": [*files, *(f"shards/{name}" for name in rewritten), *energon.files, *packing.files],
        "delete": [*(f"shards/{name}" for name in deleted), *companions, *energon.delete, *packing.delete],
        "trees": [*([SITE] if stale else []), *(AUDIT_TREES if audited else ())],
        "keys": sorted(places.keys),
        "images": sorted(places.image_ids),
        "tars": [entry.sha256 for name, entry in shards.items() if entry is not None and name not in places.shards],
        "page": run.stat(PAGE) is not None,
    }
    run.write(f"{NEW}/{REMOVED}", record.to_bytes())
    run.write(f"{NEW}/{MANIFEST}", manifest_bytes(manifest))
    run.write(f"{NEW}/{RUN}", _bytes(document))
    run.write(PLAN, _bytes(plan))
    return batch


def kinds_of(found: Found, ids: set[str]) -> dict[str, int]:
    """Kind of entry -> samples concerned by it."""
    return dict(sorted(Counter(kind for sample_id in ids for kind in found.by[sample_id]).items()))


def _stage_tables(takedown: Takedowns, parts: Sequence[TablePart]) -> list[str]:
    """Write the parts of tables that change; their final names."""
    places, files = takedown.places, []
    for part in parts:
        tables = {}
        if part.name in places.samples:
            tables["samples"] = blanked(part.read("samples"), places.samples[part.name])
        if part.name in places.ledger:
            tables["ledger"] = pa.concat_tables([part.read("ledger"), _verdicts(takedown, places.ledger[part.name])])
        if part.name in places.images:
            tables["images"] = blanked(part.read("images"), places.images[part.name], OF_IMAGES)
        for name, table in tables.items():
            takedown.run.write(f"{NEW}/{part.path(name)}", to_parquet(table), last=False)
            files.append(part.path(name))
    return files


def _verdicts(takedown: Takedowns, ids: Sequence[str]) -> pa.Table:
    more: dict[str, Any] = {"batch": len(takedown.record.batches) + 1}
    if takedown.reason is not None:
        more["reason"] = takedown.reason
    rows = [
        {"sample_id": sample_id, "step": STEP, "verdict": Verdict.DROP.value, "reason": REASON,
         "evidence": evidence_of(takedown.found.by[sample_id], **more),
         "step_fingerprint": takedown.fingerprint_of_step}
        for sample_id in ids
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=LEDGER)


def _stage_shard(takedown: Takedowns, entry: ShardEntry, gone: dict[str, list[int]]) -> ShardEntry | None:
    """The shard as the new manifest has it: as it was, rewritten, or None where nothing of it is left.

    `gone` is told at which places of a rewritten shard samples were left out.
    """
    removed = takedown.places.shards.get(entry.name)
    if removed is None:
        return entry
    if len(removed) == entry.samples:
        return None
    run = takedown.run
    try:
        with run.writing(f"{NEW}/shards/{entry.name}", last=False) as file:
            places = gone.setdefault(entry.name, [])
            summary = rewrite_shard(run.inside("shards"), entry, file, frozenset(removed), places)
    except RewriteError as error:
        raise CurateError(
            f"{run.place}/shards/{error}", "nothing was changed; `curate shards verify` says more"
        ) from None
    return ShardEntry(name=entry.name, **asdict(summary))


def _manifest(old: Manifest, shards: Mapping[str, ShardEntry | None], fingerprint: str) -> Manifest:
    """The manifest afterwards. Index and plan are made anew; an audit is of the shards as they were: it goes."""
    left = tuple(new for entry in old.shards if (new := shards[entry.name]) is not None)
    held = tuple(new for entry in old.validation or () if (new := shards[entry.name]) is not None)
    changed = {"build": fingerprint, "shards": left, "audit": None}
    if old.validation is not None:
        changed["validation"] = held
    return old.model_copy(update=changed)


def _document(takedown: Takedowns, manifest: Manifest, record: Record, fragments: int) -> dict[str, Any]:
    """`run.json` afterwards: the counts balance as if the step `removed` had run last."""
    document, places = dict(takedown.document), takedown.places
    gone = places.by_source.total()
    last = document["steps"][-1]
    if last["name"] == STEP:
        dropped = _with(last["dropped"], gone)
        steps = [*document["steps"][:-1], {**last, "kept": last["kept"] - gone, "dropped": dropped}]
    else:
        counts = StepCounts(STEP, places.kept, 0, places.kept - gone, Counter(_with({}, gone)), fragments=fragments)
        steps = [*document["steps"], counts.identity()]
    total = dict(document["counts"])
    total["kept"] -= gone
    total["dropped"] = _with(total["dropped"], gone)
    sources = {name: {**row, "kept": row["kept"] - places.by_source[name]} for name, row in document["sources"].items()}
    document |= {
        "fingerprint": manifest.build,
        "fingerprints": {**document["fingerprints"], STEP: takedown.fingerprint_of_step},
        "steps": steps,
        "counts": total,
        "sources": sources,
        "shards": len(manifest.every_shard),
        "samples_written": sum(entry.samples for entry in manifest.every_shard),
        "bytes_written": sum(entry.bytes for entry in manifest.every_shard),
        "removed": list(record.batches),
    }
    if STEP_OF_SIDES in document:
        document[STEP_OF_SIDES] = {"samples": places.held, "groups": len(places.components)}
    check_written(document)
    return document


def _with(dropped: Mapping[str, int], gone: int) -> dict[str, int]:
    """Counts by reason, after so many were taken down."""
    return dict(sorted({**dropped, REASON: dropped.get(REASON, 0) + gone}.items())) if gone else dict(dropped)


def _bytes(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
