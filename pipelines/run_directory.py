"""The run directory: one build at a time, recognised when it comes back, published whole."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from pipelines.errors import CurateError, UsageError
from sources.schema import FORMAT_VERSION
from sources.storage import Folder

RUN = "run.json"
IDENTITY = "work/identity.json"
MANIFEST = "shards/manifest.json"
LOCK = "work/lock"
EVENTS = "events.jsonl"
PUBLISHED = ("tables", "shards")


@contextmanager
def opened(root: Path, identity: Mapping[str, Any]) -> Iterator[Folder]:
    """The run directory of a build with this identity (recipe and limit), locked while it is used.

    Raises:
        UsageError: it is another build's, or holds something that is no run, or a build is using it now.
    """
    if "://" in str(root) or str(root).startswith(("s3:/", "gs:/")):
        raise UsageError(f"--out {root}: object storage is not available in this version", "use a local folder")
    _check_place(root)
    folder = Folder(root)
    (root / "work").mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{root}: another build is running here", "wait for it, or use another --out") from None
        _check_identity(folder, identity)
        _clear_temporary(root)
        folder.write(IDENTITY, _bytes(identity))
        yield folder


def read_run(root: Path) -> dict[str, Any]:
    """`run.json` of a finished run.

    Raises:
        UsageError: there is none, or it is of another format version.
    """
    document = _finished(Folder(root))
    if document is None:
        unfinished = (root / IDENTITY).exists()
        hint = (
            "run the same `curate build` again: it resumes" if unfinished else "a run is what `curate build --out` made"
        )
        raise UsageError(f"{root}: {'the build has not finished' if unfinished else 'no run here'}", hint)
    return document


def publish(folder: Folder, files: Mapping[str, Path], manifest: bytes, run: Mapping[str, Any]) -> None:
    """Give committed files their final names, drop what is no longer part of the run, then say it is whole.

    Without `shards/manifest.json` and `run.json` nothing counts as published: they go first and come last.
    """
    run_bytes = _bytes(run)
    stale = _published_files(folder) - set(files) - {MANIFEST}
    wrong = [path for path, source in files.items() if not _is_same(folder.root / path, source)]
    if stale or wrong or not _holds(folder, MANIFEST, manifest) or not _holds(folder, RUN, run_bytes):
        for path in (RUN, MANIFEST):
            (folder.root / path).unlink(missing_ok=True)
        for path in sorted(stale):
            (folder.root / path).unlink()
        for path in wrong:
            folder.link(files[path], path)
        folder.write(MANIFEST, manifest)
        folder.write(RUN, run_bytes)
    _clear_temporary(folder.root)


def finished_with(folder: Folder, fingerprint: str) -> dict[str, Any] | None:
    """`run.json` of this very build, if it finished and its work was cleaned away."""
    document = _finished(folder)
    cleaned = not (folder.root / "work" / "ingest").exists()
    if document is not None and cleaned and document["fingerprint"] == fingerprint:
        return document
    return None


def _finished(folder: Folder) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = orjson.loads((folder.root / RUN).read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        raise UsageError(f"{folder.root / RUN}: not valid JSON", "the file was damaged after the build") from None
    if document.get("format") != FORMAT_VERSION:
        raise UsageError(
            f"{folder.root / RUN}: format {document.get('format')}, this version reads {FORMAT_VERSION}",
            "use the version of curate that wrote it, or build again elsewhere",
        )
    return document


def _check_place(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise UsageError(f"--out {root}: is a file", "name a folder")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {root}: cannot be made ({error.strerror})", "check the path and its rights") from None
    ours = any((root / mark).exists() for mark in (RUN, IDENTITY))
    others = [entry.name for entry in root.iterdir() if entry.name not in ("work", EVENTS)]
    if others and not ours:
        raise UsageError(f"--out {root}: holds files and is no run of curate", "name a new folder")


def _check_identity(folder: Folder, identity: Mapping[str, Any]) -> None:
    """The same recipe continues a run; another one needs another directory."""
    run = _finished(folder)
    before: Any = run["identity"] if run is not None else None
    if before is None and (folder.root / IDENTITY).exists():
        before = orjson.loads((folder.root / IDENTITY).read_bytes())
    now = orjson.loads(_bytes(identity))
    if before is not None and before["site_key"] != now["site_key"]:
        raise UsageError(
            f"{folder.root}: holds a build whose identifiers were keyed with another site key",
            "give the same --id-key, or use a new --out",
        )
    if before is not None and before != now:
        differences = "; ".join(changes(before, now, "")[:3])
        raise UsageError(
            f"{folder.root}: holds a build with other settings ({differences})",
            f"use a new --out, and --reuse {folder.root} to take over what is still right",
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
    return {
        path.relative_to(folder.root).as_posix()
        for name in PUBLISHED
        for path in (folder.root / name).rglob("*")
        if path.is_file()
    }


def _is_same(place: Path, source: Path) -> bool:
    try:
        return place.samefile(source) or _same_bytes(place, source)
    except FileNotFoundError:
        if not source.exists():
            raise CurateError(f"{source} is gone", "run the same command again") from None
        return False


def _same_bytes(place: Path, source: Path) -> bool:
    """Where links are not possible the published file is a copy."""
    if place.stat().st_size != source.stat().st_size:
        return False
    with place.open("rb") as one, source.open("rb") as other:
        while block := one.read(2**20):
            if block != other.read(2**20):
                return False
    return True


def _holds(folder: Folder, path: str, data: bytes) -> bool:
    try:
        return (folder.root / path).read_bytes() == data
    except FileNotFoundError:
        return False


def _clear_temporary(root: Path) -> None:
    for leftover in (root / "work" / "tmp").glob("*"):
        leftover.unlink(missing_ok=True)


def _bytes(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def tree_bytes(root: Path) -> int:
    """Bytes on disk under a folder; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(root):
        for name in names:
            stat = (Path(place) / name).lstat()
            seen[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())
