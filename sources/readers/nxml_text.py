"""Plain text of JATS in reading order: paragraphs and titles, without tables, formulas, notes and citation numbers."""

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

BLOCKS = frozenset(
    ("abstract", "app", "article-title", "body", "boxed-text", "caption", "code", "def", "def-item", "def-list",
     "disp-quote", "list", "list-item", "p", "preformat", "sec", "speech", "statement", "subtitle", "term", "title",
     "verse-group", "verse-line")
)  # fmt: skip
"""Elements that stand on lines of their own."""
LEFT_OUT = frozenset(
    ("alt-text", "disp-formula", "disp-formula-group", "fig", "fig-group", "fn", "fn-group", "graphic", "index-term",
     "inline-graphic", "inline-supplementary-material", "label", "long-desc", "math", "media", "object-id",
     "permissions", "ref-list", "supplementary-material", "table", "table-wrap", "table-wrap-group", "tex-math")
)  # fmt: skip


def blocks_of(element: Element) -> list[str]:
    """The paragraphs and titles in an element, each on one line, blank ones left out."""
    return [text for part in _blocks(element) if (text := _tidied(part))]


def text_of_element(element: Element | None) -> str | None:
    """All text of an element on one line, or None where there is none."""
    if element is None:
        return None
    if not len(element):  # as most are
        return " ".join((element.text or "").split()) or None
    return " ".join(blocks_of(element)) or None


def text_of_all(elements: Iterable[Element]) -> list[str]:
    """The text of each element that has any."""
    return [text for element in elements if (text := text_of_element(element))]


_BREAK = "\0"
"""Ends a block; XML cannot hold it."""
_CITED = "\1"
"""Stands where a citation was; XML cannot hold it either."""
_BETWEEN = r"[\s,;.\u2013\u2014-]*"
_BRACKETED = re.compile(rf"\[{_BETWEEN}(?:{_CITED}{_BETWEEN})+\]|\({_BETWEEN}(?:{_CITED}{_BETWEEN})+\)")
_SEVERAL = re.compile(rf"{_CITED}(?:[ ,;\u2013\u2014-]*{_CITED})+")
_BEFORE_MARK = re.compile(rf"{_CITED} ?(?=[.,;:])")
_LEFT = re.compile(rf"{_CITED}(?:(?<=\.{_CITED})\.|(?<=[\[(]{_CITED})[ ,;]*)?")


def _blocks(element: Element) -> list[str]:
    return _flow(element).split(_BREAK)


def _flow(element: Element) -> str:
    parts = [element.text or ""]
    for child in element:
        tag = child.tag
        if tag == "xref" and _is_citation(child):
            parts.append(_CITED)
        elif tag == "break":
            parts.append(" ")
        elif tag in BLOCKS:
            parts += (_BREAK, _flow(child), _BREAK)
        elif tag not in LEFT_OUT:
            text = (_flow(child) if len(child) else child.text) or ""
            parts.append(_superscript(text) if tag == "sup" else text)
        if child.tail:
            parts.append(child.tail)
    return "".join(parts)


def _superscript(text: str) -> str:
    """A superscript; of one that holds nothing but citations, not even the commas between them."""
    is_citation = _CITED in text and not any(character.isalnum() for character in text)
    return _CITED if is_citation else text


def _is_citation(element: Element) -> bool:
    """Whether a cross-reference is one by number. One by author and year is part of its sentence."""
    if element.get("ref-type") != "bibr":
        return False
    return not any(character.isalpha() for character in "".join(element.itertext()))


def _tidied(text: str) -> str:
    """The text on one line, without what stood around citations: brackets, commas between them, spaces before."""
    text = " ".join(text.split())
    if _CITED not in text:
        return text
    text = _SEVERAL.sub(_CITED, _BRACKETED.sub(_CITED, text))
    *before, last = _BEFORE_MARK.split(text)
    text = _CITED.join([*(part.rstrip(" ,;") for part in before), last])
    return " ".join(_LEFT.sub("", text).split())
