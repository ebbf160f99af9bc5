"""Articles in JATS as PubMed Central has them, each other than the last, and what ElementTree gives of them.

In bytes and elements they are like the eight articles of `text_pmc_nxml`: 50 to 200 kB, 1,000 to 3,000 elements, half
of them in references and tables. Their pictures lie beside them.
"""

import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.readers import WORDS

XLINK = "{http://www.w3.org/1999/xlink}"
_HEAD = (
    '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving and Interchange DTD v1.0 20120330//EN"'
    ' "JATS-archivearticle1.dtd">\n<article xmlns:xlink="http://www.w3.org/1999/xlink" article-type="research-article"'
    ' xml:lang="en">'
)
_LICENSE = (
    '<permissions><license license-type="open-access" xlink:href="http://creativecommons.org/licenses/by/4.0/">'
    "<license-p>Distributed under the Creative Commons Attribution License.</license-p></license></permissions>"
)
_COLUMNS = {"doi": "article-id[@pub-id-type='doi']", "year": "pub-date/year", "license": "permissions/license"}


def put_articles(folder: Path, count: int) -> None:
    """Write articles, each in a folder of its own with the pictures of its figures."""
    for number in range(count):
        rng = random.Random(number)
        place = folder / f"PMC{5_000_000 + number}"
        place.mkdir(parents=True)
        figures = rng.randrange(2, 7)
        (place / f"{place.name}.nxml").write_text(_article(rng, number, figures))
        for figure in range(figures):
            (place / f"art-{number}-g{figure}.jpg").write_bytes(b"x")


def by_jats(paths: list[Path]) -> int:
    """A row a figure, with the reader's columns as they stand: no licence is understood, no citation left out."""
    return sum(1 for path in paths for _ in _rows(ET.parse(path).getroot()))


def _rows(root: ET.Element) -> Iterator[dict[str, Any]]:
    meta = root.find("front/article-meta")
    assert meta is not None
    facts: dict[str, Any] = {name: _text(meta.find(path)) for name, path in _COLUMNS.items()}
    facts |= {one.get("pub-id-type", ""): one.text for one in meta.iter("article-id")}
    facts |= {"title": _text(meta.find("title-group/article-title")), "language": root.get("lang")}
    facts |= {"journal": _text(root.find("front/journal-meta//journal-title")), "type": root.get("article-type")}
    citing: dict[str, list[str]] = {}
    for paragraph in root.iter("p"):
        for xref in paragraph.iterfind(".//xref[@ref-type='fig']"):
            citing.setdefault(xref.get("rid", ""), []).append(_text(paragraph))
    for figure in root.iter("fig"):
        pictures = [one.get(f"{XLINK}href") for one in figure.iter("graphic")]
        own = {"label": figure.findtext("label"), "caption": _text(figure.find("caption")), "pictures": pictures}
        yield {**facts, **own, "context": citing.get(figure.get("id", ""))}


def _text(element: ET.Element | None) -> str:
    return "" if element is None else re.sub(r"\s+", " ", "".join(element.itertext())).strip()


def _article(rng: random.Random, number: int, figures: int) -> str:
    references = rng.randrange(25, 70)
    sections = "".join(_section(rng, name, number, figures, references) for name in range(rng.randrange(7, 14)))
    ids = f'<article-id pub-id-type="pmc">{5_000_000 + number}</article-id>'
    ids += f'<article-id pub-id-type="pmid">{number + 1}</article-id>'
    ids += f'<article-id pub-id-type="doi">10.1186/a-{number}</article-id>'
    authors = "".join(f'<contrib contrib-type="author">{_name(rng)}</contrib>' for _ in range(rng.randrange(3, 12)))
    journal = "<journal-title-group><journal-title>Annals of Benchmarks</journal-title></journal-title-group>"
    return (
        f"{_HEAD}<front><journal-meta>{journal}</journal-meta><article-meta>{ids}<title-group><article-title>"
        f"{_words(rng, 14)}</article-title></title-group><contrib-group>{authors}</contrib-group>"
        f'<pub-date pub-type="epub"><day>1</day><month>2</month><year>20{number % 20:02}</year></pub-date>{_LICENSE}'
        f"<abstract><p>{_words(rng, 220)}</p></abstract></article-meta></front><body>{sections}</body><back><ref-list>"
        + "".join(_reference(rng, one) for one in range(references))
        + "</ref-list></back></article>\n"
    )


def _section(rng: random.Random, name: int, number: int, figures: int, references: int) -> str:
    paragraphs = "".join(_paragraph(rng, figures, references) for _ in range(rng.randrange(3, 8)))
    shown = _figure(rng, number, name) if name < figures else ""
    tabled = _table(rng, name) if name % 3 == 1 else ""
    return f'<sec id="s{name}"><title>{_words(rng, 4)}</title>{paragraphs}{shown}{tabled}</sec>\n'


def _paragraph(rng: random.Random, figures: int, references: int) -> str:
    parts = []
    for _ in range(rng.randrange(3, 8)):
        cited = rng.randrange(references)
        citation = f'[<xref ref-type="bibr" rid="B{cited}">{cited}</xref>]'
        parts.append(f"{_words(rng, 22)} <italic>in vivo</italic> {citation}")
        if rng.random() < 0.3:
            parts.append(f'(<xref ref-type="fig" rid="F{rng.randrange(figures)}">Figure 1</xref>)')
        if rng.random() < 0.3:
            parts.append("of 10 cm<sup>2</sup> and H<sub>2</sub>O")
    return f"<p>{' '.join(parts)}.</p>\n"


def _figure(rng: random.Random, number: int, name: int) -> str:
    caption = f"<title>{_words(rng, 8)}</title><p>{_words(rng, 70)} (<bold>A</bold>) {_words(rng, 20)}</p>"
    graphic = f'<graphic xlink:href="art-{number}-g{name}"/>'
    return f'<fig id="F{name}"><label>Figure {name + 1}</label><caption>{caption}</caption>{graphic}</fig>'


def _table(rng: random.Random, name: int) -> str:
    rows = "".join(
        "<tr>" + "".join(f'<td align="left">{rng.random():.3f}</td>' for _ in range(6)) + "</tr>\n"
        for _ in range(rng.randrange(15, 50))
    )
    said = f"<label>Table {name}</label><caption><p>{_words(rng, 15)}</p></caption>"
    return f'<table-wrap id="T{name}">{said}<table><tbody>{rows}</tbody></table></table-wrap>'


def _reference(rng: random.Random, name: int) -> str:
    people = "".join(_name(rng) for _ in range(rng.randrange(2, 7)))
    return (
        f'<ref id="B{name}"><label>{name}</label><mixed-citation publication-type="journal"><person-group>{people}'
        f"</person-group><article-title>{_words(rng, 12)}</article-title><source>J Bench</source><year>2001</year>"
        f"<volume>{name}</volume><fpage>1</fpage><lpage>9</lpage>"
        f'<pub-id pub-id-type="pmid">{rng.randrange(10**8)}</pub-id></mixed-citation></ref>\n'
    )


def _name(rng: random.Random) -> str:
    surname, given = rng.choice(WORDS).title(), rng.choice("ABCDE")
    return f"<name><surname>{surname}</surname><given-names>{given}</given-names></name>"


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))
