from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dedup.exact import normalise
from dedup.kernels.buffers import texts_of
from dedup.kernels.characters import character_classes
from dedup.kernels.tokens import hash_of_word, tokenise
from tests.dedup.kernels import naive

texts = st.text(st.sampled_from("abé0123 \n.,-'’−‐%<°µ中がไख़١٢😀|_:()") | st.characters(exclude_categories=["Cs"]))


def found_in(text: str) -> list[tuple[int, int]]:
    data = np.frombuffer(text.encode(), np.uint8)
    hashes, spans = np.empty(len(data) + 1, np.uint64), np.empty((len(data) + 1, 2), np.int64)
    kinds = np.empty(len(data) + 1, np.uint8)
    count = tokenise(data, 0, len(data), character_classes(), hashes, spans, kinds)
    return list(zip(hashes[:count].tolist(), kinds[:count].tolist(), strict=True))


@settings(max_examples=500, deadline=None)
@given(texts)
@example("3cm t2-weighted -5 hu, 3-5 mm, .05 1,000.5 cd20- er+ patient's don’t a'b''c -.5 −3 x-.5 5-.5 a.5 --5")
def test_tokens_are_those_of_a_plain_reading_of_the_rules(text: str) -> None:
    for form in (text, normalise(text)):
        assert found_in(form) == [(naive.token_hash(token), kind) for token, kind in naive.tokens_of(form)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a 3cm nodule", ["a", "3", "cm", "nodule"]),
        ("1.5 and 15", ["1.5", "and", "15"]),
        ("t2-weighted", ["t", "2", "weighted"]),
        ("-5 to 3-5", ["-5", "to", "3", "5"]),
        ("\u22125", ["-5"]),
        ("p<.05", ["p", "<", ".05"]),
        ("patient\u2019s patient's", ["patients", "patients"]),
        ("cd20+ cd20-, pre- und post", ["cd", "20", "+", "cd", "20", "-", "pre", "-", "und", "post"]),
        ("ödem größe", ["ödem", "größe"]),
        ("左肺 ct", ["左", "肺", "ct"]),
        ("a_b|c", ["a", "b", "c"]),
        ("", []),
    ],
)
def test_what_is_a_token(text: str, tokens: list[str]) -> None:
    assert [token for token, _ in naive.tokens_of(text)] == tokens
    assert [value for value, _ in found_in(text)] == [naive.token_hash(token) for token in tokens]


def test_a_word_of_the_lists_that_is_two_tokens_is_refused() -> None:
    assert hash_of_word("left") == naive.token_hash("left")
    assert hash_of_word("-") == naive.token_hash("-")
    with pytest.raises(ValueError, match="2 tokens"):
        hash_of_word("x-ray")


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_buffers_of_sliced_chunked_and_null_texts(type_: pa.DataType) -> None:
    values = ["first", None, "", "größe", "last"]
    column = pa.array(values, type_)
    for arrow in (column, column.slice(1, 3), column.slice(4), column.slice(5), pa.chunked_array([column, column[2:]])):
        data, offsets = texts_of(arrow)
        got = [data[start:stop].tobytes().decode() for start, stop in pairwise(offsets)]
        assert got == [value or "" for value in arrow.to_pylist()]


def test_what_is_no_string_is_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        texts_of(pa.array([1]))
