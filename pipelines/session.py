"""What every worker of a build holds: the corpora, the steps, the committed work. Sent once, never stored."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from pipelines.bisect import FATAL_ERRORS
from pipelines.read_ahead import ReadAhead
from pipelines.recipe import Recipe
from pipelines.suspect_records import Lost, answers
from pipelines.takedown.record import Removal
from pipelines.work import Commit, Work
from sources.mapping import Prompts, image_uris
from sources.pictures import PictureError
from sources.readers.registry import reader_named
from sources.records import Corpus, Fragment, PictureReader, Reader, Record, Unreadable
from sources.storage import LocalFolder, TooLargeError, base_of, stats_of
from sources.uris import inner_name


@dataclass(frozen=True)
class Session:
    """The build as its workers see it. Holds raw paths and the site key in memory only."""

    recipe: Recipe
    corpora: tuple[Corpus, ...]
    work: Work
    splits: tuple[tuple[str, ...] | None, ...] = ()
    """Per corpus: the splits the recipe takes, where records tell theirs; None takes all."""
    removal: Removal | None = None
    """What was taken down from the run, and must not come back."""
    evals: "EvalSide | None" = None
    """The eval sets whose pictures workers may open, while the data is searched for them."""

    @cached_property
    def prompts(self) -> Prompts:
        """The recipe's prompts."""
        return Prompts(caption=self.recipe.prompts.caption, report=self.recipe.prompts.report)

    def without_files(self) -> "Session":
        """For workers, who are told which file to read: corpora may have millions."""
        return replace(self, corpora=tuple(replace(corpus, files=()) for corpus in self.corpora))

    def reader_version(self, corpus: int) -> int:
        """What a reader raises when its records may change; readers of others may have none."""
        return int(getattr(self.reader(corpus), "version", 0))

    def reader(self, corpus: int) -> Reader:
        """The reader of a corpus."""
        return reader_named(self.corpora[corpus].card.reader)


@dataclass(frozen=True)
class EvalSide:
    """The eval sets of an audit: a session in which they are the corpora, and their fragments by number."""

    session: Session
    fragments: tuple[tuple[int, Fragment], ...]
    """Number of the corpus, and the fragment."""


class Task(Protocol):
    """One unit of work: picklable, small, and told apart by the key of its commit."""

    @property
    def label(self) -> str:
        """What people see in logs: step and fragment number, never a path."""
        ...

    def run(self, session: Session) -> Commit:
        """Find the commit, or do the work and commit it."""
        ...


@dataclass(frozen=True)
class Located:
    """The pictures of one fragment: the names stored in tables, and where they really lie."""

    corpus: Corpus
    fragment: Fragment
    reader: Reader
    paths: dict[str, str] | None = None
    """Stored (keyed) name -> raw uri; None where names are stored as they are."""

    def path(self, uri: str) -> str:
        """The raw uri of a stored name: a path under the corpus, or a picture inside the fragment's file."""
        return uri if self.paths is None else self.paths[uri]

    def open(self, uri: str) -> bytes:
        """The bytes of a picture.

        Raises:
            OSError: it cannot be read (FileNotFoundError, OutsideError ...).
            PictureError: it lies in an archive and cannot be unpacked.
        """
        path = self.path(uri)
        if (reader := self._reader_of(path)) is not None:
            return reader.open_picture(self.corpus, self.fragment, path)
        return self.corpus.root.read(path)

    @contextmanager
    def opening(self, order: Iterable[tuple[str, int]]) -> Iterator[Callable[[str], bytes]]:
        """`open`, for pictures that will be asked for in this order (stored name, bytes or less than 0).

        Files that are not on this machine are read ahead; what is inside the fragment's file is there at once.
        """
        if isinstance(base_of(self.corpus.root), LocalFolder):
            yield self.open
            return
        files = [(uri, max(size, 0)) for uri, size in order if self._reader_of(self.path(uri)) is None]
        if not files:
            yield self.open
            return
        with ReadAhead(self.open, files) as ahead:
            yield lambda uri: ahead.open(uri) if self._reader_of(self.path(uri)) is None else self.open(uri)

    def is_there(self, uri: str) -> bool:
        """Whether there is such a picture.

        Raises:
            OSError: that cannot be told now.
        """
        path = self.path(uri)
        reader = self._reader_of(path)
        if reader is None:
            return self.corpus.root.stat(path) is not None
        try:
            reader.open_picture(self.corpus, self.fragment, path)
        except FileNotFoundError:
            return False
        except (TooLargeError, PictureError):
            return True
        return True

    def signature(self, uris: Sequence[str]) -> list[tuple[str, int | str, int]]:
        """What changes when a picture does, one entry each, in order.

        Of files: stored name, size and time; -1 where there is none. Of pictures inside the fragment's file: its
        digest stands for all of them, with the version of the reader that unpacks them.
        """
        version = int(getattr(self.reader, "version", 0))
        inner = (self.fragment.digest, version)
        files = [uri for uri in uris if self._reader_of(self.path(uri)) is None]
        found = stats_of(self.corpus.root, [self.path(uri) for uri in files])
        rows: list[tuple[str, int | str, int]] = []
        for uri in uris:
            if self._reader_of(self.path(uri)) is not None:
                rows.append((uri, *inner))
                continue
            stat = next(found)
            rows.append((uri, -1, -1) if stat is None else (uri, stat.size, stat.stamp))
        return rows

    def _reader_of(self, path: str) -> PictureReader | None:
        """The reader, where it is the one to ask for a picture."""
        if inner_name(self.fragment.path, path) is None or not isinstance(self.reader, PictureReader):
            return None
        return self.reader


def locate(session: Session, corpus_number: int, fragment: Fragment, attempt: int = 0) -> Located:
    """Find the pictures of a fragment.

    A keyed corpus has only keyed names in its tables: the records are read again and their names keyed, so
    that no raw name is ever stored. `attempt` counts the workers that this task has killed.
    """
    corpus = session.corpora[corpus_number]
    reader = session.reader(corpus_number)
    if not corpus.identity.keyed:
        return Located(corpus, fragment, reader)
    paths: dict[str, str] = {}
    for uris in answers(session, corpus_number, fragment, None, _uris, attempt):
        if not isinstance(uris, Lost):
            paths.update({corpus.identity.name("path", uri): uri for uri in uris})
    return Located(corpus, fragment, reader, paths)


def _uris(_session: Session, _number: int, corpus: Corpus, path: str, record: Record | Unreadable) -> list[str]:
    """The pictures of a record; none of one that ingest could not use either, whatever it held."""
    if isinstance(record, Unreadable):
        return []
    try:
        return image_uris(corpus, path, record)
    except FATAL_ERRORS:
        raise
    except Exception:  # noqa: BLE001 - ingest met the same record and quarantined it
        return []
