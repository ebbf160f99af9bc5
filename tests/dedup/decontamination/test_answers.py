"""What of a question an answer that names its statements ("bd") stands for."""

import numpy as np
import pytest

from dedup.decontamination.answers import statements
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_settings import TextSettings
from dedup.decontamination.text_words import hashes_of
from tests.dedup.decontamination.texts import items_of

STEM = "Which of the following errors of metabolism in a child is associated with mental retardation"


def words_of_statements(question: str) -> tuple[set[int], set[int]]:
    """Words of the statements, and those of the stem, as the vocabulary numbers them."""
    index = TextIndex.of(items_of({"question": question, "answer": "bd", "options": ["c", "bd"]}), TextSettings())
    stem = index.vocabulary.form_words[
        np.isin(index.vocabulary.forms, list(hashes_of("mental retardation metabolism")))
    ]
    return set(statements(index, 0).tolist()), set(stem.tolist())


@pytest.mark.parametrize(
    "marks",
    [" -a)  Alkaptonuria b)  Homocystinuria c)  Pentosuria", ": a. alkaptonuria b. homocystinuria c. pentosuria"],
)
def test_words_of_the_stem_are_no_statements(marks: str) -> None:
    said, stem = words_of_statements(STEM + marks)

    assert len(stem) == 3
    assert said
    assert not said & stem


def test_a_question_without_marks_has_no_statements() -> None:
    said, _ = words_of_statements(STEM + "?")

    assert not said
