"""Archives of pictures, read where they are: zip, tar, and tar in gzip."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import blake3
import orjson

from sources.cards import Card
from sources.readers.archive_contents import (
    NO_METADATA,
    Contents,
    Form,
    Metadata,
    is_flawed,
    parsed_metadata,
)
from sources.readers.image_folder import ImageFolderReader
from sources.readers.ranges import check_unchanged, framed
from sources.readers.tar_pictures import TarPictures
from sources.readers.tar_samples import seal
from sources.readers.tar_streams import packing_of
from sources.readers.zip_pictures import ZipPictures
from sources.records import FRAGMENT_RECORDS, Corpus, CorpusError, Fragment, Record, Unreadable
from sources.uris import PICTURE, inner_uri


class ArchiveReader:
    """Reads archives of pictures: one record for each and every row of its metadata, whose key is its path inside.

    Options, as of `image_folder`: `metadata` (default `metadata.csv` or `metadata.jsonl` in the archive, the one
    nearest to its top), `match: path` (names are under `layout.images`, or beside the metadata) or `name`. Names
    that lead out of an archive, links, encrypted members and archives inside are refused as records; other members
    are passed over. Rows whose picture is absent are records too.
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 1
    options: frozenset[str] = ImageFolderReader.options

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut archives between members; each is read once.

        Raises:
            CorpusError: a file is no archive that is read, holds no picture, or is a bomb; or its metadata is absent,
                has more than 256 MiB, or lacks a mapped column.
        """
        for path in paths:
            form = _form(corpus, path)
            contents = form.contents(corpus, path)
            if not contents.fragments:
                raise CorpusError(f"{corpus.shown(path)}: holds no picture")
            yield from _sealed(corpus, path, contents)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield the records of a fragment.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        metadata = _metadata(corpus, fragment)
        form = _form(corpus, fragment.path)
        if _is_left_over(fragment):
            rows = _left_over(corpus, fragment, form, metadata)
            for name, row in rows[fragment.first_row : fragment.first_row + fragment.records]:
                yield _record(fragment.path, name, name, row)
            return
        for entry in form.entries(corpus, fragment, metadata.digest):
            if entry.flaw:
                yield Unreadable(entry.name, entry.reason, entry.flaw)
                continue
            for row in metadata.of(entry.name):
                yield _record(fragment.path, entry.name, entry.inner, row)

    def open_picture(self, corpus: Corpus, fragment: Fragment, uri: str) -> bytes:
        """The bytes of a member. Raises as `PictureReader`."""
        if _is_left_over(fragment):
            raise FileNotFoundError("no such picture in the archive")
        meaning = _metadata(corpus, fragment).digest
        return _form(corpus, fragment.path).picture(corpus, fragment, uri, meaning)


def _form(corpus: Corpus, path: str) -> Form:
    stat = corpus.root.stat(path)
    packed = packing_of(corpus, path, 0 if stat is None else stat.stamp)
    return ZipPictures() if packed == "zip" else TarPictures()


def _record(path: str, name: str, inner: str, row: dict[str, Any]) -> Record | Unreadable:
    flaw = is_flawed(row)
    return Unreadable(name, *flaw) if flaw else Record(name, {**row, PICTURE: inner_uri(path, inner)})


def _sealed(corpus: Corpus, path: str, contents: Contents) -> Iterator[Fragment]:
    """The fragments with their digests, which cover the metadata, and those of rows whose picture is absent."""
    found = contents.metadata(corpus, path)
    aside = -1 if found is None else found[1]
    fragments = [replace(fragment, aside=aside) for fragment in contents.fragments]
    metadata = _metadata(corpus, fragments[0])
    several = any(len(rows) > 1 for rows in metadata.rows.values())
    for fragment in fragments:
        yield seal(corpus, replace(fragment, counted="files" if several else "records"), metadata.digest)
    rows = metadata.left_over(contents.names)
    for first in range(0, len(rows), FRAGMENT_RECORDS):
        some = rows[first : first + FRAGMENT_RECORDS]
        encoded = (framed(name.encode(), orjson.dumps(row, option=orjson.OPT_SORT_KEYS)) for name, row in some)
        digest = blake3.blake3(b"".join(encoded)).hexdigest()
        blank = replace(fragments[0], start=0, stop=0, first_row=first, records=len(some), size=0, digest=digest)
        yield seal(corpus, blank, metadata.digest)


def _is_left_over(fragment: Fragment) -> bool:
    """Whether a fragment is of rows whose picture is not in the archive: it has none of its members."""
    return fragment.start == fragment.stop == 0


_read_metadata: dict[tuple[Any, ...], tuple[Card, Metadata]] = {}
_rows_left_over: dict[tuple[Any, ...], list[tuple[str, dict[str, Any]]]] = {}
"""Of the archive that this process is reading."""


def _metadata(corpus: Corpus, fragment: Fragment) -> Metadata:
    if fragment.aside < 0:
        return NO_METADATA
    place = (corpus.root, fragment.path, fragment.file_size, fragment.file_stamp)
    held = _read_metadata.get(place)
    if held is None or held[0] is not corpus.card:
        check_unchanged(corpus, fragment)
        name, data = _form(corpus, fragment.path).member_at(corpus, fragment, fragment.aside)
        held = corpus.card, parsed_metadata(corpus, fragment.path, name, data)
        _rows_left_over.clear()
        _read_metadata.clear()
        _read_metadata[place] = held
    return held[1]


def _left_over(corpus: Corpus, fragment: Fragment, form: Form, metadata: Metadata) -> list[tuple[str, dict[str, Any]]]:
    place = (corpus.root, fragment.path, fragment.file_size, fragment.file_stamp)
    if place not in _rows_left_over:
        _rows_left_over.clear()
        _rows_left_over[place] = metadata.left_over(form.contents(corpus, fragment.path).names)
    return _rows_left_over[place]
