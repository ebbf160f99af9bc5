"""Files of records as byte ranges: cut when planned, checked and split again when read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

import blake3

from sources.joins import companion
from sources.records import (
    FRAGMENT_BYTES,
    FRAGMENT_RECORDS,
    MAX_RECORD_BYTES,
    ChangedInputError,
    Corpus,
    CorpusError,
    Fragment,
    RecordError,
)
from sources.storage import FileStat, StoreError
from sources.uris import pictures_present

READ_BYTES = 2**20
AT_ONCE_BYTES = 2 * 2**20
"""Of a fragment that is taken apart as a whole: that is faster than record by record, and holds all its records."""
TOO_LONG = f"longer than {MAX_RECORD_BYTES >> 20} MiB"
KILLS = "kills the process that reads it"


@dataclass(slots=True)
class Piece:
    """One record as it lies in its file; not frozen, which would cost as much as finding it.

    `data` is None where it is unusable as a whole, and `flaw` says why.
    """

    start: int
    stop: int
    data: bytes | None
    flaw: str = ""

    def content(self) -> bytes:
        """The record's bytes.

        Raises:
            RecordError: it is unusable as a whole.
        """
        if self.data is None:
            raise RecordError(self.flaw)
        return self.data


Splitter = Callable[[BinaryIO, int, int], Iterator[Piece]]
"""Yields the records in the bytes `start:stop` of a file, blank ones left out, in memory bounded by a record.

Splitting a range that starts at one record's start and stops at another's stop gives the same pieces.
"""


@contextmanager
def opened(corpus: Corpus, path: str) -> Iterator[BinaryIO]:
    """Open a record file.

    Raises:
        CorpusError: it cannot be opened or read; the message holds no raw name of a keyed corpus.
    """
    try:
        with corpus.root.open(path) as file:
            yield file
    except FileNotFoundError:
        raise ChangedInputError(f"{corpus.shown(path)}: is not there any more") from None
    except OSError as error:
        raise CorpusError(f"{corpus.shown(path)}: cannot be read ({error.strerror or error})") from None


def found(corpus: Corpus, path: str) -> FileStat:
    """Size and time of a record file.

    Raises:
        ChangedInputError: it is not there any more.
        CorpusError: it is in a gzip that does not unpack.
    """
    try:
        stat = corpus.root.stat(path)
    except StoreError:
        raise
    except OSError as error:
        raise CorpusError(f"{corpus.shown(path)}: cannot be read ({error.strerror or error})") from None
    if stat is None:
        raise ChangedInputError(f"{corpus.shown(path)}: is not there any more")
    return stat


def cut(corpus: Corpus, path: str, split: Splitter, start: int, meaning: bytes = b"") -> Iterator[Fragment]:
    """Cut a file into fragments of at most 4,096 records and, but for a single longer one, 16 MiB.

    Cuts depend only on what lies before them, so records appended to a file touch its last fragment alone.
    `meaning` is what the records depend on outside their own bytes (a header).
    """
    stat = found(corpus, path)
    first, row = 0, 0
    begin = end = start
    with opened(corpus, path) as file:
        for piece in split(file, start, stat.size):
            if row > first and (row - first == FRAGMENT_RECORDS or piece.stop - begin > FRAGMENT_BYTES):
                yield _fragment(corpus, stat, (begin, end), (first, row), meaning)
                first, begin = row, piece.start
            elif row == first:
                begin = piece.start
            end = piece.stop
            row += 1
    if row > first:
        yield _fragment(corpus, stat, (begin, end), (first, row), meaning)


def pieces(corpus: Corpus, fragment: Fragment, split: Splitter, meaning: bytes = b"") -> Iterator[tuple[str, Piece]]:
    """The records of a fragment, each with its row number in the file.

    Raises:
        ChangedInputError: the file has another size or time, or the range other bytes, than when planned.
    """
    check_unchanged(corpus, fragment)
    span = (fragment.start, fragment.stop)
    if _digest(corpus, fragment.path, span, fragment.first_row, meaning) != fragment.digest:
        raise ChangedInputError(f"{corpus.shown(fragment.path)}: changed since the build was planned; run it again")
    with opened(corpus, fragment.path) as file:
        for number, piece in enumerate(split(file, *span)):
            unusable = number in fragment.passed_over
            yield str(fragment.first_row + number), replace(piece, data=None, flaw=KILLS) if unusable else piece


def whole(corpus: Corpus, fragment: Fragment, meaning: bytes = b"") -> bytes:
    """All bytes of a fragment, for readers that take apart many records at once.

    Raises:
        ChangedInputError: as `pieces`.
    """
    check_unchanged(corpus, fragment)
    with opened(corpus, fragment.path) as file:
        file.seek(fragment.start)
        data = file.read(fragment.stop - fragment.start)
    hasher = _hasher(corpus, fragment.path, fragment.first_row, meaning)
    hasher.update(data)
    if sealed(corpus, hasher) != fragment.digest:
        raise ChangedInputError(f"{corpus.shown(fragment.path)}: changed since the build was planned; run it again")
    return data


def line_end(file: BinaryIO, place: int, stop: int) -> int:
    """Offset just after the next line feed from where the file stands (`place`), or `stop`."""
    while place < stop:
        part = file.readline(min(READ_BYTES, stop - place))
        place += len(part)
        if not part or part.endswith(b"\n"):
            break
    return place


def check_unchanged(corpus: Corpus, fragment: Fragment) -> None:
    """Compare size and time of a fragment's file with what they were.

    Raises:
        ChangedInputError: they differ.
    """
    stat = found(corpus, fragment.path)
    if (stat.size, stat.stamp) != (fragment.file_size, fragment.file_stamp):
        raise ChangedInputError(f"{corpus.shown(fragment.path)}: changed since the build was planned; run it again")


def surroundings(corpus: Corpus, path: str) -> bytes:
    """What the samples of a record file depend on outside it: its companion table, whether pictures are there.

    Of a file of an HF data set also: whether it is data of the set, and of which split.
    """
    table = companion(corpus, path)
    data = ""
    if corpus.card.reader == "hf" and path:
        from sources.readers.hf_sets import data_file  # it needs `datasets`, which takes a second to import

        data = f" {data_file(corpus, path)}"
    return f"{table.digest if table else ''} {pictures_present(corpus)}{data}".encode()


def sealed(corpus: Corpus, hasher: blake3.blake3) -> str:
    """A digest as it may be stored: of a keyed corpus under the site key, so that content cannot be guessed."""
    return corpus.identity.name("fragment", hasher.hexdigest())


def framed(*parts: bytes) -> bytes:
    """Parts with their lengths, so that no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def _fragment(corpus: Corpus, stat: FileStat, span: tuple[int, int], rows: tuple[int, int], meaning: bytes) -> Fragment:
    return Fragment(
        path=stat.path,
        digest=_digest(corpus, stat.path, span, rows[0], meaning),
        start=span[0],
        stop=span[1],
        first_row=rows[0],
        records=rows[1] - rows[0],
        size=span[1] - span[0],
        file_size=stat.size,
        file_stamp=stat.stamp,
    )


def _hasher(corpus: Corpus, path: str, first_row: int, meaning: bytes) -> blake3.blake3:
    named = corpus.identity.name("path", path).encode("utf-8", "surrogatepass")
    return blake3.blake3(framed(named, str(first_row).encode(), meaning, surroundings(corpus, path)))


def _digest(corpus: Corpus, path: str, span: tuple[int, int], first_row: int, meaning: bytes) -> str:
    hasher = _hasher(corpus, path, first_row, meaning)
    start, stop = span
    with opened(corpus, path) as file:
        file.seek(start)
        while start < stop and (chunk := file.read(min(READ_BYTES, stop - start))):
            hasher.update(chunk)
            start += len(chunk)
    return sealed(corpus, hasher)
