"""MedQuAD: XML documents of question and answer pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from sources.readers.folders import cut_files, expect_unchanged, file_entries
from sources.readers.ranges import opened
from sources.records import Corpus, FileEntry, Fragment, Record, RecordError, Unreadable

MAX_XML_BYTES = 16 * 2**20
CUT_EVERY, MAX_FILES = 128, 256
"""A document has about ten pairs (MedQuAD: 47,457 in 11,274 files): such fragments have some 1,300 records."""


class MedquadReader:
    """Reads MedQuAD files. A record is a pair; its key is `path#qid`.

    Columns: `document, source, url, focus, qid, qtype, question, answer` (absent where the release holds it back).
    """

    unit: Literal["file", "folder"] = "folder"
    version: int = 1
    options: frozenset[str] = frozenset()

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut the sorted files into lists; how many pairs they hold is known once they are read."""
        for fragment in cut_files(corpus, file_entries(corpus, paths), CUT_EVERY, MAX_FILES):
            yield replace(fragment, counted="files")

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield the pairs of every file; a file that is not safe, well-formed XML is one unreadable record.

        Raises:
            ChangedInputError: a file is not the planned one any more.
        """
        for entry in fragment.files:
            expect_unchanged(corpus, entry)
            try:
                root = _document(corpus, entry)
            except RecordError as error:
                yield Unreadable(entry.path, error.reason, str(error))
                continue
            yield from _pairs(entry.path, root)


def _document(corpus: Corpus, entry: FileEntry) -> Element:
    if entry.size > MAX_XML_BYTES:
        raise RecordError(f"XML of more than {MAX_XML_BYTES >> 20} MiB")
    with opened(corpus, entry.path) as file:
        data = file.read(MAX_XML_BYTES + 1)
    return parse_xml(data)


def parse_xml(data: bytes) -> Element:
    """The root of an XML document. Nothing outside it is fetched and no entity of its own is expanded.

    Raises:
        RecordError: it is not well-formed, or its DTD declares entities.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(data, True)  # noqa: FBT003 - expat's own signature: this is all of it
    except expat.ExpatError as error:
        raise RecordError(f"not well-formed XML (line {error.lineno})") from None
    except (LookupError, ValueError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError("XML in an unknown encoding") from None
    return builder.close()


def _refuse_entity(*_: Any) -> NoReturn:
    raise RecordError("its DTD declares entities, which are not expanded")


def _pairs(path: str, root: Element) -> Iterator[Record]:
    document = {"document": root.get("id"), "source": root.get("source"), "url": root.get("url")}
    focus = root.findtext("Focus")
    seen: set[str] = set()
    for number, pair in enumerate(root.iter("QAPair")):
        question, answer = pair.find("Question"), pair.find("Answer")
        qid = (question.get("qid") if question is not None else None) or f"pair {number}"
        if qid in seen:
            qid = f"{qid} (pair {number})"
        seen.add(qid)
        row = {
            **document,
            "focus": focus,
            "qid": qid,
            "qtype": question.get("qtype") if question is not None else None,
            "question": _text(question),
            "answer": _text(answer),
        }
        yield Record(f"{path}#{qid}", row)


def _text(element: Element | None) -> str | None:
    return None if element is None else "".join(element.itertext())
