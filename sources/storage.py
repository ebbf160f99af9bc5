"""Folders of files: reading that stays inside, and writes that are whole or absent."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sources.globs import Glob

MAX_READ_BYTES = 2**30
"""What `Folder.read` takes into memory, if nothing else is said."""


class OutsideError(OSError):
    """A path or a symbolic link leads out of the folder it is read under."""


class TooLargeError(OSError):
    """A file is larger than what may be read at once. `detail` tells both sizes and no name."""

    def __init__(self, size: int, allowed: int) -> None:
        self.detail = f"{size} bytes, more than {allowed} are allowed"
        super().__init__(errno.EFBIG, self.detail)
        self.sizes = (size, allowed)

    def __reduce__(self) -> tuple[type["TooLargeError"], tuple[int, int]]:
        return type(self), self.sizes


_ABSENT = (OutsideError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
_ABSENT_NUMBERS = frozenset({errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EINVAL})


def is_absence(error: OSError) -> bool:
    """Whether the error says that there is no such file, and so will say it again.

    Any other (no permission, a disk that fails, a server that is away) says that it cannot be had now.
    """
    return isinstance(error, _ABSENT) or error.errno in _ABSENT_NUMBERS


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
            FileNotFoundError: no file can have such a name.
        """
        place = self.root / path
        try:
            resolved = os.path.realpath(place)
        except ValueError:  # a NUL in it
            raise FileNotFoundError(errno.ENOENT, "not the name of a file") from None
        boundary = os.path.realpath(self.boundary or self.root)
        if resolved != boundary and not resolved.startswith(boundary.rstrip(os.sep) + os.sep):
            raise OutsideError("leads out of its folder")
        return place

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
        return FileStat(path, result.st_size, result.st_mtime_ns)

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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
