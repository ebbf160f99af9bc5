"""`contamination.json`: everything an audit found, of what, by which inputs. It holds no times and no places."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from dedup.decontamination.assemble import RANK
from dedup.decontamination.grades import STRENGTH, Grade
from pipelines.audit.evals import Missing
from pipelines.audit.flow import Found
from pipelines.audit.protect import Protected, ProtectedSet
from pipelines.audit.review import Review
from pipelines.audit.settings import DecontaminateSettings
from pipelines.audit.verdict import AuditVerdict, Judged

FORMAT = 1


@dataclass(frozen=True)
class Inputs:
    """What was looked at."""

    data: Sequence[Mapping[str, Any]]
    """One entry a place: its name, form, sources, and their files by hash."""
    samples: Mapping[str, int]
    """Source -> samples that were looked at."""
    unread: Mapping[str, Mapping[str, int]]
    """Source -> why samples or pictures could not be looked at -> how many."""
    not_covered: Sequence[str]
    """Sentences on what the audit is not about."""
    unreadable: Sequence[str] = ()
    """The files that no reader could begin with, as they may be shown to who has the data."""
    shards: Mapping[str, Any] | None = None
    """Of shards of ours: the manifest's sha256, the build's fingerprint."""


def contamination(
    inputs: Inputs,
    protected: Protected,
    missing: Sequence[Missing],
    found: Found,
    outcome: Judged,
    settings: DecontaminateSettings,
    review: Review | None,
    version: str,
) -> dict[str, Any]:
    """The document."""
    strongest = strongest_of_items(found.counts)
    return {
        "format": FORMAT,
        "curate": version,
        "verdict": outcome.verdict.value,
        "reasons": list(outcome.reasons),
        "leaks": outcome.leaks,
        "policy": settings.model_dump(mode="json", exclude={"enabled", "against", "required", "articles"}),
        "data": list(inputs.data),
        "shards": inputs.shards,
        "items": sum(one.items for one in protected.sets),
        "leaked_items": sum(RANK[grade] <= leaking(settings.fail_on) for grade in strongest.values()),
        "findings": _by_grade(found.findings["grade"].to_pylist()),
        "listed": found.findings.num_rows,
        "eval_sets": {one.name: _eval_set(one, strongest, found.findings, settings.fail_on) for one in protected.sets},
        "missing": [{"name": one.name, "required": one.required, "fetch": one.fetch} for one in missing],
        "sources": {
            source: {"samples": samples, "eval_sets": _of_source(source, found)}
            for source, samples in sorted(inputs.samples.items())
        },
        "unread": {source: dict(reasons) for source, reasons in sorted(inputs.unread.items()) if reasons},
        "unreadable": list(inputs.unreadable),
        "not_covered": list(inputs.not_covered),
        "accepted": _accepted(outcome, review),
        "calibration": None,
    }


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """The file: equal documents are equal bytes."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def strongest_of_items(counts: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """(eval set, id) -> the strongest grade at which the item was found."""
    strongest: dict[tuple[str, str], str] = {}
    for row in counts:
        key = row["eval_set"], row["eval_id"]
        if key not in strongest or RANK[row["grade"]] < RANK[strongest[key]]:
            strongest[key] = row["grade"]
    return strongest


def leaking(fail_on: Grade) -> int:
    """The rank up to which an item counts as leaked: its content was found, or what the audit fails on."""
    return max(RANK[fail_on], RANK[Grade.PARAPHRASE])


def accepted_leaks(document: Mapping[str, Any]) -> bool:
    """Whether findings at or above the limit are in the data, and the verdict is what it is because of a review."""
    limit = RANK[Grade(document["policy"]["fail_on"])]
    found = any(count and RANK[grade] <= limit for grade, count in document["findings"].items())
    return found and document["verdict"] != AuditVerdict.LEAKS


def accepted_gaps(document: Mapping[str, Any]) -> bool:
    """Whether an audit is clean although it could not look at everything, or would have missed too much."""
    return document["verdict"] == AuditVerdict.CLEAN and bool(document["reasons"])


def clean_subsets(items: pa.Table, found: Found, protected: Protected, fail_on: Grade) -> dict[str, bytes]:
    """Eval set -> its `clean_subset.json`: the ids, in the set's order, of the items that did not leak."""
    strongest = strongest_of_items(found.counts)
    ids: dict[str, list[str]] = {one.name: [] for one in protected.sets}
    for eval_set, eval_id in zip(items["eval_set"].to_pylist(), items["eval_id"].to_pylist(), strict=True):
        grade = strongest.get((eval_set, eval_id))
        if grade is None or RANK[grade] > leaking(fail_on):
            ids[eval_set].append(eval_id)
    return {
        one.name: document_bytes(
            {
                "format": FORMAT,
                "eval_set": one.name,
                "version": one.version,
                "digest": one.digest,
                "items": one.items,
                "clean": ids[one.name],
            }
        )
        for one in protected.sets
    }


def _eval_set(
    one: ProtectedSet, strongest: Mapping[tuple[str, str], str], findings: pa.Table, fail_on: Grade
) -> dict[str, Any]:
    grades = [grade for (eval_set, _), grade in strongest.items() if eval_set == one.name]
    leaked = sum(RANK[grade] <= leaking(fail_on) for grade in grades)
    channels = Counter(
        channel
        for eval_set, channel in zip(findings["eval_set"].to_pylist(), findings["channel"].to_pylist(), strict=True)
        if eval_set == one.name
    )
    return {
        "version": one.version,
        "revision": one.revision,
        "digest": one.digest,
        "license": one.license,
        "access": one.access,
        "split": list(one.split),
        "made_from": list(one.made_from),
        "items": one.items,
        "pictures": one.pictures,
        "unread": dict(one.unread),
        "inside": [dict(shared) for shared in one.inside],
        "leaked_items": leaked,
        "clean_items": one.items - leaked,
        "by_grade": _by_grade(grades),
        "findings_by_channel": dict(sorted(channels.items())),
    }


def _of_source(source: str, found: Found) -> dict[str, Any]:
    """Eval set -> the items found in a source, by their strongest grade there; and whether it was made from it."""
    own = [row for row in found.counts if row["source"] == source]
    by_set: dict[str, list[str]] = {}
    for (eval_set, _), grade in strongest_of_items(own).items():
        by_set.setdefault(eval_set, []).append(grade)
    made = {one.eval_set for one in found.derived if one.source == source}
    return {
        name: {
            "items": len(by_set.get(name, ())),
            "by_grade": _by_grade(by_set.get(name, ())),
            "made_from_it": name in made,
        }
        for name in sorted({*by_set, *made})
    }


def _by_grade(grades: Sequence[str]) -> dict[str, int]:
    """Grade -> how many, the strongest first; only those there are."""
    counts = Counter(grades)
    return {grade.value: counts[grade.value] for grade in STRENGTH if counts[grade.value]}


def _accepted(outcome: Judged, review: Review | None) -> dict[str, Any] | None:
    if review is None:
        return None
    return {
        "reason": review.reason,
        "who": review.who,
        "until": None if review.until is None else review.until.isoformat(),
        "expired": outcome.expired,
        "everything": review.everything,
        "findings": list(outcome.accepted),
        "unknown": list(outcome.unknown),
    }
