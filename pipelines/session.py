"""What every worker of a build holds: the corpora, the steps, the committed work. Sent once, never stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from pipelines.bisect import FATAL_ERRORS
from pipelines.recipe import Recipe
from pipelines.work import Commit, Work
from sources.mapping import Prompts, image_uris
from sources.readers.registry import reader_named
from sources.records import Corpus, Fragment, Reader, Record


@dataclass(frozen=True)
class Session:
    """The build as its workers see it. Holds raw paths and the site key in memory only."""

    recipe: Recipe
    corpora: tuple[Corpus, ...]
    work: Work
    splits: tuple[tuple[str, ...] | None, ...] = ()
    """Per corpus: the splits the recipe takes, where records tell theirs; None takes all."""

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
    paths: dict[str, str] | None
    """Stored (keyed) name -> raw path; None where names are stored as they are."""

    def path(self, uri: str) -> str:
        """The raw path of a stored name."""
        return uri if self.paths is None else self.paths[uri]

    def open(self, uri: str) -> bytes:
        """The bytes of a picture.

        Raises:
            OSError: it cannot be read (FileNotFoundError, OutsideError ...).
        """
        return self.corpus.root.read(self.path(uri))

    def signature(self, uris: Sequence[str]) -> list[tuple[str, int, int]]:
        """Stored name, size and time of each picture: changes when a file does; -1 where there is none."""
        rows = []
        for uri in uris:
            stat = self.corpus.root.stat(self.path(uri))
            rows.append((uri, -1, -1) if stat is None else (uri, stat.size, stat.stamp))
        return rows


def locate(session: Session, corpus_number: int, fragment: Fragment) -> Located:
    """Find the pictures of a fragment.

    A keyed corpus has only keyed names in its tables: the records are read again and their names keyed, so
    that no raw name is ever stored.
    """
    corpus = session.corpora[corpus_number]
    if not corpus.identity.keyed:
        return Located(corpus, None)
    paths: dict[str, str] = {}
    for record in session.reader(corpus_number).read(corpus, fragment):
        if isinstance(record, Record):
            paths.update({corpus.identity.name("path", uri): uri for uri in _uris(corpus, fragment, record)})
    return Located(corpus, paths)


def _uris(corpus: Corpus, fragment: Fragment, record: Record) -> list[str]:
    """The pictures of a record; none of one that ingest could not use either, whatever it held."""
    try:
        return image_uris(corpus, fragment.path, record)
    except FATAL_ERRORS:
        raise
    except Exception:  # noqa: BLE001 - ingest met the same record and quarantined it
        return []
