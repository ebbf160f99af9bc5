from typing import Any

import pytest

from sources.turns import Content, Prompts, render

PROMPTS = Prompts(caption=("Describe.", "What is shown?"), report=("Report.",))
EVEN, ODD = f"{0:032x}", f"{1:032x}"


def turns(task: str, sample_id: str = EVEN, **content: Any) -> list[tuple[str, str]]:
    return [(turn["role"], turn["text"]) for turn in render(task, Content(**content), PROMPTS, sample_id)]


CHOICES = {"question": "Which?", "options": ["red", "blue"], "chosen": [1], "answer": "blue"}


@pytest.mark.parametrize(
    ("task", "content", "expected"),
    [
        ("caption", {"images": 1, "text": "A film."}, [("user", "<image>\nDescribe."), ("assistant", "A film.")]),
        (
            "report",
            {"images": 2, "findings": "Clear lungs.", "impression": "Normal.", "indication": "Cough."},
            [("user", "<image>\n<image>\nCough."), ("assistant", "Findings: Clear lungs. Impression: Normal.")],
        ),
        ("report", {"impression": "Normal."}, [("user", "Report."), ("assistant", "Impression: Normal.")]),
        ("report", {"text": "All normal."}, [("user", "Report."), ("assistant", "All normal.")]),
        (
            "vqa",
            {"images": 1, "question": "Where?", "answer": "Left"},
            [("user", "<image>\nWhere?"), ("assistant", "Left")],
        ),
        ("vqa", {"images": 1, **CHOICES}, [("user", "<image>\nWhich?\nA. red\nB. blue"), ("assistant", "B. blue")]),
        (
            "text_qa",
            {"context": "First.\n\nSecond.", "question": "Why?", "answer": "yes"},
            [("user", "First.\n\nSecond.\n\nWhy?"), ("assistant", "yes")],
        ),
        (
            "text_qa",
            {**CHOICES, "chosen": [0, 1]},
            [("user", "Which?\nA. red\nB. blue"), ("assistant", "A. red\nB. blue")],
        ),
        (
            "text_qa",
            {**CHOICES, "chosen": [], "answer": "green"},
            [("user", "Which?\nA. red\nB. blue"), ("assistant", "green")],
        ),
        (
            "reasoning",
            {**CHOICES, "rationale": "Not red."},
            [("user", "Which?\nA. red\nB. blue"), ("analysis", "Not red."), ("assistant", "B. blue")],
        ),
        ("reasoning", {"question": "Why?", "answer": "Because."}, [("user", "Why?"), ("assistant", "Because.")]),
        (
            "instruct",
            {"instruction": "Sum up.", "input": "Text.", "output": "T."},
            [("user", "Sum up.\n\nText."), ("assistant", "T.")],
        ),
        ("instruct", {"instruction": "Sum up.", "output": "T."}, [("user", "Sum up."), ("assistant", "T.")]),
        ("text", {"text": "A page."}, [("text", "A page.")]),
    ],
)
def test_turns_follow_the_table(task: str, content: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert turns(task, **content) == expected


def test_the_prompt_is_chosen_by_the_sample_id() -> None:
    assert turns("caption", EVEN, text="A film.")[0] == ("user", "Describe.")
    assert turns("caption", ODD, text="A film.")[0] == ("user", "What is shown?")


def test_placeholders_of_the_corpus_in_plain_fields_do_not_count() -> None:
    found = turns("vqa", images=1, question="In <image> where?", answer="Left <image>")
    assert found == [("user", "<image>\nIn where?"), ("assistant", "Left")]


@pytest.mark.parametrize(
    ("task", "content"),
    [
        ("caption", {"images": 1}),
        ("caption", {"images": 1, "text": "<image>"}),
        ("report", {"indication": "Cough."}),
        ("vqa", {"images": 1, "question": "Where?"}),
        ("vqa", {"images": 1, "answer": "Left"}),
        ("reasoning", {"question": "Why?", "rationale": "So."}),
        ("instruct", {"instruction": "Sum up."}),
        ("dialogue", {"conversation": [{"role": "user", "text": "Hello?"}]}),
        ("dialogue", {"conversation": [{"role": "user", "text": "Hello?"}, {"role": "assistant", "text": ""}]}),
        ("text", {}),
    ],
)
def test_nothing_to_learn_is_no_turns(task: str, content: dict[str, Any]) -> None:
    assert turns(task, **content) == []
