"""Which texts count as one beyond their words: language, questions, and the pictures that go with them."""

import orjson
import pyarrow as pa
import pytest

from dedup.text import NearText
from pipelines.near.texts import PictureTexts, Texts, _foreign, _verified, doubtful

LONG = (
    "the patient was seen in the outpatient clinic for a routine visit and the examination of heart and lungs showed {}"
)


def side(text: str, question: str = "", *, foreign: bool = False, pictures: object = ()) -> pa.Table:
    return pa.table(
        {
            "text": pa.array([text], pa.large_string()), "question": pa.array([question], pa.large_string()),
            "foreign": [foreign], "pictures": pa.array([orjson.dumps(pictures)], pa.binary()),
        }
    )  # fmt: skip


def outcome(kind: Texts, ours: pa.Table, theirs: pa.Table) -> tuple[bool, str | None]:
    (row,) = kind.verify(ours, theirs, None, []).to_pylist()
    return row["accepted"], row["cause"]


@pytest.fixture
def texts() -> Texts:
    return Texts("near_text", NearText(), ())


def test_alike_answers_to_different_questions_are_two(texts: Texts) -> None:
    lung, breast = "what is (are) lung cancer?", "what is (are) breast cancer?"
    one, other = LONG.format("regular sounds"), LONG.format("regular tones")
    assert outcome(texts, side(one, lung), side(other, lung)) == (True, None)
    assert outcome(texts, side(one, lung), side(other, breast)) == (False, "question")
    assert outcome(texts, side(one, lung), side(other)) == (False, "question")


def test_a_text_in_another_language_may_differ_in_punctuation_only(texts: Texts) -> None:
    one, other = LONG.format("derecho"), LONG.format("izquierdo")
    assert outcome(texts, side(one), side(other)) == (True, None)  # no word of the lists
    assert outcome(texts, side(one, foreign=True), side(other, foreign=True)) == (False, "language")
    assert outcome(texts, side(one, foreign=True), side(one + ".", foreign=True)) == (True, None)
    asked = [
        side(one, question, foreign=True) for question in ("¿tumor derecho del pulmón?", "¿tumor izquierdo del pulmón?")
    ]
    assert outcome(texts, *asked)[1] in {"question", "language"}


def test_a_language_is_foreign_by_its_code_or_its_letters() -> None:
    languages = pa.chunked_array([["en", "en-GB", "", "und", "es", None, None]], pa.string())
    texts = ["a", "a", "a", "a", "a", "plain words", "胸水は認めない"]
    found = _foreign(languages, pa.chunked_array([texts], pa.large_string()))
    assert found.to_pylist() == [False, False, False, False, True, False, True]


def test_two_copies_of_a_third_picture_are_not_known_to_be_copies_of_one_another() -> None:
    kind = PictureTexts("near_image", NearText(), ())
    original, first, second = ("a", "pa", None, 0), ("b", "pb", "a", 1), ("c", "pc", "a", 2)
    text = LONG.format("regular sounds")
    assert outcome(kind, side(text, pictures=[original]), side(text, pictures=[first])) == (True, None)
    assert outcome(kind, side(text, pictures=[first]), side(text, pictures=[second])) == (False, "pictures")
    assert doubtful([first, second, second], [second, second, first]) == [(first, second), (second, first)]
    assert _verified([("x", "p", "a", 0)], [("y", "p", "a", 0)])
    assert not _verified([original], [original, original])
