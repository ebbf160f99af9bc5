from typing import Any

import pytest

from sources.cards import Card, Layout
from sources.columns import fields_of, lookup, mapped_columns, required_columns, text_field, text_of, value_of
from sources.records import Record, RecordError


def card(fields: dict[str, Any], reader: str = "jsonl", **settings: Any) -> Card:
    return Card(
        name="t", reader=reader, layout=Layout(files=("*",)), fields=fields, task="vqa", access="open", **settings
    )


def value(fields: dict[str, Any], name: str, row: dict[str, Any], key: str = "0") -> Any:
    return value_of(card(fields), Record(key, row), name)


@pytest.mark.parametrize(
    ("column", "row", "expected"),
    [
        ("a", {"a": 1}, 1),
        ("a.b", {"a": {"b": 2}}, 2),
        ("a.b", {"a.b": 3, "a": {"b": 2}}, 3),
        ("images.path", {"images": [{"path": "1.jpg"}, {"path": "2.jpg"}, "odd"]}, ["1.jpg", "2.jpg"]),
        ("a.b", {"a": "text"}, None),
        ("@key", {}, "PMID7"),
    ],
)
def test_columns_may_be_nested_and_the_key_has_a_name(column: str, row: dict[str, Any], expected: object) -> None:
    assert lookup(Record("PMID7", row), column) == expected


def test_either_spelling_of_a_field_is_taken() -> None:
    assert value({"caption": "c"}, "text", {"c": "x"}) == "x"
    assert value({"images": "i"}, "image", {"i": ["a"]}) == ["a"]


def test_several_columns_make_a_list_without_the_empty_end() -> None:
    assert value({"options": ("a", "b", "c")}, "options", {"a": "x", "b": "y", "c": None}) == ["x", "y"]
    assert value({"options": ("a", "b")}, "options", {}) is None


@pytest.mark.parametrize(
    ("pick", "row", "expected"),
    [
        ({"pattern": r"^(PMC\d+)_"}, "PMC77_fig1.jpg", "PMC77"),
        ({"pattern": r"^(PMC\d+)_"}, "ROCO_1", None),
        ({"prefix": "set-"}, " 12 ", "set-12"),
        ({"prefix": "set-"}, "", None),
        ({"pattern": r"\d+", "prefix": "n"}, "study 44", "n44"),
        ({"pattern": "yes|no", "value": "test", "otherwise": "train"}, "no", "test"),
        ({"pattern": "yes|no", "value": "test", "otherwise": "train"}, None, "train"),
        ({"pattern": r"(\d+)"}, ["a1", "b", "c22"], ["1", "22"]),
    ],
)
def test_a_pick_is_made_of_a_field(pick: dict[str, str], row: object, expected: object) -> None:
    assert value({"article": {"field": "f", **pick}}, "article", {"f": row}) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" a\r\nb\r ", "a\nb"), ("", None), ("  ", None), (None, None), (float("nan"), None), (3, "3"), (0, "0"),
        (["a", None, " b "], "a\nb"), ([], None),
    ],
)  # fmt: skip
def test_a_value_as_text(raw: object, expected: str | None) -> None:
    assert text_of(raw) == expected


@pytest.mark.parametrize("raw", [{"a": 1}, b"bytes", ["a", {"b": 1}]])
def test_what_is_no_text_is_refused_without_being_quoted(raw: object) -> None:
    with pytest.raises(RecordError, match=r"a text field holds (dict|bytes)"):
        text_of(raw)


def nested(depth: int) -> object:
    value: object = "a"
    for _ in range(depth):
        value = [value]
    return value


def test_lists_in_lists_are_text_down_to_a_depth_that_does_not_depend_on_who_asks() -> None:
    def asked(frames: int, depth: int) -> str | None:
        return text_of(nested(depth)) if frames == 0 else asked(frames - 1, depth)

    for frames in (0, 300):
        assert asked(frames, 32) == "a"
        with pytest.raises(RecordError, match="lists nested more than 32 deep"):
            asked(frames, 33)
    with pytest.raises(RecordError, match="lists nested more than 32 deep"):
        text_of(nested(5000))


def test_parts_of_a_context_are_paragraphs() -> None:
    assert text_field(card({"context": "c"}), Record("0", {"c": ["one", "two"]}), "context", "\n\n") == "one\n\ntwo"


def test_without_a_map_columns_are_found_by_canonical_name() -> None:
    assert value({}, "question", {"question": "why?"}) == "why?"
    assert required_columns(card({})) == frozenset()


def test_llava_and_dicom_have_columns_of_their_own_under_the_cards() -> None:
    assert fields_of(card({"license": "l"}, "llava"))["conversations"] == "conversations"
    dicom = fields_of(card({"patient": {"field": "PatientID", "prefix": "x-"}}, "dicom"))
    assert dicom["study"] == "StudyInstanceUID"
    assert dicom["patient"] != "PatientID"


def test_only_columns_that_the_card_names_are_ever_used() -> None:
    named = card(
        {"id": "@key", "text": "body.text", "options": ("a", "b"), "article": {"field": "pmc", "pattern": "(.*)"}},
        meta=("year",),
        join={"path": "t.csv", "left": "uid", "right": "uid"},
    )
    assert mapped_columns(named) == {"body.text", "body", "a", "b", "pmc", "year", "uid"}
    assert required_columns(named) == {"body.text", "a", "b", "pmc"}
