"""Answers that show in names and captions, places and answers that are frequent: by hand and on real eval sets."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dedup.decontamination.items import ITEMS
from dedup.decontamination.shortcuts import chi_square_tail, shortcuts_of


def items(*rows: dict[str, Any]) -> pa.Table:
    base = {"eval_set": "mine", "license": "CC0-1.0", "access": "open", "digest": ""}
    return pa.Table.from_pylist([{**base, "eval_id": str(at), **row} for at, row in enumerate(rows)], schema=ITEMS)


def image(name: str) -> list[dict[str, Any]]:
    return [{"image_id": None, "uri": name, "frame": 0}]


def test_answers_in_file_names_and_captions_are_found_and_short_ones_say_nothing() -> None:
    (one,) = shortcuts_of(
        items(
            {"answer": "Pleural effusion", "images": image("test/pleural_effusion-12.png")},
            {"answer": "Pneumonia", "images": image("test/0001.png"), "text": "A film with PNEUMONIA of the left."},
            {"answer": "mass", "images": image("test/massive.png")},
            {"answer": "no", "images": image("test/no.png"), "text": "no"},
        )
    )
    assert (one.in_file_names.items, one.in_file_names.of, one.in_file_names.examples) == (1, 3, ("0",))
    assert (one.in_captions.items, one.in_captions.of, one.in_captions.examples) == (1, 1, ("1",))


def test_options_that_lean_to_one_place_and_right_ones_that_are_longest() -> None:
    rows = [{"options": ["a", "b long one", "c", "d"], "answer": "b long one"} for _ in range(18)]
    rows += [{"options": ["a", "b", "c", "d"], "answer": "c"} for _ in range(6)]
    (one,) = shortcuts_of(items(*rows))
    (four,) = one.positions
    assert (four.options, four.counts) == (4, (0, 18, 6, 0))
    assert four.p == pytest.approx(7.5e-8, rel=0.01)  # chi-square 36 of 3 degrees of freedom
    assert one.constant_position.right == one.longest_option.right == 18
    assert one.chance == 0.25


def test_too_few_items_give_no_probability() -> None:
    (one,) = shortcuts_of(items(*({"options": ["a", "b"], "answer": "a"} for _ in range(9))))
    assert one.positions[0].p is None


def test_no_item_votes_for_its_own_answer() -> None:
    (one,) = shortcuts_of(
        items(
            {"question": "Is it normal?", "answer": "yes"},
            {"question": "is it  normal?", "answer": "Yes"},
            {"question": "Is it normal?", "answer": "yes"},
            {"question": "Is it normal?", "answer": "no"},
            {"question": "Which organ?", "answer": "the liver"},
        )
    )
    assert (one.question_only.items, one.question_only.right) == (4, 3)
    assert (one.constant_answer.items, one.constant_answer.right) == (5, 3)
    assert (one.question_or_constant.items, one.question_or_constant.right) == (5, 3)


def test_a_set_in_which_every_answer_is_another_is_never_guessed() -> None:
    (one,) = shortcuts_of(items(*({"question": f"q{at}", "answer": f"answer {at}"} for at in range(20))))
    assert one.constant_answer.right == one.question_or_constant.right == one.question_only.items == 0


@pytest.mark.parametrize(("square", "freedom", "tail"), [
    (3.841459, 1, 0.05), (5.991465, 2, 0.05), (7.814728, 3, 0.05), (9.487729, 4, 0.05), (13.2767, 4, 0.01),
])  # fmt: skip
def test_the_tail_of_chi_square_is_that_of_the_tables(square: float, freedom: int, tail: float) -> None:
    assert chi_square_tail(square, freedom) == pytest.approx(tail, rel=1e-4)


def test_the_tail_is_that_of_drawn_values() -> None:
    drawn = (np.random.default_rng(0).normal(size=(200_000, 5)) ** 2).sum(axis=1)
    assert chi_square_tail(6.0, 5) == pytest.approx(float((drawn >= 6.0).mean()), abs=0.005)
