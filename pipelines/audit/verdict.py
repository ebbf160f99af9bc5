"""The verdict of an audit: leaks, then incomplete, then insensitive, and only then clean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import pyarrow as pa

from dedup.decontamination.assemble import RANK
from dedup.decontamination.grades import Grade
from pipelines.audit.review import Review


class AuditVerdict(StrEnum):
    """What an audit says."""

    LEAKS = "leaks"
    INCOMPLETE = "incomplete"
    INSENSITIVE = "insensitive"
    CLEAN = "clean"


STATUS: Mapping[str, int] = {
    AuditVerdict.LEAKS: 3, AuditVerdict.INCOMPLETE: 1, AuditVerdict.INSENSITIVE: 1, AuditVerdict.CLEAN: 0,
}  # fmt: skip
"""Exit status of `curate audit`."""


@dataclass(frozen=True)
class Judged:
    """The verdict, why, and what a review accepted."""

    verdict: AuditVerdict
    reasons: tuple[str, ...]
    accepted: tuple[str, ...]
    """Ids of the accepted findings, sorted."""
    unknown: tuple[str, ...]
    """Entries of the review that no finding answers to."""
    expired: bool
    leaks: int = 0
    """Eval items that leaked and are not accepted; where there are any, the first reason is about them."""


def judged(
    findings: pa.Table,
    counts: Sequence[Mapping[str, object]],
    fail_on: Grade,
    gaps: Sequence[str],
    weaknesses: Sequence[str],
    review: Review | None,
    today: date,
) -> Judged:
    """The first verdict that holds.

    Args:
        findings: FINDINGS of the audit.
        counts: TALLY with `eval_set` and `eval_id` in place of the number; also of findings that are not listed.
        fail_on: the weakest grade that is a leak.
        gaps: sentences on what was not there or could not be read.
        weaknesses: sentences on what the audit would not have found.
        review: accepted findings; one that has expired accepts nothing.
        today: the day on which the verdict is given.
    """
    expired = review is not None and not review.holds_on(today)
    holding = None if expired else review
    rows = findings.select(["finding_id", "eval_set", "eval_id", "grade", "channel"]).to_pylist()
    accepted = {row["finding_id"] for row in rows if holding is not None and holding.accepts(row)}
    leaks = [row for row in rows if RANK[row["grade"]] <= RANK[fail_on]]
    left = [row for row in leaks if row["finding_id"] not in accepted]
    unlisted = _unlisted(leaks, counts, fail_on, holding)
    everything = holding is not None and holding.everything
    reasons: list[str] = []
    verdict = AuditVerdict.CLEAN
    items = {(row["eval_set"], row["eval_id"]) for row in left} | unlisted
    if items:
        verdict = AuditVerdict.LEAKS
        reasons.append(f"{len(items):,} eval items are in the data at grade {fail_on.value} or stronger")
    for kind, told in ((AuditVerdict.INCOMPLETE, gaps), (AuditVerdict.INSENSITIVE, weaknesses)):
        reasons += told
        if told and verdict == AuditVerdict.CLEAN and not everything:
            verdict = kind
    return Judged(verdict, tuple(reasons), tuple(sorted(accepted)), _unknown(rows, holding), expired, len(items))


def _unlisted(
    leaks: Sequence[Mapping[str, str]],
    counts: Sequence[Mapping[str, object]],
    fail_on: Grade,
    review: Review | None,
) -> set[tuple[str, str]]:
    """Items with more leaks than are listed, which only a review of the item or of everything accepts."""
    shown: dict[tuple[str, str, str], int] = {}
    for row in leaks:
        key = row["eval_set"], row["eval_id"], row["channel"]
        shown[key] = shown.get(key, 0) + 1
    total: dict[tuple[str, str, str], int] = {}
    for one in counts:
        if RANK[str(one["grade"])] <= RANK[fail_on]:
            key = str(one["eval_set"]), str(one["eval_id"]), str(one["channel"])
            total[key] = total.get(key, 0) + int(str(one["samples"]))
    hidden = {key[:2] for key, count in total.items() if count > shown.get(key, 0)}
    if review is None:
        return hidden
    return set() if review.everything else hidden - review.items


def _unknown(rows: Sequence[Mapping[str, str]], review: Review | None) -> tuple[str, ...]:
    if review is None:
        return ()
    ids = {row["finding_id"] for row in rows}
    items = {(row["eval_set"], row["eval_id"]) for row in rows}
    strangers = [name for name in review.finding_ids if name not in ids]
    strangers += [f"{eval_set} {eval_id}" for eval_set, eval_id in review.items if (eval_set, eval_id) not in items]
    return tuple(sorted(strangers))
