"""Articles' XML to a tree: nothing outside the file is fetched, no entity of its own is expanded, sizes are bounded."""

import re
from html.entities import html5
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers import expat

from sources.records import RecordError
from sources.schema import Reason

MAX_DEPTH = 200
"""JATS nests sections, lists and boxes: real articles stay below 40."""
PLAIN_BYTES = 2**21
"""Of documents that are built whole before anything is left out: a tree of some 20 MiB."""
_CODES = expat.errors.codes
_CUT_OFF = {
    _CODES[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}
_ENCODING = {
    _CODES[expat.errors.XML_ERROR_UNKNOWN_ENCODING],
    _CODES[expat.errors.XML_ERROR_INCORRECT_ENCODING],
}
_DECLARED = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")


def parse_article_xml(data: bytes, skipped: frozenset[str]) -> Element:
    """The root of a document; names of elements and attributes without their namespaces, comments left out.

    Elements called like one of `skipped` are left out with all that is in them; the text around them is joined.

    Raises:
        RecordError: it is cut off, not well-formed, nested deeper than 200 in what is kept, declares entities, names a
            character that HTML does not, or (`record.encoding`) is not in the encoding it claims.
    """
    found = _plain_document(data, skipped)
    return _any_document(data, skipped) if found is None else found


def _plain_document(data: bytes, skipped: frozenset[str]) -> Element | None:
    """The root of a document that ElementTree's own parser, three times as fast, reads to the same tree, or None.

    That is one in UTF-8 without declarations of entities and characters that a DTD names, not nested too deep, and
    small: what is skipped is built here first.
    """
    declared = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    plain = b"<!ENTITY" not in data and b"\0" not in data and not data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if len(data) > PLAIN_BYTES or not plain or (declared and declared.group(1).lower() != b"utf-8"):
        return None
    parser = XMLParser()  # noqa: S314 - no entity is declared in what it is given
    try:
        parser.feed(data)
        root: Element = parser.close()
    except (ParseError, LookupError, ValueError):
        return None  # the other parser finds the same, and says what it is
    root.tag = _local(root.tag, "}")
    root.attrib = _local_names(root.attrib, "}")
    if root.tag in skipped:
        return None
    level, depth = [root], 1
    while level:
        if depth == MAX_DEPTH:
            return None
        level = [child for element in level for child in _local_children(element, skipped) if len(child)]
        depth += 1
    return root


def _local_children(element: Element, skipped: frozenset[str]) -> Element:
    """The element with its children named without namespaces, and without those that are skipped."""
    left_out = False
    for child in element:
        tag = child.tag
        if tag[0] == "{":
            child.tag = tag = _local(tag, "}")
        if child.keys():  # `attrib` would make a dictionary for each that has none
            child.attrib = _local_names(child.attrib, "}")
        left_out = left_out or tag in skipped
    if left_out:
        _leave_out(element, skipped)
    return element


def _leave_out(element: Element, skipped: frozenset[str]) -> None:
    """Take children out of an element, and join the text around them."""
    last: Element | None = None
    for child in list(element):
        if child.tag not in skipped:
            last = child
            continue
        element.remove(child)
        if child.tail and last is None:
            element.text = (element.text or "") + child.tail
        elif child.tail and last is not None:
            last.tail = (last.tail or "") + child.tail


def _any_document(data: bytes, skipped: frozenset[str]) -> Element:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.EntityDeclHandler = _refuse_entity
    builder = TreeBuilder()
    building = _Building(parser, builder, skipped)
    try:
        parser.Parse(data, True)  # noqa: FBT003 - expat's own signature: this is all of it
    except expat.ExpatError as error:
        raise _described(data, error) from None
    except RecordError:
        raise
    except (LookupError, ValueError):  # of Python's codecs, for encodings that expat asks them for
        raise RecordError("in an encoding that cannot be read: convert it to UTF-8", Reason.RECORD_ENCODING) from None
    finally:
        building.release()
    root: Element | None = builder.close()
    if root is None:
        raise RecordError("XML, but no article")
    return root


class _Tags(dict[str, str]):
    """Names of elements without their namespaces, each cut once."""

    def __missing__(self, name: str) -> str:
        self[name] = local = _local(name)
        return local


class _Building:
    """Builds the tree from the parser's events; inside a skipped element other, shorter handlers stand in."""

    def __init__(self, parser: expat.XMLParserType, builder: TreeBuilder, skipped: frozenset[str]) -> None:
        self._parser, self._builder, self._skipped = parser, builder, skipped
        self._begin, self._finish = builder.start, builder.end
        self._tags = _Tags()
        self._depth = 0
        self._outermost = 0
        """Depth of the skipped element; 0 outside."""
        parser.SkippedEntityHandler = self.character
        self._build()

    def _build(self) -> None:
        parser = self._parser
        parser.StartElementHandler, parser.EndElementHandler = self.start, self.end
        parser.CharacterDataHandler = self._builder.data

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        tag = self._tags[name]
        if tag not in self._skipped:
            if self._depth > MAX_DEPTH:
                raise RecordError(f"XML nested more than {MAX_DEPTH} deep")
            self._begin(tag, _local_names(attributes) if attributes else attributes)
            return
        parser, self._outermost = self._parser, self._depth
        parser.StartElementHandler, parser.EndElementHandler = self.start_skipped, self.end_skipped
        parser.CharacterDataHandler = None

    def end(self, name: str) -> None:
        self._depth -= 1
        self._finish(name)

    def start_skipped(self, _name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1

    def end_skipped(self, _name: str) -> None:
        self._depth -= 1
        if self._depth < self._outermost:
            self._outermost = 0
            self._build()

    def character(self, name: str, is_parameter: bool) -> None:  # noqa: FBT001 - expat's own signature
        """A named character of the public DTD, which is not read: `&alpha;` means what it means in HTML."""
        if is_parameter:
            return
        if f"{name};" not in html5:
            raise RecordError("names a character that only its DTD explains")
        if not self._outermost:
            self._builder.data(html5[f"{name};"])

    def release(self) -> None:
        """Let go of the parser, and it of this: they hold each other, and thousands would wait to be collected."""
        parser = self._parser
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
        parser.SkippedEntityHandler = None


def _local_names(attributes: dict[str, str], after: str = " ") -> dict[str, str]:
    """Attributes without their namespaces; of two of one name that without."""
    if after not in "".join(attributes):
        return attributes
    plain = {key: value for key, value in attributes.items() if after not in key}
    return {**{_local(key, after): value for key, value in attributes.items()}, **plain}


def _local(name: str, after: str = " ") -> str:
    return name.rpartition(after)[2]


def _refuse_entity(*_: Any) -> None:
    raise RecordError("its DTD declares entities, which are not expanded")


def _described(data: bytes, error: expat.ExpatError) -> RecordError:
    if error.code in _CUT_OFF:
        return RecordError("XML that is cut off, or empty")
    if error.code in _ENCODING or not _is_as_declared(data):
        return RecordError("not in the encoding it claims: convert it to UTF-8", Reason.RECORD_ENCODING)
    return RecordError(f"not well-formed XML (line {error.lineno})")


def _is_as_declared(data: bytes) -> bool:
    """Whether a document that says UTF-8, or nothing, is UTF-8."""
    declared = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or (declared and declared.group(1).lower() != b"utf-8"):
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
