"""The run directory: one build at a time, recognised when it comes back, published whole."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson

from pipelines.errors import CurateError, UsageError
from sources.schema import FORMAT_VERSION
from sources.storage import Folder, InUseError, LocalFolder
from sources.storage.globs import RUN_MARK

RUN = "run.json"
IDENTITY = "work/identity.json"
MANIFEST = "shards/manifest.json"
LOCK = RUN_MARK
"""Taken while a build works; it also says that this folder is a run, so that no corpus is looked for in it."""
EVENTS = "events.jsonl"
PENDING_REMOVAL = "work/removal/plan.json"
"""There while a takedown is under way (`pipelines/takedown/apply.py`)."""
PUBLISHED = ("tables", "shards")
WAIT = "wait for it, or use another --out"
OURS = re.compile(
    r"tables/[a-z]+/part-\d+\.parquet|shards/(validation-)?(align|mid|instruct)-[a-z0-9_]+-\d+\.tar(\.idx)?"
    r"|shards/(manifest|croissant|contamination)\.json|shards/README\.md|shards/(index|plan)\.arrow"
    r"|shards/\.nv-meta/(\.info\.json|(dataset|crude|blend|split(-[a-z0-9_]+)?)\.yaml|sample_loader\.py|index\.(uuid|sqlite))"
)
"""Files that a build publishes, and so may remove; what else people put there is theirs."""


@contextmanager
def opened(folder: Folder, identity: Mapping[str, Any]) -> Iterator[None]:
    """Use a run directory for a build with this identity (recipe and limit), locked meanwhile.

    Raises:
        UsageError: it is another build's, or holds something that is no run, or a build is using it now.
    """
    check_place(folder)
    with locked(folder):
        check_identity(folder, identity)
        folder.clear_unfinished()
        folder.write(IDENTITY, _bytes(identity))
        yield


@contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Keep builds and cleaning out of each other's way.

    Raises:
        UsageError: somebody else has the run, or it cannot be made.
        CurateError: somebody else took the run over meanwhile; what was done since may have been done twice.
    """
    try:
        with ExitStack() as held:
            _enter(held, folder)
            yield
    except InUseError as error:
        raise _taken_over(folder, error) from None


def _enter(held: ExitStack, folder: Folder) -> None:
    try:
        held.enter_context(folder.lock(LOCK))
    except InUseError as error:
        raise UsageError(f"{folder.place}: another build is running here ({error})", WAIT) from None
    except OSError as error:
        raise UsageError(
            f"{folder.place}: cannot be made ({error.strerror or type(error).__name__})",
            "check the path and its rights",
        ) from None


def expect_locked(folder: Folder) -> None:
    """Before anything published is deleted or written: ask whether the run is still ours.

    Raises:
        CurateError: somebody else took it over, because this process did not answer for too long.
    """
    try:
        folder.expect_locked(LOCK)
    except InUseError as error:
        raise _taken_over(folder, error) from None


def _taken_over(folder: Folder, error: InUseError) -> CurateError:
    return CurateError(f"{folder.place}: another build is running here ({error})", f"{WAIT}; the same command resumes")


def clean_work(folder: Folder) -> int:
    """Delete the committed work of a finished run; returns the bytes that this freed.

    Raises:
        UsageError: the run has not finished, or is in use.
    """
    read_run(folder)
    with locked(folder):
        before = folder.bytes_used()
        expect_locked(folder)
        folder.delete_tree("work")
        return before - folder.bytes_used()


def read_run(folder: Folder) -> dict[str, Any]:
    """`run.json` of a finished run.

    Raises:
        UsageError: there is none, or it is of another format version.
    """
    document = _finished(folder)
    if document is None:
        if folder.stat(PENDING_REMOVAL) is not None:
            raise UsageError(f"{folder.place}: a removal was interrupted", "run the same `curate remove` again")
        unfinished = folder.stat(IDENTITY) is not None
        hint = (
            "run the same `curate build` again: it resumes" if unfinished else "a run is what `curate build --out` made"
        )
        raise UsageError(f"{folder.place}: {'the build has not finished' if unfinished else 'no run here'}", hint)
    return document


def publish(folder: Folder, files: Mapping[str, str], manifest: bytes, run: Mapping[str, Any]) -> None:
    """Give committed files (final name -> their path in the run) their final names, then say the run is whole.

    What is no longer part of it is deleted. Without `shards/manifest.json` and `run.json` nothing counts as
    published: they go first and come last.

    Raises:
        CurateError: a committed file is gone, or somebody else took the run over: nothing is published over theirs.
    """
    run_bytes = _bytes(run)
    stale = _published_files(folder) - set(files) - {MANIFEST}
    wrong = [path for path, source in files.items() if not _is_same(folder, path, source)]
    if stale or wrong or not _holds(folder, MANIFEST, manifest) or not _holds(folder, RUN, run_bytes):
        for path in (RUN, MANIFEST, *sorted(stale)):
            expect_locked(folder)
            folder.delete(path)
        for path in wrong:
            expect_locked(folder)
            folder.take(folder, files[path], path)
        for path, data in ((MANIFEST, manifest), (RUN, run_bytes)):
            expect_locked(folder)
            folder.write(path, data)
    folder.clear_unfinished()


def finished_with(folder: Folder, inputs: Any, fingerprints: Mapping[str, str]) -> dict[str, Any] | None:
    """`run.json` of this very build, if it finished and its work was cleaned away, or something was taken down since.

    Files of records are compared by content, pictures and other files by name and size: what else was known of
    them went with the work.
    """
    document = _finished(folder)
    if document is None or folder.stat(MANIFEST) is None:
        return None
    if folder.has_folder("work/ingest") and not _was_taken_down(document):
        return None
    same = document["inputs"] == inputs and document["fingerprints"] == dict(fingerprints)
    return document if same and _shards_are_there(folder) else None


def _was_taken_down(document: Mapping[str, Any]) -> bool:
    """Whether a takedown was the last that happened to the run: the same build has nothing to add to it."""
    removed = document.get("removed", ())
    return any(batch["fingerprint"] == document["fingerprint"] for batch in removed)


def _shards_are_there(folder: Folder) -> bool:
    """Whether every shard of the manifest stands beside it with its size; `shards verify` looks closer."""
    manifest = orjson.loads(folder.read(MANIFEST))
    shards = [*manifest["shards"], *manifest.get("validation", ())]
    stats = [folder.stat(f"shards/{shard['name']}") for shard in shards]
    return all(stat is not None and stat.size == shard["bytes"] for shard, stat in zip(shards, stats, strict=True))


def _finished(folder: Folder) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = orjson.loads(folder.read(RUN))
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        raise UsageError(f"{folder.place}/{RUN}: not valid JSON", "the file was damaged after the build") from None
    if document.get("format") != FORMAT_VERSION:
        raise UsageError(
            f"{folder.place}/{RUN}: format {document.get('format')}, this version reads {FORMAT_VERSION}",
            "use the version of curate that wrote it, or build again elsewhere",
        )
    return document


def check_place(folder: Folder) -> None:
    """Whether a run may be made here.

    Raises:
        UsageError: a file, or a folder with other content.
    """
    if isinstance(folder, LocalFolder) and folder.root.exists() and not folder.exists():
        raise UsageError(f"--out {folder.place}: is a file", "name a folder")
    names = set(folder.names()) - {"work", EVENTS, LOCK}
    if names and all(folder.stat(mark) is None for mark in (RUN, IDENTITY)):
        raise UsageError(f"--out {folder.place}: holds files and is no run of curate", "name a new folder")


def check_identity(folder: Folder, identity: Mapping[str, Any]) -> None:
    """Whether the build that is here, if any, is this one: another recipe needs another directory.

    Raises:
        UsageError: it is another; the message says in what.
    """
    check_place(folder)
    run = _finished(folder)
    before: Any = run["identity"] if run is not None else None
    if before is None and folder.stat(IDENTITY) is not None:
        before = orjson.loads(folder.read(IDENTITY))
    if before is None:
        return
    now = orjson.loads(_bytes(identity))
    if None not in (before["site_key"], now["site_key"]) and before["site_key"] != now["site_key"]:
        raise UsageError(
            f"{folder.place}: holds a build whose identifiers were keyed with another site key",
            "give the same --id-key, or use a new --out",
        )
    differences = changes({**before, "site_key": None}, {**now, "site_key": None}, "")
    if differences:
        raise UsageError(
            f"{folder.place}: holds a build with other settings ({'; '.join(differences[:3])})",
            f"use a new --out, and --reuse {folder.place} to take over what is still right",
        )


def changes(before: Any, now: Any, path: str) -> list[str]:
    """What differs between two JSON documents, as `key: old is now new`."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(set(before) | set(now))
        return [
            change for key in keys for change in changes(before.get(key), now.get(key), f"{path}.{key}".lstrip("."))
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [change for number, (old, new) in pairs for change in changes(old, new, f"{path}.{number}")]
    return [] if before == now else [f"{path}: {_short(before)} is now {_short(now)}"]


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _published_files(folder: Folder) -> set[str]:
    return {stat.path for name in PUBLISHED for stat in folder.files(name) if OURS.fullmatch(stat.path)}


def _is_same(folder: Folder, path: str, source: str) -> bool:
    try:
        return folder.is_same(path, folder, source)
    except FileNotFoundError:
        raise CurateError(f"{folder.place}/{source} is gone", "run the same command again") from None


def _holds(folder: Folder, path: str, data: bytes) -> bool:
    try:
        return folder.read(path) == data
    except FileNotFoundError:
        return False


def _bytes(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
