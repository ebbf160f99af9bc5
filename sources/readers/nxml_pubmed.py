"""PubMed's citations (`PubmedArticleSet`): title and abstract, read as a stream of citations."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Literal
from xml.etree.ElementTree import Element

from sources.readers.nxml_parse import parse_article_xml
from sources.readers.nxml_text import text_of_element
from sources.readers.ranges import READ_BYTES, TOO_LONG, Piece, cut, opened, pieces
from sources.readers.text import text_start
from sources.records import MAX_RECORD_BYTES, Corpus, CorpusError, Fragment, Record, RecordError, Unreadable

_OPEN = re.compile(rb"<Pubmed(?:Book)?Article[\s>]")
_CLOSE = re.compile(rb"</Pubmed(?:Book)?Article\s*>")
_LONGEST_TAG = 256
TOGETHER_BYTES = 2**17
"""Of citations that are parsed as one document: some thirty, whose tree takes a MiB or two."""
SKIPPED = frozenset(
    ("PubmedData", "AuthorList", "MeshHeadingList", "ChemicalList", "GrantList", "CommentsCorrectionsList")
)
CUT_OFF = "a citation that is cut off"


class PubmedReader:
    """Reads PubMed's XML. A record's key is the number of the citation in its file, from 0.

    Columns: `article` (`PMID123`), `pmid, doi, title, abstract, text` (both, a blank line between), `journal, year,
    language, types` (publication types, `Retracted Publication` is one).
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 2
    options: frozenset[str] = frozenset()

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut files between citations.

        Raises:
            CorpusError: a file is compressed, or is not a set of PubMed citations.
        """
        for path in paths:
            start = text_start(corpus, path)
            with opened(corpus, path) as file:
                head = file.read(READ_BYTES)
            if b"<PubmedArticleSet" not in head:
                raise CorpusError(f"{corpus.shown(path)}: is no PubmedArticleSet; read full articles as `reader: nxml`")
            yield from cut(corpus, path, split_citations, start.offset)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record a citation.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        held: list[tuple[str, Piece]] = []
        size = 0
        for key, piece in pieces(corpus, fragment, split_citations):
            held.append((key, piece))
            size += piece.stop - piece.start
            if size >= TOGETHER_BYTES:
                yield from _records(held)
                held, size = [], 0
        yield from _records(held)


def _records(held: Sequence[tuple[str, Piece]]) -> Iterator[Record | Unreadable]:
    """The records of some citations: parsed as one document, or where that meets anything odd each by itself."""
    try:
        found = list(parse_article_xml(b"<set>" + b"".join(piece.content() for _, piece in held) + b"</set>", SKIPPED))
    except RecordError:
        found = []
    if len(found) != len(held):
        yield from (_alone(key, piece) for key, piece in held)
        return
    yield from (Record(key, _row(root)) for (key, _), root in zip(held, found, strict=True))


def _alone(key: str, piece: Piece) -> Record | Unreadable:
    try:
        return Record(key, _row(parse_article_xml(piece.content(), SKIPPED)))
    except RecordError as error:
        return Unreadable(key, error.reason, str(error))


def split_citations(file: BinaryIO, start: int, stop: int) -> Iterator[Piece]:
    """The citations in `start:stop`. One that is cut off is a piece too; what lies between them is left out."""
    file.seek(start)
    buffer, base, place = b"", start, start
    while True:
        chunk = file.read(min(READ_BYTES, stop - place))
        place += len(chunk)
        buffer += chunk
        used = 0
        while (opening := _OPEN.search(buffer, used)) is not None:
            closing, following = _CLOSE.search(buffer, opening.end()), _OPEN.search(buffer, opening.end())
            if following is not None and (closing is None or following.start() < closing.start()):
                used = following.start()
                yield Piece(base + opening.start(), base + used, None, CUT_OFF)
            elif closing is not None:
                used = closing.end()
                yield Piece(base + opening.start(), base + used, buffer[opening.start() : used])
            else:
                used = opening.start()
                break
        else:
            used = max(used, len(buffer) - _LONGEST_TAG)
        base, buffer = base + used, buffer[used:]
        if len(buffer) > MAX_RECORD_BYTES:
            yield Piece(base, base + len(buffer), None, TOO_LONG)
            base, buffer = base + len(buffer), b""
        if not chunk:
            if _OPEN.match(buffer):
                yield Piece(base, base + len(buffer), None, CUT_OFF)
            return


def _row(root: Element) -> dict[str, Any]:
    citation = root.find("MedlineCitation")
    citation = root if citation is None else citation
    article = citation.find("Article")
    article = Element("Article") if article is None else article
    pmid = (citation.findtext("PMID") or "").strip() or None
    title = text_of_element(article.find("ArticleTitle"))
    journal = article.find("Journal")
    abstract = _abstract(article)
    return {
        "article": f"PMID{pmid}" if pmid else None,
        "pmid": pmid,
        "doi": next((one.text for one in article.findall("ELocationID") if one.get("EIdType") == "doi"), None),
        "title": title,
        "abstract": abstract,
        "text": "\n\n".join(part for part in (title, abstract) if part) or None,
        "journal": None if journal is None else text_of_element(journal.find("Title")),
        "year": None if journal is None else _year(journal),
        "language": article.findtext("Language"),
        "types": [kind for one in article.iter("PublicationType") if (kind := text_of_element(one))] or None,
    }


def _abstract(article: Element) -> str | None:
    """The parts of a structured abstract, a paragraph each, after their labels."""
    parts = []
    for part in article.findall("Abstract/AbstractText"):
        text = text_of_element(part)
        if text:
            label = part.get("Label")
            parts.append(f"{label}: {text}" if label and label != "UNLABELLED" else text)
    return "\n\n".join(parts) or None


def _year(journal: Element) -> str | None:
    date = journal.find("JournalIssue/PubDate")
    if date is None:
        return None
    found = re.search(r"\d{4}", date.findtext("Year") or date.findtext("MedlineDate") or "")
    return found.group() if found else None
