"""Readers by the name that cards and recipes use; those of other packages through entry points."""

import difflib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points

from sources.records import CorpusError, Reader

ENTRY_POINTS = "curate.readers"


def _load(module: str, name: str) -> Reader:
    reader: Reader = getattr(import_module(module), name)()
    return reader


READERS: dict[str, Callable[[], Reader]] = {
    name: partial(_load, f"sources.readers.{module}", reader)
    for name, module, reader in (
        ("jsonl", "jsonl", "JsonlReader"),
        ("json", "json_array", "JsonReader"),
        ("llava", "llava", "LlavaReader"),
        ("csv", "csv_rows", "CsvReader"),
        ("parquet", "parquet", "ParquetReader"),
        ("image_folder", "image_folder", "ImageFolderReader"),
        ("medquad", "medquad", "MedquadReader"),
        ("dicom", "dicom", "DicomReader"),
    )
}
"""Makes each reader; its module is imported when it is first asked for."""


def reader_named(name: str) -> Reader:
    """The reader that a card names: our own, or one of another package (entry point group `curate.readers`).

    Raises:
        CorpusError: there is none; names the nearest one.
    """
    if name in READERS:
        return READERS[name]()
    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in others:
        reader: Reader = others[name].load()()
        return reader
    known = [*READERS, *sorted(others)]
    nearest = difflib.get_close_matches(name, known, 1, 0.0)
    raise CorpusError(f"no reader {name!r}; did you mean {nearest[0]!r}? There are {', '.join(known)}")
