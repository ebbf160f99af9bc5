import numpy as np
import pytest

from dedup.decontamination.calibration.text_edits import EDITS, Original, replaced

VIGNETTE = Original(
    "A 34-year-old woman with no fever has a tumour of the left kidney after haemodialysis. Which drug did Crohn's"
    " disease most likely need before the operation?",
    ("infliximab", "tacrolimus", "folic acid"),
    "infliximab",
)


def said(name: str, original: Original = VIGNETTE) -> str:
    written = EDITS[name](original, np.random.default_rng(3))
    assert written is not None
    return "\n".join(text for _, text in written.turns)


def test_verbatim_is_as_a_corpus_with_fields_is_ingested() -> None:
    written = EDITS["verbatim"](VIGNETTE, np.random.default_rng(3))
    assert written is not None
    assert written.turns == (
        ("user", f"{VIGNETTE.text}\nA. infliximab\nB. tacrolimus\nC. folic acid"),
        ("assistant", "infliximab"),
    )
    assert (written.question, written.answer) == (VIGNETTE.text, "infliximab")


def test_lines_are_broken_every_eight_words() -> None:
    lines = said("rewrapped").splitlines()
    assert {len(line.split()) for line in lines[:-1]} == {8}
    assert " ".join(lines) == f"{VIGNETTE.text} infliximab"


def test_a_text_is_embedded_amid_four_hundred_words() -> None:
    before, middle, after = said("embedded").split("\n\n")
    assert VIGNETTE.text in middle
    assert len(before.split()) >= 200 <= len(after.split())


def test_markup_hides_words_that_a_reader_of_pages_sees() -> None:
    assert VIGNETTE.text not in said("markup")
    assert all(sign in said("markup") for sign in ("&nbsp;", "<b>", "\u00ad", "\u200b", "&#x27;"))


def test_options_are_shuffled_between_question_and_answer() -> None:
    orders = set()
    for seed in range(20):
        written = EDITS["options_between"](VIGNETTE, np.random.default_rng(seed))
        assert written is not None
        orders.add(tuple(written.turns[0][1].splitlines()[1:]))
    assert len(orders) > 2
    assert all(sorted(line[4:] for line in order) == sorted(VIGNETTE.options) for order in orders)
    assert EDITS["options_between"](VIGNETTE._replace(options=()), np.random.default_rng(0)) is None


@pytest.mark.parametrize("seed", range(20))
def test_replaced_words_are_none_that_make_another_question(seed: int) -> None:
    written = replaced(0.2)(VIGNETTE, np.random.default_rng(seed))
    assert written is not None
    assert written.question is not None
    before, after = VIGNETTE.text.split(), written.question.split()
    changed = [one for one, other in zip(before, after, strict=True) if one != other]
    assert len(changed) in {4, 5}
    assert not {"34-year-old", "no", "left", "Crohn's", "after", "before"} & set(changed)


def test_spelling_goes_from_one_side_of_the_ocean_to_the_other() -> None:
    assert "hemodialysis" in said("spelling")
    assert "tumour" in said("spelling", Original("Which tumor is this?"))
    assert EDITS["spelling"](Original("Which cyst is this?"), np.random.default_rng(0)) is None


def test_the_beginning_is_three_fifths_of_the_words_and_needs_an_answer() -> None:
    written = EDITS["first60%"](VIGNETTE, np.random.default_rng(0))
    assert written is not None
    assert written.question is not None
    assert VIGNETTE.text.startswith(written.question)
    assert len(written.question.split()) == round(0.6 * len(VIGNETTE.text.split()))
    assert EDITS["first60%"](VIGNETTE._replace(answer=None), np.random.default_rng(0)) is None


def test_every_edit_is_a_function_of_its_seed() -> None:
    for name, edit in EDITS.items():
        one, two = (edit(VIGNETTE, np.random.default_rng(11)) for _ in range(2))
        assert one == two is not None, name
