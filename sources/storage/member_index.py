"""Which members an archive has, in a few arrays: those of a million pictures take 60 MB, not a gigabyte."""

import errno
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import blake3
import numpy as np
import numpy.typing as npt

from sources.storage.tar_members import BLOCK_BYTES, CUT_OFF, DAMAGED, NO_END, Broken, Forward, Leaping, members
from sources.storage.zip_members import BARE, ArchiveError, Member, is_safe, zip_members

TARS = (".tar", ".tar.gz", ".tgz")
ARCHIVES = (".zip", *TARS)
COMPRESSED = tuple(f".{form}.gz" for form in ("jsonl", "json", "csv", "tsv", "xml", "nxml", "txt"))
"""Files of records in gzip: archives of the one file that each would be unpacked to, beside itself."""
GZIPPED = (".gz", ".tgz")
"""Ends of the names of tars that can only be read as a stream."""
_AT_ONCE_BYTES = 2**20
_TOLD = {CUT_OFF: "was cut off", NO_END: "was cut off", DAMAGED: "is damaged"}


def is_packed(path: str) -> bool:
    """Whether a file calls itself an archive of a form that is looked into."""
    return path.lower().endswith(ARCHIVES)


def is_compressed(path: str) -> bool:
    """Whether a file calls itself one file of records in gzip."""
    return path.lower().endswith(COMPRESSED)


def stem_of(path: str) -> str:
    """The path of an archive without its suffix: the folder that it would be unpacked to."""
    lowered = path.lower()
    return next((path[: -len(end)] for end in sorted(ARCHIVES, key=len, reverse=True) if lowered.endswith(end)), path)


def members_of(file: BinaryIO, path: str, size: int) -> Iterator[tuple[str, Member]]:
    """The members of the archive at a path, each with its name; not hidden ones, links, and names that lead out.

    `file` is unpacked already where the archive is a tar in gzip.

    Raises:
        ArchiveError: it cannot be read to its end.
    """
    if is_compressed(path):
        length = _unpacked_size(file)
        yield path.rpartition("/")[2][: -len(".gz")], Member(0, length, length, BARE, 0)
        return
    found = _tar_members(file, path, size) if path.lower().endswith(TARS) else zip_members(file, size)
    for name, member in found:
        plain = name.removeprefix("./")
        if not any(part.startswith(".") or part == "__MACOSX" for part in plain.split("/")):
            yield plain, member


def _unpacked_size(file: BinaryIO) -> int:
    """What a gzip unpacks to, which only unpacking it tells; the places to read on from are kept on the way."""
    try:
        while file.read(_AT_ONCE_BYTES):
            pass
    except OSError as error:
        too_large = error.errno == errno.EFBIG
        told = (
            error.strerror
            if too_large
            else "does not unpack to its end: it is damaged or was cut off; download it again"
        )
        raise ArchiveError(str(told)) from None
    return file.tell()


def _tar_members(file: BinaryIO, path: str, size: int) -> Iterator[tuple[str, Member]]:
    streamed = path.lower().endswith(GZIPPED)
    if not streamed and 0 < size < BLOCK_BYTES:
        raise ArchiveError("is no tar: it is too short; download it again")
    for one in members(Forward(file, 0) if streamed else Leaping(file, 0, size)):
        if isinstance(one, Broken):
            raise ArchiveError(f"{_TOLD.get(one.flaw, one.flaw)}: {one.flaw}; download it again")
        if not one.refusal and one.name and is_safe(one.name):
            yield one.name, Member(one.data, one.size, one.size, BARE, 0)


class MemberIndex:
    """The members of an archive by the hash of their whole name, and of their base name.

    Array suffix: `m` members, in the order of the hashes of their names.
    """

    def __init__(self, members: Iterable[tuple[str, Member]]) -> None:
        rows = list(members)
        hashes = np.array([_hash(name) for name, _ in rows], np.uint64)
        order = np.argsort(hashes, kind="stable")
        self._hashes_m: npt.NDArray[np.uint64] = hashes[order]
        fields = [(one.offset, one.packed, one.size, one.method, one.crc) for _, one in rows]
        self._fields_m = np.array(fields, np.int64).reshape(-1, 5)[order]
        bases = np.array([_hash(rows[place][0].rpartition("/")[2]) for place in order], np.uint64)
        self._by_base = np.argsort(bases, kind="stable")
        self._bases: npt.NDArray[np.uint64] = bases[self._by_base]
        self.above = _common_folders([name for name, _ in rows])
        """The folders that all members lie in, one in the other, each with a slash: `('Slake1.0/',)`."""

    def __len__(self) -> int:
        return len(self._hashes_m)

    def member(self, name: str) -> Member | None:
        """The member of that name; of two the first, as `unzip` would ask."""
        place = bisect_left(self._hashes_m, _hash(name))
        if place == len(self._hashes_m) or self._hashes_m[place] != _hash(name):
            return None
        return self._at(place)

    def only_one_called(self, base: str) -> Member | None:
        """The member of that base name, in any folder, where there is exactly one."""
        wanted = _hash(base)
        place = bisect_left(self._bases, wanted)
        matching = self._bases[place : place + 2] == wanted
        return self._at(int(self._by_base[place])) if matching.sum() == 1 else None

    def _at(self, place: int) -> Member:
        offset, packed, size, method, crc = (int(value) for value in self._fields_m[place])
        return Member(offset, packed, size, method, crc)


def _common_folders(names: list[str]) -> tuple[str, ...]:
    """The prefixes that all names share, from the shortest."""
    if not names:
        return ()
    least, most = min(names).split("/")[:-1], max(names).split("/")[:-1]
    shared = 0
    while shared < min(len(least), len(most)) and least[shared] == most[shared]:
        shared += 1
    return tuple("/".join(least[: number + 1]) + "/" for number in range(shared))


def _hash(name: str) -> int:
    return int.from_bytes(blake3.blake3(name.encode("utf-8", "surrogatepass")).digest(8), "little")
