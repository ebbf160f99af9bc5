"""Two audits side by side: verdicts, what they were about, and the findings that only one has."""

from typing import Any

import orjson
import polars as pl

from pipelines.audit.places import AUDIT, DOCUMENT, FINDINGS_TABLE
from pipelines.errors import UsageError
from pipelines.run_directory import RUN, changes
from sources.storage import Folder

EXAMPLES = 3
COMPARED = ("policy", "eval_sets", "data", "shards", "missing", "not_covered", "unread", "accepted", "calibration")


def is_audit(folder: Folder) -> bool:
    """Whether a folder is what `curate audit` made."""
    return folder.stat(DOCUMENT) is not None and folder.stat(RUN) is None


def compare_audits(a: Folder, b: Folder) -> dict[str, Any]:
    """What differs between two audits; a run stands for the audit of its shards.

    `verdict` and `findings` of both; `inputs`: values of the documents; `only_in_a` and `only_in_b`: findings, grouped
    by eval set, grade and channel, with a few ids of each.

    Raises:
        UsageError: one of them has no audit.
    """
    documents = [_document(folder) for folder in (a, b)]
    findings = [_findings(folder) for folder in (a, b)]
    return {
        "verdict": {side: document["verdict"] for side, document in zip("ab", documents, strict=True)},
        "findings": {side: document["findings"] for side, document in zip("ab", documents, strict=True)},
        "inputs": [
            change for name in COMPARED for change in changes(documents[0].get(name), documents[1].get(name), name)
        ],
        "only_in_a": _only(findings[0], findings[1]),
        "only_in_b": _only(findings[1], findings[0]),
    }


def audit_lines(found: dict[str, Any]) -> list[str]:
    """The answer for people."""
    verdicts = found["verdict"]
    told = [f"verdict: {verdicts['a']} in A, {verdicts['b']} in B"] if verdicts["a"] != verdicts["b"] else []
    told += found["inputs"]
    for side in "ab":
        for row in found[f"only_in_{side}"]:
            what = f"{row['eval_set']}: {row['findings']:,} findings of grade {row['grade']} ({row['channel']})"
            told.append(f"only in {side.upper()}: {what}, for example {', '.join(row['examples'])}")
    return told or ["no difference"]


def _document(folder: Folder) -> dict[str, Any]:
    for path in (DOCUMENT, AUDIT):
        if folder.stat(path) is not None:
            document: dict[str, Any] = orjson.loads(folder.read(path))
            return document
    raise UsageError(f"{folder.place}: no audit here", "an audit is what `curate audit --out` made, or a run carries")


def _findings(folder: Folder) -> pl.DataFrame:
    return pl.read_parquet(folder.read(FINDINGS_TABLE))


def _only(here: pl.DataFrame, there: pl.DataFrame) -> list[dict[str, Any]]:
    keys = ["eval_set", "grade", "channel"]
    return (
        here.join(there, on=["finding_id", "grade"], how="anti")
        .group_by(keys)
        .agg(pl.len().alias("findings"), pl.col("finding_id").bottom_k(EXAMPLES).sort().alias("examples"))
        .sort("findings", *keys, descending=[True, False, False, False])
        .to_dicts()
    )
