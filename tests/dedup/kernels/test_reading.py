import html
import re
import unicodedata
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.decontamination.text_tokens import tokens_of, vocabulary_of
from dedup.kernels.buffers import texts_of
from dedup.kernels.reading import NAME, NUMERAL


def read(text, known=""):
    """Tokens as written; `known` is a text whose words are the vocabulary."""
    data, offsets = texts_of(pa.array([known, text]))
    vocabulary, _ = vocabulary_of(data, offsets[:1], tokens_of(data, offsets[:1], offsets[1:2]))
    tokens = tokens_of(data, offsets[1:2], offsets[2:], vocabulary)
    raw = text.encode()
    return [raw[a:b].decode() for a, b in zip(tokens.starts, tokens.stops, strict=True)], tokens


def hashes(text):
    return read(text)[1].hashes.tolist()


@given(st.lists(st.from_regex(r"[a-z]{1,9}|[0-9]{1,3}", fullmatch=True), max_size=20))
def test_words_and_numerals_are_those_that_a_regular_expression_finds(words):
    text = ", ".join(words)

    assert read(text)[0] == re.findall(r"[a-z]+|[0-9]+", text)


@pytest.mark.parametrize(
    "other",
    [
        html.escape("Sjögren's <café>").replace("<", "&lt;"),
        "SJÖGREN’S café",
        unicodedata.normalize("NFD", "Sjögren's café"),
        "Sj\u00adö\u200bgren's caf&eacute;",
        "sj&#246;gren&#39;s caf&#xE9;",
        "sj&amp;ouml;gren's café",
        quote("Sjögren's café"),
        "Sj\\u00f6gren's caf\\u00e9",
        "<p>Sjögren's</p><br/>café",
        "Sjögren's\\nCafé",
        "sjogrens cafe",
    ],
)
def test_a_text_written_otherwise_reads_the_same(other):
    assert hashes(other.replace("&lt;", " ").replace("&gt;", " ")) == hashes("sjogrens cafe")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("p<0.05 and a < b > c", ["p", "0.05", "and", "a", "b", "c"]),
        ("1,000 is 1000, 1,2,3", ["1,000", "is", "1000", "1", "2", "3"]),
        ("T2, 3cm", ["T", "2", "3", "cm"]),
        ("50% of \\theta & AT&T;", ["50", "of", "theta", "AT", "T"]),
        ("100%", ["100"]),
        ("&", []),
        ("%C3", ["C", "3"]),
        ("患者x", ["患", "者", "x"]),
    ],
)
def test_what_only_looks_like_an_escape_is_read_as_it_stands(text, tokens):
    assert read(text)[0] == tokens


def test_thousands_are_the_same_with_and_without_a_comma():
    assert hashes("1,000") == hashes("1000")


@pytest.mark.parametrize("broken", ["pneumo\nthorax", "pneumo-\n   thorax", "pneumo<b>thorax</b>", "pneumo\r\nthorax"])
def test_a_broken_word_is_joined_where_the_whole_is_known(broken):
    assert read(broken, known="pneumothorax")[1].hashes.tolist() == hashes("pneumothorax")
    assert read(broken, known="pneumo thorax pneumothorax")[1].hashes.tolist() == hashes("pneumo thorax")
    assert read(broken.replace("<b>", "\n"), known="other")[1].hashes.tolist() == hashes("pneumo thorax")


def test_names_inside_sentences_are_marked():
    _, tokens = read("The river Nile. Who saw the Rhine in 1850?")

    assert [bool(kind & NAME) for kind in tokens.kinds] == [False, False, True, *[False] * 3, True, False, False]
    assert tokens.kinds[-1] == NUMERAL


def test_british_and_american_spellings_and_plurals_have_one_number():
    _, tokens = read("haemorrhages tumor leukaemia neurone", known="hemorrhage tumour leukemia neurones")

    assert sorted(tokens.words.tolist()) == [0, 1, 2, 3]


@given(st.text(max_size=60))
def test_any_text_can_be_read(text):
    text = text.encode("utf-8", "ignore").decode()
    _, tokens = read(text)

    assert (tokens.starts < tokens.stops).all()
    assert (np.diff(tokens.starts) > 0).all()
    assert len(tokens.stops) == 0 or tokens.stops[-1] <= len(text.encode())
