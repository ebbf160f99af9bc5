"""`curate audit`: data in, findings and a verdict out, in a directory that resumes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pipelines.audit.data import recognised
from pipelines.audit.document import clean_subsets, document_bytes
from pipelines.audit.evals import find_evals
from pipelines.audit.fields import GivenFields
from pipelines.audit.given_probes import read_given
from pipelines.audit.looking import Looked, look, recipe_of
from pipelines.audit.names import names_for
from pipelines.audit.outcome import calibrated, judge, told
from pipelines.audit.places import CLEAN, DOCUMENT, FINDINGS_TABLE, PAGE
from pipelines.audit.report.write import Report, write_reports
from pipelines.audit.review import Review
from pipelines.audit.settings import DecontaminateSettings
from pipelines.audit.signing import PrivateKey
from pipelines.audit.verdict import STATUS, Judged
from pipelines.engines.choice import EngineChoice
from pipelines.engines.local import default_workers
from pipelines.errors import UsageError
from pipelines.event_log import EventLog
from pipelines.private import Hidden, private_in
from pipelines.progress import Reporter
from pipelines.run_directory import EVENTS, opened
from pipelines.sources import site_key_in
from pipelines.versions import library_versions
from pipelines.work import Work, to_parquet
from sources.identity import keyed_digest
from sources.records import Corpus
from sources.storage import Folder


@dataclass(frozen=True)
class AuditOptions:
    """What `curate audit` was asked for."""

    data: tuple[str, ...]
    settings: DecontaminateSettings
    evals: tuple[Folder, ...]
    out: Folder
    fields: GivenFields | None = None
    review: Review | None = None
    id_key: Path | None = None
    probes: Folder | None = None
    """A folder of probes from outside."""
    public: bool = False
    """Whether a page for outsiders is written, too."""
    sign: PrivateKey | None = None
    """What the statement about the audit is signed with."""
    workers: int = field(default_factory=default_workers)
    engine: EngineChoice = field(default_factory=EngineChoice)
    quiet: bool = False
    today: date = field(default_factory=lambda: datetime.now(UTC).date())


def audit(options: AuditOptions) -> dict[str, Any]:
    """Run the audit, or what of it is not done yet; the answer is the command's JSON with `status`.

    Raises:
        CurateError: the audit did not finish; what it committed stays.
    """
    started = time.monotonic()
    site_key = site_key_in(options.id_key)
    names = names_for(options.data, keyed=site_key is not None)
    data = [recognised(place, name, options.fields, site_key) for place, name in zip(options.data, names, strict=True)]
    corpora = [corpus for one in data for corpus in one.corpora]
    twice = {corpus.name for corpus in corpora if [other.name for other in corpora].count(corpus.name) > 1}
    if twice:
        raise UsageError(f"two sources are called {min(twice)}", "audit them one after the other")
    evals = find_evals(
        options.settings.against, options.settings.required, options.evals, site_key, options.settings.articles
    )
    given = None if options.probes is None else read_given(options.probes)
    engine = options.engine.make(options.workers)
    identity = {
        "audit": {"data": names, "settings": options.settings.model_dump(mode="json"),
                  "fields": None if options.fields is None else options.fields.model_dump(mode="json"),
                  "probes": None if given is None else given.digest},
        "site_key": None if site_key is None else keyed_digest(site_key, "check", ""),
    }  # fmt: skip
    with opened(options.out, identity), Reporter(EventLog(options.out, EVENTS), options.quiet) as reporter:
        reporter.event("start", audit=names, engine=engine.name, workers=options.workers)
        work = Work(options.out, (), library_versions())
        try:
            recipe = recipe_of([corpus.name for corpus in corpora])
            looked = look(engine, work, reporter, recipe, data, evals)
            looked = calibrated(looked, options.settings, given)
        except BaseException as error:
            reporter.event("failed", error=type(error).__name__)
            raise
        finally:
            engine.close()
        outcome = judge(looked, evals, options.settings, options.review, options.today)
        document = told(looked, evals, outcome, options.settings, options.review)
        write(options.out, document, looked, options.settings)
        report = Report(looked, document, Hidden(private_in(options.data) | _keyed(corpora, site_key)))
        write_reports(options.out, report, public=options.public, key=options.sign)
        reporter.event("finished", seconds=round(time.monotonic() - started, 3), verdict=outcome.verdict)
    return answer_of(options.out, document, outcome) | {"seconds": round(time.monotonic() - started, 3)}


def _keyed(corpora: Sequence[Corpus], site_key: bytes | None) -> frozenset[str]:
    """Sources of which no page may have text or pictures: with a site key all, also shards of ours without their run.

    Their ids are keyed already, so that their corpora say nothing of a key.
    """
    return frozenset() if site_key is None else frozenset(corpus.name for corpus in corpora)


def write(out: Folder, document: dict[str, Any], looked: Looked, settings: DecontaminateSettings) -> None:
    """Write the table of findings, the clean subsets, and last the document."""
    items = looked.work.read(looked.protected.items, ["eval_set", "eval_id"])
    out.write(FINDINGS_TABLE, to_parquet(looked.found.findings), last=False)
    out.delete_tree(CLEAN)
    for name, data in clean_subsets(items, looked.found, looked.protected, settings.fail_on).items():
        out.write(f"{CLEAN}/{name}.json", data, last=False)
    out.write(DOCUMENT, document_bytes(document))


def answer_of(out: Folder, document: dict[str, Any], outcome: Judged) -> dict[str, Any]:
    """The JSON of the command."""
    page = out.stat(PAGE)
    return {
        "verdict": document["verdict"],
        "items": document["items"],
        "leaked_items": document["leaked_items"],
        "findings": document["findings"],
        "eval_sets": {
            name: {key: one[key] for key in ("items", "leaked_items", "by_grade")}
            for name, one in document["eval_sets"].items()
        },
        "sources": document["sources"],
        "calibration": document["calibration"] or {},
        "report": None if page is None else f"{out.place}/{PAGE}",
        "findings_table": f"{out.place}/{FINDINGS_TABLE}",
        "audit": out.place,
        "reasons": document["reasons"],
        "missing": document["missing"],
        "not_covered": document["not_covered"],
        "accepted": document["accepted"],
        "status": STATUS[outcome.verdict],
    }
