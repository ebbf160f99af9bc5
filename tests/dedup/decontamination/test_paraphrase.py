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


ORBIT = {
    "question": "Onodi cells and Haller cells are seen in relation to following respectively -",
    "answer": "Optic nerve and floor of the orbit",
}


def test_the_question_s_own_words_with_another_name_and_no_answer_are_another_question():
    of = "Onodi cells and {} cells are seen in relation to following respectively -"
    about_cells = {
        "question": "Which cells are seen in relation to the organ of Corti, respectively in the tissue of it?"
    }

    found = grades(sample(of.format("Hartley")), items=(ORBIT, about_cells))

    assert found in ([], [(0, "template_sibling")])
    assert grades(sample(of.format("Haller")), items=(ORBIT, about_cells)) == [(0, "exact")]


NERVE = {"question": "Which cranial nerve carries the sense of taste from the tongue?", "answer": "Facial nerve"}
BONE = {"question": "Which bone of the skull is most prone to a fracture?", "answer": "Nasal"}
GOITRE = {
    "question": "Which tumour of the left thyroid lobe spreads through lymphatics and shows psammoma bodies?",
    "answer": "Papillary carcinoma",
}
NO_REWORDINGS = {
    "a_passage_about_what_is_asked": (
        NERVE,
        sample(
            "Tell me about taste.",
            "The tongue senses taste. A cranial nerve carries the sense of taste to the brain. The facial nerve is. "
            + "Taste fades with age, and many medicines make it fade sooner than it would. " * 12,
        ),
    ),
    "a_patient_who_names_the_thing": (
        BONE,
        sample(
            "I think I have a fracture of the skull bone. What do I take?", "A nasal spray and ibuprofen will help."
        ),
    ),
    "an_explanation_that_has_the_answer_among_many_words": (
        NERVE,
        {
            **sample("What is the tongue?", "A muscle."),
            "question": "What is the tongue and the sense of taste?",
            "answer": "A muscle in the mouth that is moved by the twelfth nerve. " * 3
            + "The facial nerve is elsewhere.",
        },
    ),
    "the_other_side": (
        GOITRE,
        {
            **sample("Psammoma bodies and spread through lymphatics: which tumour of the right thyroid lobe?", "-"),
            "answer": "Papillary carcinoma",
        },
    ),
    "a_yes_that_is_no_letter_of_a_statement": (
        {
            "question": "Is diffusion weighted imaging of the uterus helpful to detect endometrial cancer?",
            "answer": "yes",
        },
        {**sample("Name the sequence of the picture.", "Diffusion weighted"), "answer": "Diffusion weighted"},
    ),
}


@pytest.mark.parametrize("case", NO_REWORDINGS)
def test_what_only_speaks_of_the_same_is_no_rewording(case):
    item, row = NO_REWORDINGS[case]

    assert "paraphrase" not in [grade for _, grade in grades(row, items=(item, KIDNEY))]


def test_a_statement_of_the_sample_s_own_answer_needs_no_question_mark():
    row = {
        **sample("Name the vessel that arrests the ascent of a fused horseshoe kidney.", "Inferior mesenteric artery"),
        "answer": "Inferior mesenteric artery",
    }

    assert grades(row, items=(KIDNEY,)) == [(0, "paraphrase")]


@pytest.fixture(scope="module")
def rewrites():
    path = SHARED / "text/train_huatuo_o1_demo/data/demo_data.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return json.loads(path.read_text())


@pytest.mark.parametrize("background", [False, True])
def test_of_99_exam_questions_rewritten_by_huatuo_o1_nine_in_ten_are_found_and_no_mismatched_pair(rewrites, background):
    items = items_of(*({"question": row["question"], "answer": row["answer"]} for row in rewrites))
    rows = [
        {
            **sample(row["Open-ended Verifiable Question"], row["Ground-True Answer"]),
            "question": row["Open-ended Verifiable Question"],
            "answer": row["Ground-True Answer"],
        }
        for row in rewrites
    ]

    index = TextIndex.of(items, TextSettings())
    if background:
        index = index.weighted(index.background(samples_of(*rows)), len(rows))
    found = scan_texts(index, samples_of(*rows)).to_pylist()

    strong = [hit for hit in found if hit["grade"] in ("exact", "near_text", "paraphrase")]
    assert len({hit["row"] for hit in strong if hit["row"] == hit["item"]}) >= 90
    assert [hit for hit in found if hit["row"] != hit["item"]] == []
