"""A folder of pictures, with or without a table of what is in them."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from sources.columns import takes_rest
from sources.identifying import wanted_columns
from sources.joins import MAX_COMPANION_BYTES
from sources.readers.csv_rows import CsvReader
from sources.readers.expected import with_expected_columns
from sources.readers.folders import cut_files, expect_unchanged, file_entries, misnamed
from sources.readers.jsonl import JsonlReader
from sources.records import Corpus, CorpusError, FileEntry, Fragment, Record, Unreadable
from sources.schema import Reason
from sources.uris import PICTURE

USUAL_METADATA = ("metadata.csv", "metadata.jsonl")
USUAL_COLUMN = "file_name"
FLAW = "@flaw"
"""Column in which a row of the metadata that cannot be read has its reason and detail instead of all others."""


class ImageFolderReader:
    """Reads pictures: one record for each and every row of its metadata, whose key is its path.

    Options: `metadata` (default `metadata.csv` or `metadata.jsonl`, where there is one; empty: none), whose column of
    file names is `fields.image` (default `file_name`); `match: path` (names are under `layout.images`, or beside the
    metadata) or `name` (wherever a picture of that name is). Rows whose picture is absent are records too.
    """

    unit: Literal["file", "folder"] = "folder"
    version: int = 2
    options: frozenset[str] = frozenset({"metadata", "match"}) | CsvReader.options

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut the sorted pictures into lists of files.

        Raises:
            CorpusError: the metadata is absent, has more than 256 MiB, or lacks a mapped column.
        """
        metadata = metadata_file(corpus)
        pictures = [path for path in paths if path != metadata]
        rows = metadata_rows(corpus, metadata) if metadata else {}
        yield from cut_files(corpus, sorted(_entries(corpus, pictures, rows), key=lambda entry: entry.path))

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield the pictures of a fragment; the files themselves are not opened.

        Raises:
            ChangedInputError: a file is not the planned one any more.
        """
        for entry in fragment.files:
            row = entry.row or {}
            if FLAW in row:
                reason, detail = row[FLAW]
                yield Unreadable(entry.path, Reason(reason), detail)
            elif (unreadable := misnamed(corpus, entry)) is not None:
                yield unreadable
            else:
                expect_unchanged(corpus, entry)
                yield Record(entry.path, {**row, PICTURE: entry.path})


Rows = dict[str, list[dict[str, Any]]]
"""Metadata rows by what they name: a path, or with `match: name` a file name."""


def _entries(corpus: Corpus, pictures: Sequence[str], rows: Rows) -> Iterator[FileEntry]:
    used = set()
    for entry in file_entries(corpus, pictures):
        name = PurePosixPath(entry.path).name if by_name(corpus) else entry.path
        used.add(name)
        for row in rows.get(name, [None]):
            yield FileEntry(entry.path, entry.size, entry.stamp, row)
    for name, without_picture in rows.items():
        if name not in used:
            for row in without_picture:
                yield FileEntry(name, 0, 0, row)


def by_name(corpus: Corpus) -> bool:
    """Whether rows name pictures by their file name alone, wherever they lie.

    Raises:
        CorpusError: the option `match` is neither `path` nor `name`.
    """
    match = corpus.card.options.get("match", "path")
    if match not in ("path", "name"):
        raise CorpusError(f"{corpus.name}: options: match: {match!r} is neither 'path' nor 'name'")
    return bool(match == "name")


def metadata_file(corpus: Corpus) -> str | None:
    """The path of the metadata: the one that the card names, else the first usual one that is there.

    Raises:
        CorpusError: it has more than 256 MiB, or the card names one that is absent.
    """
    named = corpus.card.options.get("metadata")
    if named == "":
        return None
    for path in (str(named),) if named else USUAL_METADATA:
        stat = corpus.root.stat(path)
        if stat is not None and stat.size > MAX_COMPANION_BYTES:
            raise CorpusError(
                f"{corpus.shown(path)}: metadata of a folder may have {MAX_COMPANION_BYTES >> 20} MiB; read a"
                " larger table as `reader: csv` with `images`"
            )
        if stat is not None:
            return path
    if named:
        raise CorpusError(f"{corpus.shown(str(named))}: the metadata that the card names is not there")
    return None


def metadata_rows(corpus: Corpus, path: str) -> Rows:
    """The mapped columns of the metadata, by what its rows name; one that cannot be read stands under its own number.

    Raises:
        CorpusError: it lacks a mapped column or the column of file names, or is in no form that is read.
    """
    reader: CsvReader | JsonlReader = JsonlReader() if path.endswith(".jsonl") else CsvReader()
    column = corpus.card.fields.get("image", corpus.card.fields.get("images", USUAL_COLUMN))
    if not isinstance(column, str):
        raise CorpusError(f"{corpus.name}: fields: image: an image folder takes one column of file names")
    wanted, every = wanted_columns(corpus), takes_rest(corpus.card)
    fragments = with_expected_columns(corpus, path, reader.fragments(corpus, path), reader.read, frozenset({column}))
    rows: Rows = {}
    for fragment in fragments:
        for record in reader.read(corpus, fragment):
            if isinstance(record, Unreadable):
                rows[f"{path}#{record.key}"] = [{FLAW: (record.reason.value, record.detail)}]
            elif name := str(record.row.get(column) or "").strip():
                row = {key: value for key, value in record.row.items() if every or key == column or key in wanted}
                rows.setdefault(_named(corpus, path, name), []).append(row)
    return rows


def _named(corpus: Corpus, metadata: str, name: str) -> str:
    if by_name(corpus):
        return PurePosixPath(name).name
    folder = corpus.card.layout.images or PurePosixPath(metadata).parent.as_posix()
    return name if folder == "." else f"{folder.rstrip('/')}/{name}"
