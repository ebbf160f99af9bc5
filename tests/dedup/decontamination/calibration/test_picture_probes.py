from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from dedup.decontamination.assemble import wordings_of
from dedup.decontamination.calibration import picture_probes
from dedup.decontamination.calibration.outcomes import table_of
from dedup.decontamination.calibration.picture_probes import (
    Protected,
    UnopenedError,
    chosen_pictures,
    pair_leaks,
    picture_decoys,
    picture_leaks,
)
from dedup.decontamination.calibration.picture_variants import FIGURES, TRANSFORMS
from dedup.decontamination.pictures import KnownParts, PictureIndex
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_settings import TextSettings
from tests.dedup.decontamination.calibration.items import item, table
from tests.dedup.test_fingerprints import scene

Grey = npt.NDArray[np.uint8]
FLAT, COUNT = 5, 6
GROUPS = {0: ("patient", "p1"), 1: ("patient", "p1"), 2: ("article", "PMC1"), 3: ("article", "PMC1")}
QUESTION = "Which structure?"
SIDE = 1024


@cache
def film(number: int) -> Grey:
    if number == FLAT:
        return np.full((300, 280), 90, np.uint8)
    return scene(number, 300, 280)


@cache
def protected(*, copies: bool = False) -> Protected:
    """Five films and a flat picture, one item each; with `copies`, film 1 shows film 0 and film 4 film 0 turned."""

    def opened(number: int) -> Grey:
        if copies and number in {1, 4}:
            return film(0) if number == 1 else np.ascontiguousarray(np.rot90(film(0)))
        return film(number)

    index = PictureIndex.of((number, opened(number), f"b{number}", f"p{number}") for number in range(COUNT))
    items = table(*(
        item(f"i{number}", "films" if number < 4 else "others", question=QUESTION,
             groups=[{"kind": GROUPS[number][0], "id": GROUPS[number][1]}] if number in GROUPS else [])
        for number in range(COUNT)
    ))  # fmt: skip
    pictures = pa.table({
        "picture": pa.array(range(COUNT), pa.int32()),
        "image_id": [f"b{number}" for number in range(COUNT)],
        "pixel_hash": [f"p{number}" for number in range(COUNT)],
        "items": pa.array([[number] for number in range(COUNT)], pa.list_(pa.int32())),
    })  # fmt: skip
    return Protected(KnownParts(index, opened), pictures, items, "xray", SIDE)


def leaks(number: int, others: list[int]) -> list[dict[str, Any]]:
    return picture_leaks(protected(), number, others, 0, film)


@pytest.fixture
def few_transforms(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ("resize224", "invert", "crop40%", "subfig_1x2")
    monkeypatch.setattr(picture_probes, "TRANSFORMS", {name: TRANSFORMS[name] for name in kept})


@pytest.mark.usefixtures("few_transforms")
def test_a_planted_picture_is_found_whatever_was_done_to_it() -> None:
    rows = leaks(2, [0, 1, 3])
    assert [(row["transform"], row["found"], row["grade"]) for row in rows] == [
        ("resize224", True, "reencoded"), ("invert", True, "reencoded"), ("crop40%", True, "partial"),
        ("subfig_1x2", True, "partial"),
    ]  # fmt: skip
    assert {(row["eval_set"], row["item"]) for row in rows} == {("films", 2)}
    table_of(rows)


@pytest.mark.usefixtures("few_transforms")
def test_an_only_picture_is_in_no_figure_and_a_small_one_is_not_cut_smaller() -> None:
    assert not {row["transform"] for row in leaks(2, [])} & FIGURES
    small = np.ascontiguousarray(film(2)[:100, :100])
    rows = picture_leaks(protected(), 2, [], 0, lambda _: small)
    assert {row["transform"] for row in rows} == {"resize224", "invert"}


@pytest.mark.usefixtures("few_transforms")
def test_a_search_without_the_picture_finds_none_of_its_variants() -> None:
    assert [row["found"] for row in picture_leaks(protected(), 2, [0], 0, lambda n: film(n + 20))] == [False] * 4


def test_a_picture_that_cannot_be_opened_is_a_probe_that_failed() -> None:
    with pytest.raises(UnopenedError):
        picture_leaks(protected(), 2, [0], 0, lambda _: None)
    with pytest.raises(UnopenedError):
        picture_decoys(protected(), 2, lambda _: None)


def test_a_picture_that_says_nothing_is_not_planted() -> None:
    assert chosen_pictures(protected(), [FLAT, 3, 0, 1], 2) == [3, 0]


def test_films_of_others_and_of_the_same_patient_are_decoys_and_are_not_flagged() -> None:
    rows = picture_decoys(protected(), 0, film)
    assert [(row["transform"], row["found"]) for row in rows] == [
        ("other_picture", False), ("neighbouring_picture", False),
    ]  # fmt: skip
    assert [row["transform"] for row in picture_decoys(protected(), 4, film)] == ["other_picture"]


def test_a_decoy_that_is_taken_for_another_patients_film_is_flagged_and_one_picture_is_none_of_itself() -> None:
    """Film 1 is film 0 to the bit (PDQ says so): no decoy. Film 4 is film 0 turned: the rule does not see that."""
    known = protected(copies=True)
    rows = picture_decoys(known, 0, film)
    assert [(row["transform"], row["found"], row["other"]) for row in rows] == [
        ("other_picture", True, 4), ("neighbouring_picture", False, -1),
    ]  # fmt: skip


def test_pictures_of_one_article_are_no_decoys_of_one_another() -> None:
    names = [row["transform"] for row in picture_decoys(protected(), 2, film)]
    assert names == ["other_picture"]


def test_a_picture_with_its_question_is_found_as_a_pair() -> None:
    known = protected()
    question = {**known.items.slice(3, 1).to_pylist()[0], "question": "Which structure is widened in this film?"}
    items = table(*(known.items.to_pylist()[:3]), question)
    index = TextIndex.of(items, TextSettings())
    texts = index, wordings_of(items, known.pictures.slice(0, 4))
    rows = pair_leaks(known, 3, question, texts, 0, film)
    assert [(row["channel"], row["transform"], row["found"]) for row in rows] == [
        ("pair", "verbatim", True), ("pair", "case_and_punctuation", True),
    ]  # fmt: skip
    assert not any(row["found"] for row in pair_leaks(known, 3, question, texts, 0, lambda n: film(n + 20)))
