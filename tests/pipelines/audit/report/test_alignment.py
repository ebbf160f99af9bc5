"""What is marked where two texts differ, and what of long texts is left out."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.audit.report.alignment import LONGEST_SAME, aligned, difference


def marked(side: tuple[object, ...]) -> list[str]:
    return [piece.text for piece in side if piece.marked]  # type: ignore[attr-defined]


def test_words_that_only_one_side_has_are_marked_and_case_and_spaces_are_not() -> None:
    ours, theirs = difference("Which is  the BEST next step?", "which is the most appropriate next\nstep?")
    assert marked(ours) == ["BEST"]
    assert marked(theirs) == ["most appropriate"]
    assert difference("A B, c", "a  b , C") != difference("a b, d", "a b, c")
    assert not marked(difference("A B, c", "a  b , C")[0])


def test_a_number_or_side_that_differs_is_marked() -> None:
    ours, theirs = difference("a 3 cm mass of the left lung", "a 8 cm mass of the right lung")
    assert (marked(ours), marked(theirs)) == (["3", "left"], ["8", "right"])


def test_long_passages_that_both_have_are_left_out_and_the_difference_stays() -> None:
    same = "word " * 300
    ours, theirs = difference(f"{same}left {same}", f"{same}right {same}")
    for side, word in ((ours, "left"), (theirs, "right")):
        text = "".join(piece.text for piece in side)
        assert marked(side) == [word]
        assert text.count("[…]") == 2
        assert len(text) < 3 * LONGEST_SAME


def test_what_stands_around_the_span_is_told_apart() -> None:
    text = "Before it. What is this? After it."
    found = aligned(("turns.0", text, 11, 24), ("question", "What is this", 0, 12))
    assert (found.ours.before, found.ours.after) == ("Before it. ", " After it.")
    assert found.same


def test_invisible_signs_and_those_that_turn_the_writing_do_not_reach_the_page() -> None:
    found = aligned(("turns.0", "a\u202eb\u200bc", 0, 5), ("question", "abc", 0, 3))
    assert "\u202e" not in "".join(piece.text for piece in found.ours.pieces)


@given(st.text(max_size=300), st.text(max_size=300))
def test_equal_texts_have_nothing_marked_and_any_can_be_compared(one: str, other: str) -> None:
    assert not marked(difference(one, one)[0])
    ours, theirs = difference(one, other)
    backwards = difference(other, one)
    assert bool(marked(ours) or marked(theirs)) == bool(marked(backwards[0]) or marked(backwards[1]))
