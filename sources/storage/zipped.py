"""A folder some of whose files are inside zips, read where they are: pictures that are published as `images.zip`."""

import errno
import io
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, NoReturn

from sources.storage.folder import MAX_READ_BYTES, FileStat, Folder, StoreError, TooLargeError
from sources.storage.zip_index import Member, ZipError, ZipIndex, unpacked

HELD = 4096
"""Indexes that a process holds, those used last. Every picture is looked for in all zips of its corpus, so that fewer
than those would be read again for each; a million members take 64 MB."""


@dataclass(frozen=True)
class ZippedFolder:
    """`base`, and in it the members of zips as if each had been unpacked beside itself.

    `images.zip` with `a.jpg` answers to `images/a.jpg`; with `images/a.jpg` too; with `x/y/a.jpg` too, where it has no
    other `a.jpg`. Real files go first. Only `stat`, `open` and `read` see into zips: lists name real files alone.
    """

    base: Folder
    zips: tuple[FileStat, ...]

    @property
    def place(self) -> str:
        """The base's."""
        return self.base.place

    def checked(self) -> "ZippedFolder":
        """The same, its zips looked at.

        Raises:
            ZipError: one of them cannot be read; names it.
        """
        for stat in self.zips:
            try:
                _index(self.base, stat)
            except ZipError as error:
                raise ZipError(f"{stat.path}: {error}") from None
        return self

    def inside(self, path: str) -> Folder:
        """A folder in the base: what is in zips is not seen there."""
        return self.base.inside(path)

    def exists(self) -> bool:
        """Whether there is such a folder."""
        return self.base.exists()

    def has_folder(self, path: str) -> bool:
        """Whether a folder is at the path, or a zip whose members answer to it."""
        top = path.strip("/").partition("/")[0]
        return self.base.has_folder(path) or any(top == _stem(stat.path).partition("/")[0] for stat in self.zips)

    def names(self) -> list[str]:
        """As the base tells them."""
        return self.base.names()

    def files(self, path: str = "") -> Iterator[FileStat]:
        """As the base tells them."""
        return self.base.files(path)

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """As the base tells them."""
        return self.base.glob(patterns)

    def listing(self, patterns: Sequence[str]) -> tuple[list[FileStat], list[str]]:
        """As the base tells them."""
        return self.base.listing(patterns)

    def stat(self, path: str) -> FileStat | None:
        """Size and stamp: of a member its own size and the zip's stamp."""
        real = self.base.stat(path)
        if real is not None:
            return real
        found = self._member(path)
        return None if found is None else FileStat(path, found[1].size, found[0].stamp)

    def open(self, path: str) -> BinaryIO:
        """A file, or a member unpacked in memory."""
        return self.base.open(path) if self.base.stat(path) is not None else io.BytesIO(self.read(path))

    def read(self, path: str, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The bytes of a file, or of a member; of one that does not unpack there are none.

        Raises:
            FileNotFoundError: there is neither.
            TooLargeError: it has more than `max_bytes`, or claims far more than is packed; none is read.
        """
        found = None if self.base.stat(path) is not None else self._member(path)
        if found is None:
            return self.base.read(path, max_bytes)
        stat, member = found
        if member.size > max_bytes or member.is_bomb:
            raise TooLargeError(member.size, min(max_bytes, 100 * max(member.packed, 1)))
        with self.base.open(stat.path) as file:
            return unpacked(file, member)

    def writing(self, path: str, *, last: bool = True) -> AbstractContextManager[BinaryIO]:
        """Not here."""
        self._refuse(path, last)

    def write(self, path: str, data: bytes, *, last: bool = True) -> None:
        """Not here."""
        self._refuse(path, data, last)

    def take(self, source: Folder, source_path: str, path: str) -> None:
        """Not here."""
        self._refuse(source, source_path, path)

    def is_same(self, path: str, source: Folder, source_path: str) -> bool:
        """As the base says."""
        return self.base.is_same(path, source, source_path)

    def delete(self, path: str) -> None:
        """Not here."""
        self._refuse(path)

    def delete_tree(self, path: str) -> None:
        """Not here."""
        self._refuse(path)

    def clear_unfinished(self) -> None:
        """Not here."""
        self._refuse()

    def bytes_used(self) -> int:
        """The base's."""
        return self.base.bytes_used()

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Not here."""
        self._refuse(path)

    def expect_locked(self, path: str) -> None:
        """Not here."""
        self._refuse(path)

    def _refuse(self, *_: object) -> NoReturn:
        raise StoreError(errno.EROFS, f"{self.place}: a corpus is only read", "write to another folder")

    def _member(self, path: str) -> tuple[FileStat, Member] | None:
        """The first zip that has the file, and the member."""
        for stat in self.zips:
            index, stem = _index(self.base, stat), _stem(stat.path)
            above = stat.path.rpartition("/")[0]
            if above and not path.startswith(f"{above}/"):
                continue
            own = path[len(above) + 1 :] if above else path
            within = path[len(stem) + 1 :] if path.startswith(f"{stem}/") else None
            for name in (own, within):
                member = None if name is None else index.member(name)
                if member is not None:
                    return stat, member
        for stat in self.zips:
            if path.startswith(f"{_stem(stat.path)}/"):
                member = _index(self.base, stat).only_one_called(path.rpartition("/")[2])
                if member is not None:
                    return stat, member
        return None


_held: OrderedDict[tuple[Folder, FileStat], ZipIndex] = OrderedDict()


def _index(base: Folder, stat: FileStat) -> ZipIndex:
    key = (base, stat)
    if key not in _held:
        with base.open(stat.path) as file:
            _held[key] = ZipIndex(file, stat.size)
        if len(_held) > HELD:
            _held.popitem(last=False)
    _held.move_to_end(key)
    return _held[key]


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def base_of(folder: Folder) -> Folder:
    """The folder where the files really are: of one with zips its base."""
    return folder.base if isinstance(folder, ZippedFolder) else folder


def zipped(base: Folder, zips: Sequence[FileStat]) -> Folder:
    """The folder with what is in the zips; the folder itself where there is none.

    Raises:
        ZipError: a zip cannot be read.
    """
    return ZippedFolder(base, tuple(zips)).checked() if zips else base
