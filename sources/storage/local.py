"""Folders of this machine: reading that stays inside, and writes that are whole or absent."""

import errno
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from sources.storage.folder import MAX_READ_BYTES, FileStat, Folder, InUseError, OutsideError, TooLargeError, is_absence
from sources.storage.globs import Glob
from sources.storage.keys import leaves

UNFINISHED = "work/tmp"
"""Where files are made, never beside their final names."""
COMPARED_BYTES = 2**20


@lru_cache(maxsize=256)
def _resolved(folder: Path) -> str:
    """A folder's real path, asked once in a process: it is compared with that of every file that is opened."""
    return os.path.realpath(folder)


@dataclass(frozen=True)
class LocalFolder:
    """A directory on this machine. Paths are POSIX, relative, and stay in it; links may not leave `boundary`.

    `boundary` is the folder that links must stay under (default: `root`); for a corpus it is the `--data`
    root, so that a hub cache whose snapshots link to its blobs can be read.
    """

    root: Path
    boundary: Path | None = None

    @property
    def place(self) -> str:
        """The absolute path."""
        return str(self.root.resolve())

    def inside(self, path: str) -> "LocalFolder":
        """A folder in this one, with the same boundary."""
        return LocalFolder(self.root / path, self.boundary or self.root)

    def exists(self) -> bool:
        """Whether there is such a folder."""
        return self.root.is_dir()

    def has_folder(self, path: str) -> bool:
        """Whether a folder is at the path."""
        return (self.root / path).is_dir()

    def names(self) -> list[str]:
        """What lies directly in the folder, sorted."""
        return sorted(entry.name for entry in self.root.iterdir()) if self.exists() else []

    def files(self, path: str = "") -> Iterator[FileStat]:
        """Every regular file under a path; links to folders are not followed."""
        for place, _, names in os.walk(self.root / path):
            for name in names:
                inside = (Path(place) / name).relative_to(self.root).as_posix()
                found = self.stat(inside)
                if found is not None:
                    yield found

    def local(self, path: str) -> Path:
        """The file's place on this machine.

        Raises:
            OutsideError: the path as it is written leaves this folder, or with its links resolved the boundary.
            FileNotFoundError: no file can have such a name.
        """
        place = self.root / path
        if leaves(path) and not self._is_own(path):
            raise OutsideError("leads out of its folder")
        if self._has_no_link(path):
            return place
        try:
            resolved = os.path.realpath(place)
        except ValueError:  # a NUL in it
            raise FileNotFoundError(errno.ENOENT, "not the name of a file") from None
        boundary = _resolved(self.boundary or self.root)
        if resolved != boundary and not resolved.startswith(boundary.rstrip(os.sep) + os.sep):
            raise OutsideError("leads out of its folder")
        return place

    def _is_own(self, path: str) -> bool:
        """Whether an absolute path is one of this folder."""
        own = os.path.normpath(self.root.absolute()).rstrip(os.sep) + os.sep
        return path.startswith("/") and os.path.normpath(path).startswith(own)

    def _has_no_link(self, path: str) -> bool:
        """Whether nothing from the boundary down to a file that is there is a link: a third of resolving all of it."""
        boundary, root = str(self.boundary or self.root), str(self.root)
        if root != boundary and not root.startswith(boundary.rstrip(os.sep) + os.sep):
            return False
        place = _resolved(self.boundary or self.root)
        for part in f"{root[len(boundary) :]}/{path}".split("/"):
            if part == "..":
                return False
            if part in ("", "."):
                continue
            place = f"{place}{os.sep}{part}"
            try:
                if stat.S_ISLNK(os.lstat(place).st_mode):
                    return False
            except (OSError, ValueError):
                return False
        return True

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """All files that match any pattern (`**` crosses folders), sorted by path; hidden ones are left out.

        A link that leaves the boundary is not listed; links to folders inside it are followed. Only folders that a
        pattern can reach are visited.

        Raises:
            OSError: a folder or a file cannot be looked at now.
        """
        return self.listing(patterns)[0]

    def listing(self, patterns: Sequence[str]) -> tuple[list[FileStat], list[str]]:
        """What `glob` lists, and the names whose links leave the boundary: matching files, folders on the way."""
        found: dict[str, FileStat] = {}
        escaping: set[str] = set()
        for pattern in patterns:
            glob = Glob(self.root, pattern, self._escapes)
            for path in glob.matching():
                listed = self.stat(path)
                if listed is not None:
                    found[path] = listed
                elif self._escapes(path):
                    escaping.add(path)
            escaping.update(glob.escaping)
        return [found[path] for path in sorted(found)], sorted(escaping)

    def link_out(self, path: str) -> str | None:
        """The first part of a path that is a link out of the boundary, or None."""
        parts = path.split("/")
        heads = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        return None if leaves(path) else next((head for head in heads if self._escapes(head)), None)

    def _escapes(self, path: str) -> bool:
        try:
            self.local(path)
        except OutsideError:
            return True
        except FileNotFoundError:
            return False
        return False

    def stat(self, path: str) -> FileStat | None:
        """Size and time of a file, or None where there is no regular file inside the boundary.

        Raises:
            OSError: whether there is one cannot be told now (`is_absence` of the error is false).
        """
        try:
            result = self.local(path).stat()
        except OSError as error:
            if not is_absence(error):
                raise
            return None
        if not stat.S_ISREG(result.st_mode):
            return None
        return FileStat(path, result.st_size, result.st_mtime_ns or 1)

    def open(self, path: str) -> BinaryIO:
        """Open a regular file for reading; seekable.

        Raises:
            OutsideError: it lies outside the boundary.
            FileNotFoundError: there is none, or it is a folder, a pipe, a device.
            OSError: it cannot be opened.
        """
        # Without O_NONBLOCK, opening a pipe waits for its writer, for ever.
        descriptor = os.open(self.local(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, "not a regular file")
        return os.fdopen(descriptor, "rb")

    def read(self, path: str, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The bytes of a file.

        Raises:
            TooLargeError: it has more than `max_bytes`; none is read.
            OSError: as `open`.
        """
        with self.open(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise TooLargeError(size, max_bytes)
            return file.read()

    @contextmanager
    def writing(self, path: str, *, last: bool = True) -> Iterator[BinaryIO]:
        """Write a file that appears under its name whole, or not at all.

        It is made in `work/tmp` of this folder, never beside its final name.
        """
        place = self.root / path
        temporary = self._unfinished(path)
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

    def take(self, source: Folder, source_path: str, path: str) -> None:
        """Make `path` the same file as `source_path` in `source`: a hard link where possible, else a copy."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, LocalFolder):
            temporary = self._unfinished(path)
            try:
                os.link(source.root / source_path, temporary)
            except OSError:
                temporary.unlink(missing_ok=True)
            else:
                temporary.replace(place)
                temporary.unlink(missing_ok=True)  # replacing a link by another to the same file does nothing
                _sync_folder(place.parent)
                return
        with source.open(source_path) as file, self.writing(path) as copy:
            shutil.copyfileobj(file, copy, COMPARED_BYTES)

    def is_same(self, path: str, source: Folder, source_path: str) -> bool:
        """Whether `path` is the file `source_path` of `source`, or a copy of it."""
        here = self.stat(path)
        there = source.stat(source_path)
        if there is None:
            raise FileNotFoundError(errno.ENOENT, "the file to compare with is gone")
        if here is None or here.size != there.size:
            return False
        if isinstance(source, LocalFolder) and (self.root / path).samefile(source.root / source_path):
            return True
        with self.open(path) as one, source.open(source_path) as other:
            while block := one.read(COMPARED_BYTES):
                if block != other.read(COMPARED_BYTES):
                    return False
        return True

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is fine."""
        (self.root / path).unlink(missing_ok=True)

    def delete_tree(self, path: str) -> None:
        """Delete everything under a path; nothing there is fine."""
        if (self.root / path).exists():
            shutil.rmtree(self.root / path)

    def clear_unfinished(self) -> None:
        """Remove what killed writers left behind."""
        for leftover in (self.root / UNFINISHED).glob("*"):
            leftover.unlink(missing_ok=True)

    def bytes_used(self) -> int:
        """Bytes on disk; a file with several names counts once."""
        seen: dict[tuple[int, int], int] = {}
        for place, _, names in os.walk(self.root):
            for name in names:
                status = (Path(place) / name).lstat()
                seen[status.st_dev, status.st_ino] = status.st_blocks * 512
        return sum(seen.values())

    @contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Hold a file as a lock while this process lives, on this machine and through most network file systems."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / path).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUseError("another process has it") from None
            yield

    def expect_locked(self, path: str) -> None:
        """Nothing: the system takes such a lock from nobody who lives."""

    def _unfinished(self, path: str) -> Path:
        """A new name to make a file under; machines that share the folder never choose the same."""
        temporary = self.root / UNFINISHED / f"{uuid.uuid4().hex}-{path.replace('/', '-')[-160:]}"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        return temporary


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
