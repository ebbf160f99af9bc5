"""The run directory: one build at a time, recognised when it comes back, published whole."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from pipelines.errors import CurateError, UsageError
from sources.globs import RUN_MARK
from sources.schema import FORMAT_VERSION
from sources.storage import Folder

RUN = "run.json"
IDENTITY = "work/identity.json"
MANIFEST = "shards/manifest.json"
LOCK = RUN_MARK
"""Taken while a build works; it also says that this folder is a run, so that no corpus is looked for in it."""
EVENTS = "events.jsonl"
PUBLISHED = ("tables", "shards")
OURS = re.compile(
    r"tables/[a-z]+/part-\d+\.parquet|shards/(align|mid|instruct)-[a-z0-9_]+-\d+\.tar|shards/manifest\.json"
)
"""Files that a build publishes, and so may remove; what else people put there is theirs."""


@contextmanager
def opened(root: Path, identity: Mapping[str, Any]) -> Iterator[Folder]:
    """The run directory of a build with this identity (recipe and limit), locked while it is used.

    Raises:
        UsageError: it is another build's, or holds something that is no run, or a build is using it now.
    """
    check_place(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {root}: cannot be made ({error.strerror})", "check the path and its rights") from None
    with locked(root):
        check_identity(root, identity)
        clear_temporary(root)
        folder = Folder(root)
        folder.write(IDENTITY, _bytes(identity))
        yield folder


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep builds and cleaning out of each other's way.

    Raises:
        UsageError: somebody else has the run.
    """
    with (root / LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{root}: another build is running here", "wait for it, or use another --out") from None
        yield


def clean_work(root: Path) -> int:
    """Delete the committed work of a finished run; returns the bytes that this freed.

    Raises:
        UsageError: the run has not finished, or is in use.
    """
    read_run(root)
    with locked(root):
        before = tree_bytes(root)
        if (root / "work").exists():
            shutil.rmtree(root / "work")
        return before - tree_bytes(root)


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
    clear_temporary(folder.root)


def finished_with(folder: Folder, inputs: Any, fingerprints: Mapping[str, str]) -> dict[str, Any] | None:
    """`run.json` of this very build, if it finished and its work was cleaned away.

    Files of records are compared by content, pictures and other files by name and size: what else was known of
    them went with the work.
    """
    document = _finished(folder)
    if document is None or not (folder.root / MANIFEST).exists() or (folder.root / "work" / "ingest").exists():
        return None
    same = document["inputs"] == inputs and document["fingerprints"] == dict(fingerprints)
    return document if same and _shards_are_there(folder) else None


def _shards_are_there(folder: Folder) -> bool:
    """Whether every shard of the manifest stands beside it with its size; `shards verify` looks closer."""
    manifest = orjson.loads((folder.root / MANIFEST).read_bytes())
    stats = {shard["name"]: folder.stat(f"shards/{shard['name']}") for shard in manifest["shards"]}
    return all(
        stat is not None and stat.size == shard["bytes"]
        for shard, stat in zip(manifest["shards"], stats.values(), strict=True)
    )


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


def check_place(root: Path) -> None:
    """Whether a run may be made here.

    Raises:
        UsageError: a file, a folder with other content, or object storage.
    """
    if "://" in str(root) or str(root).startswith(("s3:/", "gs:/")):
        raise UsageError(f"--out {root}: object storage is not available in this version", "use a local folder")
    if root.exists() and not root.is_dir():
        raise UsageError(f"--out {root}: is a file", "name a folder")
    if not root.exists() or any((root / mark).exists() for mark in (RUN, IDENTITY)):
        return
    if [entry.name for entry in root.iterdir() if entry.name not in ("work", EVENTS, LOCK)]:
        raise UsageError(f"--out {root}: holds files and is no run of curate", "name a new folder")


def check_identity(root: Path, identity: Mapping[str, Any]) -> None:
    """Whether the build that is here, if any, is this one: another recipe needs another directory.

    Raises:
        UsageError: it is another; the message says in what.
    """
    check_place(root)
    run = _finished(Folder(root))
    before: Any = run["identity"] if run is not None else None
    if before is None and (root / IDENTITY).exists():
        before = orjson.loads((root / IDENTITY).read_bytes())
    if before is None:
        return
    now = orjson.loads(_bytes(identity))
    if None not in (before["site_key"], now["site_key"]) and before["site_key"] != now["site_key"]:
        raise UsageError(
            f"{root}: holds a build whose identifiers were keyed with another site key",
            "give the same --id-key, or use a new --out",
        )
    differences = changes({**before, "site_key": None}, {**now, "site_key": None}, "")
    if differences:
        raise UsageError(
            f"{root}: holds a build with other settings ({'; '.join(differences[:3])})",
            f"use a new --out, and --reuse {root} to take over what is still right",
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
        if path.is_file() and OURS.fullmatch(path.relative_to(folder.root).as_posix())
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


def clear_temporary(root: Path) -> None:
    """Remove what a killed write left behind."""
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
