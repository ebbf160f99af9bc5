"""What a folder offers, wherever it lies."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

MAX_READ_BYTES = 2**30
"""What `Folder.read` takes into memory, if nothing else is said."""


class OutsideError(OSError):
    """A path or a symbolic link leads out of the folder it is read under."""


class InUseError(Exception):
    """Somebody else holds a lock. The message says who, as far as that is known."""


class TooLargeError(OSError):
    """A file is larger than what may be read at once. `detail` tells both sizes and no name."""

    def __init__(self, size: int, allowed: int) -> None:
        self.detail = f"{size} bytes, more than {allowed} are allowed"
        super().__init__(errno.EFBIG, self.detail)
        self.sizes = (size, allowed)

    def __reduce__(self) -> tuple[type["TooLargeError"], tuple[int, int]]:
        return type(self), self.sizes


class StoreError(OSError):
    """Object storage does not do what it was asked. The message names no key; `hint` says what to do.

    `errno` is never one of an absent file.
    """

    def __init__(self, number: int, message: str, hint: str) -> None:
        super().__init__(number, message)
        self.hint = hint

    def __reduce__(self) -> tuple[type["StoreError"], tuple[int, str, str]]:
        return type(self), (self.errno or errno.EIO, self.strerror or "", self.hint)


_ABSENT = (OutsideError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
_ABSENT_NUMBERS = frozenset({errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EINVAL})


def is_absence(error: OSError) -> bool:
    """Whether the error says that there is no such file, and so will say it again.

    Any other (no permission, a disk that fails, a server that is away) says that it cannot be had now.
    """
    return isinstance(error, _ABSENT) or error.errno in _ABSENT_NUMBERS


@dataclass(frozen=True)
class FileStat:
    """A file as listed: its POSIX path under the folder, its bytes, and a stamp.

    The stamp changes when the file does: the modification time in nanoseconds on a disk, a hash of the ETag in
    a bucket. It is never 0.
    """

    path: str
    size: int
    stamp: int


class Folder(Protocol):
    """A tree of files. Paths are POSIX and relative to it.

    A folder is a value: two of the same place are equal and hash alike, and one that is sent to another process
    or machine reads the same place there.

    Reading raises FileNotFoundError where there is no such regular file, OutsideError where a path leads out of
    the folder, and any other OSError where it cannot be had now.
    """

    def __hash__(self) -> int: ...

    @property
    def place(self) -> str:
        """The path or URL as people write it, without a trailing slash."""
        ...

    def inside(self, path: str) -> "Folder":
        """A folder in this one; what limits reading here limits it there too."""
        ...

    def exists(self) -> bool:
        """Whether there is such a folder. In a bucket: whether anything is in it."""
        ...

    def has_folder(self, path: str) -> bool:
        """Whether a folder is at the path (in a bucket: whether anything is under it)."""
        ...

    def names(self) -> list[str]:
        """What lies directly in the folder, files and folders, sorted; nothing where there is no such folder."""
        ...

    def files(self, path: str = "") -> Iterator[FileStat]:
        """Every regular file under a path of the folder, hidden ones too, in no order that may be relied on."""
        ...

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """All files that match any pattern (`**` crosses folders), sorted by path; hidden ones are left out."""
        ...

    def listing(self, patterns: Sequence[str]) -> tuple[list[FileStat], list[str]]:
        """What `glob` lists, and the names whose links leave the folder: matching files, folders on the way."""
        ...

    def stat(self, path: str) -> FileStat | None:
        """Size and stamp of a file, or None where there is no regular file inside the folder."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a regular file for reading; seekable. Of a file in a bucket only what is read is fetched."""
        ...

    def read(self, path: str, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The bytes of a file.

        Raises:
            TooLargeError: it has more than `max_bytes`; none is read.
        """
        ...

    def writing(self, path: str, *, last: bool = True) -> AbstractContextManager[BinaryIO]:
        """Write a file that appears under its name whole, or not at all.

        `last` says that nothing follows it into its folder soon: the folder's own entry is then made durable
        too. Of several files that only count together, the last one does it for all.
        """
        ...

    def write(self, path: str, data: bytes, *, last: bool = True) -> None:
        """Write a small file atomically."""
        ...

    def take(self, source: "Folder", source_path: str, path: str) -> None:
        """Make `path` a file with the content of `source_path` in `source`, whole or not at all.

        Without moving bytes where that is possible: a hard link on one disk, a copy by the server in a bucket.
        """
        ...

    def is_same(self, path: str, source: "Folder", source_path: str) -> bool:
        """Whether `path` has the content of `source_path` in `source`; False where there is no `path`.

        Raises:
            FileNotFoundError: there is no `source_path`.
        """
        ...

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is fine."""
        ...

    def delete_tree(self, path: str) -> None:
        """Delete everything under a path; nothing there is fine."""
        ...

    def clear_unfinished(self) -> None:
        """Remove what killed writers left behind. Only for who holds the lock of the folder."""
        ...

    def bytes_used(self) -> int:
        """Bytes that the folder takes; a file with several names counts once."""
        ...

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Hold the file `path` as a lock, made where it is not there; it stays there afterwards.

        Raises:
            InUseError: somebody else holds it.
        """
        ...

    def expect_locked(self, path: str) -> None:
        """Before what cannot be undone: ask whether the lock `path`, where this process took it, is still its own.

        Raises:
            InUseError: it was lost meanwhile.
        """
        ...
