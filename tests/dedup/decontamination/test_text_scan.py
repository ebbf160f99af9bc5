"""Texts that leak an item and must be found, texts that only resemble one and must not, and the form of hits."""

import base64
import json
import random
import re
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_scan import scan_texts
from dedup.decontamination.text_settings import TEXT_HITS, TextSettings
from dedup.kernels import eval_search
from tests.dedup.decontamination.texts import (
    ALL,
    BLOOD,
    EFFUSION,
    ENZYME,
    INCOME,
    PASSAGE,
    REPORT,
    SHORT,
    TUMOUR,
    VIGNETTE,
    YES_NO,
    grades,
    hits,
    items_of,
    sample,
    samples_of,
)

QUESTION, ANSWER = VIGNETTE["question"], VIGNETTE["answer"]
FILLER = (
    "The clinic opens at nine and patients register at the desk. Nurses then record weight and pressure before anyone "
    "is called. Most visits last a quarter of an hour, follow ups less, and records are kept on paper. "
)


def noisy(text: str) -> str:
    """Zero-width characters, soft hyphens, hard blanks, entities and tags all over a text."""
    words = text.split(" ")
    words[2:3] = [f"<b>{words[2]}</b>"]
    words[5] = words[5][:2] + "\u200b" + words[5][2:]
    words[6] = words[6][:3] + "\u00ad" + words[6][3:]
    return " ".join(words[:8]) + "&nbsp;" + "\u00a0".join(words[8:]).replace("'", "&#8217;")


def rewrapped(text: str) -> str:
    """Lines of eight words behind bullets, a word broken by a line's end, one by a hyphen."""
    text = text.replace("instability", "insta\nbility").replace("saccades", "sacc-\n  ades")
    words = text.split(" ")
    return "\n".join("- " + " ".join(words[k : k + 8]) for k in range(0, len(words), 8))


FOUND = {
    "verbatim_question_and_answer": sample(QUESTION, ANSWER),
    "verbatim_question_in_a_later_turn": sample("Hello", "Hello, how can I help?", QUESTION, "I do not know"),
    "rewrapped_into_bullets_with_broken_words": rewrapped(QUESTION),
    "zero_width_soft_hyphen_nbsp_and_markup": noisy(QUESTION),
    "options_shuffled_between_stem_and_answer": sample(
        f"{QUESTION}\nA. GAA in FXN\nB. CTG in DMPK\nC. CAG in ATXN3\nD. CGG in FMR1", "C. CAG in ATXN3"
    ),
    "item_in_a_document_of_100_000_tokens": FILLER * 1500 + QUESTION + FILLER * 1500,
    "ten_per_cent_of_words_edited": sample(
        QUESTION.replace("progressive", "worsening").replace("illness", "disease").replace("slow", "sluggish"), ANSWER
    ),
    "answer_stated_before_the_question": sample(f"{ANSWER} is the answer. {QUESTION.replace('slow', 'sluggish')}"),
    "american_spelling": sample(QUESTION.replace("symptoms", "symptom")),
    "percent_escapes_in_json": sample(json.dumps({"body": quote(QUESTION)})),
    "base64_in_json": sample(json.dumps({"blob": base64.b64encode(QUESTION.encode()).decode()})),
    "base64_in_lines": sample(base64.encodebytes(QUESTION.encode()).decode()),
    "json_escapes": sample(json.dumps({"q": QUESTION.replace(". ", ".\n")})),
    "in_the_meta_column": sample("nothing here", meta=json.dumps({"orig": QUESTION})),
    "in_the_question_column_alone": {"turns": [], "question": QUESTION},
    "upper_case": QUESTION.upper(),
    "split_over_two_turns": sample(QUESTION[:110], QUESTION[110:]),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_leaked_question_is_found(case):
    found = grades(FOUND[case])

    assert [item for item, _ in found] == [0]
    assert found[0][1] in ("exact", "near_text")


NOT_FOUND = {
    "a_stock_question_with_another_image": sample("Is there a pneumothorax?", "no", images=[{"image_id": "a"}]),
    "a_normal_report": sample("The film.", "No acute cardiopulmonary process."),
    "stock_instructions": sample("Answer with the option's letter from the given choices directly.", "B"),
    "a_bare_answer": sample("What did you see?", "Yes"),
    "an_answer_of_a_measure": sample("How large is it?", "3 cm, left lung"),
    "a_licence": "Permission is hereby granted, free of charge, to any person obtaining a copy of this software.",
    "unrelated_text": FILLER,
    "half_a_stem": "Which enzyme is inhibited by the compound that you proposed in the last meeting?",
}


@pytest.mark.parametrize("case", NOT_FOUND)
def test_what_is_no_leak_is_not_found(case):
    assert grades(NOT_FOUND[case]) == []


SURFACE = {
    "question": (
        "By the formula of Mosteller, body surface area is the square root of height (cm) x weight (kg) / 3600. "
        "What dose of 75 mg per square metre does a man of 180 cm and 80 kg need (N Engl J Med 1987;317:1098)?"
    ),
    "answer": "150 mg",
}
COMMON = {
    "a_formula": "Body surface area is the square root of height (cm) x weight (kg) / 3600.",
    "a_list_of_references": "1. Mosteller RD. Simplified calculation. N Engl J Med 1987;317:1098. 2. Du Bois D. 1916.",
    "a_licence_header": "Copyright 2020 The Authors. Licensed under the Apache License, Version 2.0 (the License).",
}


@pytest.mark.parametrize("case", COMMON)
def test_what_many_texts_have_in_common_is_no_leak(case):
    assert grades(COMMON[case], items=(SURFACE, INCOME)) in ([], [(0, "passage_shared")])


SIBLINGS = {
    "another_year": (INCOME, INCOME["question"].replace("1850", "1950"), "numerals"),
    "another_number_beside_a_number": (BLOOD, BLOOD["question"].replace("(1%)", "(3%)"), "numerals"),
    "another_side": (EFFUSION, EFFUSION["question"].replace("left", "right"), "laterality"),
    "another_unit": (EFFUSION, EFFUSION["question"].replace("20 ml", "20 mm"), "unit"),
    "negation_left_out": (TUMOUR, TUMOUR["question"].replace("does not arise", "does arise"), "negation"),
    "another_entity": (INCOME, INCOME["question"].replace("Cornwall", "Saxony"), "entity"),
    "another_drug": (ENZYME, ENZYME["question"].replace("fomepizole", "disulfiram"), "entity"),
}


@pytest.mark.parametrize("case", SIBLINGS)
def test_a_template_sibling_is_told_apart(case):
    item, text, guard = SIBLINGS[case]

    (hit,) = hits(sample(text, "another answer"), items=(item,))

    assert (hit["grade"], hit["evidence"]["guard"]) == ("template_sibling", guard)


def test_a_vignette_with_another_age_is_the_same_one():
    # medqa_test x medxpertqa_text has one: age 65 became 49, all else is the same.
    vignette = {**VIGNETTE, "question": VIGNETTE["question"] + " He takes no medication and does not smoke or drink."}

    (hit,) = hits(vignette["question"].replace("54-year", "49-year"), items=(vignette,))

    assert (hit["grade"], hit["evidence"]["guard"]) == ("near_text", "numerals")


def test_a_public_passage_without_the_question_is_shared_and_never_more():
    (hit,) = hits("Background. " + PASSAGE["context"] + " More follows.", items=(PASSAGE,))

    assert (hit["grade"], hit["item_field"], hit["question"]) == ("passage_shared", "context", False)


def test_the_passage_with_its_question_is_found_as_the_question():
    (hit,) = hits(PASSAGE["context"] + "\n" + PASSAGE["question"], items=(PASSAGE,))

    assert (hit["grade"], hit["item_field"], hit["question"]) == ("exact", "question", True)


def test_a_short_question_counts_with_its_answer_and_never_alone():
    (with_answer,) = hits(sample(SHORT["question"], "Thiamine"), items=(SHORT, YES_NO))
    without = hits(sample(SHORT["question"], "I do not know"), items=(SHORT, YES_NO))

    assert (with_answer["item"], with_answer["grade"]) == (0, "exact")
    assert (with_answer["alone"], with_answer["answer"]) == (False, True)
    assert without == []


def test_a_short_question_is_given_where_the_sample_has_a_picture_that_may_be_the_items():
    (hit,) = hits(sample(f"<image>\n{YES_NO['question']}", "no", images=[{"image_id": "a"}]), items=(SHORT, YES_NO))

    assert (hit["item"], hit["alone"], hit["answer"]) == (1, False, False)


@pytest.mark.parametrize("question", ["Modality?", "Organ system?"])
def test_a_question_of_one_or_two_words_is_found_only_as_a_whole_turn(question):
    item = {"question": question, "answer": "CT"}
    asked = sample(f"<image>\n{question}", "CT", images=[{"image_id": "a"}])
    mentioned = sample(f"They asked: {question} Nobody knew.", images=[{"image_id": "a"}])

    found = hits(asked, mentioned, items=(item,))

    assert [(hit["row"], hit["alone"]) for hit in found] == [(0, False)]


def test_a_question_that_many_items_have_is_given_once_and_never_alone():
    asked = {"question": "What does the arrow in this histology of the colon point at exactly?", "options": []}
    items = tuple({**asked, "answer": f"structure number {number}"} for number in range(20))
    index = TextIndex.of(items_of(*items), TextSettings())

    rows = scan_texts(index, samples_of(sample(asked["question"], images=[{"image_id": "a"}]))).to_pylist()

    assert [(row["item"], row["alone"], row["answer"]) for row in rows] == [(0, False, False)]
    assert index.alike.tolist() == [0] * 20


def test_every_item_of_a_benchmark_quoted_in_one_document_is_given_and_evidence_for_64():
    topics = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett"]
    pairs = [(one, two) for one in topics for two in topics if one != two]
    asked = "Which {0} {1} regulates {1}{0} transport in the {0}{2} cells of a {1} cohort? Case {2}."
    items = tuple(
        {"question": asked.format(one, two, number), "answer": f"{one}{two}ase", "options": []}
        for number, (one, two) in enumerate(pairs * 2)
    )
    document = "\n".join(f"{item['question']} {item['answer']}" for item in items)

    found = hits(document, items=items)

    assert [hit["item"] for hit in found] == list(range(180))
    assert sum(bool(hit["evidence"]) for hit in found) == 64


def test_more_tokens_than_a_hit_can_name_are_refused(monkeypatch):
    monkeypatch.setattr(eval_search, "MAX_PLACES", 20)

    with pytest.raises(ValueError, match="tokens to be searched at once"):
        hits(QUESTION)


@pytest.mark.parametrize("answered", [1, 7, 15])
def test_a_short_question_is_found_where_its_answer_stands_though_it_is_listed_first(answered):
    lines = [FILLER + SHORT["question"] + FILLER * 4] * answered
    document = " ".join([*lines, SHORT["question"], "Thiamine.", FILLER * 4, SHORT["question"], FILLER * 4])

    (hit,) = [hit for hit in hits(document) if hit["item"] == ALL.index(SHORT)]

    assert hit["answer"]
    assert document[hit["span_start"] :].startswith(f"{SHORT['question'][:-1]}? Thiamine.")


def test_chinese_in_base64_is_read_though_it_has_no_spaces():
    item = {
        "question": "患者男性,四十五岁,反复上腹部疼痛伴黑便三年,胃镜检查最可能发现的病变是下列哪一项?",
        "answer": "十二指肠溃疡",
    }
    encoded = base64.b64encode(item["question"].encode()).decode()

    (hit,) = hits(sample("See below.", encoded), items=(item,))

    assert (hit["grade"], hit["field"], hit["span_start"], hit["span_stop"]) == ("exact", "turns.1", 0, len(encoded))


def test_spans_are_code_points_of_the_field():
    text = f"Übung é\u200b ½: {QUESTION} Ende."

    (hit,) = hits(sample("Grüß Gott", text), items=(VIGNETTE,))

    assert hit["field"] == "turns.1"
    assert text[hit["span_start"] : hit["span_stop"]] == QUESTION[:-1]
    assert QUESTION[hit["item_start"] : hit["item_stop"]] == QUESTION[:-1]


def test_differing_words_are_given_as_spans_and_never_as_text():
    edited = QUESTION.replace("progressive", "worsening")

    (hit,) = hits(sample(edited), items=(VIGNETTE,))

    ((start, stop),) = hit["evidence"]["differing"]["sample"]
    ((own_start, own_stop),) = hit["evidence"]["differing"]["item"]
    assert (edited[start:stop], QUESTION[own_start:own_stop]) == ("worsening", "progressive")
    assert "worsening" not in json.dumps(hit)


def test_a_span_in_base64_is_that_of_the_encoded_text():
    encoded = base64.b64encode(QUESTION.encode()).decode()
    text = json.dumps({"é": 1, "blob": encoded}, ensure_ascii=False)

    (hit,) = hits(sample(text), items=(VIGNETTE,))

    assert text[hit["span_start"] : hit["span_stop"]].startswith(encoded.rstrip("="))


def test_hits_do_not_depend_on_what_is_scanned_together():
    given = [*FOUND.values(), *NOT_FOUND.values(), *(sample(text) for _, text, _ in SIBLINGS.values())]
    index = TextIndex.of(items_of(*ALL), TextSettings())
    together = scan_texts(index, samples_of(*given))

    apart = [scan_texts(index, samples_of(one)).to_pylist() for one in given]

    assert together.schema == TEXT_HITS
    assert together.to_pylist() == [{**row, "row": number} for number, rows in enumerate(apart) for row in rows]


def test_nothing_is_found_of_nothing():
    index = TextIndex.of(items_of(VIGNETTE), TextSettings())
    empty = TextIndex.of(items_of(), TextSettings())

    assert scan_texts(index, samples_of()).num_rows == 0
    assert scan_texts(index, samples_of({"turns": None}, {"turns": []})).num_rows == 0
    assert scan_texts(empty, samples_of(QUESTION)).num_rows == 0


def test_an_item_of_other_scripts_is_found():
    item = {"question": "患者的胸部X光片显示右下肺野有斑片状阴影最可能的诊断是什么", "answer": "肺炎"}

    (hit,) = hits(sample("请看：" + item["question"] + "？"), items=(item, VIGNETTE))

    assert (hit["item"], hit["grade"]) == (0, "exact")


@pytest.mark.parametrize("seed", range(3))
def test_any_window_of_edits_below_the_threshold_keeps_a_question_found(seed):
    generator = random.Random(seed)
    words = QUESTION.split()
    for place in generator.sample(range(len(words)), 3):
        if re.fullmatch(r"[a-z]+", words[place]):
            words[place] = "lorem"

    found = grades(sample(" ".join(words), ANSWER), items=(VIGNETTE,))

    assert [grade for _, grade in found] in (["near_text"], ["exact"])


def test_reports_that_many_items_share_are_no_evidence():
    normal = {"text": "The heart is normal in size and the lungs are clear without focal airspace disease or effusion."}

    assert grades(normal["text"], items=(normal, normal)) == []
    assert grades(normal["text"], items=(normal, REPORT)) == [(0, "exact")]


def test_sliced_and_chunked_samples_give_the_same_hits():
    index = TextIndex.of(items_of(*ALL), TextSettings())
    whole = samples_of(FILLER, QUESTION, ENZYME["question"])
    chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])

    assert scan_texts(index, chunked).to_pylist() == scan_texts(index, whole).to_pylist()
    assert scan_texts(index, whole.slice(1))["row"].to_pylist() == [0, 1]
    assert np.array_equal(scan_texts(index, whole)["item"], [0, 1])
