"""The first verdict that holds, and what a review accepts."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dedup.decontamination.findings import FINDINGS
from dedup.decontamination.grades import Grade
from pipelines.audit.review import Review, read_review
from pipelines.audit.verdict import Judged, judged
from pipelines.errors import UsageError

TODAY = date(2026, 3, 1)


def finding(name: str, eval_id: str, grade: str = "exact") -> dict[str, Any]:
    return {
        "finding_id": name, "grade": grade, "channel": "text", "eval_set": "s", "eval_id": eval_id, "sample_id": name,
        "source": "d",
    }  # fmt: skip


def verdict(
    *findings: dict[str, Any],
    gaps: tuple[str, ...] = (),
    weak: tuple[str, ...] = (),
    review: Review | None = None,
    unlisted: int = 0,
    fail_on: Grade = Grade.NEAR_TEXT,
) -> Judged:
    counts = [
        {"eval_set": row["eval_set"], "eval_id": row["eval_id"], "channel": "text", "grade": row["grade"],
         "samples": 1 + unlisted}
        for row in findings
    ]  # fmt: skip
    table = pa.Table.from_pylist(list(findings), schema=FINDINGS)
    return judged(table, counts, fail_on, gaps, weak, review, TODAY)


def test_verdicts_come_in_their_order() -> None:
    assert verdict().verdict == "clean"
    assert verdict(weak=("deaf",)).verdict == "insensitive"
    assert verdict(weak=("deaf",), gaps=("a set",)).verdict == "incomplete"
    assert verdict(finding("f", "1"), weak=("deaf",), gaps=("a set",)).verdict == "leaks"


@pytest.mark.parametrize(("grade", "limit", "expected"), [
    ("near_text", Grade.NEAR_TEXT, "leaks"),
    ("paraphrase", Grade.NEAR_TEXT, "clean"),
    ("paraphrase", Grade.SAME_GROUP, "leaks"),
    ("near_text", Grade.EXACT, "clean"),
    ("template_sibling", Grade.PROVENANCE, "clean"),
])  # fmt: skip
def test_what_fails_is_at_or_above_the_limit(grade: str, limit: Grade, expected: str) -> None:
    assert verdict(finding("f", "1", grade), fail_on=limit).verdict == expected


def test_a_review_accepts_findings_by_id_and_by_item() -> None:
    both = finding("f", "1"), finding("g", "2")
    review = Review.model_validate({"reason": "seen", "accept": ["f", {"eval_set": "s", "eval_id": "2"}]})
    outcome = verdict(*both, review=review)
    assert (outcome.verdict, outcome.accepted) == ("clean", ("f", "g"))
    one = Review.model_validate({"reason": "seen", "accept": ["f"]})
    assert verdict(*both, review=one).verdict == "leaks"


def test_findings_that_are_not_listed_are_accepted_only_with_their_item() -> None:
    by_id = Review.model_validate({"reason": "seen", "accept": ["f"]})
    by_item = Review.model_validate({"reason": "seen", "accept": [{"eval_set": "s", "eval_id": "1"}]})
    assert verdict(finding("f", "1"), review=by_id, unlisted=3).verdict == "leaks"
    assert verdict(finding("f", "1"), review=by_item, unlisted=3).verdict == "clean"


def test_only_all_accepts_an_audit_that_is_incomplete_or_insensitive() -> None:
    everything = Review.model_validate({"reason": "seen", "accept": "all"})
    some = Review.model_validate({"reason": "seen", "accept": ["f"]})
    assert verdict(finding("f", "1"), gaps=("a set",), weak=("deaf",), review=everything).verdict == "clean"
    assert verdict(finding("f", "1"), gaps=("a set",), review=some).verdict == "incomplete"


def test_a_review_that_expired_accepts_nothing_and_one_of_today_still_does() -> None:
    until = {"reason": "seen", "accept": "all", "until": date(2026, 2, 28)}
    outcome = verdict(finding("f", "1"), review=Review.model_validate(until))
    assert (outcome.verdict, outcome.expired, outcome.accepted) == ("leaks", True, ())
    today = Review.model_validate({**until, "until": TODAY})
    assert verdict(finding("f", "1"), review=today).verdict == "clean"


def test_entries_of_a_review_that_no_finding_answers_to_are_told() -> None:
    review = Review.model_validate({"reason": "seen", "accept": ["zzz", {"eval_set": "s", "eval_id": "9"}]})
    assert verdict(finding("f", "1"), review=review).unknown == ("s 9", "zzz")


@pytest.mark.parametrize("text", [
    "accept: all",
    "reason: x",
    "reason: x\naccept: [{eval_set: s}]",
    "reason: x\naccept: some",
    "reason: ''\naccept: all",
    "reason: x\naccept: all\nwhom: me",
    "- 1",
    "a: [",
])  # fmt: skip
def test_a_review_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "review.yaml").write_text(text)
    with pytest.raises(UsageError, match="--accept"):
        read_review(tmp_path / "review.yaml")


def test_a_review_file_is_read(tmp_path: Path) -> None:
    accepted = "[abc, {eval_set: s, eval_id: '1'}]"
    (tmp_path / "r.yaml").write_text(f"reason: seen\nwho: me\nuntil: 2026-12-31\naccept: {accepted}")
    review = read_review(tmp_path / "r.yaml")
    assert review.finding_ids == {"abc"}
    assert review.items == {("s", "1")}
    assert review.until == date(2026, 12, 31)


def test_leaks_are_items_that_nothing_accepts() -> None:
    review = Review(reason="looked at", accept=("f",))
    both = (finding("f", "1"), finding("g", "2"))
    assert [verdict(*both).leaks, verdict(*both, review=review).leaks, verdict(both[0], review=review).leaks] == [
        2,
        1,
        0,
    ]
