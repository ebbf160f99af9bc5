"""DICOM files arranged by what their headers say: slices of series that are taken, reports beside their pictures."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

import blake3

from sources.dicom.documents import MAX_DOCUMENT_BYTES, Document, is_document, read_document
from sources.dicom.header import read_header
from sources.dicom.identifiers import IDENTIFYING, NESTED, header_identifiers
from sources.dicom.series import KEYWORDS, Slice, grouped, picked, slice_of
from sources.dicom.values import header_values
from sources.pictures import Limits, PictureError
from sources.readers.folders import expect_unchanged
from sources.readers.ranges import opened
from sources.records import Corpus, CorpusError, FileEntry, Identifiers
from sources.storage import LocalFolder, base_of
from sources.storage.stats import AT_ONCE, BATCH
from sources.uris import PICTURE

PICTURES, REPORTS = "pictures", "reports"
"""Of an entry's row: the files of its other pictures and of its reports, each with size and time."""
REPORT = "report"
"""Column of a report that tells no sections."""


def arranged(corpus: Corpus, entries: Iterator[FileEntry]) -> Iterator[FileEntry]:
    """The entries of a corpus whose card has options of series or reports, sorted by path.

    Files whose header cannot be read stay as they are: reading them says why.

    Raises:
        CorpusError: an option has a value that it cannot have.
    """
    policy, whole, reports = _options(corpus)
    files: dict[str, FileEntry] = {}
    slices: list[tuple[str, Slice | None]] = []
    study_of: dict[str, str] = {}
    documents: dict[str, list[str]] = defaultdict(list)
    copies: set[tuple[str, str, str]] = set()
    for entry, dataset in _with_headers(corpus, entries):
        files[entry.path] = entry
        study = "" if dataset is None else _first(dataset, "StudyInstanceUID")
        said = _digest_of_report(corpus, entry, dataset) if reports and dataset is not None and study else None
        if said is not None:
            # Some tools give all files of a series one name: copies are those that say the same, too.
            instance = study, _first(dataset, "SOPInstanceUID") or entry.path, said
            if instance not in copies:
                copies.add(instance)
                documents[study].append(entry.path)
        else:
            study_of[entry.path] = study
            slices.append((entry.path, None if dataset is None else slice_of(entry.path, dataset)))
    found = grouped(slices)
    pictured = {study for study in study_of.values() if study}
    taken = [replace(files[path], row=None) for path in found.others]
    taken += [files[path] for study, paths in documents.items() if study not in pictured for path in paths]
    for one_series in found.series.values():
        chosen = [files[one.path] for one in picked(one_series, policy)]
        if whole:
            taken.append(replace(chosen[0], row={PICTURES: [_stated(entry) for entry in chosen]}))
        else:
            taken += chosen
    for entry in sorted(taken, key=lambda one: one.path):
        own = documents.get(study_of.get(entry.path, ""), [])
        row = {**(entry.row or {}), **({REPORTS: [_stated(files[path]) for path in own]} if own else {})}
        yield replace(entry, row=row or None)


def pictures_and_report(corpus: Corpus, entry: FileEntry) -> tuple[dict[str, Any], Identifiers]:
    """The columns that an arranged entry's other files give its record, and what the headers of its reports identify.

    Raises:
        ChangedInputError: one of them is not the planned one any more.
        PictureError: a report cannot be read any more.
    """
    row = entry.row or {}
    columns: dict[str, Any] = {}
    if PICTURES in row:
        for path, size, stamp in row[PICTURES]:
            expect_unchanged(corpus, FileEntry(path, size, stamp))
        columns[PICTURE] = [path for path, _, _ in row[PICTURES]]
    texts: dict[str, list[str]] = defaultdict(list)
    told: Identifiers = ()
    for path, size, stamp in row.get(REPORTS, ()):
        expect_unchanged(corpus, FileEntry(path, size, stamp))
        with opened(corpus, path) as file:
            header = read_header(file, size, Limits(), groups=False, besides=(*IDENTIFYING, *NESTED))
        told += header_identifiers(header.dataset)
        document = _document(corpus, path)
        told += document.identifiers
        for name, text in document.text.items():
            texts[REPORT if name == "text" else name].append(text)
    return {**columns, **{name: "\n".join(several) for name, several in texts.items()}}, told


def _options(corpus: Corpus) -> tuple[str | int, bool, bool]:
    """Policy of slices, whether a series is one record, whether reports are read."""
    options = corpus.card.options
    policy, record = options.get("slices", "all"), options.get("record", "file")
    fits = policy in ("all", "middle") or (isinstance(policy, int) and not isinstance(policy, bool) and policy > 0)
    if not fits:
        raise CorpusError(f"{corpus.name}: options: slices: {policy!r} is neither 'all', 'middle' nor a number from 1")
    if record not in ("file", "series"):
        raise CorpusError(f"{corpus.name}: options: record: {record!r} is neither 'file' nor 'series'")
    return policy, record == "series", bool(options.get("reports", False))


def _with_headers(corpus: Corpus, entries: Iterator[FileEntry]) -> Iterator[tuple[FileEntry, Any]]:
    """Each file with its header; those that are not on this machine are asked for several at once."""
    if isinstance(base_of(corpus.root), LocalFolder):
        yield from ((entry, _header(corpus, entry)) for entry in entries)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while batch := list(islice(entries, BATCH)):
            yield from zip(batch, pool.map(lambda entry: _header(corpus, entry), batch), strict=True)


def _header(corpus: Corpus, entry: FileEntry) -> Any:
    try:
        with opened(corpus, entry.path) as file:
            return read_header(file, entry.size, Limits(), groups=True, besides=KEYWORDS).dataset
    except PictureError:
        return None


def _digest_of_report(corpus: Corpus, entry: FileEntry, dataset: Any) -> str | None:
    """A hash of a report's text; None of what is no report that can be read: it stays a record, and says what it is."""
    if not is_document(dataset) or entry.size > MAX_DOCUMENT_BYTES:
        return None
    try:
        text = _document(corpus, entry.path).text
    except PictureError:
        return None
    return blake3.blake3(repr(sorted(text.items())).encode()).hexdigest() if text else None


def _document(corpus: Corpus, path: str) -> Document:
    with opened(corpus, path) as file:
        return read_document(file.read(MAX_DOCUMENT_BYTES + 1))


def _first(dataset: Any, keyword: str) -> str:
    values = header_values(dataset, keyword)
    return str(values[0]).strip(" \0") if values else ""


def _stated(entry: FileEntry) -> tuple[str, int, int]:
    return entry.path, entry.size, entry.stamp
