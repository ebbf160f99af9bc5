"""The columns of the public registry of contamination."""

import csv

from pipelines.audit.conda import HEADER, conda_csv
from tests.pipelines.audit.report.findings import made


def rows(split: list[str], grades: dict[str, int]) -> list[dict[str, str]]:
    document = made(0).document()
    document["eval_sets"]["slake"]["split"] = split
    document["sources"] = {
        "roco": {"samples": 1, "eval_sets": {"slake": {"items": 9, "by_grade": grades, "made_from_it": False}}}
    }
    return list(csv.DictReader(conda_csv(document).splitlines(), delimiter=";"))


def test_the_share_stands_under_the_split_that_is_evaluated() -> None:
    for split, column in ((["test"], "Test Split"), (["validation"], "Development Split"), (["train"], "Train Split")):
        (row,) = rows(split, {"exact": 120, "near_text": 3})
        assert tuple(row) == HEADER
        assert {name: row[name] for name in HEADER if "Split" in name and row[name]} == {column: "12.3"}
        assert (row["Evaluation Dataset"], row["Contaminated Source"], row["Approach"]) == (
            "slake",
            "roco",
            "data-based",
        )


def test_what_is_no_leak_is_not_reported_as_one() -> None:
    assert rows(["test"], {"same_group": 40, "template_sibling": 4}) == []
