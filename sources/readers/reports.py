"""Radiologists' reports as text files, each beside a folder of its name that holds the study's pictures."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from sources.readers.folders import cut_files, expect_unchanged, file_entries, misnamed
from sources.readers.ranges import opened
from sources.records import Corpus, CorpusError, FileEntry, Fragment, Record, Unreadable
from sources.schema import Reason
from sources.uris import PICTURE

MAX_REPORT_BYTES = 4 * 2**20
_HEADER = re.compile(r"^[ \t]*([A-Z][A-Za-z/&,()\- ]{2,60}?)[ \t]*:", re.MULTILINE)
"""A section begins with its name and a colon at the start of a line: a known name however it is written, any other one
in capitals."""
_SECTIONS = {
    "findings": ("FINDINGS", "FINDINGS AND IMPRESSION", "FINDINGS/IMPRESSION", "FINDING"),
    "impression": ("IMPRESSION", "IMPRESSIONS", "CONCLUSION", "CONCLUSIONS"),
    "indication": (
        "INDICATION", "INDICATIONS", "HISTORY", "CLINICAL HISTORY", "CLINICAL INFORMATION", "CLINICAL INDICATION",
        "REASON FOR EXAM", "REASON FOR EXAMINATION",
    ),
    "technique": ("TECHNIQUE",),
    "comparison": ("COMPARISON", "COMPARISONS"),
}  # fmt: skip
_COLUMN_OF = {name: column for column, names in _SECTIONS.items() for name in names}
_ENDS = frozenset({
    "ADDENDUM", "ATTENDING", "ATTESTATION", "DICTATED", "DICTATED BY", "EXAM", "EXAMINATION", "FINAL REPORT",
    "NOTIFICATION", "NOTIFICATIONS", "PROCEDURE", "PROVIDER", "RADIOLOGIST", "RECOMMENDATION", "RECOMMENDATIONS",
    "RECOMMENDATION(S)", "SIGNED", "SIGNED BY", "STUDY", "TRANSCRIBED BY", "WET READ",
})  # fmt: skip
"""Names of no column that end findings and impression, too. Any other name in capitals in there is an organ's."""
_SIGNATURE = re.compile(
    r"^[ \t]*(?:electronically[ \t]+)?(?:signed|dictated|transcribed|verified|approved|finali[sz]ed|authenticated"
    r"|(?:reviewed|read|interpreted|reported)(?:[ \t]+and[ \t]+\w+)?[ \t]+by)\b[^\n]*",
    re.IGNORECASE | re.MULTILINE,
)
"""A line that says who wrote the report: nothing that a picture shows, and a person's name."""
_BLANK_LINES = re.compile(r"\n[ \t]*\n")


class ReportsReader:
    """Reads text files of reports: a record a file, whose key is its path.

    Its pictures are those in the folder beside it that is called like it without the suffix (`s50.txt`, `s50/1.jpg`).
    Columns: `findings, impression, indication, technique, comparison`, and `text`, the last paragraph of a report
    without the headings of findings and impression. Lines that sign a report are in none. Options: `pictures`, globs
    of the pictures (default: none); `path`, a regular expression whose named groups
    are columns made from the file's path.
    """

    unit: Literal["file", "folder"] = "folder"
    version: int = 2
    options: frozenset[str] = frozenset({"pictures", "path"})

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut the sorted reports into lists; none is opened.

        Raises:
            CorpusError: an option cannot be used.
        """
        _pattern(corpus)
        beside = _pictures(corpus)
        entries = (
            replace(entry, row={"pictures": beside.get(_stem(entry.path), [])}) for entry in file_entries(corpus, paths)
        )
        yield from cut_files(corpus, entries)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield the reports of a fragment.

        Raises:
            ChangedInputError: a file is not the planned one any more.
        """
        pattern = _pattern(corpus)
        for entry in fragment.files:
            if (unreadable := misnamed(corpus, entry)) is not None:
                yield unreadable
                continue
            expect_unchanged(corpus, entry)
            yield _record(corpus, entry, pattern)


def sections(report: str) -> dict[str, str]:
    """The sections of a report by column: of several of one kind the first that says something.

    Headings inside findings and impression that are no section's (`LUNGS:`) are part of them.
    """
    report = _SIGNATURE.sub("", report)
    headers = _headers(report)
    told = any(column in {"findings", "impression"} for _, _, column in headers)
    found: dict[str, str] = {}
    for number, (_, begin, column) in enumerate(headers):
        end = headers[number + 1][0] if number + 1 < len(headers) else len(report)
        own = report[begin:end]
        text = _flowing(own if told else _BLANK_LINES.split(own.lstrip())[0])
        if column is not None and text and column not in found:
            found[column] = text
    unnamed = "" if told else _last_paragraph(report)
    return {**found, "text": unnamed} if unnamed else found


def _headers(report: str) -> list[tuple[int, int, str | None]]:
    """Where each section's heading begins and ends, and its column; None of a section that no column has."""
    found: list[tuple[int, int, str | None]] = []
    for header in _HEADER.finditer(report):
        name = " ".join(header.group(1).split())
        column = _COLUMN_OF.get(name.upper())
        inside = bool(found) and found[-1][2] in {"findings", "impression"}
        if column is not None or name.upper() in _ENDS or (name.isupper() and not inside):
            found.append((header.start(), header.end(), column))
    return found


def _last_paragraph(report: str) -> str:
    """The last paragraph that is not under the heading of a section."""
    for paragraph in reversed(_BLANK_LINES.split(report)):
        header = _HEADER.match(paragraph.strip())
        name = " ".join(header.group(1).split()).upper() if header else ""
        text = _flowing(paragraph)
        if text and name not in _COLUMN_OF and name not in _ENDS:
            return text
    return ""


def _record(corpus: Corpus, entry: FileEntry, pattern: re.Pattern[str] | None) -> Record | Unreadable:
    if entry.size > MAX_REPORT_BYTES:
        return Unreadable(entry.path, Reason.RECORD_MALFORMED, f"a report of more than {MAX_REPORT_BYTES >> 20} MiB")
    with opened(corpus, entry.path) as file:
        data = file.read(MAX_REPORT_BYTES + 1)
    try:
        report = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Unreadable(entry.path, Reason.RECORD_ENCODING, "not UTF-8")
    named = pattern.search(entry.path) if pattern is not None else None
    columns: dict[str, Any] = dict.fromkeys((*_SECTIONS, "text"))
    columns |= sections(report.replace("\r\n", "\n").replace("\r", "\n"))
    columns |= named.groupdict() if named else {}
    return Record(entry.path, {**columns, PICTURE: list((entry.row or {}).get("pictures", ()))})


def _flowing(text: str) -> str:
    """Text without the indents and line ends of its page; paragraphs stay apart."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in _BLANK_LINES.split(text))
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)


def _pattern(corpus: Corpus) -> re.Pattern[str] | None:
    given = corpus.card.options.get("path")
    try:
        return None if given is None else re.compile(str(given))
    except re.error:
        raise CorpusError(f"{corpus.name}: options: path: is not a regular expression") from None


def _pictures(corpus: Corpus) -> dict[str, list[str]]:
    """The pictures in each folder, by the folder's path."""
    given = corpus.card.options.get("pictures", ())
    globs = (given,) if isinstance(given, str) else tuple(given)
    beside: dict[str, list[str]] = defaultdict(list)
    for stat in corpus.root.glob(globs) if globs else ():
        beside[stat.path.rpartition("/")[0]].append(stat.path)
    return beside


def _stem(path: str) -> str:
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    return f"{folder}/{stem}" if folder else stem
