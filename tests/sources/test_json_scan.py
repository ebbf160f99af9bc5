import io
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sources.readers import json_scan
from sources.readers.json_scan import commas, split_elements

AWKWARD = st.text(alphabet=st.sampled_from('"\\[]{},: \n\tx\u00e9\U0001f600'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | AWKWARD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(AWKWARD, inner, max_size=4),
    max_leaves=12,
)
LAYOUTS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"indent": "\t", "ensure_ascii": False}])


@settings(max_examples=150, deadline=None)
@given(values=st.lists(VALUES, max_size=8), layout=LAYOUTS, chunk_bytes=st.integers(1, 40))
@example(values=['\\\\\\"', "\\"], layout={}, chunk_bytes=1)
def test_the_elements_of_an_array_are_those_json_finds_whatever_the_chunk_size(values, layout, chunk_bytes) -> None:
    data = json.dumps(values, **layout).encode()
    pieces = list(split_elements(io.BytesIO(data), 1, len(data), chunk_bytes))
    assert [json.loads(piece.content()) for piece in pieces] == values
    assert all(data[piece.start : piece.stop] == piece.data for piece in pieces)


@settings(max_examples=100, deadline=None)
@given(members=st.dictionaries(AWKWARD, VALUES, max_size=6), layout=LAYOUTS, chunk_bytes=st.integers(1, 40))
def test_the_members_of_an_object_are_those_json_finds_whatever_the_chunk_size(members, layout, chunk_bytes) -> None:
    data = json.dumps(members, **layout).encode()
    pieces = split_elements(io.BytesIO(data), 1, len(data), chunk_bytes)
    found = [json.loads(b"{" + piece.content() + b"}") for piece in pieces]
    assert found == [{name: value} for name, value in members.items()]


@settings(max_examples=100, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=8), layout=LAYOUTS, ends=st.data())
def test_a_range_from_one_element_to_another_splits_into_the_same_elements(values, layout, ends) -> None:
    data = json.dumps(values, **layout).encode()
    pieces = list(split_elements(io.BytesIO(data), 1, len(data)))
    first = ends.draw(st.integers(0, len(pieces) - 1))
    last = ends.draw(st.integers(first, len(pieces) - 1))
    again = split_elements(io.BytesIO(data), pieces[first].start, pieces[last].stop, 7)
    assert list(again) == pieces[first : last + 1]


@settings(max_examples=100, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=6), kept=st.integers(1, 200), chunk_bytes=st.integers(1, 40))
def test_a_truncated_array_gives_its_whole_elements_and_at_most_one_more_piece(values, kept, chunk_bytes) -> None:
    data = json.dumps(values).encode()[:kept]
    contents = [piece.content() for piece in split_elements(io.BytesIO(data), 1, len(data), chunk_bytes)]
    whole = [piece.content() for piece in split_elements(io.BytesIO(json.dumps(values).encode()), 1, 10**6)]
    assert contents[:-1] == whole[: max(0, len(contents) - 1)]


def test_what_follows_the_closing_bracket_is_not_looked_at() -> None:
    data = b'1, 2], "next": [3, 4]'
    assert [piece.data for piece in split_elements(io.BytesIO(data), 0, len(data))] == [b"1", b"2"]
    assert list(commas(io.BytesIO(data), 0, len(data))) == [1]


@pytest.mark.parametrize("chunk_bytes", [64, 1000])
def test_an_element_too_long_to_hold_is_only_located(monkeypatch, chunk_bytes) -> None:
    monkeypatch.setattr(json_scan, "MAX_RECORD_BYTES", 100)
    data = b'{"a": 1}, {"b": "' + b"x" * 500 + b'"}, {"c": 3}'
    first, long, last = split_elements(io.BytesIO(data), 0, len(data), chunk_bytes)
    assert (first.data, last.data) == (b'{"a": 1}', b'{"c": 3}')
    assert long.data is None
    assert data[long.start : long.stop].strip().startswith(b'{"b"')


@settings(max_examples=60, deadline=None)
@given(
    before=st.lists(st.dictionaries(AWKWARD, VALUES, min_size=1, max_size=3), max_size=3),
    after=st.lists(st.dictionaries(AWKWARD, VALUES, min_size=1, max_size=3), max_size=3),
    indent=st.sampled_from([None, 1, 4]),
    chunk_bytes=st.integers(1, 60),
)
def test_a_lost_quote_costs_its_element_where_elements_have_lines_of_their_own(
    before: list[dict[str, object]], after: list[dict[str, object]], indent: int | None, chunk_bytes: int
) -> None:
    margin = " " * (indent or 0)
    elements = [*before, {"name": "words: more", "n": 3}, *after]
    texts = [json.dumps(value, indent=indent).replace("\n", "\n" + margin) for value in elements]
    texts[len(before)] = texts[len(before)].replace('"words', "words")
    data = ("[\n" + ",\n".join(margin + text for text in texts) + "\n]").encode()
    pieces = list(split_elements(io.BytesIO(data), 1, len(data), chunk_bytes))
    lost = pieces.pop(len(before))
    assert lost.data is None
    assert [json.loads(piece.content()) for piece in pieces] == [*before, *after]
    start = pieces[0].start if before else lost.start
    assert list(split_elements(io.BytesIO(data), start, lost.stop, 9)) == [*pieces[: len(before)], lost]


def test_a_lost_quote_in_an_object_of_records_costs_one_member() -> None:
    data = b'{\n "a": {"x": "1"},\n "b": {"x": 2"},\n "c": {"x": "3"},\n "d": {"x": "4"}\n}'
    pieces = list(split_elements(io.BytesIO(data), 1, len(data)))
    assert [piece.data and piece.data[:3] for piece in pieces] == [b'"a"', None, b'"c"', b'"d"']
