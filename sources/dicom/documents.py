"""The text of structured reports and of encapsulated documents: what a person wrote in them, and nothing else."""

import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pydicom

from sources.dicom.values import header_values
from sources.pictures.guards import codec_errors
from sources.pictures.picture import PictureError
from sources.schema import Reason

MAX_DOCUMENT_BYTES = 16 * 2**20
MAX_DEPTH = 32
MAX_PDF_PAGES = 50
DOCUMENTS = frozenset({"SR", "DOC"})
_MARKUP = re.compile(r"<[^>]*>")
_CDA_BODY = re.compile(r"<(?:structuredBody|nonXMLBody)\b.*</(?:structuredBody|nonXMLBody)>", re.DOTALL)
_PDF_COLUMNS = ("findings", "impression", "indication")
_COLUMN_OF = (
    ("impression", re.compile(r"impression|conclusion|summary", re.IGNORECASE)),
    ("findings", re.compile(r"finding", re.IGNORECASE)),
    ("indication", re.compile(r"history|indication|reason|request", re.IGNORECASE)),
)


def document_text(data: bytes) -> dict[str, str]:
    """The report in a file: `findings`, `impression`, `indication` by the names of its sections, else `text`.

    Of a structured report only items of type TEXT are taken (PS3.3 C.17.3): names of persons, numbers, dates and
    references are items of other types. Of a clinical document in XML the body's words are. Of a PDF only the sections
    with headings that are known are (sources/readers/reports.py): its pages name the patient above them.

    Raises:
        PictureError: it is none of these, has no such text, or is broken; RECORD_MALFORMED, without anything it holds.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise PictureError(Reason.RECORD_MALFORMED, f"a document of more than {MAX_DOCUMENT_BYTES >> 20} MiB")
    with codec_errors("dicom document"):
        dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, force=True)
        kind = str(next(iter(header_values(dataset, "MIMETypeOfEncapsulatedDocument")), ""))
        if "EncapsulatedDocument" in dataset:
            return _encapsulated(dataset, kind)
        found: dict[str, list[str]] = {}
        for name, text in _texts(dataset, "", MAX_DEPTH):
            found.setdefault(_column(name), []).append(text)
    return {column: "\n".join(texts) for column, texts in found.items()}


def _encapsulated(dataset: Any, kind: str) -> dict[str, str]:
    content = bytes(dataset.EncapsulatedDocument).rstrip(b"\0")
    if kind.lower() == "application/pdf":
        return _sections_of_pdf(content)
    if kind.lower() != "text/xml":
        raise PictureError(Reason.RECORD_MALFORMED, "an encapsulated document that is neither XML nor PDF")
    body = _CDA_BODY.search(content.decode("utf-8"))
    words = " ".join(_MARKUP.sub(" ", body.group()).split()) if body else ""
    return {"text": words} if words else {}


def _sections_of_pdf(content: bytes) -> dict[str, str]:
    """The sections of a report in a PDF, by their headings; never what else stands on its pages."""
    from pypdf import PdfReader

    from sources.readers.reports import sections

    pages = list(islice(PdfReader(io.BytesIO(content)).pages, MAX_PDF_PAGES + 1))
    text = "\n".join(page.extract_text() for page in pages[:MAX_PDF_PAGES])
    if len(pages) > MAX_PDF_PAGES:
        raise PictureError(Reason.RECORD_MALFORMED, f"a PDF of more than {MAX_PDF_PAGES} pages")
    if not text.strip():
        raise PictureError(Reason.RECORD_MALFORMED, "a PDF without text: its pages are pictures")
    found = {column: words for column, words in sections(text).items() if column in _PDF_COLUMNS}
    if not {"findings", "impression"} & set(found):
        raise PictureError(Reason.RECORD_MALFORMED, "a PDF without the headings of findings or impression")
    return found


def _texts(item: Any, section: str, left: int) -> Iterator[tuple[str, str]]:
    """The texts of a content tree with the names of the sections that hold them, in reading order."""
    if not left:
        return
    for part in header_values(item, "ContentSequence"):
        named = header_values(part, "ConceptNameCodeSequence")
        name = str(next(iter(header_values(named[0], "CodeMeaning")), "")) if named else ""
        kind = str(next(iter(header_values(part, "ValueType")), ""))
        if kind == "TEXT":
            text = " ".join(str(value) for value in header_values(part, "TextValue")).strip(" \0")
            if text:
                yield name if _column(name) != "text" else section, text
        yield from _texts(part, name if kind == "CONTAINER" else section, left - 1)


def _column(name: str) -> str:
    return next((column for column, pattern in _COLUMN_OF if pattern.search(name)), "text")
