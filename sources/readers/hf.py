"""Data sets of Hugging Face `datasets`: saved ones (`save_to_disk`), and repositories of the hub or clones of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from sources.columns import SPLIT
from sources.readers.csv_rows import CsvReader
from sources.readers.hf_features import Feature, features_of, has_labels, named_labels
from sources.readers.hf_saved import open_saved_picture, plan_saved, read_saved
from sources.readers.hf_sets import DataFile, Form, data_file, unpacked
from sources.readers.hf_streams import plan_streamed, read_streamed
from sources.readers.json_array import JsonReader
from sources.readers.jsonl import JsonlReader
from sources.readers.parquet import ParquetReader
from sources.readers.parts import parts_of, several
from sources.readers.ranges import found, opened
from sources.records import Corpus, CorpusError, Fragment, PictureReader, Reader, Record, Unreadable


class HfReader:
    """Reads HF data sets. A record's key is its row number in its file, its split the column `@split`.

    Options: `config`, the config of a repository (default: its default one); `each`, a column of several questions (a
    list, or a mapping by their names), each of which is a record of its own. Labels have their names instead of
    their numbers. Columns of pictures are mapped to `image`; they are inside the files or beside them.
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 3 + sum(reader.version for reader in (ParquetReader, JsonlReader, JsonReader, CsvReader))
    """Grows with each of the readers whose records it passes on."""
    options: frozenset[str] = frozenset({"config", "each"})

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut data files as their form is cut; files that are no data of the set or the config have no fragments.

        Raises:
            CorpusError: the set is incomplete or of a form that is not read, or a file lacks a mapped column.
        """
        for path in paths:
            data = data_file(corpus, path)
            if data is None:
                continue
            if data.form == "arrow":
                yield from several(corpus, plan_saved(corpus, path))
            elif data.form == "streamed":
                yield from several(corpus, plan_streamed(corpus, path))
            else:
                fragments = _planned(corpus, path, data.form)
                yield from several(corpus, fragments)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record a row.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        data = data_file(corpus, fragment.path)
        if data is None:
            raise CorpusError(
                f"{corpus.shown(fragment.path)}: is no data file of the set any more; run the build again"
            )
        items = parts_of(corpus, _items(corpus, fragment, data))
        if data.split is None:
            yield from items
            return
        for item in items:
            if isinstance(item, Record):
                item.row[SPLIT] = data.split
            yield item

    def open_picture(self, corpus: Corpus, fragment: Fragment, uri: str) -> bytes:
        """The bytes of a picture inside the file.

        Raises:
            FileNotFoundError: there is none of that name.
            ChangedInputError: the file is not the planned one any more.
        """
        data = data_file(corpus, fragment.path)
        if data is None or data.form == "arrow":
            return open_saved_picture(corpus, fragment, uri)
        reader = None if data.form == "streamed" else _reader_of(data.form)
        if not isinstance(reader, PictureReader):
            raise FileNotFoundError("a file of text holds no pictures")
        return reader.open_picture(corpus, fragment, uri)


def _reader_of(form: Form) -> Reader:
    readers: dict[Form, type[Reader]] = {
        "parquet": ParquetReader,
        "jsonl": JsonlReader,
        "json": JsonReader,
        "csv": CsvReader,
    }
    return readers[form]()


def _planned(corpus: Corpus, path: str, form: Form) -> Iterator[Fragment]:
    if form == "parquet":
        yield from _expected(corpus, path, _reader_of(form).plan(corpus, (path,)))
        return
    root, name = unpacked(corpus.root, path)
    for fragment in _reader_of(form).plan(replace(corpus, root=root), (name,)):
        yield replace(fragment, path=path)


def _expected(corpus: Corpus, path: str, fragments: Iterator[Fragment]) -> Iterator[Fragment]:
    """The fragments, once the file is known for Parquet whose mapped columns can be read."""
    for number, fragment in enumerate(fragments):
        if number == 0:
            _parquet_features(corpus, path)
        yield fragment


def _items(corpus: Corpus, fragment: Fragment, data: DataFile) -> Iterator[Record | Unreadable]:
    if data.form == "arrow":
        return read_saved(corpus, fragment)
    if data.form == "streamed":
        return read_streamed(corpus, fragment)
    if data.form == "parquet":
        return _named(corpus, fragment, _reader_of(data.form).read(corpus, fragment))
    root, name = unpacked(corpus.root, fragment.path)
    return _reader_of(data.form).read(replace(corpus, root=root), replace(fragment, path=name))


def _named(corpus: Corpus, fragment: Fragment, items: Iterator[Record | Unreadable]) -> Iterator[Record | Unreadable]:
    """Records of Parquet with the names of their labels, which the file's own metadata tell."""
    features = _parquet_features(corpus, fragment.path)
    labelled = {name: feature for name, feature in features.items() if has_labels(feature)}
    for item in items:
        yield item if isinstance(item, Unreadable) else named_labels(labelled, item.key, item.row)


def _parquet_features(corpus: Corpus, path: str) -> dict[str, Feature]:
    stat = found(corpus, path)
    return features_of(corpus, path, _parquet_schema(corpus, path, stat.stamp))


_schemas: dict[tuple[Any, ...], pa.Schema] = {}
"""The schema of the file read last: its fragments are read one after another."""


def _parquet_schema(corpus: Corpus, path: str, stamp: int) -> pa.Schema:
    key = (corpus.root, path, stamp)
    if key not in _schemas:
        with opened(corpus, path) as file:
            schema = pq.read_schema(file)
        _schemas.clear()
        _schemas[key] = schema
    return _schemas[key]
