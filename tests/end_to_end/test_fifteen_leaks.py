"""Fifteen ways to leak that an audit must find, and look-alikes that it must not, in one audit.

Each case has an eval item of its own, which its record leaks or only resembles. Case 14 (VQA-RAD's own splits) is
`test_within.py`; of 15 later stages are `test_audit_in_a_build.py`, swapped eval files `test_audit_report.py`; real
films of other patients are `test_pictures.py`, neighbouring slices the decoys of the calibration.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
import yaml
from PIL import Image

from benchmarks.planted import TRANSFORMS
from tests.dedup.decontamination.test_text_scan import FILLER, noisy, rewrapped
from tests.dedup.decontamination.texts import EFFUSION, ENZYME, INCOME, PASSAGE, VIGNETTE
from tests.dedup.test_fingerprints import scene
from tests.end_to_end.audits import what
from tests.end_to_end.runs import curate_json
from tests.sources.dicom_files import bytes_of, picture_of

Grey = npt.NDArray[np.uint8]
Row = dict[str, Any]

WRITTEN_ANEW = {
    "a_panel_of_a_two_by_two_figure": ("subfig_2x2", "partial"),
    "cropped_shrunk_and_compressed": ("crop20+r300+jpeg40+gamma", "partial"),
    "inverted_export": ("invert", "reencoded"),
    "another_window": ("window10_90", "reencoded"),
    "locally_equalised": ("clahe", "reencoded"),
    "flipped_and_saved": ("flip+jpeg50", "reencoded"),
    "padded_to_a_square": ("pad_letterbox", "reencoded"),
    "with_marker_and_arrow": ("text+arrow", "reencoded"),
}
STEMS = (
    ("beekeeper from Tromso", "burning feet and a drooping eyelid"),
    ("glazier from Ostend", "a metallic taste and trembling hands"),
    ("cellist from Nagoya", "blue fingertips and a hoarse voice"),
    ("ranger from Tasmania", "night sweats and a swollen calf"),
    ("tailor from Cusco", "double vision and brittle nails"),
    ("diver from Zanzibar", "itching palms and a stiff shoulder"),
)
REWRITTEN = (
    "rewrapped_into_bullets",
    "zero_width_and_markup",
    "options_shuffled",
    "in_a_long_document",
    "edited_with_the_answer_first",
    "in_base64",
)
OPTIONS = ["Fabry disease", "Refsum disease", "Tangier disease", "Wilson disease"]


def stem(number: int) -> str:
    who, what_of = STEMS[number]
    return (
        f"A {40 + number}-year-old {who} has had {what_of} for three weeks after a long journey by train. "
        "Which inherited disorder explains the symptoms best?"
    )


def rewritten(name: str, question: str, answer: str) -> Row:
    """The record that leaks a question."""
    if name == "rewrapped_into_bullets":
        return {"question": rewrapped(question)}
    if name == "zero_width_and_markup":
        return {"question": noisy(question)}
    if name == "options_shuffled":
        options = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", reversed(OPTIONS), strict=True))
        return {"question": f"{question}\n{options}", "answer": f"D. {answer}"}
    if name == "in_a_long_document":
        return {"question": FILLER * 1500 + question + FILLER * 1500}
    if name == "edited_with_the_answer_first":
        return {"question": f"{answer} is the answer. {question.replace('long', 'lengthy')}"}
    return {"question": json.dumps({"blob": base64.b64encode(question.encode()).decode()})}


class Place:
    """Pictures, records and items that were written so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[Row] = []
        self.items: list[Row] = []
        for name in ("data", "evals"):
            (root / name).mkdir()

    def add(self, case: str, item: Row, row: Row) -> None:
        """An item with the name of the case, and the record that leaks it or does not."""
        self.items.append({"id": case, **item})
        self.rows.append({"id": f"record {len(self.rows)}", **row})

    def shown(self, side: str, picture: Grey) -> str:
        """Write a picture."""
        name = f"{side}{len(list((self.root / side).iterdir()))}.png"
        Image.fromarray(np.ascontiguousarray(picture)).save(self.root / side / name)
        return name

    def found(self) -> dict[str, set[tuple[str, str]]]:
        """Case -> channel and grade of what an audit finds of its item."""
        fields = {name: name for name in ("id", "question", "options", "answer", "context", "images", "patient")}
        said = {"name": "mine", "version": "1", "reader": "jsonl", "path": "test.jsonl", "fields": fields}
        (self.root / "evals" / "evalset.yaml").write_text(yaml.safe_dump(said))
        (self.root / "evals" / "test.jsonl").write_bytes(b"\n".join(map(orjson.dumps, self.items)))
        (self.root / "data" / "data.jsonl").write_bytes(b"\n".join(map(orjson.dumps, self.rows)))
        command = ("audit", self.root / "data" / "data.jsonl", "--against", self.root / "evals")
        curate_json(*command, "--no-calibrate", "--out", self.root / "audit", status=3)
        found: dict[str, set[tuple[str, str]]] = {item["id"]: set() for item in self.items}
        for _, case, channel, grade in what(self.root / "audit"):
            found[case].add((channel, grade))
        return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[str, str]]]:
    place = Place(tmp_path_factory.mktemp("cases"))
    _pictures(place)
    for number, name in enumerate(REWRITTEN):
        item = {"question": stem(number), "options": OPTIONS, "answer": OPTIONS[0]}
        place.add(name, item, rewritten(name, item["question"], item["answer"]))
    _no_leaks(place)
    return place.found()


def _film(number: int) -> Grey:
    return scene(100 + number, 480, 440)


def _pictures(place: Place) -> None:
    asked = {"question": "Is there a pneumothorax?", "answer": "no"}
    same = place.shown("evals", _film(0)), place.shown("data", _film(0))
    place.add(
        "verbatim_short_question_with_its_picture", {**asked, "images": [same[0]]}, {**asked, "images": [same[1]]}
    )
    same = place.shown("evals", _film(1)), place.shown("data", _film(1))
    other = {"question": "Does air surround the lung anywhere?", "answer": "no sign of it", "images": [same[1]]}
    place.add("the_picture_with_a_reworded_question", {**asked, "images": [same[0]]}, other)
    for number, (name, (transform, _)) in enumerate(WRITTEN_ANEW.items(), 2):
        changed = TRANSFORMS[transform](_film(number), 0, [_film(40), _film(41), _film(42)])
        row = {"question": "Fig 3B", "answer": "The film of the patient.", "images": [place.shown("data", changed)]}
        place.add(name, {**asked, "images": [place.shown("evals", _film(number))]}, row)
    dataset = picture_of(_film(20).astype(np.uint16) * 16, bits=12)
    (place.root / "data" / "film.dcm").write_bytes(bytes_of(dataset))
    row = {"question": "What is this?", "answer": "A film.", "images": ["film.dcm"]}
    place.add("the_dicom_of_the_png", {**asked, "images": [place.shown("evals", _film(20))]}, row)
    shown = [place.shown("data", _film(number)) for number in (43, 44, 21)]
    row = {"question": "What do these show?", "answer": "Three films.", "images": shown}
    place.add("only_the_third_picture_of_a_record", {**asked, "images": [place.shown("evals", _film(21))]}, row)


def _no_leaks(place: Place) -> None:
    def film(side: str, number: int) -> list[str]:
        return [place.shown(side, _film(number))]

    asked = {"question": "Is there a pleural effusion?", "answer": "yes"}
    place.add("the_film_of_another_patient", {**asked, "images": film("evals", 50)},
              {"question": "Describe it.", "answer": "A normal film.", "images": film("data", 51)})  # fmt: skip
    place.add("the_follow_up_of_the_same_patient", {**asked, "images": film("evals", 52), "patient": "PX-7"},
              {"question": "Any news?", "answer": "None.", "images": film("data", 53), "patient": "PX-7"})  # fmt: skip
    place.add("the_stock_question_of_another_picture", {**asked, "images": film("evals", 54)},
              {**asked, "images": film("data", 55)})  # fmt: skip
    report = "No acute cardiopulmonary process."
    place.add("a_normal_report", {"question": "What does it show?", "answer": report, "images": film("evals", 56)},
              {"question": "Impression?", "answer": report, "images": film("data", 57)})  # fmt: skip
    for name, item, edit in (
        ("another_year", INCOME, ("1850", "1950")),
        ("the_other_side", EFFUSION, ("left", "right")),
        ("another_drug", ENZYME, ("fomepizole", "disulfiram")),
    ):
        row = {"question": item["question"].replace(*edit), "answer": "something else"}
        place.add(name, item, row)
    told = "Answer with the option's letter from the given choices directly."
    place.add("shared_instructions", {"question": f"{VIGNETTE['question']} {told}", "answer": VIGNETTE["answer"]},
              {"question": f"{told} Is the moon larger than the sun?", "answer": "B"})  # fmt: skip
    place.add("a_public_passage_without_the_question", PASSAGE,
              {"question": "Read this.", "answer": PASSAGE["context"]})  # fmt: skip
    blank = np.zeros((300, 320), np.uint8)
    place.add("a_black_frame", {**asked, "images": [place.shown("evals", blank)]},
              {"question": "And this?", "answer": "Black.", "images": [place.shown("data", blank[:280])]})  # fmt: skip
    place.add("a_bare_answer", {"question": "How large is the lesion of the left lung in the film?", "answer": "3 cm"},
              {"question": "What did you buy?", "answer": "3 cm of left lung, yes"})  # fmt: skip


PICTURES = {
    "verbatim_short_question_with_its_picture": ("pair", "exact"),
    "the_picture_with_a_reworded_question": ("image", "exact"),
    **{name: ("image", grade) for name, (_, grade) in WRITTEN_ANEW.items()},
    "the_dicom_of_the_png": ("image", "reencoded"),
    "only_the_third_picture_of_a_record": ("image", "exact"),
}


@pytest.mark.parametrize("case", PICTURES)
def test_a_picture_is_found(found: dict[str, set[tuple[str, str]]], case: str) -> None:
    assert PICTURES[case] in found[case]


@pytest.mark.parametrize("case", REWRITTEN)
def test_a_question_is_found(found: dict[str, set[tuple[str, str]]], case: str) -> None:
    assert found[case] & {("text", "exact"), ("text", "near_text")}


NO_LEAKS = {
    "the_film_of_another_patient": set(),
    "the_follow_up_of_the_same_patient": {("group", "same_group")},
    "the_stock_question_of_another_picture": set(),
    "a_normal_report": set(),
    "another_year": {("text", "template_sibling")},
    "the_other_side": {("text", "template_sibling")},
    "another_drug": {("text", "template_sibling")},
    "shared_instructions": set(),
    "a_public_passage_without_the_question": {("text", "passage_shared")},
    "a_black_frame": set(),
    "a_bare_answer": set(),
}


@pytest.mark.parametrize("case", NO_LEAKS)
def test_what_is_no_leak_is_not_found(found: dict[str, set[tuple[str, str]]], case: str) -> None:
    assert found[case] == NO_LEAKS[case]
