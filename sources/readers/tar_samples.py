"""Samples in a tar: runs of members, cut into fragments when planned, and one fragment of them in memory when read."""

import errno
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, BinaryIO, cast

import blake3

from sources.readers.member_names import plain
from sources.readers.ranges import check_unchanged, found, framed, sealed, surroundings
from sources.readers.tar_streams import Gunzip, read_range, tar_from, whole_tar
from sources.records import FRAGMENT_BYTES, FRAGMENT_RECORDS, ChangedInputError, Corpus, CorpusError, Fragment
from sources.storage import MAX_READ_BYTES, TooLargeError
from sources.storage.tar_members import DAMAGED, NO_END, Broken, Forward, Leaping, Member, Source, members
from sources.uris import inner_name

HELD_BYTES = 64 * 2**20
"""A fragment is 16 MiB, or one larger sample: up to this it is held in memory, beyond it each member is read alone."""
HEAD_BYTES = 4096
MAX_MEMBERS = 4096
"""Of one sample."""


@dataclass(frozen=True)
class TarSample:
    """The members of one record in the bytes `start:stop` of a tar, or the `flaw` that makes it unusable."""

    key: str
    members: tuple[Member, ...]
    start: int
    stop: int
    digest: bytes
    flaw: str = ""


Found = Iterator[Member | Broken]
Grouping = Callable[[Found], Iterator[TarSample]]
"""Makes samples of members, in order: `runs` or `singles`, with the names they take."""


def runs(found_members: Found, key_of: Callable[[str], str | None]) -> Iterator[TarSample]:
    """One sample a run of members with the same key; members without a key belong to none.

    Where the archive breaks off, the sample before is lost with the rest unless what was cut is of another one.
    """
    run: _Run | None = None
    for one in found_members:
        key = key_of(one.name) if one.name else None
        if isinstance(one, Broken):
            lost = TarSample(key or f"byte {one.start}", (), one.start, one.stop, one.digest, one.flaw)
            if run is not None and (one.between or key not in (None, run.key)):
                yield run.sample()
            elif run is not None:
                lost = replace(lost, key=run.key, start=run.start)
            yield lost
            return
        if key is None:
            continue
        if run is not None and key != run.key:
            yield run.sample()
            run = None
        run = run or _Run(key, one.start)
        run.add(one)
    if run is not None:
        yield run.sample()


def singles(found_members: Found, is_taken: Callable[[str], bool]) -> Iterator[TarSample]:
    """One sample a member whose name is taken; its key is its name."""
    for one in found_members:
        if isinstance(one, Broken):
            yield TarSample(one.name or f"byte {one.start}", (), one.start, one.stop, one.digest, one.flaw)
        elif is_taken(one.name):
            yield TarSample(one.name, (one,), one.start, one.stop, one.digest)


class _Run:
    """Members of one key as they come."""

    def __init__(self, key: str, start: int) -> None:
        self.key, self.start = key, start
        self._stop = start
        self._members: list[Member] = []
        self._count = 0
        self._hash = blake3.blake3()

    def add(self, member: Member) -> None:
        self._count += 1
        self._stop = member.stop
        self._hash.update(member.digest)
        if self._count <= MAX_MEMBERS:
            self._members.append(member)

    def sample(self) -> TarSample:
        flaw = f"more than {MAX_MEMBERS:,} members under one key" if self._count > MAX_MEMBERS else ""
        members_held = () if flaw else tuple(self._members)
        return TarSample(self.key, members_held, self.start, self._stop, self._hash.digest(), flaw)


def cut_tar(corpus: Corpus, path: str, grouping: Grouping) -> Iterator[Fragment]:
    """Cut a tar between samples into fragments of at most 4,096 and, but for a single larger one, 16 MiB.

    The file is read once, from front to back. Digests are not sealed yet: `seal` does that.

    Raises:
        CorpusError: it is no tar.
    """
    stat = found(corpus, path)
    held: list[TarSample] = []
    row = 0
    with whole_tar(corpus, path, stat.stamp) as source:
        for sample in grouping(_expect_tar(corpus, path, members(Forward(source, 0)))):
            if held and (len(held) == FRAGMENT_RECORDS or sample.stop - held[0].start > FRAGMENT_BYTES):
                yield _fragment(path, held, row, (stat.size, stat.stamp))
                row += len(held)
                held = []
            held.append(sample)
    if found(corpus, path) != stat:
        raise ChangedInputError(f"{corpus.shown(path)}: changed while the build was planned; run it again")
    if held:
        yield _fragment(path, held, row, (stat.size, stat.stamp))


def seal(corpus: Corpus, fragment: Fragment, meaning: bytes = b"") -> Fragment:
    """The fragment with its digest as it may be stored; `meaning` is what its records depend on elsewhere."""
    named = corpus.identity.name("path", fragment.path).encode("utf-8", "surrogatepass")
    around = surroundings(corpus, fragment.path)
    parts = framed(named, str(fragment.first_row).encode(), meaning, around, fragment.digest.encode())
    return replace(fragment, digest=sealed(corpus, blake3.blake3(parts)))


def _expect_tar(corpus: Corpus, path: str, found_members: Found) -> Found:
    """The members, if there is a tar at all."""
    first = next(found_members, None)
    if isinstance(first, Broken) and not first.start and not first.name:
        what = "is not a tar archive" if first.flaw == DAMAGED else "is empty or cut off, or its gzip is damaged"
        raise CorpusError(f"{corpus.shown(path)}: {what}")
    return found_members if first is None else chain([first], found_members)


def _digest(samples: list[TarSample]) -> str:
    return blake3.blake3(framed(*(sample.digest for sample in samples))).hexdigest()


def _fragment(path: str, held: list[TarSample], row: int, file: tuple[int, int]) -> Fragment:
    start, stop = held[0].start, held[-1].stop
    return Fragment(
        path=path,
        digest=_digest(held),
        start=start,
        stop=stop,
        first_row=row,
        records=len(held),
        size=stop - start,
        file_size=file[0],
        file_stamp=file[1],
    )


class _Held(io.BytesIO):
    """A part of an archive in memory."""

    flaw = ""


class TarFragment:
    """The samples of a fragment, and the data of their members."""

    def __init__(self, corpus: Corpus, fragment: Fragment, grouping: Grouping, meaning: bytes) -> None:
        """Read the fragment: at once, or, of a sample that is larger than may be held, its headers.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        check_unchanged(corpus, fragment)
        self._corpus, self._fragment = corpus, fragment
        self._bytes: bytes | None = None
        if fragment.size <= HELD_BYTES:
            held = self._read()
            self._bytes = held.getvalue()
            self.samples = self._parsed(grouping, Forward(held, fragment.start))
            planned = seal(corpus, replace(fragment, digest=_digest(self.samples)), meaning)
            if planned.digest != fragment.digest:
                raise ChangedInputError(
                    f"{corpus.shown(fragment.path)}: changed since the build was planned; run it again"
                )
        else:
            with tar_from(corpus, fragment.path, fragment.file_stamp, fragment.start) as source:
                self.samples = self._parsed(grouping, _forward(source, fragment))
        self.named: list[dict[str, Member]] = list(self._names())
        """Of each sample its members by names that no other member of the fragment has."""
        self.by_name = {name: member for names in self.named for name, member in names.items()}

    def data(self, member: Member) -> bytes:
        """The bytes of a member.

        Raises:
            TooLargeError: it has more than 1 GiB.
        """
        if member.size > MAX_READ_BYTES:
            raise TooLargeError(member.size, MAX_READ_BYTES)
        if self._bytes is None:
            return read_range(self._corpus, self._fragment, member.data, member.size)
        begin = member.data - self._fragment.start
        return self._bytes[begin : begin + member.size]

    def head(self, member: Member) -> bytes:
        """The first bytes of a member, enough to tell what it is."""
        if self._bytes is None:
            return read_range(self._corpus, self._fragment, member.data, min(member.size, HEAD_BYTES))
        begin = member.data - self._fragment.start
        return self._bytes[begin : begin + min(member.size, HEAD_BYTES)]

    def picture(self, uri: str) -> bytes:
        """The bytes of a member by its uri.

        Raises:
            FileNotFoundError: there is no such member.
            TooLargeError: it has more than 1 GiB.
        """
        member = self.by_name.get(inner_name(self._fragment.path, uri) or "")
        if member is None or member.refusal:
            raise FileNotFoundError(errno.ENOENT, "no such picture in the archive")
        return self.data(member)

    def _read(self) -> "_Held":
        """All bytes of the fragment, and what is wrong with the file where it ends with them."""
        fragment = self._fragment
        with tar_from(self._corpus, fragment.path, fragment.file_stamp, fragment.start) as source:
            held = _Held(source.read(fragment.size))
            if isinstance(source, Gunzip):
                held.flaw = source.flaw_here()
        return held

    def _parsed(self, grouping: Grouping, forward: Forward) -> list[TarSample]:
        stop = self._fragment.stop

        def passing() -> Found:
            for one in members(forward):
                yield one
                if forward.position >= stop:
                    return

        samples = list(grouping(passing()))
        if len(samples) < self._fragment.records:  # what is missing at the end of the file takes no room there
            samples.append(TarSample(f"byte {stop}", (), stop, stop, blake3.blake3().digest(), NO_END))
        return samples

    def _names(self) -> Iterator[dict[str, Member]]:
        """Names as they are; those that came before get the number of their sample in the file."""
        taken: set[str] = set()
        for row, sample in enumerate(self.samples, self._fragment.first_row):
            names = {plain(one.name): one for one in sample.members}
            names = {f"{name}#{row}" if name in taken else name: one for name, one in names.items()}
            taken.update(names)
            yield names


def _forward(source: Source, fragment: Fragment) -> Forward:
    """Of a file, leaping from header to header; a stream has to be read."""
    if isinstance(source, Gunzip):
        return Forward(source, fragment.start)
    return Leaping(cast("BinaryIO", source), fragment.start, fragment.stop)


_held: dict[tuple[Any, ...], TarFragment] = {}
"""The fragment that this process is reading: its pictures are asked for one by one."""


def tar_fragment(corpus: Corpus, fragment: Fragment, grouping: Grouping, meaning: bytes = b"") -> TarFragment:
    """The fragment, read once for its records and all its pictures.

    Raises:
        ChangedInputError: the file is not the planned one any more.
    """
    place = (corpus.root, fragment.path, fragment.digest, fragment.start, fragment.stop, fragment.file_stamp)
    held = _held.get(place)
    if held is None:
        _held.clear()
        held = _held[place] = TarFragment(corpus, fragment, grouping, meaning)
    return held
