"""Readers by the name that cards and recipes use; those of other packages through entry points."""

import difflib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points

from sources.cards import Card
from sources.records import CorpusError, Reader

ENTRY_POINTS = "curate.readers"
COMMON_OPTIONS = frozenset({"answer_base"})
"""Of every card, whatever its reader: they say what answers mean."""


def _load(module: str, name: str) -> Reader:
    reader: Reader = getattr(import_module(module), name)()
    return reader


READERS: dict[str, Callable[[], Reader]] = {
    name: partial(_load, f"sources.readers.{module}", reader)
    for name, module, reader in (
        ("jsonl", "jsonl", "JsonlReader"),
        ("json", "json_array", "JsonReader"),
        ("json_columns", "json_columns", "JsonColumnsReader"),
        ("llava", "llava", "LlavaReader"),
        ("csv", "csv_rows", "CsvReader"),
        ("parquet", "parquet", "ParquetReader"),
        ("image_folder", "image_folder", "ImageFolderReader"),
        ("medquad", "medquad", "MedquadReader"),
        ("dicom", "dicom", "DicomReader"),
        ("webdataset", "webdataset", "WebdatasetReader"),
        ("archive", "archives", "ArchiveReader"),
        ("hf", "hf", "HfReader"),
        ("nxml", "nxml", "NxmlReader"),
        ("pubmed", "nxml_pubmed", "PubmedReader"),
        ("reports", "reports", "ReportsReader"),
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


def expect_options(card: Card) -> None:
    """Check that the card's options are its reader's; a reader of another package may name none, and takes all.

    Raises:
        CorpusError: one is not; names the nearest.
    """
    own: frozenset[str] | None = getattr(reader_named(card.reader), "options", None)
    if own is None:
        return
    known = sorted(own | COMMON_OPTIONS)
    for name in card.options:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1, 0.0)[0]
            raise CorpusError(
                f"{card.name}: options: {name!r} is no option of `reader: {card.reader}`; did you mean {nearest!r}?"
                f" There are {', '.join(known)}"
            )
