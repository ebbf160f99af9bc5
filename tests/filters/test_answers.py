from time import perf_counter

import pytest

from filters.answers import is_among

LOBES, SIDES, YES = ["upper lobe", "middle lobe", "lower lobe"], ["left", "right"], ["Yes", "No"]
SIZES, WORDS = ["5 mm", "10 mm", "1.5 cm"], ["one", "two", "three"]
SIGNED = ["Yes, pneumonia", "No, normal"]
MANY = ["CT", "MRI", "Ultrasound", "X-ray", "PET"]


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        ("right", SIDES), ("RIGHT.", SIDES), (" the right ", SIDES), ("B", SIDES), ("b", SIDES), ("(B)", SIDES),
        ("B)", SIDES), ("[B]", SIDES), ("B. right", SIDES), ("B: right", SIDES), ("Option B", SIDES),
        ("B. right, because the heart is there", SIDES), ("B) right, as the arrow shows", SIDES),
        ("Right because the heart is on the other side", SIDES), ("right - the heart is left", SIDES),
        ("The answer is (B)", SIDES), ("The answer is B.", SIDES), ("The correct answer is: B. right", SIDES),
        ("Answer: right", SIDES), ("**B**", SIDES), ("$\\boxed{B}$", SIDES), ("Therefore, the answer is right.", SIDES),
        ("B is correct.", SIDES), ("\uff22", SIDES),
        ("A, B", MANY), ("A,B", MANY), ("A and C", MANY), ("A; C", MANY), ("A/C/D", MANY), ("ACD", MANY),
        ("B & E", MANY),
        ("CT; MRI", MANY), ("CT and MRI", MANY), ("A. CT; B. MRI", MANY), ("both CT and ultrasound", MANY),
        ("xray", MANY), ("X ray", MANY),
        ("2", SIDES), ("0", SIDES), ("2.", SIDES), ("2", ["1. left", "2. right"]), ("right", ["1. left", "2. right"]),
        ("right", ["A. left", "B. right"]), ("B", ["A. left", "B. right"]), ("B. right", ["A. left", "B. right"]),
        ("2", WORDS), ("Two", WORDS), ("two", ["1", "2", "3"]), ("1, 2", ["1", "2", "3"]), ("1,2", ["1", "2", "3"]),
        ("5.0 mm", SIZES), ("5mm", SIZES), ("5 MM.", SIZES), ("1.50 cm", SIZES), ("1,5 cm", SIZES), ("01.5 cm", SIZES),
        ("1000", ["1,000", "2,000"]), (".5", ["0.5", "0.6"]), ("\u22125", ["-5", "5"]),
        ("The answer is y", YES), ("y", YES), ("Yes, there is a mass.", YES), ("no", YES), ("No. It is normal.", YES),
        ("Crohns disease", ["Crohn\u2019s disease", "Colitis"]),
        ("Sjogren syndrome", ["Sj\u00f6gren syndrome", "Lupus"]),
        ("upper lobe and lower lobe", LOBES), ("upper lobe, lower lobe", LOBES), ("Upper-lobe", LOBES),
        ("left, then right", ["left, then right", "neither"]), ("", SIDES), ("+", ["+", "-"]),
        ("Austin T. Moore. He built it.", ["John Charnley", "Austin T. Moore"]),
        ("B.The heart is there", SIDES), ("B:see", SIDES), ("long " * 1000, ["long " * 1000, "no"]),
        ("No", SIGNED), ("yes.", SIGNED), ("No, it is clear", SIGNED), ("no", ["No effusion", "Mass"]),
        ("I only", ["I only", "II only"]), ("A", ["B", "A"]), ("\u5de6", ["\u5de6", "\u53f3"]),
    ],
)  # fmt: skip
def test_an_option_in_whatever_words_is_among_the_options(answer: str, options: list[str]) -> None:
    assert is_among(answer, options)


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        ("test", ["AB blood", "BC test", "CD4", "none"]), ("C.The heart is there", SIDES),
        ("middle", SIDES), ("C", SIDES), ("3", SIDES), ("Option D", SIDES), ("A, C", SIDES), ("AC", SIDES),
        ("AA", SIDES),
        ("The answer is C", SIDES), ("The answer is C. It is left.", SIDES), ("The answer is middle", SIDES),
        ("left and middle", SIDES), ("the answer", SIDES), ("both", SIDES), ("neither", SIDES),
        ("the right", ["left", "up"]),
        ("50 mm", SIZES), ("5 cm", SIZES), ("0.5 mm", SIZES), ("15 cm", SIZES), ("5", ["-5", "10"]),
        ("2", ["10", "20"]),
        ("four", WORDS), ("maybe", YES), ("none", YES), ("nodule", YES), ("I do not know", MANY), ("SPECT", MANY),
        ("lobe", LOBES), ("CT, SPECT", MANY), ("T2", ["T1", "FLAIR"]), ("\u4e0a", ["\u5de6", "\u53f3"]),
        ("maybe", SIGNED), ("No effusion", SIGNED), ("No", ["No effusion", "No mass"]),
        ("There is a mass in the left upper lobe", ["pneumonia", "mass of the liver"]),
        ("No, there is an effusion", ["No effusion", "Effusion"]), ("No. A mass.", ["No effusion", "Effusion"]),
    ],
)  # fmt: skip
def test_anything_else_is_not(answer: str, options: list[str]) -> None:
    assert not is_among(answer, options)


def test_a_long_answer_takes_no_time() -> None:
    options = ["left " * 200, "right " * 200, "a", "the left"]
    began = perf_counter()
    assert not is_among("left right a the " * 50_000, options)
    assert perf_counter() - began < 2


def test_an_option_with_very_many_accents_takes_no_time() -> None:
    options = ["left", "a" + "\u0301\u0323" * 60_000]
    began = perf_counter()
    assert is_among("left", options)
    assert not is_among("middle", options)
    assert perf_counter() - began < 2
