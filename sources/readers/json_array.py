"""One JSON document of many records: an array of objects, or an object whose values are the records."""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Literal

import orjson

from sources.readers.expected import with_expected_columns
from sources.readers.json_scan import JsonScan, commas, split_elements
from sources.readers.jsonl import json_record
from sources.readers.objects import parse_object
from sources.readers.ranges import AT_ONCE_BYTES, Piece, cut, found, opened, pieces, whole
from sources.readers.text import HEAD_BYTES, text_start
from sources.records import Corpus, CorpusError, Fragment, Record, RecordError, Unreadable
from sources.schema import Reason

_MEMBER = re.compile(rb'\s*+("(?:[^"\\]|\\.)*+")\s*+:\s*+', re.DOTALL)
_END = re.compile(rb"[\]}]\s*+")


class JsonReader:
    """Reads a JSON array or object in fragments; the file is never held in memory.

    A record's key is its number in the array, or its name in the object. `options: {items: data.rows}` names
    the nested array or object that holds the records.
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 2
    options: frozenset[str] = frozenset({"items"})

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut files between elements.

        Raises:
            CorpusError: a file is not one JSON array or object, or ends before that is closed; its records are not
                where `items` says; or it lacks a mapped column.
        """
        for path in paths:
            yield from with_expected_columns(corpus, path, self.fragments(corpus, path), self.read)

    def fragments(self, corpus: Corpus, path: str) -> Iterator[Fragment]:
        """The fragments of one file, its columns unchecked."""
        start = _records_start(corpus, path)
        if start is not None:
            yield from closed_fragments(corpus, path, start)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record an element.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        at_once = _all_at_once(corpus, fragment)
        if at_once is not None:
            yield from at_once
            return
        for key, piece in pieces(corpus, fragment, split_elements):
            if piece.data is not None and piece.data.startswith(b'"'):
                yield _member_record(key, piece)
            else:
                yield json_record(key, piece)


def closed_fragments(corpus: Corpus, path: str, start: int) -> Iterator[Fragment]:
    """The fragments of the array or object that `start` is just inside of; after the last it must be closed.

    Raises:
        CorpusError: the file ends before that, or (without `items`) goes on after it.
    """
    last = deque((Piece(start, start, None),), 1)

    def noted(file: BinaryIO, start: int, stop: int) -> Iterator[Piece]:
        for piece in split_elements(file, start, stop):
            last.append(piece)
            yield piece

    yield from cut(corpus, path, noted, start)
    _expect_end(corpus, path, last[0])


def _all_at_once(corpus: Corpus, fragment: Fragment) -> list[Record | Unreadable] | None:
    """The records of a fragment whose bytes are JSON as a whole; None where they must be looked at one by one."""
    if fragment.passed_over or fragment.size > AT_ONCE_BYTES:
        return None
    data = whole(corpus, fragment)
    named = data.lstrip().startswith(b'"')
    try:
        value = orjson.loads(b"{" + data + b"}" if named else b"[" + data + b"]")
    except orjson.JSONDecodeError:
        return None
    if len(value) != fragment.records:
        return None
    items = value.items() if named else ((str(number), one) for number, one in enumerate(value, fragment.first_row))
    if not all(isinstance(one, dict) for one in (value.values() if named else value)):
        return None
    return [Record(key, one) for key, one in items]


def _records_start(corpus: Corpus, path: str) -> int | None:
    """Offset of the inside of the array or object of records; None for an empty file."""
    begin = text_start(corpus, path)
    if not begin.first:
        return None
    if begin.first not in (b"[", b"{"):
        raise CorpusError(f"{corpus.shown(path)}: is neither a JSON array nor an object")
    stop = found(corpus, path).size
    with opened(corpus, path) as file:
        start = begin.first_offset + 1
        items = str(corpus.card.options.get("items", ""))
        for name in items.split(".") if items else ():
            value = _value_start(file, start, stop, name)
            if value is None or _byte(file, value) not in (b"[", b"{"):
                raise CorpusError(f"{corpus.shown(path)}: has no array or object at {items!r} (options: items)")
            start = value + 1
        if _byte(file, start - 1) == b"{":
            _expect_records(corpus, path, file, start)
    return start


def _expect_records(corpus: Corpus, path: str, file: BinaryIO, start: int) -> None:
    file.seek(start)
    member = _MEMBER.match(file.read(HEAD_BYTES))
    if member and _byte(file, start + member.end()) != b"{":
        raise CorpusError(
            f"{corpus.shown(path)}: the members of this JSON object are no records; if one of them holds the"
            " records, name it with `options: {items: NAME}`; if every line is an object, use `reader: jsonl`"
        )


def _expect_end(corpus: Corpus, path: str, last: Piece) -> None:
    """After the last element come its closing bracket and, but for `items`, the end of the file."""
    with opened(corpus, path) as file:
        file.seek(last.stop)
        tail = rest = file.read(HEAD_BYTES)
        while rest and not (tail := rest.lstrip(b" \t\r\n,")):
            rest = file.read(HEAD_BYTES)
        if not tail:
            if not _ends_in_a_string(file, last):
                raise CorpusError(
                    f"{corpus.shown(path)}: ends before its JSON array or object is closed: download it again"
                )
            return
    end = _END.match(tail)
    if "items" not in corpus.card.options and (end is None or end.end() != len(tail)):
        raise CorpusError(
            f"{corpus.shown(path)}: goes on after its JSON array or object ends; if every line is an object, use"
            " `reader: jsonl`"
        )


def _ends_in_a_string(file: BinaryIO, last: Piece) -> bool:
    """Whether the closing bracket is there, but after a lost quote: then the last element alone is lost."""
    scan = JsonScan()
    scan.scan(last.data or b"")
    if last.stop == last.start or not (last.data is None or scan.in_string):
        return False
    file.seek(max(last.start, last.stop - HEAD_BYTES))
    return file.read(HEAD_BYTES).rstrip().endswith((b"]", b"}"))


def _value_start(file: BinaryIO, start: int, stop: int, name: str) -> int | None:
    """Offset of the value of the member `name` of the object that `start` is just inside."""
    begin: int | None = start
    rest = commas(file, start, stop)
    while begin is not None:
        file.seek(begin)
        member = _MEMBER.match(file.read(HEAD_BYTES))
        if member is None:
            return None
        if _text(member.group(1)) == name:
            return begin + member.end()
        comma = next(rest, None)
        begin = None if comma is None else comma + 1
    return None


def _text(quoted: bytes) -> str | None:
    try:
        return str(orjson.loads(quoted))
    except orjson.JSONDecodeError:
        return None


def _byte(file: BinaryIO, place: int) -> bytes:
    file.seek(place)
    return file.read(1)


def _member_record(number: str, piece: Piece) -> Record | Unreadable:
    """The record of a piece `"name": {...}`; its key is the name."""
    try:
        [(name, value)] = parse_object(b"{" + piece.content() + b"}").items()
    except RecordError as error:
        return Unreadable(number, error.reason, str(error))
    if not isinstance(value, dict):
        return Unreadable(number, Reason.RECORD_MALFORMED, "the member is not a JSON object")
    return Record(name, value)
