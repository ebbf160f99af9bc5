"""Reading everything that an audit is about, and searching the data for what is protected."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dedup.distinct import DistinctImages, SampleIds
from filters.measure import Pictures
from pipelines.audit.calibrate import Calibration
from pipelines.audit.conformity import changed, other_counts
from pipelines.audit.coverage import not_covered_of_sets, without_pictures
from pipelines.audit.data import Data
from pipelines.audit.document import Inputs
from pipelines.audit.evals import Evals
from pipelines.audit.flow import Found, search, with_evals
from pipelines.audit.kinds import UNNAMED, UNREADABLE
from pipelines.audit.protect import Protected, eval_session, protect
from pipelines.audit.shards import check_shards
from pipelines.audit.unread import LookedAtTask, UnseenTask, added
from pipelines.counts import ErrorBudget
from pipelines.engines.engine import Engine
from pipelines.flow import Flow
from pipelines.plan import PlanIfReadableTask, Planned, PlanTask, ingest_tasks, input_listing, plan_fragments
from pipelines.progress import Reporter
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work, key_of
from sources.records import Corpus

EVERYTHING = 1.0
"""Share of records that errors may quarantine: what cannot be read does not end an audit, it makes it incomplete."""

SEVERAL = "of {:,} pictures with several frames only the middle one"


@dataclass(frozen=True)
class Looked:
    """Everything that was read and found."""

    protected: Protected
    found: Found
    inputs: Inputs
    flow: Flow
    """The data's fragments, and the session in which both sides can be opened."""
    calibration: Calibration | None = None
    """What became of the probes; None where none were planted."""

    @property
    def work(self) -> Work:
        """Where everything is committed."""
        return self.flow.session.work


def look(engine: Engine, work: Work, reporter: Reporter, recipe: Recipe, data: Sequence[Data], evals: Evals) -> Looked:
    """Read the eval sets and the data, and search the one for the other, as the recipe reads pictures.

    Raises:
        CurateError: shards of ours are not what their manifest says, or a file is not in its form.
    """
    corpora = tuple(corpus for one in data for corpus in one.corpora)
    session = Session(recipe, corpora, work, (None,) * len(corpora))
    measuring = pictures_of(session.recipe)
    protected = protected_by(engine, session, evals, reporter, measuring)
    engine.start(session.without_files())
    flow = Flow(engine, session, ErrorBudget(EVERYTHING, {}), reporter)
    firsts = [sum(len(other.corpora) for other in data[:number]) for number in range(len(data))]
    check_shards(flow, [(first, one.shards) for first, one in zip(firsts, data, strict=True) if one.shards])
    alone = sum(len(corpus.files) for corpus in corpora) == 1
    planned = plan_fragments(engine, session, corpora, reporter, PlanTask if alone else PlanIfReadableTask)
    data = [
        _without_refused(one, planned[first : first + len(one.corpora)])
        for first, one in zip(firsts, data, strict=True)
    ]
    read = read_data(flow, planned, measuring)
    with_evals(flow, protected)
    found = search(flow, protected)
    inputs = Inputs(
        data=[_listed(one, first, corpora, planned, read, flow) for first, one in zip(firsts, data, strict=True)],
        samples=_samples(flow),
        unread=read.unread,
        not_covered=_not_covered(evals, protected, read),
        unreadable=[shown for one in data for shown in one.unreadable],
        shards=next((_shards(one) for one in data if one.shards is not None), None) if len(data) == 1 else None,
    )
    return Looked(protected, found, inputs, flow)


def _without_refused(data: Data, planned: Sequence[Planned]) -> Data:
    """The data, which also tells of the files that turned out, after their first records, to be in no form."""
    refused = [
        corpus.shown(one.path) for corpus, plan in zip(data.corpora, planned, strict=True) for one in plan.refused
    ]
    unreadable = tuple(sorted({*data.unreadable, *refused}))
    left_out = data.left_out | ({UNREADABLE: len(unreadable)} if unreadable else {})
    return replace(data, unreadable=unreadable, left_out=left_out)


def protected_by(engine: Engine, session: Session, evals: Evals, reporter: Reporter, measuring: Pictures) -> Protected:
    """Read the eval sets; afterwards the workers have another session."""
    theirs = eval_session(session, evals)
    engine.start(theirs.without_files())
    return protect(Flow(engine, theirs, ErrorBudget(EVERYTHING, {}), reporter), evals, measuring)


def pictures_of(recipe: Recipe) -> Pictures:
    """How an audit measures pictures: each one's pixels are hashed, whatever the recipe."""
    measure = recipe.steps.measure
    return Pictures(measure.max_pixels, measure.frames, pixel_hash=True)


def recipe_of(names: Sequence[str]) -> Recipe:
    """A recipe with nothing but defaults: what workers need of one."""
    return Recipe(stage="mid", sources=tuple(SourceEntry(name=name) for name in names))


@dataclass(frozen=True)
class ReadData:
    """What became of the data when it was read."""

    unread: Mapping[str, Mapping[str, int]]
    """Source -> why some samples or pictures could not be read -> how many."""
    frames: int
    """Pictures with more frames than one."""
    pictures: Mapping[int, Mapping[str, Any]]
    """Number of a corpus -> how many pictures its fragments show, and a hash of which sample shows which."""


def read_data(flow: Flow, planned: Sequence[Planned], measuring: Pictures) -> ReadData:
    """Read all samples and measure all pictures."""
    flow.ingest(list(ingest_tasks(planned, None)))
    flow.exchange(SampleIds(), (), "ids")
    read = flow.each("read", [LookedAtTask(view, number) for number, view in enumerate(flow.views)])
    flow.views = [view.with_parts(alive=commit.parts["alive"]) for view, commit in zip(flow.views, read, strict=True)]
    flow.pictures(measuring)
    flow.exchange(DistinctImages(), ("images",), "images_followers")
    seen = flow.each("seen", [UnseenTask(view, number) for number, view in enumerate(flow.views)])
    unread: dict[str, dict[str, int]] = {}
    shown: dict[int, list[Mapping[str, Any]]] = {}
    for view, passed_over, one, other in zip(flow.views, flow.passed_over, read, seen, strict=True):
        name = flow.session.corpora[view.corpus].name
        unread[name] = added(unread.get(name, {}), passed_over, one.facts["unread"], other.facts["unread"])
        shown.setdefault(view.corpus, []).append(other.facts)
    pictures = {
        corpus: {"pictures": sum(one["pictures"] for one in facts), "digest": key_of([one["digest"] for one in facts])}
        for corpus, facts in shown.items()
    }
    return ReadData(unread, sum(commit.facts["frames"] for commit in seen), pictures)


def listing_of(corpus: Corpus, planned: Planned, read: ReadData) -> dict[str, Any]:
    """The record files of a source as a build lists them, and its pictures by one hash."""
    return input_listing(corpus, planned) | {"shown": read.pictures.get(planned.corpus)}


def _listed(
    data: Data, first: int, corpora: Sequence[Corpus], planned: Sequence[Planned], read: ReadData, flow: Flow
) -> dict[str, Any]:
    """What the document says of one place: of shards of ours their hashes, else the files as a build lists them."""
    own = range(first, first + len(data.corpora))
    unnamed = _unnamed(data, own, flow)
    entry: dict[str, Any] = {
        "name": data.name,
        "form": data.form,
        "sources": [corpora[number].name for number in own],
        "left_out": data.left_out | ({UNNAMED: unnamed} if unnamed else {}),
    }
    if data.shards is not None:
        return entry | {"shards": {shard.name: shard.sha256 for _, _, shard in data.shards.entries}}
    return entry | {"inputs": [listing_of(corpora[number], planned[number], read) for number in own]}


def _unnamed(data: Data, own: range, flow: Flow) -> int:
    """How many pictures beside records no record names: nobody looked at them."""
    if not data.beside:
        return 0
    identity = data.corpora[0].identity
    left = {identity.name("path", path) for path in data.beside}
    for view in flow.views:
        if view.corpus in own:
            images = flow.session.work.read(view.samples[0], ["images"])["images"].combine_chunks().flatten()
            left.difference_update(posixpath.normpath(uri) for uri in images.field("uri").to_pylist())
    return len(left)


def _samples(flow: Flow) -> dict[str, int]:
    counts = {corpus.name: 0 for corpus in flow.session.corpora}
    for view in flow.views:
        counts[flow.session.corpora[view.corpus].name] += view.parts["alive"].rows
    return counts


def _shards(data: Data) -> dict[str, Any]:
    assert data.shards is not None
    manifest = data.shards.manifest
    return {
        "manifest_sha256": data.shards.manifest_sha256,
        "build": manifest.build,
        "stage": manifest.stage,
        "shards": len(manifest.every_shard),
    }


def _not_covered(evals: Evals, protected: Protected, read: ReadData) -> list[str]:
    """Sentences on what the audit says nothing of."""
    said = not_covered_of_sets(evals, protected.sets)
    said += changed(protected.sets, evals, required=False) + other_counts(protected.sets, evals)
    said += [f"eval set {one.name}: {SEVERAL.format(one.frames)}" for one in protected.sets if one.frames]
    if read.frames:
        said.append(SEVERAL.format(read.frames))
    shown = sum(one["pictures"] for one in read.pictures.values())
    return said + without_pictures(protected.sets, shown)
