"""Folders of DICOM files: one record a file, read from its header alone."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from sources.dicom.facts import caption_from, header_facts
from sources.pictures import Limits, PictureError
from sources.readers.folders import cut_files, expect_unchanged, file_entries, misnamed
from sources.readers.ranges import opened
from sources.records import Corpus, FileEntry, Fragment, Record, Unreadable
from sources.schema import Reason
from sources.uris import PICTURE

COMPANIONS = frozenset(
    (".csv", ".gz", ".htm", ".html", ".jpeg", ".jpg", ".json", ".jsonl", ".log", ".md", ".pdf", ".png", ".tar", ".tsv",
     ".txt", ".xml", ".yaml", ".zip")
)  # fmt: skip
"""Suffixes of what stands beside DICOM files. DICOM itself often has none, or the end of a UID (`1.2.840.113`)."""


class DicomReader:
    """Reads DICOM files: the allow-listed facts by keyword, a `caption` made of them, and the file as picture.

    `StudyInstanceUID`, `SeriesInstanceUID` and `PatientID` are there for the card's group fields, which store
    them as the corpus names people: keyed, unless its card says they are public. A file without pixels (a report,
    a plan, a DICOMDIR) is a record like any other, so that measuring it says `image.missing`.
    """

    unit: Literal["file", "folder"] = "folder"
    version: int = 1

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut the sorted files into lists; none is opened. Files that say they are something else are left out."""
        own = [path for path in paths if PurePosixPath(path).suffix.lower() not in COMPANIONS]
        yield from cut_files(corpus, file_entries(corpus, own))

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield the files of a fragment. A file that is not DICOM, or whose header is broken, is Unreadable.

        Raises:
            ChangedInputError: a file is not the planned one any more.
            CorpusError: a file cannot be read now (no permission, a disk that fails).
        """
        for entry in fragment.files:
            if (unreadable := misnamed(corpus, entry)) is not None:
                yield unreadable
                continue
            expect_unchanged(corpus, entry)
            try:
                yield Record(entry.path, _row(corpus, entry))
            except PictureError as error:
                yield Unreadable(entry.path, Reason.RECORD_MALFORMED, error.detail)


def _row(corpus: Corpus, entry: FileEntry) -> dict[str, Any]:
    from sources.dicom.header import GROUP_KEYWORDS, read_header
    from sources.dicom.values import header_values

    with opened(corpus, entry.path) as file:
        dataset = read_header(file, entry.size, Limits(), groups=True).dataset
    facts = header_facts(dataset)
    groups = {keyword: _identifier(header_values(dataset, keyword)) for keyword in GROUP_KEYWORDS}
    return {PICTURE: entry.path, **facts, **groups, "caption": caption_from(facts)}


def _identifier(values: list[Any]) -> str | None:
    """A patient's or UID's text, or None where the header has none."""
    text = str(values[0]).strip(" \0") if values else ""
    return text or None
