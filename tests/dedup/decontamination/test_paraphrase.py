import json

import pytest

from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_scan import scan_texts
from dedup.decontamination.text_settings import TextSettings
from tests.dedup.decontamination.texts import SHARED, grades, hits, items_of, sample, samples_of

KIDNEY = {
    "question": (
        "A 63-year-old carpenter with hypertension is found to have a horseshoe kidney after an episode of haematuria. "
        "Ascent of the fused kidney was most likely arrested by which vessel?"
    ),
    "answer": "Inferior mesenteric artery",
}
REWORDED = (
    "Haematuria in a hypertensive 63-year-old leads to the discovery of a horseshoe kidney. What stopped its ascent?"
)


def test_a_reworded_question_is_found_by_its_answer():
    assert grades(sample(REWORDED, "The inferior mesenteric artery."), items=(KIDNEY,)) == [(0, "paraphrase")]


def test_a_reworded_question_with_another_answer_is_another_question():
    other = {**sample(REWORDED, "A persistent urachus"), "answer": "A persistent urachus"}

    assert grades(other, items=(KIDNEY,)) == []


def test_a_reworded_question_with_other_numbers_is_another_question():
    assert grades(sample(REWORDED.replace("63", "9"), "Inferior mesenteric artery"), items=(KIDNEY,)) == []


def test_an_answer_reached_at_the_end_of_long_reasoning_confirms():
    reasoning = "Let us think about which structures lie in the way of the developing organ. " * 60

    (hit,) = hits(sample(REWORDED, reasoning + "So it is the inferior mesenteric artery."), items=(KIDNEY,))

    assert (hit["grade"], hit["answer"]) == ("paraphrase", True)


def test_the_channel_can_be_switched_off():
    index = TextIndex.of(items_of(KIDNEY), TextSettings(paraphrase=False))

    assert scan_texts(index, samples_of(sample(REWORDED, "Inferior mesenteric artery"))).num_rows == 0


@pytest.fixture(scope="module")
def rewrites():
    path = SHARED / "text/train_huatuo_o1_demo/data/demo_data.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return json.loads(path.read_text())


def test_of_99_exam_questions_rewritten_by_huatuo_o1_nine_in_ten_are_found_and_no_mismatched_pair(rewrites):
    items = items_of(*({"question": row["question"], "answer": row["answer"]} for row in rewrites))
    rows = [
        {
            **sample(row["Open-ended Verifiable Question"], row["Ground-True Answer"]),
            "question": row["Open-ended Verifiable Question"],
            "answer": row["Ground-True Answer"],
        }
        for row in rewrites
    ]

    found = scan_texts(TextIndex.of(items, TextSettings()), samples_of(*rows)).to_pylist()

    strong = [hit for hit in found if hit["grade"] in ("exact", "near_text", "paraphrase")]
    assert len({hit["row"] for hit in strong if hit["row"] == hit["item"]}) >= 90
    assert [hit for hit in found if hit["row"] != hit["item"]] == []
