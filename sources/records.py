"""What passes between readers and the build: a fragment of a corpus, and the records read from it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from sources.cards import Card
from sources.identity import Identity
from sources.schema import Reason
from sources.storage import Folder

if TYPE_CHECKING:
    from sources.joins import Companion
    from sources.readers.hf_repository import Resolved

PhiKind = Literal["name", "date", "id", "phone", "email", "url", "address", "institution", "age"]
Identifiers = tuple[tuple[PhiKind, str], ...]
"""Kind and value of what a header says of whom a record tells."""
FRAGMENT_RECORDS = 4096
FRAGMENT_BYTES = 16 * 2**20
MAX_RECORD_BYTES = 64 * 2**20


class CorpusError(Exception):
    """A corpus cannot be read as its card says. The message names the file, what was expected, what to do."""


class ChangedInputError(CorpusError):
    """A file is no longer what it was when the build was planned."""


class RecordError(ValueError):
    """One record cannot be used. The message never quotes the content."""

    def __init__(self, detail: str, reason: Reason = Reason.RECORD_MALFORMED) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Corpus:
    """One source of a build: where it lies, what its card says, how it names people."""

    name: str
    root: Folder
    card: Card
    identity: Identity
    files: tuple[str, ...]
    """The record files under `root` (POSIX, relative, sorted) that the layout matches."""
    splits: dict[str, str] = field(default_factory=dict)
    """File -> split, where the layout tells splits by file."""
    companion: "Companion | None" = None
    """Where the table that the card joins is too large for memory: its rows for the fragment that is being read."""
    sought: bool = False
    """Whether identifying values are sought in its texts: columns that say they hold some are read, mapped or not."""
    repository: "Resolved | None" = None
    """Where an inventory lists an HF data set: what its files are. Elsewhere the reader lists the folder to tell."""

    def shown(self, path: str) -> str:
        """A file's name as messages may show it: keyed where the corpus is keyed."""
        return f"{self.name}: {self.identity.name('path', path)}"

    def shown_columns(self, names: Collection[str]) -> str:
        """A table's columns as messages may show them: of a keyed corpus their number.

        Where a file has no header line, what stands in its place is a record.
        """
        if self.identity.keyed:
            return f"{len(names)} columns"
        return ", ".join(names) or "none"


@dataclass(frozen=True)
class Fragment:
    """A bounded part of a corpus: at most 4,096 records and about 16 MiB of record bytes.

    `digest` stands for the content: a commit is reused exactly where it is equal. It holds no raw name.
    For files of records it is BLAKE3 of the bytes `start:stop`; for folders, of the entries in `files`.
    """

    path: str
    digest: str
    start: int = 0
    stop: int = 0
    first_row: int = 0
    """Number in the file, from 0, of the first record."""
    records: int = 0
    """Number of records in it, or of files where `counted` says so."""
    size: int = 0
    """Bytes of the records (files of records) or of all files (folders)."""
    files: tuple["FileEntry", ...] = ()
    file_size: int = 0
    """Bytes of the file at `path` when it was planned (files of records)."""
    file_stamp: int = 0
    counted: Literal["records", "files"] = "records"
    """What `records` counts: where a file holds several records, how many is known only once it is read."""
    aside: int = -1
    """Where in the file lies what all its fragments need (the metadata inside an archive); -1 where nothing does."""
    joined: "JoinedRows | None" = None
    """Where the card joins a table too large for memory. The fragment's own digest does not cover it."""
    passed_over: frozenset[int] = frozenset()
    """Numbers in the fragment, from 0, of records that killed who read them: a reader that can go on without looking
    into them yields them as Unreadable."""


@dataclass(frozen=True)
class JoinedRows:
    """Where a build has put the rows of a joined table that a fragment's records match, and their columns."""

    path: str
    digest: str
    rows: int
    size: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class FileEntry:
    """One file of a folder corpus as it was when planned, and what its metadata row says of it.

    A file that a metadata row names and that is not there has size and time 0.
    """

    path: str
    size: int
    stamp: int
    row: dict[str, Any] | None = None


@dataclass(slots=True)
class Record:
    """One record as the corpus has it. `key` is its id in the file: a row number, a file name, an xml id.

    Nobody changes one; it is not frozen, which would take as long as parsing a row of CSV.
    """

    key: str
    row: dict[str, Any]
    finished: bool = False
    """The row is the `{key}.json` of a shard of ours (sources/finished.py): a sample already, not fields to map."""
    identifiers: Identifiers = field(default=(), compare=False, repr=False)
    """What a header says of whom the record tells, kind and value: sought in the record's texts, and never stored."""


@dataclass(frozen=True)
class Unreadable:
    """A record that could not be read: it is quarantined, the others go on. `detail` never quotes the content."""

    key: str
    reason: Reason
    detail: str


class Reader(Protocol):
    """Reads one form of corpus. Both functions stream: memory is bounded by a fragment, never by a file."""

    unit: Literal["file", "folder"]
    """`plan` is called once a file (and its answer kept while the file is unchanged), or once for all files."""
    version: int
    """Raised whenever the same corpus gives other fragments or records than before: nothing old is then reused."""

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut files of the corpus into fragments, in order.

        Raises:
            CorpusError: a file as a whole is not in the reader's form.
        """
        ...

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield the fragment's records in order.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        ...


@runtime_checkable
class PictureReader(Protocol):
    """What a reader offers whose record files hold the pictures themselves.

    Its records name such a picture `{fragment.path}#{what}` in the column `PICTURE` (sources/uris.py); every other
    picture is a file of the corpus.
    """

    def open_picture(self, corpus: Corpus, fragment: Fragment, uri: str) -> bytes:
        """The bytes of a picture that a record of the fragment names.

        Raises:
            FileNotFoundError: there is no such picture in the fragment.
            TooLargeError: it is larger than what may be held in memory, or an archive claims that it would be.
            PictureError: its bytes cannot be unpacked.
            ChangedInputError: the file is not the planned one any more.
            CorpusError: the file cannot be read now.
        """
        ...
