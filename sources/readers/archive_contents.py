"""What an archive of pictures holds, whatever its form: pictures, names that are refused, and a table of metadata."""

import io
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Protocol, cast

import blake3

from sources.joins import MAX_COMPANION_BYTES
from sources.readers.image_folder import FLAW, USUAL_METADATA, Rows, by_name, metadata_rows
from sources.readers.member_names import base, flaw_of, is_archive, is_litter, is_picture, plain
from sources.records import Corpus, CorpusError, Fragment
from sources.schema import Reason
from sources.storage import FileStat, Folder

NESTED = "an archive inside an archive is not read: unpack the outer one"


@dataclass(frozen=True, slots=True)
class Entry:
    """A member that is a record. `name` is as the archive has it, `inner` one that no other member has."""

    name: str
    inner: str
    flaw: str = ""
    reason: Reason = Reason.RECORD_MALFORMED


@dataclass
class Contents:
    """What planning found in one archive."""

    fragments: list[Fragment] = field(default_factory=list)
    """In order; their digests are not sealed yet."""
    names: set[str] = field(default_factory=set)
    """Of the pictures."""
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Members that may be the metadata: name -> where it lies, bytes."""

    def note(self, corpus: Corpus, name: str, place: int, size: int) -> None:
        """Take down what matters of a member."""
        name = plain(name)
        if is_picture(name):
            self.names.add(name)
        elif name == corpus.card.options.get("metadata") or base(name) in USUAL_METADATA:
            self.tables.setdefault(name, (place, size))

    def metadata(self, corpus: Corpus, path: str) -> tuple[str, int, int] | None:
        """Name, place and size of the metadata: what the card names, else the usual one nearest to the top.

        Raises:
            CorpusError: what the card names is not there, or has more than 256 MiB.
        """
        named = corpus.card.options.get("metadata")
        usual = sorted((name.count("/"), base(name), name) for name in self.tables)
        chosen = str(named) if named else usual[0][2] if usual else None
        if chosen is None:
            return None
        if chosen not in self.tables:
            raise CorpusError(f"{corpus.shown(path)}: the metadata that the card names is not in the archive")
        place, size = self.tables[chosen]
        if size > MAX_COMPANION_BYTES:
            raise CorpusError(
                f"{corpus.shown(path)}: metadata may have {MAX_COMPANION_BYTES >> 20} MiB, this has {size >> 20}"
            )
        return chosen, place, size


class Form(Protocol):
    """A form of archive: zip, or tar plain and in gzip."""

    def contents(self, corpus: Corpus, path: str) -> Contents:
        """Look through the whole archive, from front to back.

        Raises:
            CorpusError: it is not in this form, or a bomb.
        """
        ...

    def member_at(self, corpus: Corpus, fragment: Fragment, place: int) -> tuple[str, bytes]:
        """Name and data of the member that `Contents.tables` found at a place."""
        ...

    def entries(self, corpus: Corpus, fragment: Fragment, meaning: bytes) -> list[Entry]:
        """The records of a fragment, in order; `meaning` is the digest of the metadata."""
        ...

    def picture(self, corpus: Corpus, fragment: Fragment, uri: str, meaning: bytes) -> bytes:
        """The bytes of a member; raises as `PictureReader.open_picture`."""
        ...


def is_record(name: str) -> bool:
    """Whether a member is a record: a picture, or what should not be in an archive and is refused, not passed over."""
    name = plain(name)
    return flaw_of(name) is not None or (not is_litter(name) and (is_picture(name) or is_archive(name)))


def entry_of(name: str, inner: str, refusal: str) -> Entry:
    """The record of a member, refused where it must be."""
    name = plain(name)
    flaw = flaw_of(name)
    if flaw is not None:
        return Entry(name, inner, flaw[1], flaw[0])
    if is_archive(name):
        return Entry(name, inner, NESTED)
    return Entry(name, inner, f"the member is not read: {refusal}" if refusal else "")


@dataclass(frozen=True)
class Metadata:
    """The rows of an archive's metadata by the picture they name, and a digest of all of it."""

    rows: Rows
    digest: bytes
    by_name: bool

    def of(self, name: str) -> list[dict[str, Any]]:
        """The rows of a picture; without any, one empty one."""
        return self.rows.get(base(name) if self.by_name else name, [{}])

    def left_over(self, names: set[str]) -> list[tuple[str, dict[str, Any]]]:
        """Rows whose picture is not in the archive, and rows that cannot be read, each with its key."""
        known = {base(name) for name in names} if self.by_name else names
        return [(name, row) for name, rows in self.rows.items() if name not in known for row in rows]


NO_METADATA = Metadata({}, b"", by_name=False)


def parsed_metadata(corpus: Corpus, path: str, name: str, data: bytes) -> Metadata:
    """The metadata as the reader of image folders takes it.

    Raises:
        CorpusError: as that.
    """
    inside = replace(corpus, root=cast("Folder", _WithFile(corpus.root, name, data)))
    try:
        rows = metadata_rows(inside, name)
    except CorpusError as error:
        detail = str(error).removeprefix(f"{corpus.name}: ")
        raise CorpusError(f"{corpus.shown(path)}: {detail}") from None
    return Metadata(rows, blake3.blake3(data).digest(), by_name(corpus))


@dataclass(frozen=True)
class _WithFile:
    """A folder with one more file, held in memory: as much of a folder as readers of tables ask for."""

    folder: Folder
    path: str
    data: bytes = field(compare=False)

    def stat(self, path: str) -> FileStat | None:
        return FileStat(path, len(self.data), 1) if path == self.path else self.folder.stat(path)

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self.data) if path == self.path else self.folder.open(path)

    def read(self, path: str) -> bytes:
        return self.data if path == self.path else self.folder.read(path)

    def has_folder(self, path: str) -> bool:
        return self.folder.has_folder(path)


def is_flawed(row: dict[str, Any]) -> tuple[Reason, str] | None:
    """Why a row of the metadata cannot be read, or None."""
    flaw = row.get(FLAW)
    return None if flaw is None else (Reason(flaw[0]), str(flaw[1]))
