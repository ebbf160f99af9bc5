"""Folders whose files are the records: lists of files, cut where one more file touches one fragment only."""

from collections.abc import Iterable, Iterator

import blake3
import orjson

from sources.identity import storable
from sources.readers.ranges import framed, sealed, surroundings
from sources.records import ChangedInputError, Corpus, FileEntry, Fragment, Unreadable
from sources.schema import Reason
from sources.storage import stats_of

CUT_EVERY = 512
"""Mean number of files between two cuts."""
MAX_FILES = 1024


def cut_files(
    corpus: Corpus, entries: Iterable[FileEntry], cut_every: int = CUT_EVERY, max_files: int = MAX_FILES
) -> Iterator[Fragment]:
    """Cut sorted entries after paths whose BLAKE3 is a multiple of `cut_every`, or at `max_files` at the latest.

    A cut is where a path says, not where a count does: a new file moves no cut but, rarely, those up to the
    next such path.
    """
    held: list[FileEntry] = []
    last = None
    for entry in entries:
        if held and entry.path != last and (len(held) >= max_files or _is_cut(held[-1].path, cut_every)):
            yield _fragment(corpus, held)
            held = []
        held.append(entry)
        last = entry.path
    if held:
        yield _fragment(corpus, held)


def file_entries(corpus: Corpus, paths: Iterable[str]) -> Iterator[FileEntry]:
    """Entries of files, by path, without metadata; files that have gone since are left out."""
    for stat in stats_of(corpus.root, sorted(paths)):
        if stat is not None:
            yield FileEntry(stat.path, stat.size, stat.stamp)


def expect_unchanged(corpus: Corpus, entry: FileEntry) -> None:
    """Compare a file with its entry; one that was not there when planned is not looked for.

    Raises:
        ChangedInputError: it has another size or time.
    """
    if not entry.stamp:
        return
    stat = corpus.root.stat(entry.path)
    if stat is None or (stat.size, stat.stamp) != (entry.size, entry.stamp):
        raise ChangedInputError(f"{corpus.shown(entry.path)}: changed since the build was planned; run it again")


def misnamed(corpus: Corpus, entry: FileEntry) -> Unreadable | None:
    """What a picture is whose name is not UTF-8, where it would be stored: no table could say where it lies."""
    if corpus.identity.keyed or storable(entry.path) == entry.path:
        return None
    return Unreadable(entry.path, Reason.RECORD_ENCODING, "the name of the file is not UTF-8: rename it")


def _is_cut(path: str, cut_every: int) -> bool:
    return int.from_bytes(blake3.blake3(path.encode("utf-8", "surrogatepass")).digest()[:8], "little") % cut_every == 0


def _fragment(corpus: Corpus, entries: list[FileEntry]) -> Fragment:
    hasher = blake3.blake3(framed(surroundings(corpus, "")))
    for entry in entries:
        named = corpus.identity.name("path", entry.path).encode("utf-8", "surrogatepass")
        row = orjson.dumps(entry.row, option=orjson.OPT_SORT_KEYS)
        hasher.update(framed(named, f"{entry.size} {entry.stamp}".encode(), row))
    return Fragment(
        path="",
        digest=sealed(corpus, hasher),
        records=len(entries),
        size=sum(entry.size for entry in entries),
        files=tuple(entries),
    )
