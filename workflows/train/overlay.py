"""Shards with another plan: a folder of this run's laid over one that is only read."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from sources.storage import MAX_READ_BYTES, FileStat, Folder


@dataclass(frozen=True)
class OverlaidFolder:
    """`below`, with the files of `above` in place of those of the same name. Nothing can be written."""

    above: Folder
    below: Folder

    @property
    def place(self) -> str:
        """That of the shards."""
        return self.below.place

    def _with(self, path: str) -> Folder:
        return self.above if self.above.stat(path) is not None else self.below

    def inside(self, path: str) -> Folder:
        """A folder of the shards."""
        return self.below.inside(path)

    def exists(self) -> bool:
        """Whether the shards are there."""
        return self.below.exists()

    def has_folder(self, path: str) -> bool:
        """Whether either has it."""
        return self.above.has_folder(path) or self.below.has_folder(path)

    def names(self) -> list[str]:
        """Those of both."""
        return sorted({*self.above.names(), *self.below.names()})

    def files(self, path: str = "") -> Iterator[FileStat]:
        """Those of both, those on top in place of those below."""
        found = {stat.path: stat for folder in (self.below, self.above) for stat in folder.files(path)}
        return iter(found.values())

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """Those of both that match."""
        found = {stat.path: stat for folder in (self.below, self.above) for stat in folder.glob(patterns)}
        return [found[path] for path in sorted(found)]

    def listing(self, patterns: Sequence[str]) -> tuple[list[FileStat], list[str]]:
        """As `glob`; links that lead out of the shards."""
        return self.glob(patterns), self.below.listing(patterns)[1]

    def stat(self, path: str) -> FileStat | None:
        """Of the file on top, else of that below."""
        return self._with(path).stat(path)

    def open(self, path: str) -> BinaryIO:
        """The file on top, else that below."""
        return self._with(path).open(path)

    def read(self, path: str, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The file on top, else that below."""
        return self._with(path).read(path, max_bytes)

    def is_same(self, path: str, source: Folder, source_path: str) -> bool:
        """As the folder that has the file."""
        return self._with(path).is_same(path, source, source_path)

    def bytes_used(self) -> int:
        """Those of both."""
        return self.above.bytes_used() + self.below.bytes_used()

    def writing(self, path: str, *, last: bool = True) -> AbstractContextManager[BinaryIO]:
        """Refused."""
        self._refuse(path, last)

    def write(self, path: str, data: bytes, *, last: bool = True) -> None:
        """Refused."""
        self._refuse(path, data, last)

    def take(self, source: Folder, source_path: str, path: str) -> None:
        """Refused."""
        self._refuse(path, source, source_path)

    def delete(self, path: str) -> None:
        """Refused."""
        self._refuse(path)

    def delete_tree(self, path: str) -> None:
        """Refused."""
        self._refuse(path)

    def clear_unfinished(self) -> None:
        """Refused."""
        self._refuse("")

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Refused."""
        self._refuse(path)

    def expect_locked(self, path: str) -> None:
        """Refused."""
        self._refuse(path)

    def _refuse(self, *_given: object) -> NoReturn:
        raise OSError(errno.EROFS, "shards are only read here")
