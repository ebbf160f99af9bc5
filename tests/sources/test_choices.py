import json
from typing import Any

import pytest

from sources.choices import chosen, options_of
from sources.records import RecordError

TEXTS = ["aspirin", "no treatment", "surgery"]


@pytest.mark.parametrize(
    "form",
    [
        TEXTS,
        tuple(TEXTS),
        {"C": "surgery", "A": "aspirin", "B": "no treatment"},
        {"A": "aspirin", "B": "no treatment", "C": "surgery", "D": None},
        [{"letter": letter, "content": text} for letter, text in zip("ABC", TEXTS, strict=True)],
        [{"label": letter, "text": text} for letter, text in zip("ABC", TEXTS, strict=True)],
        [{"key": letter, "value": text} for letter, text in zip("ABC", TEXTS, strict=True)],
        [{"text": text} for text in TEXTS],
        ["A: aspirin", " B:no treatment", "C:surgery "],
        ["(A) aspirin", "(B) no treatment", "(C) surgery"],
        [" A:aspirin ", " B: no treatment", "C:surgery", " D: "],
        [" A:aspirin ", " B: no treatment", "C:surgery", "D:", "E:"],
        ["A:aspirin", "B:no treatment", "C:surgery", ""],
        str(TEXTS),
        json.dumps(TEXTS),
        json.dumps({"A": "aspirin", "B": "no treatment", "C": "surgery"}),
        "A. aspirin\nB. no treatment\nC. surgery",
    ],
    ids=["list", "columns", "mapping", "mapping_with_absent_end", "letter_and_content", "label_and_text",
         "key_and_value", "text_alone", "colon", "brackets",
         "last_is_its_letter_only", "two_are_their_letters_only", "last_is_empty",
         "python_literal", "json", "json_mapping", "lines"],
)  # fmt: skip
def test_every_published_form_of_options_gives_their_texts(form: Any) -> None:
    assert options_of(form) == TEXTS


@pytest.mark.parametrize(
    "form",
    [
        [{"label": number, "text": text} for number, text in enumerate(TEXTS)],
        [{"key": f"option{number}", "text": text} for number, text in enumerate(TEXTS)],
        [{"text": letter, "value": text} for letter, text in zip("ABC", TEXTS, strict=True)],
        [{"text": text, "value": number} for number, text in enumerate(TEXTS)],
    ],
    ids=["numbers", "names", "letter_in_text", "number_in_value"],
)
def test_a_label_that_is_no_letter_is_no_part_of_an_option_and_a_letter_is_not_its_text(form: Any) -> None:
    assert options_of(form) == TEXTS


def test_an_option_that_happens_to_be_a_letter_is_a_text() -> None:
    assert options_of([{"text": text, "value": 1} for text in ("A", "0", "AB")]) == ["A", "0", "AB"]


@pytest.mark.parametrize("nothing", [None, [], "", "  ", {}])
def test_no_options_are_none(nothing: Any) -> None:
    assert options_of(nothing) is None


def test_prefixes_that_are_not_the_letters_in_order_belong_to_the_text() -> None:
    assert options_of(["B: cells", "T: cells"]) == ["B: cells", "T: cells"]
    assert options_of(["A. pylori", "virus"]) == ["A. pylori", "virus"]
    assert options_of(["A)", "B)", "C)"]) == ["A)", "B)", "C)"]


@pytest.mark.parametrize(
    "bad",
    [
        "not a list",
        "['unclosed",
        "__import__('os').system('x')",
        ["a", "", "c"],
        ["A:a", "B:", "C:c"],
        ["A:", "B:b"],
        ["", "", ""],
        7,
        list("abcdefghijklmnopqrstuvwxyzz"),
        {"first": "a"},
        [{"label": "A"}, {"label": "B", "text": "b"}],
        "[" * 5000,
    ],
)
def test_what_is_no_list_of_options_is_refused(bad: Any) -> None:
    with pytest.raises(RecordError):
        options_of(bad)


@pytest.mark.parametrize(
    ("answer", "base", "index"),
    [
        ("no treatment", None, 1),
        ("No Treatment ", None, 1),
        ("B", None, 1),
        ("b)", None, 1),
        ("(B)", None, 1),
        ("B: no treatment", None, 1),
        (["B"], None, 1),
        (1, 0, 1),
        ("2", 1, 1),
        (2.0, 1, 1),
        ("wait and see", None, None),
        ("A cure", None, None),
    ],
)
def test_an_answer_names_its_option_by_text_letter_or_index(answer: Any, base: int | None, index: int | None) -> None:
    assert chosen(answer, TEXTS, base) == index


def test_a_letter_that_is_another_option_s_text_is_what_the_card_says() -> None:
    assert chosen("A", ["O", "A", "B"], "letter") == 0
    assert chosen("D.", ["O", "A", "B", "AB"], "letter") == 3
    assert chosen("a cure", ["a cure", "B"], "letter") == 0
    with pytest.raises(RecordError, match="answer_base"):
        chosen("A", ["O", "A", "B"], None)
    assert chosen("B", ["A", "B"], None) == 1
    assert chosen("K", ["E", "K"], None) == 1  # eleven options would be needed for a letter


@pytest.mark.parametrize(("answer", "base"), [("D", None), (3, 0), (0, 1), ("B", 1), (1, None), (-1, 0), ("", 0)])
def test_an_answer_that_names_no_option_is_refused(answer: Any, base: int | None) -> None:
    with pytest.raises(RecordError):
        chosen(answer, TEXTS, base)


def test_an_option_that_is_no_text_is_refused() -> None:
    with pytest.raises(RecordError, match="not UTF-8"):
        options_of(r"['\udce9', 'b']")
