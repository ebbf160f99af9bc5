import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.guards import VERDICTS, guarded_words, guards
from dedup.kernels.alignment import DIFFERS, MAX_EDITS, differing
from dedup.kernels.tokens import hash_of_word
from dedup.text import verify_texts
from tests.dedup.kernels import naive

REPORT = (
    "the heart size is normal and the lungs are clear there is no pleural effusion seen on this film and a mass of 3 cm"
    " in the left lobe has a hyperintense signal while the mediastinum is unremarkable and the bones are intact"
)


def compared(one: str, other: str, jaccard: float = 0.8) -> dict[str, object]:
    """The same either way round, or it fails."""
    rows = verify_texts(pa.array([one, other]), pa.array([other, one]), jaccard).to_pylist()
    assert rows[0] == rows[1]
    found: dict[str, object] = rows[0]
    return found


def verdict(one: str, other: str, jaccard: float = 0.8) -> object:
    return compared(one, other, jaccard)["verdict"]


words = st.lists(st.sampled_from([*"abcdefgh", "left", "no", "3", "the", "über", "x-ray"]), max_size=30).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(words, words)
def test_similarity_is_that_of_the_sets_of_plain_python(one: str, other: str) -> None:
    short = min(len(naive.tokens_of(one)), len(naive.tokens_of(other))) < 12
    sets = [(naive.letter_shingles if short else naive.word_shingles)(text) for text in (one, other)]
    both, either = len(sets[0] & sets[1]), len(sets[0] | sets[1])
    row = compared(one, other)
    assert row["jaccard"] == pytest.approx(both / either if either else 0)
    assert row["containment"] == pytest.approx(both / min(map(len, sets)) if all(sets) else 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=40), st.lists(st.integers(0, 4), max_size=40))
def test_what_differs_is_a_shortest_edit_script(one: list[int], other: list[int]) -> None:
    marks = [np.zeros(41, np.uint8) for _ in "ab"]
    trace = np.empty((MAX_EDITS + 1, 2 * MAX_EDITS + 2), np.int32)
    arrays = [np.array([*values, 0], np.uint64) for values in (one, other)]
    edits = differing(arrays[0], len(one), arrays[1], len(other), trace, *marks)
    rest = [
        [v for v, m in zip(values, mark, strict=False) if m != DIFFERS]
        for values, mark in zip((one, other), marks, strict=True)
    ]
    assert rest[0] == rest[1], "what is not marked is the same in both"
    assert (
        edits
        == sum((mark == DIFFERS).sum() for mark in marks)
        == len(one) + len(other) - 2 * longest_common(one, other)
    )


def longest_common(one: list[int], other: list[int]) -> int:
    row = [0] * (len(other) + 1)
    for a in one:
        above = row[:]
        for at, b in enumerate(other):
            row[at + 1] = above[at] + 1 if a == b else max(above[at + 1], row[at])
    return row[-1]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("3 cm", "8 cm", "numerals"),
        ("3 cm", "3.5 cm", "numerals"),
        ("3 cm", "-3 cm", "numerals"),
        ("3 cm", "three cm", "numerals"),
        ("3 cm", "> 3 cm", "numerals"),
        ("3 cm", "3 mm", "unit"),
        ("left", "right", "laterality"),
        ("left lobe", "upper left lobe", "laterality"),
        ("left", "l", "laterality"),
        ("no pleural", "pleural", "negation"),
        ("no pleural", "a pleural", "negation"),
        ("are clear", "aren't clear", "negation"),
        ("unremarkable", "remarkable", "opposite"),
        ("hyperintense", "hypointense", "opposite"),
        ("is normal", "is abnormal", "opposite"),
        ("3 cm", "3cm", "accepted"),
        ("film", "image", "accepted"),
        ("film and", "film", "accepted"),
        ("hyperintense", "hyper-intense", "accepted"),
        ("mediastinum", "mediastinums", "accepted"),
        ("a mass of", "the mass of", "accepted"),
    ],
)
def test_what_differs_decides(old: str, new: str, expected: str) -> None:
    assert REPORT.count(old) == 1
    assert verdict(REPORT, REPORT.replace(old, new)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("bones are intact", "intact bones are", "accepted"),
        ("no pleural effusion", "no effusion pleural", "accepted"),
        ("no cyst but mass seen", "no mass but cyst seen", "negation"),
        ("cyst left mass seen", "mass left cyst seen", "laterality"),
        ("no cyst on film of a fat cat with mass", "no mass on film of a fat cat with cyst", "negation"),
        ("one" + " klm" * 9 + " two" * 2, "two" + " klm" * 9 + " one" * 2, "numerals"),
        ("effusion klm nop qrs tuv klm nop mass", "mass klm nop qrs tuv klm nop effusion", "wording"),
    ],
)  # fmt: skip
def test_a_word_in_another_place_says_something_else_unless_it_stays_in_a_phrase_without_guarded_words(
    old: str, new: str, expected: str
) -> None:
    text = (
        "the heart and the mediastinum of the patient who came to us are {} and the bones of the chest wall are intact"
    )
    one, other = text.format(old), text.format(new)
    if old in REPORT:
        one, other = REPORT, REPORT.replace(old, new)
    assert verdict(one, other, 0.6) == expected


def test_the_order_of_guarded_words_counts_not_only_which_there_are() -> None:
    text = REPORT.replace(
        "no pleural effusion seen on this film and a mass", "no pleural effusion seen on this film but a mass"
    )
    swapped = REPORT.replace(
        "no pleural effusion seen on this film and a mass", "pleural effusion seen on this film but no mass"
    )
    assert verdict(text, swapped) == "negation"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("no effusion", "effusion", "below"),
        ("ct chest", "ct chest", "accepted"),
        ("ct chest", "ct chests", "below"),
        ("", "", "below"),
        ("axial ct of the abdomen showing a mass", "axial ct of the abdomen showing a cyst", "wording"),
        ("axial ct of the abdomen showing a tumour", "axial ct of the abdomen showing the tumor", "accepted"),
        ("axial ct of the chest", "axial cta of the chest", "wording"),
        ("grade ii glioma of the brain stem", "grade iii glioma of the brain stem", "numerals"),
        ("grade 1 5 glioma of the brain", "grade 15 glioma of the brain", "numerals"),
        ("panel b shows the liver", "panel c shows the liver", "numerals"),
    ],
)
def test_short_texts_differ_in_spelling_and_function_words_at_most(one: str, other: str, expected: str) -> None:
    assert verdict(one, other, 0.5) == expected


QUESTION = "user: is there any evidence of a fracture of the hip bone in this film of the pelvis? assistant: {}"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (QUESTION.format("yes"), QUESTION.format("no"), "negation"),
        (QUESTION.format("pelvic ring"), QUESTION.format("femoral neck"), "answer"),
        (QUESTION.format("the pelvis"), QUESTION.format("pelvis."), "accepted"),
        (QUESTION.format("a"), QUESTION.format("b"), "numerals"),
        (QUESTION.format("yes"), QUESTION.format("yes").replace("fracture", "dislocation"), "wording"),
        (QUESTION.format("yes"), QUESTION.format("yes").replace("any evidence", "evidence"), "wording"),
    ],
)
def test_another_answer_or_another_question_is_another_sample(one: str, other: str, expected: str) -> None:
    assert verdict(one, other, 0.7) == expected


def test_texts_that_differ_in_more_than_can_be_aligned_must_have_their_guarded_words_in_order() -> None:
    random = np.random.default_rng(0)
    vocabulary = ["".join(random.choice(list("klpqruvz"), 8)) for _ in range(3000)]
    long = [*random.choice(vocabulary, 12_000), "left", "lung"]
    edited = list(long)
    for place in range(0, 12_000, 20):
        edited[place] = "other"
    row = compared(" ".join(long), " ".join(edited))
    assert (row["edits"], row["verdict"]) == (-1, "accepted")
    assert verdict(" ".join(long), " ".join([*edited[:-2], "right", "lung"])) == "laterality"
    assert verdict(" ".join(long), " ".join(edited[:-2])) == "laterality"


def test_no_text_at_all_is_no_pair() -> None:
    assert verify_texts(pa.array([], pa.string()), pa.array([], pa.string())).num_rows == 0


def test_each_word_of_the_lists_is_found_by_its_hash_with_the_kind_of_its_first_list() -> None:
    table = guards()
    kinds = {int(value): int(kind) for value, kind in zip(table.hashes, table.kinds, strict=True) if value}
    seen: set[str] = set()
    for kind in VERDICTS[2:-2]:
        for word in guarded_words(kind) - seen:
            assert VERDICTS[kinds[hash_of_word(word)]] == kind, word
        seen |= guarded_words(kind)
    assert len(kinds) < len(table.hashes) / 2
