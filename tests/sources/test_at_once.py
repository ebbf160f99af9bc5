"""Fragments that are taken apart as a whole give the records that are found one by one."""

import json
import tempfile
from pathlib import Path
from unittest.mock import patch

import hypothesis
import hypothesis.strategies as st
import pytest

from sources.readers import csv_rows, json_array, jsonl
from sources.records import Record, Unreadable
from tests.sources.corpora import corpus_in, read

PIECES = st.sampled_from(
    ['"', '""', ",", "\n", "\r\n", "\r", " ", "a", "é", "\ufeff", "\0", "{", "}", "[", "]", "\\", "1", ":"]
)
TEXTS = st.lists(PIECES, max_size=24).map("".join)
ROWS = st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=6)


def both_ways(name: str, data: bytes, reader: str) -> tuple[list[Record | Unreadable], list[Record | Unreadable]]:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / name).write_bytes(data)
        corpus = corpus_in(Path(place), reader, name, meta=("*",))
        at_once = read(corpus)
        modules = (csv_rows, json_array, jsonl)
        patches = [patch.object(module, "AT_ONCE_BYTES", -1) for module in modules]
        for one in patches:
            one.start()
        try:
            return at_once, read(corpus)
        finally:
            for one in patches:
                one.stop()


@hypothesis.settings(max_examples=60)
@hypothesis.given(TEXTS, st.booleans())
def test_rows_of_any_csv_are_the_same(text: str, broken: bool) -> None:
    data = f"a,b\n{text}\n".encode() + (b"\xff,1\n" if broken else b"")
    at_once, one_by_one = both_ways("rows.csv", data, "csv")
    assert at_once == one_by_one


@hypothesis.settings(max_examples=40)
@hypothesis.given(st.lists(TEXTS, max_size=5))
def test_lines_of_any_json_lines_are_the_same(lines: list[str]) -> None:
    data = "\n".join(['{"a": 1}', *lines, '{"a": "é"}']).encode()
    at_once, one_by_one = both_ways("rows.jsonl", data, "jsonl")
    assert at_once == one_by_one


@hypothesis.settings(max_examples=40)
@hypothesis.given(ROWS, st.sampled_from(["NaN", "1", '"x"', '{"a": 1}', "[]"]))
def test_elements_of_any_json_array_are_the_same(rows: list[list[str]], last: str) -> None:
    objects = [json.dumps(dict(zip("ab", row, strict=True)), ensure_ascii=False) for row in rows]
    data = ("[" + ",\n".join([*objects, last]) + "]").encode()
    at_once, one_by_one = both_ways("rows.json", data, "json")
    assert at_once == one_by_one


@pytest.mark.parametrize(
    "document", ['{"x": {"a": 1}, "x": {"a": 2}}', '{"x": {"a": 1}, "y": {"a": "é"}}', '[{"a": 1}, 2]']
)
def test_members_of_json_objects_are_the_same(document: str) -> None:
    at_once, one_by_one = both_ways("rows.json", document.encode(), "json")
    assert at_once == one_by_one
