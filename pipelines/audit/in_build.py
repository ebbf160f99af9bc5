"""Decontamination in a build: what is protected, and the audit of the shards that were written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import blake3

from pipelines.audit.coverage import with_items
from pipelines.audit.data import as_shards
from pipelines.audit.document import clean_subsets, document_bytes
from pipelines.audit.evals import Evals
from pipelines.audit.looking import look, pictures_of, protected_by
from pipelines.audit.outcome import calibrated, judge, told
from pipelines.audit.places import AUDIT, CLEAN, FINDINGS_TABLE, PAGE
from pipelines.audit.report.write import Report
from pipelines.audit.settings import DecontaminateSettings
from pipelines.audit.step import Decontaminate
from pipelines.engines.engine import Engine
from pipelines.private import Hidden
from pipelines.progress import Reporter
from pipelines.session import Session
from pipelines.work import Commit, Part, Work, key_of, to_parquet
from shards.manifest import Manifest, manifest_bytes
from sources.storage import Folder

NODE = "audit_document"
VERSION = 2


@dataclass(frozen=True)
class Audited:
    """What the audit of written shards left."""

    files: dict[str, str]
    """Final name -> committed file, under the run."""
    document: dict[str, Any]
    reports: dict[str, bytes]
    """Files for people and evaluators, under the run."""

    def write_reports(self, run: Folder) -> None:
        """Write them, once the run is published; those of eval sets that are protected no more go."""
        run.delete_tree(CLEAN)
        for path, data in self.reports.items():
            run.write(path, data, last=False)


def step_of(
    settings: DecontaminateSettings, evals: Evals, engine: Engine, session: Session, reporter: Reporter
) -> tuple[Evals, Decontaminate | None]:
    """The eval sets without the optional ones that hold no item, and the step, None where there is none to protect.

    They were read; workers have the build's session again afterwards.
    """
    protected = protected_by(engine, session, evals, reporter, pictures_of(session.recipe))
    left = with_items(evals, protected.sets)
    if len(left.found) < len(evals.found) and left.asked:
        protected = protected_by(engine, session, left, reporter, pictures_of(session.recipe))
    engine.start(session.without_files())
    return left, Decontaminate(settings, protected) if left.asked else None


def audit_written(
    settings: DecontaminateSettings,
    evals: Evals,
    engine: Engine,
    session: Session,
    reporter: Reporter,
    manifest: Manifest,
    shards: Sequence[tuple[str, Commit]],
    hidden: Hidden,
    removed: Sequence[Mapping[str, Any]] = (),
) -> Audited:
    """Read the tars back and search them; workers have another session afterwards. The manifest is as published.

    `hidden`: what pages do not show; the corpora of tars do not say it. `removed`: as `Found.counts`, what the step
    dropped.
    """
    work = session.work
    digest = sha256(manifest_bytes(manifest)).hexdigest()
    paths = {name: commit.parts["tar"].path for name, commit in shards}
    data = as_shards(manifest.stage, work.folder, manifest, digest, paths)
    looked = calibrated(look(engine, work, reporter, session.recipe, [data], evals), settings)
    outcome = judge(looked, evals, settings, None, date.min)
    document = told(looked, evals, outcome, settings, None, removed)
    items = work.read(looked.protected.items, ["eval_set", "eval_id"])
    subsets = clean_subsets(items, looked.found, looked.protected, settings.fail_on)
    files = {AUDIT: document_bytes(document), FINDINGS_TABLE: to_parquet(looked.found.findings)}
    report = Report(looked, document, hidden)
    pages = {PAGE: report.page, **report.shortcuts}
    clean = {f"{CLEAN}/{name}.json": data for name, data in subsets.items()}
    return Audited(_committed(work, files), document, {**clean, **pages})


def _committed(work: Work, files: Mapping[str, bytes]) -> dict[str, str]:
    digests = {name: blake3.blake3(data).hexdigest()[:32] for name, data in files.items()}
    key = key_of(NODE, VERSION, digests)
    commit = work.find(NODE, key)
    if commit is None:
        parts = {}
        for name, data in files.items():
            path = work.path(NODE, key, name.rpartition("/")[2])
            work.folder.write(path, data, last=False)
            parts[name] = Part(path, digests[name], 0, len(data))
        commit = work.commit(NODE, key, parts, {})
    return {name: part.path for name, part in commit.parts.items()}
