"""Pictures, texts and groups of one sample become findings."""

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from dedup.decontamination.assemble import (
    LONG_WORDS,
    Wordings,
    assembled,
    best_by_grade,
    in_order,
    listed,
    merged,
    summed,
    tally,
    wordings_of,
)
from dedup.decontamination.findings import FINDINGS

TEXT = pa.schema(
    [("row", pa.int32()), ("item", pa.int32()), ("grade", pa.string()), ("score", pa.float64()), ("alone", pa.bool_()),
     ("answer", pa.bool_()), ("question", pa.bool_()), ("field", pa.string()), ("span_start", pa.int32()),
     ("span_stop", pa.int32()), ("item_field", pa.string()), ("item_start", pa.int32()), ("item_stop", pa.int32()),
     ("evidence", pa.string())]
)  # fmt: skip
PICTURE = pa.schema(
    [("image_id", pa.string()), ("picture", pa.int32()), ("grade", pa.string()), ("score", pa.float64()),
     ("transform", pa.string()), ("evidence", pa.string())]
)  # fmt: skip
EVALS = pa.schema([("picture", pa.int32()), ("image_id", pa.string()), ("items", pa.list_(pa.int32()))])
GROUPS = pa.schema(
    [("row", pa.int32()), ("kind", pa.string()), ("id", pa.string()), ("items", pa.list_(pa.int32()))]
)  # fmt: skip


def text(row: int, item: int, grade: str = "near_text", *, alone: bool = True, answer: bool = False) -> dict[str, Any]:
    return {
        "row": row, "item": item, "grade": grade, "score": 0.9, "alone": alone, "answer": answer, "question": True,
        "field": "turns.0", "span_start": 0, "span_stop": 9, "item_field": "question", "item_start": 0, "item_stop": 9,
        "evidence": '{"longest_run": 7}',
    }  # fmt: skip


def picture(image_id: str, number: int, grade: str = "reencoded") -> dict[str, Any]:
    return {"image_id": image_id, "picture": number, "grade": grade, "score": 0.97, "transform": "mirror",
            "evidence": '{"inliers": 40}'}  # fmt: skip


def found(
    texts: list[dict[str, Any]] = [],  # noqa: B006 - never changed
    pictures: list[dict[str, Any]] = [],  # noqa: B006
    groups: list[dict[str, Any]] = [],  # noqa: B006
    images: tuple[tuple[str, ...], ...] = (("a",), ("b",), ()),
    alike: tuple[int, ...] = (0, 1, 2),
    long: bool = True,
) -> pa.Table:
    """Of eval picture 0 of items 0 and 1, eval picture 1 of item 2."""
    evals = [{"picture": 0, "image_id": "x", "items": [0, 1]}, {"picture": 1, "image_id": "y", "items": [2]}]
    return assembled(
        images,
        pa.Table.from_pylist(texts, schema=TEXT),
        pa.Table.from_pylist(pictures, schema=PICTURE),
        pa.Table.from_pylist(evals, schema=EVALS),
        pa.Table.from_pylist(groups, schema=GROUPS),
        np.array(alike, np.int32),
        Wordings(np.full(3, LONG_WORDS if long else 12), np.array([True, True, False])),
    )


def told(table: pa.Table) -> list[tuple[int, int, str, str]]:
    return [(row["row"], row["item"], row["channel"], row["grade"]) for row in table.to_pylist()]


def test_a_picture_is_found_of_every_item_that_shows_it() -> None:
    table = found(pictures=[picture("a", 0)])
    assert told(table) == [(0, 0, "image", "reencoded"), (0, 1, "image", "reencoded")]
    assert table["transform"].to_pylist() == ["mirror", "mirror"]
    assert orjson.loads(table["evidence"][0].as_py()) == {"eval_image_id": "x", "image_id": "a", "inliers": 40}


def test_picture_and_question_of_one_sample_are_a_pair_of_the_stronger_grade() -> None:
    table = found([text(0, 0, "exact")], [picture("a", 0)])
    assert told(table) == [(0, 0, "pair", "exact"), (0, 1, "image", "reencoded")]
    evidence = orjson.loads(table["evidence"][0].as_py())
    assert evidence["image"]["inliers"] == 40
    assert evidence["text"]["longest_run"] == 7


def test_a_picture_in_one_sample_and_the_question_in_another_are_no_pair() -> None:
    table = found([text(1, 0)], [picture("a", 0)])
    assert told(table) == [(0, 0, "image", "reencoded"), (0, 1, "image", "reencoded"), (1, 0, "text", "near_text")]


def test_a_short_question_alone_is_nothing_even_word_for_word() -> None:
    assert told(found([text(2, 0, "exact", alone=False)])) == []


@pytest.mark.parametrize("support", ["answer", "picture", "group"])
def test_a_short_question_counts_with_its_answer_its_picture_or_its_group(support: str) -> None:
    texts = [text(0, 0, "exact", alone=False, answer=support == "answer")]
    pictures = [picture("a", 0)] if support == "picture" else []
    groups = [{"row": 0, "kind": "case", "id": "c1", "items": [0]}] if support == "group" else []
    channels = {channel for row, item, channel, _ in told(found(texts, pictures, groups)) if item == 0}
    assert channels == {"pair" if support == "picture" else "text"}


def test_a_group_counts_only_where_nothing_of_the_content_was_found() -> None:
    groups = [{"row": 0, "kind": "article", "id": "PMC1", "items": [0, 2]},
              {"row": 0, "kind": "figure", "id": "PMC1_Fig1", "items": [0]}]  # fmt: skip
    assert told(found([text(0, 0)], [], groups)) == [(0, 0, "text", "near_text"), (0, 2, "group", "same_group")]


@pytest.mark.parametrize("grade", ["template_sibling", "passage_shared"])
def test_what_is_only_reported_makes_no_pair_and_hides_no_group(grade: str) -> None:
    groups = [{"row": 0, "kind": "case", "id": "c1", "items": [2]}]
    table = found([text(0, 2, grade)], [picture("a", 1)], groups, images=(("a",),))
    assert told(table) == [(0, 2, "image", "reencoded"), (0, 2, "text", grade)]
    assert told(found([text(0, 2, grade)], [], groups)) == [(0, 2, "group", "same_group"), (0, 2, "text", grade)]


def test_of_several_hits_of_one_item_the_strongest_counts() -> None:
    table = found([text(0, 2, "paraphrase"), text(0, 2, "exact")])
    assert told(table) == [(0, 2, "text", "exact")]


def test_the_best_of_each_row_and_grade() -> None:
    table = found([text(0, 2, "paraphrase", answer=True), text(0, 1, "paraphrase", answer=True)], [picture("a", 0)])
    assert told(best_by_grade(table)) == [(0, 0, "image", "reencoded"), (0, 2, "text", "paraphrase")]


def test_a_question_that_many_items_have_counts_for_those_whose_picture_or_group_is_there() -> None:
    texts = [text(row, 0, "exact", alone=False) for row in range(3)]
    groups = [{"row": 1, "kind": "case", "id": "c", "items": [0]}]
    table = found(texts, [picture("a", 1)], groups, alike=(0, 0, 0))
    assert told(table) == [(0, 2, "pair", "exact"), (1, 0, "text", "exact")]


@pytest.mark.parametrize("grade", ["exact", "near_text", "paraphrase"])
def test_a_stock_question_with_another_picture_is_nothing_even_with_its_answer(grade: str) -> None:
    texts = [text(1, 0, grade, answer=True)]
    assert told(found(texts, long=False)) == []
    assert told(found(texts, [picture("b", 0)], long=False)) == [
        (1, 0, "pair", _stronger(grade)),
        (1, 1, "image", "reencoded"),
    ]
    groups = [{"row": 1, "kind": "case", "id": "c", "items": [0]}]
    assert told(found(texts, [], groups, long=False)) == [(1, 0, "text", grade)]
    answer = [{**one, "item_field": "answer"} for one in texts]
    assert told(found(answer, long=False)) == []
    report = [{**one, "item_field": "text"} for one in texts]
    assert told(found(report, long=False)) == [(1, 0, "text", grade)]


def _stronger(grade: str) -> str:
    return "exact" if grade == "exact" else "reencoded"


def test_what_is_known_of_questions() -> None:
    items = pa.table(
        {"eval_set": ["s"] * 4, "question": [" ".join(["word"] * 19), " ".join(["word"] * 20), "Is it?", None]}
    )
    pictures = pa.table({"items": pa.array([[0, 1], [3]], pa.list_(pa.int32()))})
    wordings = wordings_of(items, pictures)
    assert wordings.words.tolist() == [19, 20, 2, 0]
    assert wordings.pictured.tolist() == [True, True, False, True]
    assert wordings_of(items, pictures, {"s"}).pictured.all()


def test_a_short_question_in_other_words_without_the_answer_is_nothing() -> None:
    assert told(found([text(2, 2, "paraphrase")], long=False)) == []
    assert told(found([text(2, 2, "paraphrase", answer=True)], long=False)) == [(2, 2, "text", "paraphrase")]
    assert told(found([text(2, 2, "paraphrase")])) == [(2, 2, "text", "paraphrase")]
    assert told(found([text(0, 2, "paraphrase")], [picture("a", 1)], long=False)) == [(0, 2, "pair", "reencoded")]


ITEMS = pa.table({"eval_set": ["s", "s", "t"], "eval_id": ["1", "2", "1"]})


def test_many_samples_of_one_item_are_counted_and_the_first_hundred_listed_whatever_the_fragments() -> None:
    ids = [f"{number:03d}" for number in range(130)]
    texts = [text(number, 2) for number in range(130)]
    whole = found(texts, images=((),) * 130)
    cuts = [whole.slice(0, 70), whole.slice(70)]
    parts = [listed(part, ITEMS, pa.chunked_array([ids]), "src") for part in cuts]
    counts = summed([tally(part) for part in cuts])
    findings = merged(parts, counts)
    assert counts.to_pylist() == [{"item": 2, "channel": "text", "grade": "near_text", "samples": 130}]
    assert findings.schema.equals(FINDINGS)
    assert findings["sample_id"].to_pylist() == ids[:100]
    assert {orjson.loads(evidence)["of"] for evidence in findings["evidence"].to_pylist()} == {130}
    assert findings.equals(merged([listed(whole, ITEMS, pa.chunked_array([ids]), "src")], tally(whole)))


def test_findings_come_by_set_item_strength_and_score() -> None:
    table = found([text(0, 2), text(1, 1, "paraphrase", answer=True), text(1, 2, "exact")])
    findings = listed(table, ITEMS, pa.chunked_array([["p", "q", "r"]]), "src")
    ordered = in_order(findings.select(FINDINGS.names))
    keys = list(zip(*(ordered[name].to_pylist() for name in ("eval_set", "eval_id", "grade")), strict=True))
    assert keys == [("s", "2", "paraphrase"), ("t", "1", "exact"), ("t", "1", "near_text")]


def test_a_finding_has_the_same_name_in_every_audit() -> None:
    first, second = (
        listed(found([text(0, 2)]), ITEMS, pa.chunked_array([["p"]]), source)["finding_id"].to_pylist()
        for source in ("src", "other")
    )
    assert first == second


def test_nothing_found_is_a_table_of_nothing() -> None:
    assert found().num_rows == 0
    assert tally(found()).num_rows == 0
    assert listed(found(), ITEMS, pa.chunked_array([["p"]]), "src").num_rows == 0
