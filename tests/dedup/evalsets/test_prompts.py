"""Questions without options and prompts."""

import pytest

from dedup.evalsets.prompts import bare_question

STEM = "A 26-year-old man falls from a ladder. Which step contributes most to stability?"
OPTIONS = ["Radial head ORIF", "Capsular plication (anterior)"]


@pytest.mark.parametrize(
    "asked",
    [
        STEM,
        f"{STEM}\nAnswer Choices: (A) Radial head ORIF (B) Capsular plication (anterior)",
        f"{STEM}\nA. Radial head ORIF\nB. Capsular plication (anterior)",
        f"{STEM}\nOptions:\n(A) radial head ORIF\n(B) Capsular plication (anterior).",
        f"{STEM}\nAnswer with the option's letter from the given choices directly.",
        f"{STEM} Answer the question using a single word or phrase.",
        f"{STEM}\nAnswer the question concisely.",
        f"<image>\n{STEM}",
        f"<image 1> {STEM} <image 2>",
        f"Question: {STEM}\nA: Radial head ORIF\nB: Capsular plication (anterior)\nAnswer the question concisely.",
    ],
)
def test_only_the_question_is_left(asked: str) -> None:
    assert bare_question(asked, OPTIONS) == STEM


@pytest.mark.parametrize(
    "kept",
    [
        "Which answer choices are offered to patients (a) at home or (b) in hospital?",
        "Is there a fracture in image A. or in image B.?",
        "A. lumbricoides is found where?",
    ],
)
def test_letters_and_words_of_the_question_itself_stay(kept: str) -> None:
    assert bare_question(kept, OPTIONS) == kept
    assert bare_question(kept, None) == kept


def test_of_a_prompt_alone_nothing_is_left() -> None:
    assert bare_question("<image>\nAnswer the question concisely.", None) is None
    assert bare_question(None, None) is None


@pytest.mark.parametrize(
    ("asked", "parted"),
    [
        ("Seen in sepsis -a) Apneab) Fever c) Choread) Rash", "Seen in sepsis -a) Apnea b) Fever c) Chorea d) Rash"),
        ("Angiotensin receptor blocker (ARB) with (a) f(b) and g(c)?", None),
        ("Is TNF(ab) raised in a) mice?", None),
    ],
)
def test_statements_glued_together_are_parted_and_other_letters_before_brackets_are_not(asked, parted):
    assert bare_question(asked, None) == (parted or asked)
