import cv2
import numpy as np
import pytest

from filters import ocr
from filters.burned_in import Box, writing_in
from filters.ocr import Line
from filters.phi_writing import kind_by_marks
from filters.second_look import MOST_LINES, doubtful, looked_again

needs_reader = pytest.mark.skipif(not ocr.is_installed(), reason="the reader of writing of [phi] is not installed")


def test_what_was_surely_read_is_not_read_again_and_what_was_not_is() -> None:
    nominated = [Box(10, 10, 90, 20), Box(10, 50, 90, 60), Box(10, 100, 90, 110)]
    whole, torn = Line(Box(9, 9, 88, 21), "MRN 448812", 0.98), Line(Box(40, 50, 90, 60), "8812", 0.97)
    unsure = Line(Box(12, 101, 88, 109), "MN 4488", 0.5)
    assert doubtful(nominated, [whole, torn, unsure]) == [Box(10, 50, 90, 60), Box(10, 100, 90, 110)]


def test_pieces_of_one_row_are_read_as_one_line() -> None:
    assert doubtful([Box(10, 10, 40, 20), Box(44, 11, 90, 20), Box(200, 10, 240, 20)], []) == [
        Box(10, 10, 90, 20), Box(200, 10, 240, 20),
    ]  # fmt: skip


def test_marks_of_a_texture_cost_no_more_than_so_many_lines() -> None:
    texture = [Box(30 * column, 20 * row, 30 * column + 20, 20 * row + 8) for row in range(20) for column in range(9)]
    assert len(doubtful(texture, [])) == MOST_LINES


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Name: J0HN C00K", "name"), ("DOB.025/1943", "date"), ("45258347", "id"), ("WONG, MARY", "name"),
        ("GLT", None), ("rhk:5mm", None), ("T1FLAIR AX", None),
    ],
)  # fmt: skip
def test_only_what_names_itself_identifies_in_a_line_that_nobody_looked_for(text: str, kind: str | None) -> None:
    assert kind_by_marks(text) == kind


@needs_reader
def test_a_line_at_the_rim_that_the_reader_overlooked_is_read_by_itself() -> None:
    ground = cv2.GaussianBlur(np.random.default_rng(3).integers(40, 90, (260, 240), np.uint8), (0, 0), 3)
    for text, kinds in (("MRN 36487451", ["id"]), ("SUPINE LATERAL", [])):
        picture = ground.copy()
        cv2.putText(picture, text, (1, 258), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 230, 1, cv2.LINE_AA)
        nominated = writing_in(picture)
        assert nominated
        assert [one.kind for one in looked_again(picture, nominated, [], 60)] == kinds
