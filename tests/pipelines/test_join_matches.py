from collections import Counter

import pytest

from pipelines.join_matches import report_matches
from pipelines.progress import Reporter


def said(capsys: pytest.CaptureFixture[str], **found: int) -> str:
    report_matches(Reporter(None), "ward", Counter(found))
    return capsys.readouterr().err


def test_a_source_whose_records_all_match_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, one=9) == ""


def test_only_what_there_is_of_a_join_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, one=7, none=2) == "source ward: of 9 records 2 match no row of the joined table\n"
    both = said(capsys, one=7, blank=1, several=1)
    assert both.startswith("source ward: of 9 records 1 have nothing to match by, 1 match several rows that differ")
