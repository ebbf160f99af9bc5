"""Zips of pictures: each picture is a record. Read through the central directory, by ranges; nothing is unpacked."""

import errno
import os
import stat
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO, cast

import blake3

from sources.pictures import PictureError
from sources.readers.archive_contents import Contents, Entry, entry_of, is_record
from sources.readers.member_names import plain
from sources.readers.ranges import READ_BYTES, check_unchanged, found, framed
from sources.records import FRAGMENT_BYTES, FRAGMENT_RECORDS, ChangedInputError, Corpus, CorpusError, Fragment
from sources.schema import Reason
from sources.storage import MAX_READ_BYTES, TooLargeError
from sources.uris import inner_name

MAX_DIRECTORY_BYTES = 32 * 2**20
"""Of a central directory: some 300,000 members. Python's `zipfile` holds it whole, at about 600 bytes a member."""
HELD_BYTES = 64 * 2**20
MAX_RATIO = 100
RATIO_COUNTS_FROM = 16 * 2**20
"""A member that claims more than 16 MiB and 100 times its packed bytes is a bomb. Pictures hardly shrink at all; an
empty TIFF or BMP shrinks a thousand times, but is smaller."""
TOTAL_RATIO_COUNTS_FROM = 2**30
_HEADER_BYTES = 30
_ENCRYPTED = 1
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""`zipfile` unpacks whole blocks of bzip2 and LZMA, whatever size they state: 350 bytes took 600 MB."""


class ZipPictures:
    """Zips. A fragment's `start:stop` are numbers of members, in the order in which their data lies in the file."""

    def contents(self, corpus: Corpus, path: str) -> Contents:
        """Raises as `Form`."""
        file = found(corpus, path)
        index = _index(corpus, path, file.size, file.stamp)
        noted = Contents()
        for number, info in enumerate(index.infos):
            if not _refusal(info):
                noted.note(corpus, info.orig_filename, number, info.file_size)
        noted.fragments += _cut(path, index, (file.size, file.stamp))
        if found(corpus, path) != file:
            raise ChangedInputError(f"{corpus.shown(path)}: changed while the build was planned; run it again")
        return noted

    def member_at(self, corpus: Corpus, fragment: Fragment, place: int) -> tuple[str, bytes]:
        """Raises as `Form`."""
        index = _checked(corpus, fragment)
        info = index.infos[place]
        try:
            with _expecting_file(corpus, fragment.path):
                return plain(info.orig_filename), index.unpacked(info)
        except PictureError as error:
            raise CorpusError(f"{corpus.shown(fragment.path)}: the metadata inside: {error.detail}") from None

    def entries(self, corpus: Corpus, fragment: Fragment, meaning: bytes) -> list[Entry]:  # noqa: ARG002 - a tar needs it
        """Raises as `Form`."""
        index = _checked(corpus, fragment)
        index.hold(corpus, fragment)
        numbers = [number for number in range(fragment.start, fragment.stop) if is_record(index.name(number))]
        return [entry_of(index.name(number), index.inner[number], _refusal(index.infos[number])) for number in numbers]

    def picture(self, corpus: Corpus, fragment: Fragment, uri: str, meaning: bytes) -> bytes:  # noqa: ARG002 - a tar needs it
        """Raises as `Form`."""
        index = _checked(corpus, fragment)
        number = index.numbers.get(inner_name(fragment.path, uri) or "")
        if number is None or _refusal(index.infos[number]):
            raise FileNotFoundError(errno.ENOENT, "no such picture in the archive")
        info = index.infos[number]
        allowed = _allowed(info)
        if info.file_size > allowed:
            raise TooLargeError(info.file_size, allowed)
        index.hold(corpus, fragment)
        with _expecting_file(corpus, fragment.path):
            return index.unpacked(info)


class _Window:
    """A file of which one part is held in memory: all that `zipfile` asks of a file that is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.held = b""
        self.begin = 0
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset if whence == os.SEEK_SET else self.file.seek(offset, whence)
        return self._position

    def read(self, size: int = -1) -> bytes:
        begin = self._position - self.begin
        if size >= 0 and begin >= 0 and begin + size <= len(self.held):
            data = self.held[begin : begin + size]
        elif size > MAX_DIRECTORY_BYTES:
            raise _TooManyError
        else:
            self.file.seek(self._position)
            data = self.file.read(size)
        self._position += len(data)
        return data

    def close(self) -> None:
        self.file.close()


class _TooManyError(Exception):
    """A central directory is larger than is read."""


class _Index:
    """The members of a zip in the order of their data, folders left out."""

    def __init__(self, window: _Window) -> None:
        self.window = window
        self.zip = zipfile.ZipFile(cast("BinaryIO", window))
        infos = sorted(self.zip.infolist(), key=lambda info: info.header_offset)
        self._offsets = [*(info.header_offset for info in infos), self.zip.start_dir]
        self.infos = [info for info in infos if not info.is_dir()]
        self._fragment = ""

    @cached_property
    def inner(self) -> dict[int, str]:
        """Number -> a name that no other member has: a later one of the same name has its number added."""
        names: dict[int, str] = {}
        taken: set[str] = set()
        for number, info in enumerate(self.infos):
            name = plain(info.orig_filename)
            names[number] = f"{name}#{number}" if name in taken else name
            taken.add(names[number])
        return names

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The members by these names."""
        return {name: number for number, name in self.inner.items()}

    def name(self, number: int) -> str:
        """As the archive has it."""
        return self.infos[number].orig_filename

    def end(self, info: zipfile.ZipInfo) -> int:
        """Where the next member, or the central directory, begins."""
        return self._offsets[min(bisect_right(self._offsets, info.header_offset), len(self._offsets) - 1)]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The bytes of these members in the file."""
        return self.infos[start].header_offset, self.end(self.infos[stop - 1])

    def hold(self, corpus: Corpus, fragment: Fragment) -> None:
        """Have a fragment's bytes in memory, read at once; none of one that is too large for that.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        if self._fragment == fragment.digest:
            return
        check_unchanged(corpus, fragment)
        start, stop = self.span(fragment.start, fragment.stop)
        self.window.held, self.window.begin = b"", start
        if stop - start <= HELD_BYTES:
            with _expecting_file(corpus, fragment.path):
                self.window.file.seek(start)
                self.window.held = self.window.file.read(stop - start)
        self._fragment = fragment.digest

    def unpacked(self, info: zipfile.ZipInfo) -> bytes:
        """The data of a member, in memory that its stated size bounds.

        Raises:
            PictureError: it does not unpack to what is stated, or in a way that is not known here.
        """
        parts = []
        try:
            with self.zip.open(info) as member:
                while part := member.read(READ_BYTES):
                    parts.append(part)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise PictureError(Reason.IMAGE_UNDECODABLE, f"does not unpack ({type(error).__name__})") from None
        except OSError as error:
            if error.errno is not None:  # of the storage; a codec's has none
                raise
            raise PictureError(Reason.IMAGE_UNDECODABLE, "does not unpack") from None
        data = b"".join(parts)
        if len(data) != info.file_size:
            raise PictureError(Reason.IMAGE_UNDECODABLE, "unpacks to another size than the archive states")
        return data


def _allowed(info: zipfile.ZipInfo) -> int:
    """Bytes that a member may state: 1 GiB, and no more than its packed bytes can honestly hold."""
    return min(MAX_READ_BYTES, max(RATIO_COUNTS_FROM, MAX_RATIO * info.compress_size))


@contextmanager
def _expecting_file(corpus: Corpus, path: str) -> Iterator[None]:
    """An archive that is open and cannot be read on: never that a picture in it is not there."""
    try:
        yield
    except OSError as error:
        raise CorpusError(f"{corpus.shown(path)}: cannot be read ({error.strerror or error})") from None


def _refusal(info: zipfile.ZipInfo) -> str:
    """Why a member is not read, whatever its name."""
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if info.compress_type not in _BOUNDED:
        return "it is packed in a way whose memory cannot be bounded: pack it again with deflate"
    kind = stat.S_IFMT(info.external_attr >> 16)
    return "" if kind in (0, stat.S_IFREG) else "it is a link or a device"


_indexes: dict[tuple[Any, ...], _Index] = {}
"""The zip that this process is reading: its central directory is read once."""


def _checked(corpus: Corpus, fragment: Fragment) -> _Index:
    place = (os.getpid(), corpus.root, fragment.path, fragment.file_size, fragment.file_stamp)
    if place not in _indexes:
        check_unchanged(corpus, fragment)
    return _index(corpus, fragment.path, fragment.file_size, fragment.file_stamp)


def _index(corpus: Corpus, path: str, size: int, stamp: int) -> _Index:
    """The members of a zip.

    Raises:
        CorpusError: it is no zip, cut off, too large, or a bomb.
    """
    place = (os.getpid(), corpus.root, path, size, stamp)
    if place in _indexes:
        return _indexes[place]
    for index in _indexes.values():
        index.window.close()
    _indexes.clear()
    try:
        file = corpus.root.open(path)
    except FileNotFoundError:
        raise ChangedInputError(f"{corpus.shown(path)}: is not there any more") from None
    except OSError as error:
        raise CorpusError(f"{corpus.shown(path)}: cannot be read ({error.strerror or error})") from None
    try:
        with _expecting_file(corpus, path):
            index = _Index(_Window(file))
        _expect_honest(corpus, path, size, index)
    except BaseException as error:
        file.close()
        if isinstance(error, _TooManyError):
            raise CorpusError(
                f"{corpus.shown(path)}: lists more than some 300,000 members; split it, or make it a tar"
            ) from None
        if isinstance(error, zipfile.BadZipFile | NotImplementedError | ValueError):
            raise CorpusError(f"{corpus.shown(path)}: is not a zip archive, is damaged, or is cut off") from None
        raise
    _indexes[place] = index
    return index


def _expect_honest(corpus: Corpus, path: str, size: int, index: _Index) -> None:
    """Refuse what only bombs have: members that lie in one another, and far more to unpack than can be packed."""
    for info in index.infos:
        if info.header_offset < 0 or info.header_offset + _HEADER_BYTES + info.compress_size > index.end(info):
            raise CorpusError(f"{corpus.shown(path)}: its members overlap: a bomb, or damaged; it is not read")
    total = sum(info.file_size for info in index.infos)
    if total > TOTAL_RATIO_COUNTS_FROM and total > MAX_RATIO * size:
        raise CorpusError(f"{corpus.shown(path)}: would unpack to {total} bytes from {size}: a bomb; it is not read")


def _cut(path: str, index: _Index, file: tuple[int, int]) -> Iterator[Fragment]:
    """Fragments of at most 4,096 members and, but for a single larger one, 16 MiB of the file."""
    begin, count, row = 0, 0, 0
    for number, info in enumerate(index.infos):
        heavy = number > begin and index.end(info) - index.infos[begin].header_offset > FRAGMENT_BYTES
        if count and (heavy or count == FRAGMENT_RECORDS):
            yield _fragment(path, index, (begin, number), (row, count), file)
            row, begin, count = row + count, number, 0
        if not is_record(info.orig_filename):
            begin = begin if count else number + 1
            continue
        count += 1
    if count:
        yield _fragment(path, index, (begin, len(index.infos)), (row, count), file)


def _fragment(
    path: str, index: _Index, numbers: tuple[int, int], rows: tuple[int, int], file: tuple[int, int]
) -> Fragment:
    start, stop = index.span(*numbers)
    hasher = blake3.blake3(framed(*(index.name(number).encode() for number in range(*numbers))))
    index.window.file.seek(start)
    left = stop - start
    while left and (part := index.window.file.read(min(left, READ_BYTES))):
        hasher.update(part)
        left -= len(part)
    return Fragment(
        path=path,
        digest=hasher.hexdigest(),
        start=numbers[0],
        stop=numbers[1],
        first_row=rows[0],
        records=rows[1],
        size=stop - start,
        file_size=file[0],
        file_stamp=file[1],
    )
