"""Folders of DICOM files: one record a file, read from its header alone."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from sources.columns import KEY
from sources.dicom.facts import caption_from, header_facts
from sources.joins import LEFT, companion_path
from sources.pictures import Limits, PictureError
from sources.readers.folders import cut_files, expect_unchanged, file_entries, misnamed
from sources.readers.ranges import opened
from sources.records import Corpus, CorpusError, FileEntry, Fragment, Identifiers, Record, Unreadable
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

    The `left` of a join may be any element of the header, in which case it is there for the join alone.

    Options, for which planning reads every header once: `slices` says which slices of a CT, MR or PET series are taken
    (`all`, `middle`, or a number spread evenly), `record: series` makes one record of those of a series (default:
    `file`), `reports: true` gives the pictures of a study the text of its structured and encapsulated reports as
    `findings, impression, indication, report`. Such a report is then no record of its own.
    """

    unit: Literal["file", "folder"] = "folder"
    version: int = 5
    options: frozenset[str] = frozenset({"slices", "record", "reports"})

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut the sorted files into lists; none is opened. Files that say they are something else are left out.

        Raises:
            CorpusError: the `left` of the card's join is no column of this reader and no element of DICOM.
        """
        _joined_element(corpus)
        join = corpus.card.join
        others = () if join is None else (companion_path(join, ""),)
        own = [path for path in paths if PurePosixPath(path).suffix.lower() not in COMPANIONS and path not in others]
        entries = file_entries(corpus, own)
        if self.options & set(corpus.card.options):
            from sources.readers.dicom_studies import arranged  # it reads headers, which most corpora need not

            entries = arranged(corpus, entries)
        yield from cut_files(corpus, entries)

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
                row, identifiers = _row(corpus, entry)
                beside, told = _beside(corpus, entry)
                yield Record(entry.path, {**row, **beside}, identifiers=tuple(dict.fromkeys(identifiers + told)))
            except PictureError as error:
                yield Unreadable(entry.path, Reason.RECORD_MALFORMED, error.detail)


def _row(corpus: Corpus, entry: FileEntry) -> tuple[dict[str, Any], Identifiers]:
    from sources.dicom.header import GROUP_KEYWORDS, read_header
    from sources.dicom.identifiers import IDENTIFYING, NESTED, header_identifiers
    from sources.dicom.values import header_values

    element = _joined_element(corpus)
    with opened(corpus, entry.path) as file:
        besides = (*element, *IDENTIFYING, *NESTED)
        dataset = read_header(file, entry.size, Limits(), groups=True, besides=besides).dataset
    facts = header_facts(dataset)
    groups = {keyword: _identifier(header_values(dataset, keyword)) for keyword in GROUP_KEYWORDS}
    left = {LEFT: _identifier(header_values(dataset, element[0]))} if element else {}
    row = {PICTURE: entry.path, **facts, **groups, "caption": caption_from(facts), **left}
    return row, header_identifiers(dataset)


def _beside(corpus: Corpus, entry: FileEntry) -> tuple[dict[str, Any], Identifiers]:
    """What the other files of a record's series and study give it, and whom the reports' own headers name."""
    if not entry.row:
        return {}, ()
    from sources.readers.dicom_studies import pictures_and_report

    return pictures_and_report(corpus, entry)


def _joined_element(corpus: Corpus) -> tuple[str, ...]:
    """The element of the header that the card joins by, where it is none of the reader's columns; at most one."""
    left = corpus.card.join.left if corpus.card.join is not None else KEY
    from sources.dicom.facts import ALLOWED
    from sources.dicom.header import GROUP_KEYWORDS

    if left in (*ALLOWED, *GROUP_KEYWORDS, PICTURE, KEY, "caption"):
        return ()
    from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

    tag = tag_for_keyword(left)
    if tag is None or dictionary_VR(tag) in ("SQ", "OB", "OW", "UN"):
        nearest = difflib.get_close_matches(left, keyword_dict, 1, 0.6)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise CorpusError(f"{corpus.name}: join: left: {left!r} is no element of a DICOM header to join by{hint}")
    return (left,)


def _identifier(values: list[Any]) -> str | None:
    """A patient's or UID's text, or None where the header has none."""
    text = str(values[0]).strip(" \0") if values else ""
    return text or None
