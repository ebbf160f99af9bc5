"""A folder some of whose files are inside archives, read where they are: zips, and tars plain or in gzip."""

import errno
import io
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import BinaryIO, NoReturn, cast

from sources.storage.folder import MAX_READ_BYTES, FileStat, Folder, StoreError, TooLargeError
from sources.storage.globs import matcher
from sources.storage.inflated import DAMAGED, GZIP, RAW, Inflated, Part, Places
from sources.storage.member_index import GZIPPED, MemberIndex, is_compressed, is_packed, members_of, stem_of
from sources.storage.zip_members import BARE, DEFLATED, ArchiveError, Member, begins, unpacked

HELD = 4096
"""Indexes that a process holds, those used last. Every picture is looked for in all archives of its corpus, so that
fewer than those would be read again for each; a million members take 64 MB."""
AT_ONCE_BYTES = 2**20
"""A member of up to this is unpacked when it is opened, a larger one as it is read."""
BUFFER_BYTES = 2**18
NOT_UNPACKED = -1
"""The size, in listings, of what is in a record file in gzip."""


@dataclass(frozen=True)
class PackedFolder:
    """`base`, and in it the members of archives as if each had been unpacked beside itself.

    `images.zip` with `a.jpg` answers to `images/a.jpg`, and to `a.jpg`; with `x/y/a.jpg` too, where it has no other
    `a.jpg`. Folders that all members lie in may be left out: `repo-main/data/a.jsonl` is `data/a.jsonl`. Real files go
    first. Of two archives that both have a file, and not the same bytes, neither gives it: which one is meant cannot be
    told.
    """

    base: Folder
    archives: tuple[FileStat, ...]
    """Their paths are under `holder`."""
    holder: Folder
    path: str = ""
    """Of this folder in the archives, with a slash; empty for what they hold as a whole."""

    @property
    def place(self) -> str:
        """The base's."""
        return self.base.place

    @property
    def has_nested(self) -> bool:
        """Whether an archive holds archives."""
        names = (name for archive in self.archives for name, _ in _listed(self.holder, archive))
        return any(is_packed(name) or is_compressed(name) for name in names)

    def checked(self) -> "PackedFolder":
        """The same, its archives looked at; a record file in gzip is when it is opened.

        Raises:
            ArchiveError: one of them cannot be read; names it.
        """
        for stat in (one for one in self.archives if not is_compressed(one.path)):
            try:
                _index(self.holder, stat)
            except (ArchiveError, StoreError) as error:
                detail = error.strerror if isinstance(error, StoreError) else error
                raise ArchiveError(f"{stat.path}: {detail}") from None
            except OSError as error:
                raise ArchiveError(f"{stat.path}: cannot be read ({error.strerror})") from None
        return self

    def inside(self, path: str) -> Folder:
        """A folder in this one."""
        return replace(self, base=self.base.inside(path), path=f"{self.path}{path.strip('/')}/")

    def exists(self) -> bool:
        """Whether there is such a folder, or it is one of archives."""
        return self.base.exists() or bool(self.archives)

    def has_folder(self, path: str) -> bool:
        """Whether a folder is at the path, or members of an archive answer to it."""
        wanted = f"{path.strip('/')}/"
        if self.base.has_folder(path):
            return True
        tops = (f"{self._stem(stat)}/" for stat in self.archives)
        return any(top.startswith(wanted) for top in tops) or any(name.startswith(wanted) for name, *_ in self._named())

    def names(self) -> list[str]:
        """What lies directly in the folder, and in the archives."""
        return sorted({*self.base.names(), *(name.partition("/")[0] for name, *_ in self._named())})

    def files(self, path: str = "") -> Iterator[FileStat]:
        """As the base tells them, then those of the archives."""
        yield from self.base.files(path)
        above = f"{path.strip('/')}/" if path.strip("/") else ""
        for name, archive, stat in self._named():
            if name.startswith(above):
                yield replace(self._sized(archive, stat), path=name)

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """All files that match any pattern, those of archives under the first name by which they do.

        Raises:
            ArchiveError: two archives have a file of that name, and not the same.
        """
        found = {stat.path: stat for stat in self.base.glob(patterns)}
        own = dict(found)
        matchers = [matcher(pattern) for pattern in patterns]
        for archive in self.archives:
            for name, stat in _listed(self.holder, archive):
                shown = next((one for one in self._answers(archive, name) if _matches(matchers, one)), None)
                if shown is None or shown in own:
                    continue
                if shown in found and self._member(shown) is None:
                    raise ArchiveError(f"{archive.path} and another archive both hold {shown}: unpack each by itself")
                if shown not in found:
                    found[shown] = replace(self._sized(archive, stat), path=shown)
        return [found[path] for path in sorted(found)]

    def listing(self, patterns: Sequence[str]) -> tuple[list[FileStat], list[str]]:
        """What `glob` lists, and the links of the base that lead out."""
        return self.glob(patterns), self.base.listing(patterns)[1]

    def stat(self, path: str) -> FileStat | None:
        """Size and stamp: of a member its own size and the archive's stamp."""
        real = self.base.stat(path)
        if real is not None:
            return real
        found = self._member(path)
        return None if found is None else FileStat(path, found[1].size, found[0].stamp)

    def open(self, path: str) -> BinaryIO:
        """A file, or a member; a large one is unpacked as it is read.

        Raises:
            OSError: the member does not unpack, or claims far more than is packed.
        """
        found = None if self.base.stat(path) is not None else self._member(path)
        if found is None:
            return self.base.open(path)
        stat, member = found
        if member.is_bomb:
            raise TooLargeError(member.size, 100 * max(member.packed, 1))
        if member.size <= AT_ONCE_BYTES:
            data = self.read(path)
            if len(data) < member.size:
                raise OSError(errno.EIO, DAMAGED)
            return io.BytesIO(data)
        return _opened_member(self.holder, stat, member)

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
        with opened_archive(self.holder, stat) as file:
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

    def _stem(self, archive: FileStat) -> str:
        """The folder that an archive would be unpacked to, under this one; empty for the one that is this folder."""
        stem, inside = stem_of(archive.path), self.path.rstrip("/")
        unpacked_to = f"{self.holder.place}/{stem}" + (f"/{inside}" if inside else "")
        return "" if self.base.place == unpacked_to else stem

    def _answers(self, archive: FileStat, name: str) -> Iterator[str]:
        """The names by which a member answers, the most likely first."""
        if is_compressed(archive.path):
            if archive.path.startswith(self.path):
                yield archive.path[len(self.path) : -len(".gz")]
            return
        stem, above = self._stem(archive), archive.path.rpartition("/")[0]
        beside = f"{above}/" if above and stem else ""
        left_out = ("", *_index(self.holder, archive).above)
        own = f"{stem_of(archive.path).rpartition('/')[2]}/"
        for shared in (own, *left_out) if not stem and own in left_out else left_out:
            for folder in dict.fromkeys((beside, f"{stem}/" if stem else "")):
                full = f"{folder}{name[len(shared) :]}"
                if full.startswith(self.path):
                    yield full[len(self.path) :]

    def _named(self) -> Iterator[tuple[str, FileStat, FileStat]]:
        """Every member that the archives list, under each name by which it answers, with its archive."""
        for archive in self.archives:
            for name, stat in _listed(self.holder, archive):
                for answer in self._answers(archive, name):
                    yield answer, archive, stat

    def _sized(self, archive: FileStat, stat: FileStat) -> FileStat:
        """A listed member with its size, which of a record file in gzip only unpacking it tells."""
        return replace(stat, size=_only_member(self.holder, archive).size) if stat.size == NOT_UNPACKED else stat

    def _member(self, path: str) -> tuple[FileStat, Member] | None:
        """The archive that has the file, and the member; None where several have one and not the same."""
        found = [one for archive in self.archives for one in self._within(archive, f"{self.path}{path}")]
        if not found:
            found = [one for archive in self.archives for one in self._by_base(archive, f"{self.path}{path}")]
        first = next(iter(found), None)
        if first is None or all(self._same(first, other) for other in found[1:]):
            return first
        return None

    def _within(self, archive: FileStat, path: str) -> Iterator[tuple[FileStat, Member]]:
        """The first member of an archive that answers to a path, if any.

        Raises:
            OSError: it is a record file in gzip that does not unpack.
        """
        if is_compressed(archive.path):
            if path == archive.path[: -len(".gz")]:
                yield archive, _only_member(self.holder, archive)
            return
        index, stem = _index(self.holder, archive), self._stem(archive)
        above = archive.path.rpartition("/")[0] if stem else ""
        if above and not path.startswith(f"{above}/"):
            return
        own = path[len(above) + 1 :] if above else path
        inner = path[len(stem) + 1 :] if stem and path.startswith(f"{stem}/") else None
        for shared in ("", *index.above):
            for name in (own, inner):
                member = None if name is None else index.member(f"{shared}{name}")
                if member is not None:
                    yield archive, member
                    return

    def _by_base(self, archive: FileStat, path: str) -> Iterator[tuple[FileStat, Member]]:
        """The one member of an archive with the path's base name, where the path is under the archive's own folder."""
        stem = self._stem(archive)
        if stem and path.startswith(f"{stem}/") and not is_compressed(archive.path):
            member = _index(self.holder, archive).only_one_called(path.rpartition("/")[2])
            if member is not None:
                yield archive, member

    def _same(self, one: tuple[FileStat, Member], other: tuple[FileStat, Member]) -> bool:
        """Whether two members have the same bytes, as far as their archives tell without unpacking large ones."""
        (first, a), (second, b) = one, other
        if a.size != b.size or BARE not in (a.method, b.method):
            return (a.size, a.crc) == (b.size, b.crc)
        if a.size > AT_ONCE_BYTES:
            return False
        with opened_archive(self.holder, first) as left, opened_archive(self.holder, second) as right:
            return unpacked(left, a) == unpacked(right, b)


def _matches(matchers: Sequence[object], path: str) -> bool:
    return any(one.fullmatch(path) for one in matchers)  # type: ignore[attr-defined]


_held: OrderedDict[tuple[Folder, FileStat], MemberIndex] = OrderedDict()
_places: dict[tuple[Folder, FileStat, int], Places] = {}
"""From where the streams in archives that this process has read can be read on; -1 is a tar's own."""


def opened_archive(holder: Folder, stat: FileStat) -> BinaryIO:
    """The archive; a tar in gzip unpacked."""
    file = holder.open(stat.path)
    if not stat.path.lower().endswith(GZIPPED):
        return file
    places = _places.setdefault((holder, stat, -1), Places())
    return cast("BinaryIO", io.BufferedReader(Inflated(file, GZIP, places), BUFFER_BYTES))


def _opened_member(holder: Folder, stat: FileStat, member: Member) -> BinaryIO:
    archive = opened_archive(holder, stat)
    begin = begins(archive, member)
    if begin < 0:
        archive.close()
        raise OSError(errno.EIO, DAMAGED)
    part = Part(archive, begin, member.packed)
    if member.method != DEFLATED:
        return cast("BinaryIO", io.BufferedReader(part, BUFFER_BYTES))
    places = _places.setdefault((holder, stat, member.offset), Places())
    inflated = Inflated(cast("BinaryIO", part), RAW, places, member.size, member.crc)
    return cast("BinaryIO", io.BufferedReader(inflated, BUFFER_BYTES))


def _index(holder: Folder, stat: FileStat) -> MemberIndex:
    key = (holder, stat)
    if key not in _held:
        with opened_archive(holder, stat) as file:
            _held[key] = MemberIndex(members_of(file, stat.path, stat.size))
        if len(_held) > HELD:
            _held.popitem(last=False)
    _held.move_to_end(key)
    return _held[key]


def _only_member(holder: Folder, stat: FileStat) -> Member:
    """What a record file in gzip unpacks to. The process unpacks it when it is first asked for.

    Raises:
        OSError: it does not unpack to its end.
    """
    name = stat.path.rpartition("/")[2][: -len(".gz")]
    try:
        member = _index(holder, stat).member(name)
    except ArchiveError as error:
        raise OSError(errno.EIO, str(error)) from None
    assert member is not None, "its only member is called like it"
    return member


@lru_cache(maxsize=64)
def _listed(holder: Folder, archive: FileStat) -> tuple[tuple[str, FileStat], ...]:
    """The members of an archive; only who looks for files asks, so that workers need no names.

    A record file in gzip is not unpacked for it: its size is `NOT_UNPACKED`.
    """
    if is_compressed(archive.path):
        name = archive.path.rpartition("/")[2][: -len(".gz")]
        return ((name, FileStat(name, NOT_UNPACKED, archive.stamp)),)
    with opened_archive(holder, archive) as file:
        found = members_of(file, archive.path, archive.size)
        return tuple((name, FileStat(name, member.size, archive.stamp)) for name, member in found)


def base_of(folder: Folder) -> Folder:
    """The folder where the files really are: of one with archives its base."""
    return folder.base if isinstance(folder, PackedFolder) else folder


def packed(base: Folder, archives: Sequence[FileStat], holder: Folder | None = None) -> Folder:
    """The folder with what is in the archives (files of `holder`, by default of the folder itself).

    The folder itself where there is none.

    Raises:
        ArchiveError: an archive cannot be read.
    """
    return PackedFolder(base, tuple(archives), holder or base).checked() if archives else base


def archive_at(holder: Folder, name: str) -> Folder | None:
    """The archive of that name in a folder, as a folder itself; None where there is none.

    Raises:
        ArchiveError: it cannot be read.
    """
    stat = holder.stat(name) if is_packed(name) else None
    return None if stat is None else packed(holder.inside(stem_of(name)), [stat], holder)


def archives_in(folder: Folder) -> list[FileStat]:
    """The archives that lie directly in a folder."""
    if isinstance(folder, PackedFolder) or not folder.exists():
        return []
    stats = (folder.stat(name) for name in folder.names() if is_packed(name))
    return [stat for stat in stats if stat is not None]
