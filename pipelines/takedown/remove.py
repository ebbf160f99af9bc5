"""Takedown: samples leave a finished run, with what they said, and never come back into it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import CurateError, UsageError
from pipelines.event_log import EventLog
from pipelines.run_directory import EVENTS, locked, read_run
from pipelines.sources import read_key
from pipelines.takedown.apply import finish_pending, is_pending, refuse_pending
from pipelines.takedown.listing import Entry, read_list, remembered
from pipelines.takedown.places import places_of
from pipelines.takedown.record import joined, read_record
from pipelines.takedown.search import parts_of, search
from pipelines.takedown.stage import Takedowns, kinds_of, stage
from shards.manifest import Manifest, ManifestError, read_manifest
from sources.identity import keyed_digest
from sources.storage import Folder


def remove(
    run: Folder, listed: Path, reason: str | None = None, id_key: Path | None = None, *, dry_run: bool = False
) -> dict[str, Any]:
    """Take down everything in a run that a list concerns; the answer is the command's JSON.

    A takedown that was interrupted is finished first. With `dry_run`, nothing is changed. What matches nothing yet is
    kept for later builds: no shard, no table and no audit changes for it.

    Raises:
        UsageError: no finished run, a list that cannot be read, or another site key than the run's.
        CurateError: a shard is damaged; nothing was changed.
    """
    if not is_pending(run):
        read_run(run)
    with locked(run):
        if dry_run:
            refuse_pending(run)
        resumed = False if dry_run else finish_pending(run)
        document = read_run(run)
        entries = read_list(listed, _site_key(run, document, id_key))
        record = read_record(run)
        found = search(run, entries, record)
        parts = parts_of(run)
        manifest = _manifest(run)
        places = places_of(parts, manifest, found, record)
        kept = [remembered(entry, private=_has_keyed(document)) for entry in entries]
        after = record.with_more(joined([found.entries, *kept]), places.ids, places.image_ids)
        unmatched = {entry.line: bool(kept[number]) for number, entry in enumerate(entries) if not found.hits[number]}
        takedown = Takedowns(run, document, manifest, after, found, places, reason, sum(unmatched.values()))
        changed = after.digest != record.digest
        batch: Mapping[str, Any] = {}
        if changed and not dry_run:
            batch = stage(takedown, parts)
            finish_pending(run)
            _log(run, batch)
    told = _answer(takedown, entries, batch) | {
        "unmatched": list(unmatched),
        "remembered": [line for line, is_kept in unmatched.items() if is_kept],
    }
    return {"run": run.place, "dry_run": dry_run, "resumed": resumed, "nothing_left": not changed, **told}


def _has_keyed(document: Mapping[str, Any]) -> bool:
    """Whether any source of the run has identifiers that are stored under the site key only."""
    return any(entry.get("identifiers") != "public" for entry in document["inputs"])


def _manifest(run: Folder) -> Manifest:
    try:
        return read_manifest(run.inside("shards"))
    except ManifestError as error:
        raise CurateError(str(error), "nothing was changed") from None


def _site_key(run: Folder, document: Mapping[str, Any], id_key: Path | None) -> bytes | None:
    """The site key, which must be the run's: under another one nothing would be found, without a word."""
    if id_key is None:
        return None
    site_key = read_key("of the run", id_key)
    mark = document["identity"]["site_key"]
    if mark is not None and mark != keyed_digest(site_key, "check", ""):
        raise UsageError(f"{run.place}: its identifiers were keyed with another site key", "give the build's --id-key")
    return site_key


def _log(run: Folder, batch: Mapping[str, Any]) -> None:
    log = EventLog(run, EVENTS)
    log.add("removed", {name: batch[name] for name in ("number", "samples", "from_shards", "images")})
    log.close()


def _answer(takedown: Takedowns, entries: Sequence[Entry], batch: Mapping[str, Any]) -> dict[str, Any]:
    """What was done, or would be. Entries are named by their lines: their values may name people."""
    places, found = takedown.places, takedown.found
    sizes = {entry.name: entry.samples for entry in takedown.manifest.every_shard}
    deleted = sorted(name for name, ids in places.shards.items() if len(ids) == sizes[name])
    matched = [
        {"line": entry.line, "as": kind, "matched": count}
        for number, entry in enumerate(entries)
        for kind, count in sorted(found.hits[number].items())
    ]
    return {
        "samples": len(places.ids),
        "from_shards": places.by_source.total(),
        "by": kinds_of(found, places.ids),
        "sources": dict(sorted(places.by_source.items())),
        "images": len(places.image_ids),
        "shards": {"rewritten": sorted(set(places.shards) - set(deleted)), "deleted": deleted},
        "entries": matched,
        "previous": batch.get("previous", takedown.document["fingerprint"]),
        "fingerprint": batch.get("fingerprint"),
    }
