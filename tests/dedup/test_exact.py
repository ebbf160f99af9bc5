import sys
import time
import unicodedata
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.exact import Exact, comparable_text, normalise
from dedup.keys import FOLLOWERS
from sources.schema import IMAGES, SAMPLES


def sample(number: int, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SAMPLES.names)
    row |= {"sample_id": f"{number:032x}", "source": "s", "source_key": f"k{number}", "license": "MIT"}
    row |= {"access": "open", "task": "caption", "turns": [], "images": []}
    return row | fields


def caption(number: int, text: str, *image_ids: str, prompt: str = "Describe.", **fields: Any) -> dict[str, Any]:
    images = [{"image_id": image_id, "uri": image_id, "frame": 0} for image_id in image_ids]
    turns = [{"role": "user", "text": f"<image>{prompt}"}, {"role": "assistant", "text": text}]
    return sample(number, turns=turns, images=images, **fields)


def keys_of(*rows: dict[str, Any], pixels: dict[str, str | None] | None = None) -> list[bytes]:
    table = pa.Table.from_pylist(list(rows), schema=SAMPLES)
    images = pa.Table.from_pylist(
        [{name: 0 if name in ("width", "height", "bit_depth", "channels", "frames", "bytes") else "x" for name in
          ("width", "height", "bit_depth", "channels", "format", "frames", "bytes", "modality", "modality_from")}
         | {"image_id": image_id, "pixel_hash": pixel_hash} for image_id, pixel_hash in (pixels or {}).items()],
        schema=IMAGES,
    )  # fmt: skip
    found: list[bytes] = (
        Exact().keys(table, pa.array(range(len(rows)), pa.int32()), {"images": images})["key"].to_pylist()
    )
    return found


PIXELS: dict[str, str | None] = {"aa": "p1", "bb": "p1", "cc": "p2", "dd": None}


def test_the_same_pixels_in_another_file_with_the_same_caption_are_a_duplicate() -> None:
    one, other = keys_of(caption(1, "A film.", "aa"), caption(2, "A  film.", "bb"), pixels=PIXELS)
    assert one == other


def test_the_prompt_that_the_recipe_chose_does_not_tell_captions_apart() -> None:
    one, other = keys_of(
        caption(1, "A film.", "aa"), caption(2, "A film.", "aa", prompt="What is this?"), pixels=PIXELS
    )
    assert one == other


@pytest.mark.parametrize(
    "other",
    [
        caption(2, "Another caption.", "aa"),
        caption(2, "A film.", "cc"),
        caption(2, "A film."),
        caption(2, "A film.", "aa", "cc"),
        caption(2, "A film.", "dd"),
    ],
    ids=["other_text", "other_picture", "no_picture", "one_picture_more", "pixels_not_hashed"],
)
def test_a_sample_that_differs_in_picture_or_text_is_no_duplicate(other: dict[str, Any]) -> None:
    one, two = keys_of(caption(1, "A film.", "aa"), other, pixels=PIXELS)
    assert one != two


def test_two_questions_about_one_picture_are_two_samples() -> None:
    def vqa(number: int, question: str) -> dict[str, Any]:
        turns = [{"role": "user", "text": f"<image>\n{question}"}, {"role": "assistant", "text": "Yes"}]
        images = [{"image_id": "aa", "uri": "a", "frame": 0}]
        return sample(number, task="vqa", turns=turns, images=images, question=question, answer="Yes")

    one, two = keys_of(vqa(1, "Is it left?"), vqa(2, "Is it right?"), pixels=PIXELS)
    assert one != two


def test_a_report_with_another_indication_is_another_text() -> None:
    reports = [caption(n, "Normal.", task="report", question=question) for n, question in enumerate(("Cough", "Fall"))]
    assert comparable_text(reports[0]) != comparable_text(reports[1])


def test_dropped_samples_name_the_kept_one_and_say_whether_pictures_were_compared() -> None:
    table = pa.Table.from_pylist([caption(1, "x", "aa"), caption(2, "x", "aa"), caption(3, "x")], schema=SAMPLES)
    leader = (1).to_bytes(16, "big")
    rows = [
        {"fragment": 0, "row": 11, "leader": leader, "nth": 1},
        {"fragment": 0, "row": 12, "leader": leader, "nth": 1},
    ]
    answers = pa.Table.from_pylist(rows, schema=FOLLOWERS)
    verdicts = Exact().decide(table, pa.array([10, 11, 12], pa.int32()), answers).to_pylist()
    assert [row["reason"] for row in verdicts] == [None, "exact.image_text", "exact.text"]
    assert [row["verdict"] for row in verdicts] == ["keep", "drop", "drop"]
    assert verdicts[1]["evidence"] == f'{{"kept":"{1:032x}"}}'


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A  caption\nof two lines", "a caption of two lines", True),
        ("ﬁlm", "film", True),
        ("soft\u00adhyphen and zero\u200bwidth", "softhyphen and zerowidth", True),
        ("3 cm nodule", "8 cm nodule", False),
        ("no effusion", "effusion", False),
        ("pH 7.1", "pH 71", False),
    ],
)
def test_normal_form_keeps_what_medicine_means(one: str, other: str, same: bool) -> None:
    assert (normalise(one) == normalise(other)) is same


MARKS = "\u0301\u0323\u0344\u0f73\uff9e\u3099"
"""Accents above and below, one that is two, and letters by their class that are marks once they are taken apart."""


@given(st.text(st.sampled_from(MARKS), max_size=30), st.text(st.sampled_from("aộか\ufb01 \u0915\u093c"), max_size=5))
def test_up_to_thirty_marks_in_a_row_are_put_in_order_as_unicode_has_it(marks: str, letters: str) -> None:
    text = f"{letters}{marks}{letters}"
    assert normalise(text) == " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


@pytest.mark.parametrize("before", range(31))
def test_of_more_marks_in_a_row_each_thirty_are_put_in_order_wherever_they_stand(before: int) -> None:
    above, below = "\u0301", "\u0323"
    assert normalise(f"{'q' * before}{above * 29}{below * 2}") == f"{'q' * before}{below}{above * 29}\u034f{below}"


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\u0344\u0323", "\uff9e\u0301"], ids=["accents", "double", "kana"])
def test_very_many_marks_take_no_time(marks: str) -> None:
    start = time.process_time()
    normalise(marks * 100_000)
    assert time.process_time() - start < 5  # in quadratic time most of a minute


def test_whatever_begins_with_a_mark_once_it_is_taken_apart_counts_as_one() -> None:
    for one in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.combining(unicodedata.normalize("NFKD", one)[0]):
            assert "\u034f" in normalise(one * 31)
