"""Where weights come from: `lineage.json` beside every checkpoint and export, in the form `curate audit` reads.

A run keeps its own in `admission/`: written before the first step, from the shards' manifest and audit and the lineage
of the weights it starts from. Whether the shards are admitted is decided by the code that re-verifies lineages.
"""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import orjson

from pipelines.audit.lineage import Base as BaseWeights
from pipelines.audit.lineage import Lineage, NamedFile, Stage, check_weights
from pipelines.audit.review import Review
from pipelines.audit.statement import sha256_of
from pipelines.errors import CurateError
from shards.manifest import MANIFEST_NAME, read_manifest
from sources.storage import Folder, LocalFolder
from workflows.train.init import BASES

LINEAGE = "lineage.json"
FILES = "lineage"
BASE = "base.json"


class RefusedShardsError(CurateError):
    """The shards' audit is missing, did not pass, or is of other bytes. Exit status 3."""

    status = 3


def admit(shards: Folder, stage: str, start: Path | None, review: Review | None, admission: Path) -> str:
    """Write the lineage of a run that is about to train on `shards` from the weights in `start`, and judge it.

    `start`: None where there are no weights yet.

    Every stage of the weights stays in it, those of the same name among them: a second training on other shards does
    not undo the first.

    Returns:
        A digest of the weights in `start`.

    Raises:
        RefusedShardsError: the shards may not be trained on, or the weights are not those of their lineage.
    """
    shutil.rmtree(admission, ignore_errors=True)
    (admission / FILES).mkdir(parents=True)
    before = _before(start, admission) if start else None
    here = before.stages if before else ()
    weights = before.files if before else _hashes(start) if start else {}
    base = before.base if before else _bases(start, weights) if start else ()
    own = _stage(shards, stage, f"{FILES}/{len(here):02d}-{stage}", review, admission)
    told = orjson.dumps([one.model_dump(mode="json") for one in base])
    (admission / BASE).write_bytes(told)
    lineage = Lineage(format=1, files={BASE: sha256(told).hexdigest()}, base=base, stages=(*here, own))
    (admission / LINEAGE).write_bytes(_bytes(lineage))
    checked = check_weights(LocalFolder(admission), datetime.now(UTC).date()).stages[-1]
    if checked.verdict != "clean":
        problems = "; ".join(checked.problems) or f"their audit says {checked.verdict}"
        raise RefusedShardsError(
            f"{shards.place}: not to be trained on: {problems}",
            "see contamination.json and the report beside it; `curate audit` audits shards, a review file accepts "
            "findings (--accept-findings), and nothing accepts a missing audit or one of other bytes",
        )
    return digest_of(weights)


def digest_of(weights: Mapping[str, str]) -> str:
    """One hash for the names and hashes of the files of a model."""
    return sha256(orjson.dumps(dict(weights), option=orjson.OPT_SORT_KEYS)).hexdigest()


def admitted_manifest(admission: Path) -> str:
    """The SHA-256 of the manifest of the shards that were admitted."""
    return _read(admission).stages[-1].manifest.sha256


def accepted_before(admission: Path) -> Review | None:
    """The review with which a run began, if it did with one."""
    return _read(admission).stages[-1].accepted if (admission / LINEAGE).is_file() else None


def _read(admission: Path) -> Lineage:
    return Lineage.model_validate(orjson.loads((admission / LINEAGE).read_bytes()), strict=False)


def write_lineage(admission: Path, weights: Path, files: Mapping[str, str]) -> None:
    """Put the lineage of a run beside weights of it; `files`: the weights' names and hashes."""
    lineage = _read(admission)
    shutil.copytree(admission / FILES, weights / FILES, dirs_exist_ok=True)
    (weights / LINEAGE).write_bytes(_bytes(lineage.model_copy(update={"files": dict(sorted(files.items()))})))


def _stage(shards: Folder, stage: str, place: str, review: Review | None, admission: Path) -> Stage:
    """Copy the manifest and, where the manifest names one, its audit with the findings, to `place` in the admission."""
    (admission / place).mkdir(parents=True)
    manifest = read_manifest(shards)
    audit = findings = None
    if manifest.audit is not None and shards.stat(manifest.audit) is not None:
        audit = _copied(shards, manifest.audit, f"{place}/contamination.json", admission)
        findings = _findings(shards, place, admission)
    return Stage(
        stage=stage,
        manifest=_copied(shards, MANIFEST_NAME, f"{place}/{MANIFEST_NAME}", admission),
        audit=audit,
        findings=findings,
        accepted=review,
    )


def _findings(shards: Folder, place: str, admission: Path) -> NamedFile | None:
    """The audit's table, which a run keeps beside its shards (`RUN/tables/findings/`)."""
    from sources.storage import folder_at

    tables = folder_at(f"{shards.place.rpartition('/')[0] or '.'}/tables/findings")
    found = [name for name in tables.names() if name.endswith(".parquet")]
    return _copied(tables, found[0], f"{place}/findings.parquet", admission) if len(found) == 1 else None


def _copied(folder: Folder, path: str, place: str, admission: Path) -> NamedFile:
    data = folder.read(path)
    (admission / place).write_bytes(data)
    return NamedFile(path=place, sha256=sha256(data).hexdigest())


def _before(start: Path, admission: Path) -> Lineage | None:
    """The lineage of the weights that the run starts from, with its files; None for those of `init`.

    It is not believed: the weights are hashed, and all of its stages are judged again.

    Raises:
        RefusedShardsError: it does not hold.
    """
    if not (start / LINEAGE).is_file():
        return None
    weights = check_weights(LocalFolder(start), datetime.now(UTC).date())
    problems = [*weights.problems, *(problem for one in weights.stages for problem in one.problems)]
    if problems or weights.verdict != "clean":
        raise RefusedShardsError(
            f"--from {start}: not to be trained on from: {problems[0] if problems else f'it is {weights.verdict}'}",
            f"`curate audit {start}` says more; restore the weights and what lies beside them, or start from others",
        )
    shutil.copytree(start / FILES, admission / FILES, dirs_exist_ok=True)
    return weights.lineage


def _hashes(start: Path) -> dict[str, str]:
    """Weights that have no lineage yet, by their hashes."""
    folder = LocalFolder(start)
    return {name: sha256_of(folder, name) for name in weights_at(start)}


def weights_at(start: Path) -> list[str]:
    """Names of the files of weights in a model's directory."""
    return sorted(path.name for path in start.glob("*.safetensors"))


def _bases(start: Path, weights: Mapping[str, str]) -> tuple[BaseWeights, ...]:
    """What `init` says that the weights were made from; the last of them is what it wrote.

    Raises:
        RefusedShardsError: other weights lie there now, or nothing says what they were made from.
    """
    place = start / BASES
    if not place.is_file():
        raise RefusedShardsError(
            f"--from {start}: nothing there says what its weights were made from ({LINEAGE} or {BASES})",
            "start from what `curate train init` wrote, or from an export as it was written",
        )
    bases = tuple(BaseWeights(**one) for one in json.loads(place.read_bytes()))
    if bases and dict(bases[-1].files) != dict(weights):
        raise RefusedShardsError(
            f"--from {start}: its weights are not those that `curate train init` wrote there",
            "restore them, or join them again with `curate train init`",
        )
    return bases


def _bytes(lineage: Lineage) -> bytes:
    return orjson.dumps(lineage.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
