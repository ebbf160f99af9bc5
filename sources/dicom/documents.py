"""The text of structured reports and of encapsulated documents: what a person wrote in them, and nothing else."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pydicom

from sources.dicom.values import header_values
from sources.pictures.guards import codec_errors
from sources.pictures.picture import PictureError
from sources.records import Identifiers, PhiKind, RecordError
from sources.schema import Reason

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_DOCUMENT_BYTES = 16 * 2**20
MAX_DEPTH = 32
MAX_PDF_PAGES = 50
_MODALITIES = frozenset({"SR", "DOC"})
_CLASSES = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104.")
"""Structured reports and encapsulated documents (PS3.4 B.5)."""
_NO_REPORTS = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{last}" for last in (40, 59, 67, 68, 70, 71, 73, 74, 75, 76))
"""Logs, key objects, doses and plans: their texts are about files, machines and injections."""
_TOLD = frozenset({"", "CONTAINS", "HAS PROPERTIES", "INFERRED FROM"})
"""Relationships under which an item says what was found. Others say of whom, by whom, with what (PS3.3 C.17.3.2.4)."""
_CONTEXT = range(121003, 121037)
"""Codes of the observation context (PS3.16 TID 1001 to 1010): observer, organization, procedure, subject. Text under
them names people and places, whatever relationship a writer gave it."""
_KIND_OF_ITEM: dict[str, tuple[str, PhiKind]] = {
    "TEXT": ("TextValue", "id"),
    "PNAME": ("PersonName", "name"),
    "DATE": ("Date", "date"),
    "DATETIME": ("DateTime", "date"),
}
_MOST_CHARACTERS = 200
_INLINE = frozenset({"content", "sub", "sup", "b", "i", "u", "em", "strong", "span", "linkHtml"})
"""Elements of a clinical document's text that stand inside a word or a sentence."""
_KIND_IN_XML: dict[str, PhiKind] = {"name": "name", "id": "id", "birthTime": "date", "addr": "address"}
_PDF_COLUMNS = ("findings", "impression", "indication")
_COLUMN_OF = (
    ("impression", re.compile(r"impression|conclusion|summary", re.IGNORECASE)),
    ("findings", re.compile(r"finding", re.IGNORECASE)),
    ("indication", re.compile(r"history|indication|reason|request", re.IGNORECASE)),
)


@dataclass(frozen=True)
class Document:
    """What a document says, by column, and the values in it that name somebody: to be sought, never stored."""

    text: dict[str, str]
    identifiers: Identifiers = ()


def is_document(dataset: Any) -> bool:
    """Whether a header is of a structured report or an encapsulated document, by its SOP class.

    By its modality where it has none.
    """
    uid = str(next(iter(header_values(dataset, "SOPClassUID")), "")).strip(" \0")
    if uid:
        return uid.startswith(_CLASSES) and uid not in _NO_REPORTS
    return str(next(iter(header_values(dataset, "Modality")), "")).strip(" \0") in _MODALITIES


def read_document(data: bytes) -> Document:
    """The report in a file: `findings`, `impression`, `indication` by the names of its sections, else `text`.

    Of a structured report items of type TEXT are taken, where they are what was found: not those of the observation
    context (whose organization, subject and accession number are TEXT, too), of the acquisition, or of a concept's
    modifiers. What the context says is in `identifiers`. Of a clinical document in XML the sections' own words are
    taken. Of a PDF only the sections with headings that are known are (sources/readers/reports.py): its pages name the
    patient above them.

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
        identifiers = tuple(dict.fromkeys(_of_context(dataset, MAX_DEPTH, inside=False)))
        return Document(_by_column(_texts(dataset, "", MAX_DEPTH)), identifiers)


def _encapsulated(dataset: Any, kind: str) -> Document:
    content = bytes(dataset.EncapsulatedDocument).rstrip(b"\0")
    if kind.lower() == "application/pdf":
        return Document(_sections_of_pdf(content))
    if kind.lower() != "text/xml":
        raise PictureError(Reason.RECORD_MALFORMED, "an encapsulated document that is neither XML nor PDF")
    from sources.readers.nxml_parse import parse_article_xml

    try:
        root = parse_article_xml(content.rstrip(b" "), frozenset())
    except RecordError as error:
        raise PictureError(Reason.RECORD_MALFORMED, f"a clinical document: {error}") from None
    return Document(_by_column(_texts_of_xml(root)), tuple(dict.fromkeys(_of_xml_header(root))))


def _texts_of_xml(root: "Element") -> Iterator[tuple[str, str]]:
    """The texts of a clinical document's sections with their titles; of a body without sections all its text."""
    body = next((found for name in ("structuredBody", "nonXMLBody") for found in root.iter(name)), None)
    if body is None:
        return
    for section in list(body.iter("section")) or [body]:
        named = section.find("title")
        title = "" if named is None else " ".join(_shown_text(named).split())
        for text in section.findall("text"):
            words = " ".join(_shown_text(text).split())
            if words and text.get("representation") != "B64":
                yield title, words


def _of_xml_header(root: "Element") -> Iterator[tuple[PhiKind, str]]:
    """Names, dates, places and numbers of a clinical document's header: of its patient, its authors, its visit."""
    for part in (one for child in root if child.tag != "component" for one in child.iter()):
        for tag, kind in _KIND_IN_XML.items():
            words = " ".join(_spoken(part, kind).split()) if part.tag == tag else ""
            if 1 < len(words) <= _MOST_CHARACTERS:
                yield kind, words


def _spoken(part: "Element", kind: PhiKind) -> str:
    if kind == "id":
        return part.get("extension", "")
    return part.get("value", "")[:8] if kind == "date" else " ".join(part.itertext())


def _shown_text(element: "Element") -> str:
    parts = [element.text or ""]
    for part in element:
        apart = "" if part.tag in _INLINE else " "
        parts += [apart, _shown_text(part), apart, part.tail or ""]
    return "".join(parts)


def _by_column(texts: Iterator[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, text in texts:
        found.setdefault(_column(name), []).append(text)
    return {column: "\n".join(several) for column, several in found.items()}


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
        if _relationship(part) not in _TOLD or _is_context(part):
            continue
        name, kind = _of_name(part, "CodeMeaning"), _value_type(part)
        if kind == "TEXT":
            text = _joined(part, "TextValue")
            if text:
                yield name if _column(name) != "text" else section, text
        yield from _texts(part, name if kind == "CONTAINER" else section, left - 1)


def _of_context(item: Any, left: int, *, inside: bool) -> Iterator[tuple[PhiKind, str]]:
    """What a content tree says in its observation context, and every person it names."""
    if not left:
        return
    for part in header_values(item, "ContentSequence"):
        context = inside or _relationship(part) == "HAS OBS CONTEXT" or _is_context(part)
        keyword, kind = _KIND_OF_ITEM.get(_value_type(part), ("", "id"))
        text = _joined(part, keyword) if keyword and (context or kind == "name") else ""
        if 1 < len(text) <= _MOST_CHARACTERS:
            yield kind, text
        yield from _of_context(part, left - 1, inside=context)


def _is_context(part: Any) -> bool:
    code = _of_name(part, "CodeValue")
    return _of_name(part, "CodingSchemeDesignator") == "DCM" and code.isdecimal() and int(code) in _CONTEXT


def _of_name(part: Any, keyword: str) -> str:
    named = header_values(part, "ConceptNameCodeSequence")
    return str(next(iter(header_values(named[0], keyword)), "")).strip(" \0") if named else ""


def _relationship(part: Any) -> str:
    return _joined(part, "RelationshipType")


def _value_type(part: Any) -> str:
    return _joined(part, "ValueType")


def _joined(part: Any, keyword: str) -> str:
    return " ".join(str(value) for value in header_values(part, keyword)).strip(" \0")


def _column(name: str) -> str:
    return next((column for column, pattern in _COLUMN_OF if pattern.search(name)), "text")
