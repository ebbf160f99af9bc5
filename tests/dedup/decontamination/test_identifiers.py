"""Ids inside names: exact forms, and nothing else."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.decontamination.identifiers import identifiers_in, identifiers_of

UID = "1.2.840.113619.2.55.3.2831868886.123"
FORMS = [
    ("images/synpic54082.jpg", [("case", "synpic54082")]),
    ("images/MPX1009_synpic46283.png", [("case", "synpic46283"), ("case", "MPX1009")]),
    ("PMC212319_Fig3_4.jpg", [("article", "PMC212319"), ("figure", "PMC212319_Fig3")]),
    ("figures/PMC4083729_AMHSR-4-14-g002.jpg", [("article", "PMC4083729")]),
    ("llava_med.json#17506892_F1", [("article", "PMID17506892"), ("figure", "PMID17506892_F1")]),
    ("images/17506892_F1.jpg", [("article", "PMID17506892"), ("figure", "PMID17506892_F1")]),
    ("PMID: 21645374", [("article", "PMID21645374")]),
    ("CXR1020_IM-0017-1001/0.png", [("study", "CXR1020")]),
    ("CXR1_1_IM-0001-3001.png", [("study", "CXR1")]),
    ("reports.json#CXR162", [("study", "CXR162")]),
    ("1_IM-0001-4001.dcm.png", [("study", "CXR1")]),
    ("images/00002658_001.png", [("patient", "nih-00002658"), ("study", "nih-00002658_001")]),
    ("files/p10/p10000032/s50414267/02aa804e.jpg", [("patient", "p10000032"), ("study", "s50414267")]),
    (
        "train/patient00001/study1/view1_frontal.jpg",
        [("patient", "chexpert-patient00001"), ("study", "chexpert-patient00001/study1")],
    ),
    ("imgs/xmlab102/source.jpg", [("case", "slake-xmlab102")]),
    ("TCGA-02-0001-01Z-00-DX1.svs", [("patient", "TCGA-02-0001"), ("slide", "TCGA-02-0001-01Z-00-DX1")]),
    ("HAM_0000118", [("lesion", "HAM_0000118")]),
    (f"study/{UID}.dcm", [("series", UID)]),
]
NO_GROUPS = [
    "20200115_001.png",
    "12345678_001.png",
    "images/123456.jpg",
    "patient12.png",
    "CXR_12.png",
    "my-CXR12-film.png",
    "1.2.840.10008.5.1.4.1.1.2",
    "192.168.10.20",
    "version 1.2.3.4",
    "notes_2020.10.11.12.13.txt",
    "SUPMC12345.jpg",
    "PMC12.jpg",
    "F1_17506892.jpg",
    "p10000032.txt",
    "synpicture12.jpg",
    "ROCO_00001.jpg",
    "",
]


@pytest.mark.parametrize(("name", "groups"), FORMS)
def test_a_known_form_names_its_groups(name: str, groups: list[tuple[str, str]]) -> None:
    assert identifiers_in([name]) == groups


@pytest.mark.parametrize("name", NO_GROUPS)
def test_numbers_dates_versions_and_words_are_no_groups(name: str) -> None:
    assert identifiers_in([name]) == []


def test_texts_are_told_apart_and_nulls_have_none() -> None:
    found = identifiers_of(pa.chunked_array([["synpic1"], [None, "x synpic22.jpg MPX1234", "PMC1234567"]]))
    assert found.to_pylist() == [
        {"row": 2, "kind": "case", "id": "synpic22"},
        {"row": 2, "kind": "case", "id": "MPX1234"},
        {"row": 3, "kind": "article", "id": "PMC1234567"},
    ]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([name for name, _ in FORMS] + NO_GROUPS), max_size=20))
def test_many_texts_at_once_are_the_same_as_each_alone(names: list[str]) -> None:
    found = identifiers_of(pa.array(names, pa.string())).to_pylist()
    alone = [(row, *pair) for row, name in enumerate(names) for pair in identifiers_in([name])]
    assert [(one["row"], one["kind"], one["id"]) for one in found] == alone


def test_real_names_of_the_shared_corpora(shared_data: Path) -> None:
    films = sorted(path.name for path in (shared_data / "images/nih_films").glob("*.jpg"))
    found = identifiers_of(pa.array(films))
    patients = [row["id"] for row in found.to_pylist() if row["kind"] == "patient"]
    assert patients == [f"nih-{name[:8]}" for name in films]
