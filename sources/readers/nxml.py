"""Articles in JATS, the XML of PubMed Central: a record a figure, or the text of the article."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Literal
from xml.etree.ElementTree import Element

import blake3

from sources.readers.folders import cut_files, expect_unchanged, file_entries, misnamed
from sources.readers.nxml_article import SKIPPED, Figure, articles_in, body_text, facts_of, figures_of
from sources.readers.nxml_parse import parse_article_xml
from sources.readers.ranges import opened
from sources.records import Corpus, CorpusError, FileEntry, Fragment, Record, RecordError, Unreadable
from sources.uris import PICTURE

MAX_XML_BYTES = 32 * 2**20
"""Articles have 0.1 MB on average; what is longer holds tables or data. A tree takes some ten times its bytes."""
CUT_EVERY, MAX_FILES = 64, 128
"""An article has about five figures and 0.1 MB: such fragments have some 300 records and 6 MB."""
TAKES = ("figures", "text")
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff")
"""Of pictures beside an article, in the order in which they are tried: packages hold a JPEG and a GIF to preview it."""
_REPLACED = (*SUFFIXES, ".eps", ".svg", ".bmp")
"""Suffixes that an article may write although the package holds the picture in another form."""


class NxmlReader:
    """Reads JATS articles (`.nxml`, `.xml`), several in a file as PubMed Central's E-utilities give them included.

    Option `take`: `figures` (default: a record a figure, key `path#figure id`) or `text` (a record an article,
    key `path`). Columns of both: `article` (PMC and PMID names), `pmcid, pmid, doi, title, journal, year, license`
    (SPDX), `article_type` (`retraction` is one), `related`, `language`. Of figures: `caption, label, figure, number,
    context` (paragraphs that cite it); of texts: `text`.
    """

    unit: Literal["file", "folder"] = "folder"
    version: int = 3
    options: frozenset[str] = frozenset({"take"})

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut the sorted files into lists; how many records they hold is known once they are read.

        Raises:
            CorpusError: `take` is neither of its values.
        """
        entries = file_entries(corpus, paths)
        if _takes(corpus) == "figures":
            beside = _pictures_beside(corpus, paths)
            entries = (replace(entry, row={"pictures": beside.get(_folder(entry.path))}) for entry in entries)
        for fragment in cut_files(corpus, entries, CUT_EVERY, MAX_FILES):
            yield replace(fragment, counted="files")

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield the records of every file; a file that is not safe, well-formed JATS is one unreadable record.

        Raises:
            ChangedInputError: a file is not the planned one any more.
        """
        rows = _figures if _takes(corpus) == "figures" else _texts
        for entry in fragment.files:
            if (unreadable := misnamed(corpus, entry)) is not None:
                yield unreadable
                continue
            expect_unchanged(corpus, entry)
            try:
                found = _articles(corpus, entry)
            except RecordError as error:
                yield Unreadable(entry.path, error.reason, str(error))
                continue
            seen: set[str] = set()
            for article in found:
                for name, row in rows(corpus, entry.path, article, single=len(found) == 1):
                    yield Record(_unique(f"{entry.path}#{name}" if name else entry.path, seen), row)


def _takes(corpus: Corpus) -> str:
    take = corpus.card.options.get("take", TAKES[0])
    if take not in TAKES:
        raise CorpusError(f"{corpus.name}: options: take: {take!r} is neither of {', '.join(map(repr, TAKES))}")
    return str(take)


def _articles(corpus: Corpus, entry: FileEntry) -> list[Element]:
    if entry.size > MAX_XML_BYTES:
        raise RecordError(f"XML of more than {MAX_XML_BYTES >> 20} MiB")
    with opened(corpus, entry.path) as file:
        data = file.read(MAX_XML_BYTES + 1)
    found = articles_in(parse_article_xml(data, SKIPPED))
    if not found:
        raise RecordError("XML, but no JATS article: its root element is another")
    return found


def _figures(corpus: Corpus, path: str, article: Element, *, single: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    facts = facts_of(article)
    owner = "" if single else f"{(facts['article'] or ['?'])[0]}/"
    for figure in figures_of(article):
        name = figure.id or f"figure {figure.number}"
        uris = [_picture(corpus, path, names) for names in figure.pictures]
        row = {
            **facts,
            "caption": figure.caption,
            "label": figure.label,
            "figure": _names(facts, figure, uris),
            "number": figure.number,
            "context": list(figure.context) or None,
            "license": figure.license or facts["license"],
            # A figure that is a film or is left out has no picture: it is then said to be missing.
            PICTURE: uris or [_beside(path, name)],
        }
        yield f"{owner}{name}", row


def _texts(corpus: Corpus, path: str, article: Element, *, single: bool) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ARG001 - one signature
    facts = facts_of(article)
    yield "" if single else (facts["article"] or ["article"])[0], {**facts, "text": body_text(article)}


def _names(facts: dict[str, Any], figure: Figure, uris: Sequence[str]) -> list[str] | None:
    """Names of the figure that other corpora of the same articles use: ROCO's `PMC123_file.jpg`."""
    if not facts["article"]:
        return None
    names = [PurePosixPath(uri).name for uri in uris] or [figure.id or str(figure.number)]
    return [f"{facts['article'][0]}_{name}" for name in names]


def _picture(corpus: Corpus, path: str, names: Sequence[str]) -> str:
    """The first file there is of what an article calls a picture; where there is none, what it would be called."""
    candidates = [name for written in names for name in _candidates(written)]
    for name in candidates:
        uri = _beside(path, name)
        if not _is_elsewhere(name) and corpus.root.stat(uri) is not None:
            return uri
    return _beside(path, candidates[0])


def _candidates(written: str) -> list[str]:
    """`fig1` is `fig1.jpg` or `fig1.png` ..., `fig1.tif` may be packed as `fig1.jpg`."""
    suffix = PurePosixPath(written).suffix.lower()
    if _is_elsewhere(written) or suffix not in _REPLACED:
        return [written + end for end in SUFFIXES] if not _is_elsewhere(written) else [written]
    stem = written[: -len(suffix)]
    return [written, *(stem + end for end in SUFFIXES if end != suffix)]


def _is_elsewhere(name: str) -> bool:
    return "://" in name or name.startswith("/") or ".." in name.split("/")


def _beside(path: str, name: str) -> str:
    """A name that an article writes, under the corpus; one that leads elsewhere stays as it is."""
    folder = _folder(path)
    return name if _is_elsewhere(name) or not folder else f"{folder}/{name}"


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _pictures_beside(corpus: Corpus, paths: Sequence[str]) -> dict[str, str]:
    """What the pictures in each article's folder and below it are called, as one hash.

    Another picture there changes records: articles write `hand` and `figures/hand` alike.
    """
    folders = {_folder(path) for path in paths}
    sums: dict[str, int] = defaultdict(int)
    common = os.path.commonpath(folders) if folders else ""
    for stat in corpus.root.files(common):
        if not stat.path.lower().endswith(SUFFIXES):
            continue
        for folder in folders.intersection(_folders_above(stat.path)):
            name = stat.path[len(folder) :].lstrip("/")
            digest = blake3.blake3(name.encode("utf-8", "surrogatepass")).digest(16)
            sums[folder] = (sums[folder] + int.from_bytes(digest, "little")) % 2**128
    return {folder: f"{total:032x}" for folder, total in sums.items()}


def _folders_above(path: str) -> list[str]:
    """The folders that a file lies in, from its own up to the corpus (``)."""
    above = []
    while path:
        path = _folder(path)
        above.append(path)
    return above


def _unique(key: str, seen: set[str]) -> str:
    numbered = key
    while numbered in seen:
        numbered = f"{key} ({len(seen)})"
    seen.add(numbered)
    return numbered
