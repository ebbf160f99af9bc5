import numpy as np
import pytest

from dedup.decontamination.calibration.text_decoys import SIBLINGS, normal_report, stock_question
from dedup.decontamination.calibration.text_edits import Original


def sibling(
    kind: str, text: str, options: tuple[str, ...] = (), answer: str | None = None, seed: int = 0
) -> str | None:
    written = SIBLINGS[kind](Original(text, options, answer), np.random.default_rng(seed))
    return None if written is None else written.question


@pytest.mark.parametrize(("kind", "text", "expected"), [
    ("side", "Which nerve supplies the left diaphragm?", "Which nerve supplies the right diaphragm?"),
    ("side", "Is the upper lobe larger than the lower one?", None),
    ("negation", "Which of these is most likely inherited?", "Which of these is least likely inherited?"),
    ("negation", "Which statement is true of the spleen?", "Which statement is false of the spleen?"),
    ("negation", "A man with fever is seen.", "A man without fever is seen."),
    ("number", "A 54-year-old man is seen.", None),
    ("number", "A 7 year old boy, 3 weeks after measles, coughs.", None),
    ("name", "What is the cause of the pain?", None),
    ("name", "Figure A shows the injury of the knee.", None),
])  # fmt: skip
def test_a_sibling_differs_in_one_place(kind: str, text: str, expected: str | None) -> None:
    assert sibling(kind, text) == expected


@pytest.mark.parametrize("seed", range(30))
def test_another_number_has_as_many_digits_and_a_year_stays_a_year(seed: int) -> None:
    other = sibling("number", "The chromosome 21 was described in 1959.", seed=seed)
    assert other is not None
    words = other.rstrip(".").split()
    assert (words[2] != "21") != (words[-1] != "1959")
    assert len(words[2]) == 2
    assert 1889 <= int(words[-1]) <= 2029


def test_a_name_is_an_eponym_or_a_drug() -> None:
    assert sibling("name", "What causes Crohn's disease of the colon?") != "What causes Crohn's disease of the colon?"
    assert "warfarin and" in (sibling("name", "Give warfarin and ciprofloxacin together?") or "")


def test_a_sibling_is_answered_by_an_option_that_has_no_word_of_the_answer() -> None:
    original = Original("Which is most likely here?", ("Paternal UPD", "Maternal UPD", "Trisomy"), "Paternal UPD")
    for seed in range(10):
        written = SIBLINGS["negation"](original, np.random.default_rng(seed))
        assert written is not None
        assert written.answer == "Trisomy"


def test_a_stock_question_is_answered_otherwise() -> None:
    assert stock_question(Original("Is there an effusion?", (), "No"), np.random.default_rng(0)).answer == "Yes"


def test_normal_reports_differ_and_are_normal() -> None:
    reports = {normal_report(np.random.default_rng(seed)).turns[0][1] for seed in range(50)}
    assert len(reports) == 50
    assert all(3 <= report.count(".") <= 5 for report in reports)
