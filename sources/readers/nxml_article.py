"""What a JATS article says: who it is, under which licence, its figures, its text."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from sources.licenses import spdx_license
from sources.readers.nxml_text import blocks_of, text_of_all, text_of_element
from sources.schema import UNKNOWN_LICENSE

SKIPPED = frozenset(("math", "ref-list", "response", "sub-article", "table", "tex-math"))
"""Never built: formulas, references, table rows, and other texts in one file (reviews, replies, translations)."""
CONTEXT_PARAGRAPHS = 10
"""Paragraphs kept of those that cite a figure."""
_PICTURES_LEFT_OUT = frozenset(("caption", "disp-formula", "inline-formula", "fig", "fig-group", "table-wrap"))
_LICENSE_WORDS = re.compile(
    r"creative\s+commons\s+(?:cc[\s-]*)?((?:(?:attribution|non-?\s?commercial|share-?\s?alike|no-?\s?deriv\w*|by|nc|sa|nd"
    r"|[1-4]\.0|2\.5|[\s,/()-])+))licen[cs]e",
    re.IGNORECASE,
)
_LICENSE_URL = re.compile(r"https?://(?:www\.)?creativecommons\.org/[^\s<>\"')\]]+", re.IGNORECASE)


@dataclass(frozen=True)
class Figure:
    """One `<fig>`, or a `<fig-group>` with pictures of its own."""

    number: int
    """Among the article's figures, from 0."""
    id: str | None
    label: str | None
    caption: str | None
    pictures: tuple[tuple[str, ...], ...]
    """Each picture as the names it may have, the first that exists is it: `<alternatives>` are one picture."""
    context: tuple[str, ...]
    license: str | None
    """Its own, where the figure has permissions of its own; else None: the article's."""


def articles_in(root: Element) -> list[Element]:
    """The articles of a file: one, or those of an `articleset`."""
    if root.tag == "article":
        return [root]
    return root.findall("article") or [
        article for record in root.findall(".//metadata") for article in record.findall("article")
    ]


def facts_of(article: Element) -> dict[str, Any]:
    """The columns that every record of an article has: ids, title, journal, year, licence, type, language."""
    meta = article.find("front/article-meta")
    meta = Element("article-meta") if meta is None else meta
    ids = _ids(meta)
    names = [f"PMC{ids['pmc']}"] if "pmc" in ids else []
    names += [f"PMID{ids['pmid']}"] if "pmid" in ids else []
    names = names or ([f"doi:{ids['doi'].lower()}"] if "doi" in ids else [])
    return {
        "article": names or None,
        "pmcid": f"PMC{ids['pmc']}" if "pmc" in ids else None,
        "pmid": ids.get("pmid"),
        "doi": ids.get("doi"),
        "title": text_of_element(meta.find("title-group/article-title")),
        "journal": text_of_element(article.find("front/journal-meta//journal-title")),
        "year": _year(meta),
        "license": license_of(meta),
        "article_type": article.get("article-type"),
        "related": sorted({kind for one in meta.iter("related-article") if (kind := one.get("related-article-type"))})
        or None,
        "language": (article.get("lang") or "").lower().partition("-")[0] or None,
    }


def body_text(article: Element) -> str | None:
    """Title, abstract and body: a paragraph or a section's title a block, blank lines between them."""
    title = text_of_element(article.find("front/article-meta/title-group/article-title"))
    parts = [title] if title else []
    abstracts = article.findall("front/article-meta/abstract")
    main = [abstract for abstract in abstracts if abstract.get("abstract-type") is None][:1]
    for abstract in main:
        if abstract.find("title") is None:
            parts.append("Abstract")
        parts += blocks_of(abstract)
    body = article.find("body")
    said = blocks_of(body) if body is not None else []
    if not main and not said:
        return None
    return "\n\n".join(parts + said)


def figures_of(article: Element) -> Iterator[Figure]:
    """The figures in document order: each of a group is one, with the group's caption before its own."""
    cited = _citing_paragraphs(article)
    number = 0
    for element, group in _figure_elements(article, None):
        pictures = tuple(_pictures(element))
        if element.tag == "fig-group" and not pictures:
            continue
        names = [element.get("id"), None if group is None else group.get("id")]
        paragraphs = [text for name in names if name for text in cited.get(name, ())]
        captions = [group] if group is not None else []
        found = [one.find("caption") for one in (*captions, element)]
        yield Figure(
            number,
            element.get("id"),
            text_of_element(element.find("label")),
            " ".join(text_of_all(caption for caption in found if caption is not None)) or None,
            pictures,
            tuple(dict.fromkeys(paragraphs))[:CONTEXT_PARAGRAPHS],
            license_of(element) if element.find("permissions") is not None else None,
        )
        number += 1


def license_of(element: Element) -> str:
    """The SPDX id of the licence an article's metadata or a figure states; `unknown` where it is not recognised.

    A link to Creative Commons says more than words; a licence for text mining alone is none to train on.
    """
    found = [one for one in element.iter("license") if one.get("specific-use") not in ("tdm", "textmining")]
    for one in found:
        links = [value for part in one.iter() for name in ("href", "resource") if (value := part.get(name))]
        links += [part.text or "" for part in one.iter("license_ref")] + _LICENSE_URL.findall("".join(one.itertext()))
        known = (spdx_license(link.strip().rstrip(".,;")) for link in links)
        license_id = next((license_id for license_id in known if license_id != UNKNOWN_LICENSE), None)
        if license_id is not None:
            return license_id
    for one in (*found, *element.iter("copyright-statement")):
        stated = _LICENSE_WORDS.search(" ".join("".join(one.itertext()).split()))
        if stated is not None:
            return spdx_license(f"Creative Commons {stated.group(1).strip()} License")
    return UNKNOWN_LICENSE


def _ids(meta: Element) -> dict[str, str]:
    ids: dict[str, str] = {}
    for element in meta.findall("article-id"):
        kind, value = element.get("pub-id-type"), (element.text or "").strip()
        if kind in ("pmc", "pmcid"):
            kind, value = "pmc", value.upper().removeprefix("PMC")
        if kind in ("pmc", "pmid") and not value.isdigit():
            continue
        if kind in ("pmc", "pmid", "doi") and value:
            ids.setdefault(kind, value)
    return ids


def _year(meta: Element) -> str | None:
    """The year of its first publication."""
    years = [(date.findtext("year") or "").strip() for date in meta.findall("pub-date")]
    return min((year for year in years if re.fullmatch(r"\d{4}", year)), default=None)


def _citing_paragraphs(article: Element) -> dict[str, list[str]]:
    """Id of a figure -> the text of the paragraphs with a reference to it."""
    found: dict[str, list[str]] = defaultdict(list)
    body = article.find("body")
    for paragraph in body.iter("p") if body is not None else ():
        names = {
            name
            for xref in paragraph.iter("xref")
            if xref.get("ref-type") == "fig"
            for name in (xref.get("rid") or "").split()
        }
        text = text_of_element(paragraph) if names else None
        for name in names:
            if text:
                found[name].append(text)
    return found


def _figure_elements(element: Element, group: Element | None) -> Iterator[tuple[Element, Element | None]]:
    """Figures and groups under an element, each with the group it is in."""
    for child in element:
        if child.tag in ("fig", "fig-group"):
            yield child, group
        if len(child):
            yield from _figure_elements(child, child if child.tag == "fig-group" else group)


def _pictures(element: Element) -> Iterator[tuple[str, ...]]:
    for child in element:
        if child.tag == "graphic" and (name := child.get("href")):
            yield (name,)
        elif child.tag == "alternatives":
            names = [one.get("href") for one in child.iter("graphic") if one.get("specific-use") != "thumbnail"]
            if given := tuple(name for name in names if name):
                yield given
        elif child.tag not in _PICTURES_LEFT_OUT:
            yield from _pictures(child)
