from pathlib import Path

import pytest

from sources.readers.reports import sections
from sources.records import CorpusError, Record, Unreadable
from sources.uris import PICTURE
from tests.sources.corpora import corpus_in, read


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_sections_flow_and_keep_their_paragraphs() -> None:
    report = " FINDINGS:  The lungs\n are clear.\n\n No effusion.\n IMPRESSION: 1. Clear: no change.\n"
    assert sections(report) == {
        "findings": "The lungs are clear.\nNo effusion.", "impression": "1. Clear: no change."
    }  # fmt: skip


@pytest.mark.parametrize(
    ("header", "column"),
    [("CONCLUSION", "impression"), ("CLINICAL HISTORY", "indication"), ("FINDINGS AND IMPRESSION", "findings")],
)
def test_other_names_of_sections_are_known(header: str, column: str) -> None:
    assert sections(f"{header}: Made up.")[column] == "Made up."


def test_of_two_sections_of_one_kind_the_first_that_says_something_counts() -> None:
    assert sections("FINDINGS:\nFINDINGS: First.\nFINDINGS: Second.")["findings"] == "First."


def test_words_in_lower_case_with_a_colon_begin_no_section() -> None:
    assert sections("FINDINGS: Seen are: a node.\nNote: nothing.") == {"findings": "Seen are: a node. Note: nothing."}


def test_headings_of_organs_are_part_of_the_section_they_are_in() -> None:
    report = (
        "INDICATION: Cough.\n\nFINDINGS:\n LUNGS: Clear.\n HEART: Normal.\n\nIMPRESSION: Normal.\nNOTIFICATION: Told."
    )
    assert sections(report) == {
        "indication": "Cough.", "findings": "LUNGS: Clear. HEART: Normal.", "impression": "Normal."
    }  # fmt: skip


def test_known_headings_are_found_however_they_are_written() -> None:
    report = "Findings: Clear lungs.\n\nImpression: Normal.\n\nSigned by Dr Roe"
    assert sections(report) == {"findings": "Clear lungs.", "impression": "Normal."}


@pytest.mark.parametrize(
    "signature",
    [
        "Electronically signed by Dr. Roe 01/02/2020",
        "Dictated by: Roe, Jane",
        "SIGNED: Jane Roe",
        "Read by Jane Roe MD",
    ],
)
@pytest.mark.parametrize("body", ["FINDINGS:\n LUNGS: Clear.\n", "IMPRESSION: Clear.\n", "Lungs are clear.\n\n"])
def test_who_signed_a_report_is_in_no_section(body: str, signature: str) -> None:
    found = sections(f"{body}\n{signature}")
    assert len(found) == 1
    assert "Roe" not in str(found)


def test_the_last_paragraph_without_a_heading_is_the_text_and_in_no_other_section() -> None:
    report = "INDICATION: Cough.\n\nThe lungs are clear.\n\nCOMPARISON: None."
    assert sections(report) == {"indication": "Cough.", "comparison": "None.", "text": "The lungs are clear."}
    assert "text" not in sections("INDICATION: Cough.\n\nCOMPARISON: None.")


def test_an_empty_report_says_nothing() -> None:
    assert sections("\n \n") == {}


def test_pictures_are_those_of_the_folder_called_like_the_report_and_columns_come_from_its_path(tmp_path: Path) -> None:
    put(tmp_path / "p1/s2.txt", b"IMPRESSION: Made up.")
    put(tmp_path / "p1/s3.txt", b"\xff\xfe")
    for name in ("p1/s2/b.jpg", "p1/s2/a.jpg", "p1/s2/deep/c.jpg", "p1/s20/d.jpg"):
        put(tmp_path / name, b"")
    options = {"pictures": "**/*.jpg", "path": r"^p(?P<patient_number>\d+)/"}
    first, second = read(corpus_in(tmp_path, "reports", "**/*.txt", task="report", options=options))
    assert isinstance(first, Record)
    assert first.row[PICTURE] == ["p1/s2/a.jpg", "p1/s2/b.jpg"]
    assert (first.row["patient_number"], first.row["impression"]) == ("1", "Made up.")
    assert isinstance(second, Unreadable)
    assert (second.key, second.reason) == ("p1/s3.txt", "record.encoding")


def test_a_path_that_is_no_regular_expression_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a.txt", b"Made up.")
    with pytest.raises(CorpusError, match="options: path"):
        read(corpus_in(tmp_path, "reports", "*.txt", task="report", options={"path": "("}))
