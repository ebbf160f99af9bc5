"""`lineage.json`, which training writes beside a checkpoint: the weights and shards it was made from, and their audits.

What it names is read again and compared by hash; nothing in it is believed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import orjson
import polars as pl
from pydantic import Field, ValidationError

from dedup.decontamination.assemble import RANK
from dedup.decontamination.grades import Grade
from pipelines.audit.document import accepted_gaps, accepted_leaks
from pipelines.audit.review import Review
from pipelines.audit.statement import sha256_of
from pipelines.audit.verdict import AuditVerdict
from pipelines.errors import UsageError
from sources.cards import Strict
from sources.storage import Folder

LINEAGE = "lineage.json"
FORMAT = 1
WEIGHTS = tuple(f"**/*.{ending}" for ending in ("safetensors", "bin", "pt", "pth", "gguf"))
TOLD = 20
"""Files of weights that are named one by one."""
UNCOVERED = (
    "What the base models saw in their own pretraining is not covered: nobody here has that data. A benchmark may have"
    " been in it whatever this page says."
)
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_ORDER = (AuditVerdict.LEAKS, AuditVerdict.INCOMPLETE, AuditVerdict.INSENSITIVE, AuditVerdict.CLEAN)
_FORM = "`curate train` writes it; docs/contamination_report.md has its form"


class NamedFile(Strict):
    """A file beside the lineage, by its path there and its hash."""

    path: str
    sha256: Sha256


class Base(Strict):
    """Weights of others that training started from. `files`: name -> SHA-256."""

    name: str
    revision: str | None = None
    files: dict[str, Sha256]


class Stage(Strict):
    """One stage of training: the manifest of its shards, their audit, and what was accepted of it."""

    stage: str
    manifest: NamedFile
    audit: NamedFile | None = None
    findings: NamedFile | None = None
    """The audit's table of findings: without it only a review that accepts everything can be applied."""
    accepted: Review | None = None


class Lineage(Strict):
    """The content of `lineage.json`. `files`: the checkpoint's own, name -> SHA-256."""

    format: Literal[1]
    files: Annotated[dict[str, Sha256], Field(min_length=1)]
    base: tuple[Base, ...] = ()
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]


@dataclass(frozen=True)
class CheckedStage:
    """One stage after its files were read again."""

    stage: Stage
    document: Mapping[str, Any] | None
    """Its `contamination.json`, where that is the one that the lineage names."""
    verdict: AuditVerdict
    accepted: int
    """Findings that the review accepts."""
    problems: tuple[str, ...]


@dataclass(frozen=True)
class CheckedWeights:
    """A checkpoint. Its verdict is the worst of its stages; what could not be re-verified makes it incomplete."""

    lineage: Lineage
    verdict: AuditVerdict
    stages: tuple[CheckedStage, ...]
    problems: tuple[str, ...]
    """Of the weights themselves."""


def has_lineage(folder: Folder) -> bool:
    """Whether a folder is a checkpoint with a lineage."""
    return folder.stat(LINEAGE) is not None


def read_lineage(folder: Folder) -> Lineage:
    """The lineage of a checkpoint.

    Raises:
        UsageError: it is not in its form.
    """
    place = f"{folder.place}/{LINEAGE}"
    try:
        return Lineage.model_validate(orjson.loads(folder.read(LINEAGE)), strict=False)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{place}: not JSON (line {error.lineno})", _FORM) from None
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in details["loc"])
        raise UsageError(f"{place}: {where}: {details['msg']}", _FORM) from None


def check_weights(folder: Folder, today: date) -> CheckedWeights:
    """Re-verify all that a checkpoint's lineage names."""
    lineage = read_lineage(folder)
    problems = [
        problem for name, digest in sorted(lineage.files.items()) for problem in _compared(folder, name, digest)
    ]
    problems += _unnamed(folder, lineage)
    stages = tuple(_stage(folder, stage, today) for stage in lineage.stages)
    worst = min((stage.verdict for stage in stages), key=_ORDER.index)
    if problems:
        worst = min(worst, AuditVerdict.INCOMPLETE, key=_ORDER.index)
    return CheckedWeights(lineage, worst, stages, tuple(problems))


def _unnamed(folder: Folder, lineage: Lineage) -> list[str]:
    """Weights in the checkpoint that the lineage says nothing of: nobody knows what they were trained on."""
    found, outside = folder.listing(WEIGHTS)
    names = sorted({stat.path for stat in found} - lineage.files.keys())
    problems = [f"{name}: weights that the lineage does not name" for name in names[:TOLD]]
    problems += [f"{len(names) - TOLD:,} more files of weights that the lineage does not name"] * (len(names) > TOLD)
    links = set(outside) - lineage.files.keys()
    return problems + [f"{len(links):,} links that the lineage does not name lead out of the checkpoint"] * bool(links)


def _stage(folder: Folder, stage: Stage, today: date) -> CheckedStage:
    named = [one for one in (stage.manifest, stage.audit, stage.findings) if one is not None]
    problems = [problem for one in named for problem in _compared(folder, one.path, one.sha256)]
    if stage.audit is None:
        problems.append("no audit: nobody looked whether these shards have items of eval sets")
    if problems or stage.audit is None:
        return CheckedStage(stage, None, AuditVerdict.INCOMPLETE, 0, tuple(problems))
    document = orjson.loads(folder.read(stage.audit.path))
    shards = document.get("shards") or {}
    if shards.get("manifest_sha256") != stage.manifest.sha256:
        problem = "its audit is of other shards than its manifest lists"
        return CheckedStage(stage, None, AuditVerdict.INCOMPLETE, 0, (problem,))
    review = stage.accepted
    if review is not None and not review.holds_on(today):
        problems.append(f"its review expired after {review.until}: nothing of it is accepted")
        review = None
    findings = None if stage.findings is None else pl.read_parquet(folder.read(stage.findings.path)).to_dicts()
    if findings is not None and not _belongs(findings, document):
        problem = "its table of findings is not the one of its audit"
        return CheckedStage(stage, None, AuditVerdict.INCOMPLETE, 0, (*problems, problem))
    verdict, accepted = _verdict(findings, document, review)
    lapsed = _lapsed(document, today)
    if lapsed and verdict == AuditVerdict.CLEAN and (review is None or not review.everything):
        verdict = AuditVerdict.INCOMPLETE
        problems.append(f"its audit is clean only by a review that expired after {document['accepted']['until']}")
    return CheckedStage(stage, document, verdict, accepted, tuple(problems))


def _belongs(findings: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> bool:
    """Whether a table of findings has as many rows of each grade as its audit says."""
    return len(findings) == document.get("listed") and Counter(row["grade"] for row in findings) == Counter(
        document.get("findings")
    )


def _lapsed(document: Mapping[str, Any], today: date) -> bool:
    """Whether an audit is clean only by a review of its own, which holds no more."""
    review = document.get("accepted")
    if review is None or review["until"] is None or today <= date.fromisoformat(review["until"]):
        return False
    return accepted_leaks(document) or accepted_gaps(document)


def _verdict(
    findings: Sequence[Mapping[str, Any]] | None, document: Mapping[str, Any], review: Review | None
) -> tuple[AuditVerdict, int]:
    """What the audit says once the review is applied, and how many findings that accepts."""
    verdict = AuditVerdict(document["verdict"])
    if review is None or verdict == AuditVerdict.CLEAN:
        return verdict, 0
    if findings is None:
        return (AuditVerdict.CLEAN, int(document["listed"])) if review.everything else (verdict, 0)
    accepted = sum(review.accepts(row) for row in findings)
    if review.everything:
        return AuditVerdict.CLEAN, accepted
    limit = RANK[Grade(document["policy"]["fail_on"])]
    left = any(RANK[row["grade"]] <= limit and not _wholly(review, row) for row in findings)
    return verdict if left or verdict != AuditVerdict.LEAKS else _without_leaks(document), accepted


def _without_leaks(document: Mapping[str, Any]) -> AuditVerdict:
    """The verdict of an audit whose leaks are all accepted: only its first reason is about leaks."""
    gaps = document["reasons"][1:] if document.get("leaks") else document["reasons"]
    return AuditVerdict.INCOMPLETE if gaps else AuditVerdict.CLEAN


def _wholly(review: Review, row: Mapping[str, Any]) -> bool:
    """Whether a finding is accepted, and with it those of the same item that are not listed."""
    if "of" in orjson.loads(row["evidence"] or b"{}"):
        return (row["eval_set"], row["eval_id"]) in review.items
    return review.accepts(row)


def _compared(folder: Folder, path: str, digest: str) -> Sequence[str]:
    try:
        return [] if sha256_of(folder, path) == digest else [f"{path}: not the file that the lineage names"]
    except OSError:
        return [f"{path}: cannot be read"]
