import random

import pytest

from filters.burned_in import Box
from filters.ocr import Line
from filters.phi_writing import ANNOTATIONS, judged, kind_of
from filters.surnames import SURNAMES
from tests.filters.planted_writing import harmless, identifying


@pytest.mark.parametrize(
    "text",
    [
        "RT UOQ", "RTUOQ", "LTBREAST", "LTBREAS", "L", "5cm", "10mm", "WW:400WL:40", "kvp 120 mA 250", "IM:12SE:3",
        "FR32Hz",
        "SUPINE", "SOPINE", "PORTABLE", "PORTAELE", "APUPRIGHT", "LONGRTKIDNEY", "TRANSLIVER", "MedPix?", "MedPixTM",
        "Compressed 27:1", "Page:1of1", "IM:1001", "TE:90TR:4000", "14:32:05", "DFOV:20x20cm",
        "JPEG 4.4:1 Q=90 (lossy)",
        "T2FLAIRAX", "MI 1.2TIs0.4", "Depth 4.2cm", "HFS", "C:19424", "W:38800", "Z:0,36", "57 YEARS", "Zoom : 50.15%",
        "AIR2CONCAT", "W24672:L9886", "W15843\u00b716782", "NEURO", "NEUROBRAIN", "Flip:180", "%FOV100",
        "Imagesize:192x256",
    ],
)  # fmt: skip
def test_annotations_of_scanners_are_no_identifiers(text: str) -> None:
    assert kind_of(text) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("OKONKWO,ADAEZE", "name"), ("JOHNSONADA", "name"), ("EMILYPetrosyan", "name"), ("MILLER^LINDA", "name"),
        ("Name: oksama Petrosyam", "name"), ("Dr. Lindqvis", "name"), ("PATEL, PRIYA", "name"),
        ("Source:StevenJGoldstein", "name"),
        ("08/07/1999", "date"), ("20-JUN-1973", "date"), ("05-0CT-195", "date"), ("1947-11-08", "date"),
        ("2004Oct07", "date"),
        ("DOB:02/17/1975", "date"), ("05/0B/2009", "date"), ("28/02/2020,23:36:12", "date"),
        ("20.11.201", "date"), ("11. 02.1945", "date"), ("1950-02", "date"),
        ("1976-1003", "date"), ("197610-03", "date"), ("0207/1956", "date"),
        ("MRN69772419", "id"), ("69738157", "id"), ("Acc#:97", "id"), ("P1754692", "id"), ("D:47242", "id"),
        ("ID:926748", "id"),
    ],
)  # fmt: skip
def test_names_dates_and_numbers_are_told_with_a_readers_mistakes(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_common_surnames_are_names_alone_and_beside_a_given_name() -> None:
    given = ("ZARA", "JISU", "AVA", "ADA", "NITA", "MEI", "OLU")
    words = sorted(word for word in SURNAMES if len(word) > 2 and word not in ANNOTATIONS)
    alone = [word for word in words if kind_of(word) != "name"]
    full = [f"{last} {first}" for last in words for first in given if kind_of(f"{last} {first}") != "name"]
    assert (alone, full) == ([], [])
    assert [kind_of(text) for text in ("WANG LI", "LI MA", "LONG ZARA", "NG MEI")] == ["name"] * 4


def test_a_name_that_was_not_read_surely_is_no_annotation() -> None:
    assert kind_of("OKONKWO ADAEZE", 0.79) == "name"
    assert kind_of("xuq", 0.7) is None


def test_pieces_that_stand_in_one_row_are_read_together() -> None:
    row = [Line(Box(10, 10, 40, 20), "MRN", 0.9), Line(Box(44, 10, 80, 21), "8264", 0.99)]
    apart = [Line(Box(10, 10, 40, 20), "MRN", 0.9), Line(Box(44, 90, 80, 101), "8264", 0.99)]
    assert [one.kind for one in judged(row)] == ["id", "id"]
    assert [one.kind for one in judged(apart)] == [None, None]


def test_what_was_read_is_in_no_answer() -> None:
    (found,) = judged([Line(Box(1, 2, 30, 12), "OKONKWO, ADAEZE", 0.9)])
    assert (found.kind, found.length) == ("name", 15)
    assert "OKONKWO" not in repr(found)


def test_well_read_writing_is_nearly_always_told_apart() -> None:
    draw = random.Random(2)
    missed = [text for kind, text in (identifying(draw) for _ in range(500)) if kind_of(text) is None]
    wrong = [text for text in (harmless(draw) for _ in range(500)) if kind_of(text) is not None]
    assert len(missed) <= 5, missed
    assert wrong == []
