"""Whether anything was swapped since an audit: its files, its signature, the data, the eval sets."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from pipelines.audit.data import Data, recognised
from pipelines.audit.evals import find_evals
from pipelines.audit.looking import listing_of, pictures_of, protected_by, read_data, recipe_of
from pipelines.audit.names import names_for
from pipelines.audit.places import DOCUMENT
from pipelines.audit.run import AuditOptions
from pipelines.audit.shards import check_shards
from pipelines.audit.signing import PublicKey, SignatureError, key_id, opened_envelope
from pipelines.audit.statement import ENVELOPE, MANIFEST, STATEMENT, sha256_of
from pipelines.counts import ErrorBudget
from pipelines.engines.engine import Engine
from pipelines.errors import CurateError, UsageError
from pipelines.event_log import EventLog
from pipelines.flow import Flow
from pipelines.plan import PlanIfReadableTask, plan_fragments
from pipelines.progress import Reporter
from pipelines.run_directory import EVENTS
from pipelines.session import Session
from pipelines.sources import site_key_in
from pipelines.versions import library_versions
from pipelines.work import Work
from sources.storage import Folder, LocalFolder


@dataclass(frozen=True)
class Checked:
    """What became of an audit: `problems` in sentences, and who signed it (SHA-256 of the key) where that was asked."""

    verdict: str
    problems: tuple[str, ...]
    signed_by: str | None


def verify(options: AuditOptions, key: PublicKey | None) -> Checked:
    """Compare the audit in `options.out` with the data and the eval sets that were given, by reading them anew.

    Of shards of ours every byte is compared; of other data the record files (of folders of pictures names and sizes)
    and the bytes of all pictures; of eval sets the items, with ids and groups, and the pixels of their pictures. With a
    key the statement must be signed by it; without one it is taken as it stands.

    Raises:
        UsageError: there is no audit, or no statement.
    """
    problems: list[str] = []
    statement = _statement(options.out, key, problems)
    problems += changed_files(options.out, statement)
    document = orjson.loads(options.out.read(DOCUMENT))
    problems += _differences(document, _reread(options, problems))
    return Checked(str(document["verdict"]), tuple(problems), None if key is None else key_id(key))


def changed_files(audit: Folder, statement: Mapping[str, Any]) -> list[str]:
    """Which files of an audit are not those that its statement speaks of; and whether its document is of its shards."""
    problems = []
    for subject in statement["subject"]:
        name, digest = subject["name"], subject["digest"]["sha256"]
        try:
            now = _manifest_sha256(audit) if name == MANIFEST else sha256_of(audit, name)
        except FileNotFoundError:
            problems.append(f"{name}: not there")
            continue
        if now != digest:
            problems.append(f"{name}: not the file that the statement speaks of")
    return problems


def _statement(audit: Folder, key: PublicKey | None, problems: list[str]) -> dict[str, Any]:
    hint = "an audit is what `curate audit --out` made"
    if audit.stat(DOCUMENT) is None or audit.stat(STATEMENT) is None:
        raise UsageError(f"{audit.place}: no audit with a statement here", hint)
    plain = audit.read(STATEMENT)
    if key is not None:
        try:
            signed = opened_envelope(audit.read(ENVELOPE), key)
        except FileNotFoundError:
            problems.append(f"{ENVELOPE}: not there, so nothing is signed")
        except SignatureError as error:
            problems.append(f"{ENVELOPE}: {error.message}")
        else:
            if signed != plain:
                problems.append(f"{STATEMENT}: not the one that was signed")
            plain = signed
    try:
        statement: dict[str, Any] = orjson.loads(plain)
    except orjson.JSONDecodeError:
        raise UsageError(f"{audit.place}/{STATEMENT}: not JSON", hint) from None
    return statement


def _manifest_sha256(audit: Folder) -> str:
    document = orjson.loads(audit.read(DOCUMENT))
    return str((document.get("shards") or {}).get("manifest_sha256"))


@dataclass(frozen=True)
class _Now:
    """Data and eval sets as they are."""

    data: list[Any]
    manifests: set[str]
    eval_sets: dict[str, str]


def _reread(options: AuditOptions, problems: list[str]) -> _Now:
    site_key = site_key_in(options.id_key)
    names = names_for(options.data, keyed=site_key is not None)
    data = [recognised(place, name, options.fields, site_key) for place, name in zip(options.data, names, strict=True)]
    evals = find_evals(options.settings.against, options.settings.required, options.evals, site_key)
    corpora = tuple(corpus for one in data for corpus in one.corpora)
    engine = options.engine.make(options.workers)
    with tempfile.TemporaryDirectory() as place:
        folder = LocalFolder(Path(place))
        with Reporter(EventLog(folder, EVENTS), options.quiet) as reporter:
            work = Work(folder, (), library_versions())
            recipe = recipe_of([corpus.name for corpus in corpora])
            session = Session(recipe, corpora, work, (None,) * len(corpora))
            try:
                protected = protected_by(engine, session, evals, reporter, pictures_of(recipe))
                engine.start(session.without_files())
                listed, manifests = _listed(engine, session, data, reporter, problems)
            finally:
                engine.close()
    return _Now(listed, manifests, {one.name: one.digest for one in protected.sets})


def _listed(
    engine: Engine, session: Session, data: list[Data], reporter: Reporter, problems: list[str]
) -> tuple[list[Any], set[str]]:
    """What the document says of each place, as it is now, and hashes of manifests; shards are compared with theirs."""
    flow = Flow(engine, session, ErrorBudget(1.0, {}), reporter)
    planned = plan_fragments(engine, session, session.corpora, reporter, PlanIfReadableTask)
    firsts = [sum(len(other.corpora) for other in data[:number]) for number in range(len(data))]
    whole = {
        first + at for first, one in zip(firsts, data, strict=True) if one.shards for at in range(len(one.corpora))
    }
    others = [plan for plan in planned if plan.corpus not in whole]  # of shards every byte is compared
    read = read_data(flow, others, pictures_of(session.recipe))
    listed: list[Any] = []
    manifests: set[str] = set()
    for first, one in zip(firsts, data, strict=True):
        own = range(first, first + len(one.corpora))
        if one.shards is not None:
            try:
                check_shards(flow, [(first, one.shards)])
            except CurateError as error:
                problems.append(error.message)
            listed.append({entry.name: entry.sha256 for _, _, entry in one.shards.entries})
            manifests.add(one.shards.manifest_sha256)
        else:
            listed.append([listing_of(session.corpora[number], planned[number], read) for number in own])
    return listed, manifests


def _differences(document: Mapping[str, Any], now: _Now) -> list[str]:
    told = [place["shards"] if "shards" in place else place["inputs"] for place in document["data"]]
    problems = []
    if document["shards"] is not None and document["shards"]["manifest_sha256"] not in now.manifests:
        problems.append(f"{MANIFEST}: not the one of the shards that were audited")
    if len(told) != len(now.data):
        problems.append(f"the audit is of {len(told)} places, {len(now.data)} were given")
    for place, then, is_now in zip(document["data"], told, now.data, strict=False):
        if then != is_now:
            problems.append(f"data {place['name']}: not what was audited")
    for name, one in document["eval_sets"].items():
        if name not in now.eval_sets:
            problems.append(f"eval set {name}: not among those that were given")
        elif now.eval_sets[name] != one["digest"]:
            problems.append(f"eval set {name}: not what the audit was against")
    return problems
