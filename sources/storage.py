"""Folders of files: listing that stays inside, and writes that are whole or absent."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO


class OutsideError(OSError):
    """A path or a symbolic link leads out of the folder it is read under."""


@dataclass(frozen=True)
class FileStat:
    """A file as listed: its POSIX path under the folder, bytes, and modification time in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Folder:
    """A directory on this machine. Paths are POSIX and relative; links may not leave `boundary`.

    `boundary` is the folder that links must stay under (default: `root`); for a corpus it is the `--data`
    root, so that a hub cache whose snapshots link to its blobs can be read.
    """

    root: Path
    boundary: Path | None = None

    def local(self, path: str) -> Path:
        """The file's place on this machine.

        Raises:
            OutsideError: the path, with its links resolved, leaves the boundary.
        """
        place = self.root / path
        resolved = os.path.realpath(place)
        boundary = os.path.realpath(self.boundary or self.root)
        if resolved != boundary and not resolved.startswith(boundary + os.sep):
            raise OutsideError("leads out of its folder")
        return place

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """All files that match any pattern (`**` crosses folders), sorted by path; hidden ones are left out.

        A link that leaves the boundary is not listed. Only folders that a pattern can reach are visited.
        """
        return self.listing(patterns)[0]

    def listing(self, patterns: Sequence[str]) -> tuple[list[FileStat], list[str]]:
        """What `glob` lists, and the matching names whose links leave the boundary."""
        found: dict[str, FileStat] = {}
        escaping = set()
        for pattern in patterns:
            for path in self._matching(pattern):
                stat = self.stat(path)
                if stat is not None:
                    found[path] = stat
                elif self._escapes(path):
                    escaping.add(path)
        return [found[path] for path in sorted(found)], sorted(escaping)

    def _matching(self, pattern: str) -> Iterator[str]:
        """Names that match, from the folder that the pattern's fixed beginning names."""
        segments = pattern.split("/")
        fixed = next((number for number, segment in enumerate(segments) if _WILD.search(segment)), None)
        if fixed is None:
            yield pattern
            return
        matcher = _matcher(pattern)
        prefix = "".join(f"{segment}/" for segment in segments[:fixed])
        depth = None if "**" in pattern else len(segments) - fixed - 1
        for path in self._walk(prefix, depth):
            if matcher.fullmatch(path):
                yield path

    def _walk(self, prefix: str, depth: int | None) -> Iterator[str]:
        """Names under the folder `prefix`, at most `depth` folders below it."""
        top = self.root / prefix
        for place, folders, names in os.walk(top):
            relative = Path(place).relative_to(top)
            visible = [name for name in folders if not name.startswith(".")]
            folders[:] = [] if depth is not None and len(relative.parts) >= depth else sorted(visible)
            inside = "" if relative == Path() else relative.as_posix() + "/"
            for name in sorted(names):
                if not name.startswith("."):
                    yield prefix + inside + name

    def _escapes(self, path: str) -> bool:
        try:
            self.local(path)
        except OutsideError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def stat(self, path: str) -> FileStat | None:
        """Size and time of a file, or None where there is no regular file inside the boundary."""
        try:
            place = self.local(path)
            result = place.stat()
        except (OSError, ValueError):
            return None
        if not place.is_file():
            return None
        return FileStat(path, result.st_size, result.st_mtime_ns)

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; seekable."""
        return self.local(path).open("rb")

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes `start:stop` of a file."""
        with self.open(path) as file:
            file.seek(start)
            return file.read() if stop is None else file.read(stop - start)

    @contextmanager
    def writing(self, path: str, *, last: bool = True) -> Iterator[BinaryIO]:
        """Write a file that appears under its name whole, or not at all.

        Temporary names live in `work/tmp` of this folder, never beside the final one. `last` says that nothing
        follows it into its folder soon: the folder's own entry is then made durable too. Of several files that
        only count together, the last one does it for all.
        """
        place = self.root / path
        temporary = self.root / "work" / "tmp" / f"{os.getpid()}-{path.replace('/', '-')[-180:]}"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if last:
            _sync_folder(place.parent)

    def write(self, path: str, data: bytes, *, last: bool = True) -> None:
        """Write a small file atomically."""
        with self.writing(path, last=last) as file:
            file.write(data)

    def link(self, source: Path, path: str) -> None:
        """Make `path` the same file as `source`, at once: a hard link where possible, else a copy."""
        temporary = self.root / "work" / "tmp" / f"{os.getpid()}-link-{path.replace('/', '-')[-170:]}"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            with source.open("rb") as file, self.writing(path) as copy:
                shutil.copyfileobj(file, copy, 2**20)
            return
        temporary.replace(place)
        temporary.unlink(missing_ok=True)  # replacing a link by another to the same file does nothing
        _sync_folder(place.parent)


_WILD = re.compile(r"[*?]")


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> re.Pattern[str]:
    """A glob over POSIX paths: `*` and `?` stay within a folder, `**/` crosses any number of them."""
    tokens = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(tokens.get(part, re.escape(part)) for part in parts), re.DOTALL)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
