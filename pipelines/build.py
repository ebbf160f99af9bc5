"""A build from recipe to published run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filters.tokens import HARMONY, load_counter
from pipelines import publish as publishing
from pipelines.audit.guard import Guard, decontaminate, drop_reports, guard_of, verdict_in
from pipelines.audit.places import DOCUMENT
from pipelines.contracts.gates import Gates
from pipelines.counts import ErrorBudget, StepCounts
from pipelines.energon import energon_published
from pipelines.engines.choice import EngineChoice
from pipelines.engines.engine import Engine
from pipelines.engines.local import default_workers
from pipelines.errors import UsageError
from pipelines.event_log import EventLog
from pipelines.flow import Flow
from pipelines.graph import Comparison, Decontamination, Graph, Nearness, Split, graph_of
from pipelines.group_coverage import group_coverage
from pipelines.holdout_sides import held_facts, hold_out, sides_of
from pipelines.ingest import NAME as INGEST
from pipelines.ingest import VERSION as INGEST_VERSION
from pipelines.ingest import IngestTask, corpus_parameters
from pipelines.joins.tables import Tables, plan_tables, table_listing, with_tables
from pipelines.label import label_pictures
from pipelines.near.flow import drop_near
from pipelines.packing import packing_published
from pipelines.phi.page import write_review
from pipelines.phi.pictures import Privacy, privacy_of, screen_pictures
from pipelines.phi.texts import text_parameters
from pipelines.plan import Planned, ingest_tasks, input_listing, limited, plan_fragments
from pipelines.private import private_sources
from pipelines.progress import Reporter
from pipelines.recipe import Recipe
from pipelines.report.beside import companion_files
from pipelines.report.page import write_page
from pipelines.run_directory import EVENTS, finished_with, opened, publish
from pipelines.run_document import answer_of, check_written, counted
from pipelines.session import Session
from pipelines.sources import Sources, find_sources, warnings_of
from pipelines.takedown.apply import removal_of
from pipelines.takedown.late import clear_work
from pipelines.takedown.record import lineage
from pipelines.versions import library_versions
from pipelines.view import View
from pipelines.work import Commit, Work, key_of
from pipelines.write import ShardTask, SizesTask
from shards.index_file import INDEX_NAME
from shards.manifest import MANIFEST_FORMAT, Manifest, Mixture, ShardEntry, manifest_bytes
from shards.names import is_held_out, shard_name
from shards.plan_file import PLAN_NAME
from shards.slices import FragmentLoad, plan_shards
from sources.identity import keyed_digest
from sources.schema import FORMAT_VERSION
from sources.storage import Folder

if TYPE_CHECKING:
    from pipelines.audit.in_build import Audited


@dataclass(frozen=True)
class BuildOptions:
    """What `curate build` was asked for."""

    recipe: Recipe
    data: tuple[Folder, ...]
    out: Folder
    evals: tuple[Folder, ...] = ()
    """Where eval sets are looked for; the data roots if nothing is said."""
    id_key: Path | None = None
    reuse: tuple[Folder, ...] = ()
    workers: int = field(default_factory=default_workers)
    engine: EngineChoice = field(default_factory=EngineChoice)
    limit: int | None = None
    quiet: bool = False


def build(options: BuildOptions) -> dict[str, Any]:
    """Run the build, or what of it is not done yet; the answer is the command's JSON.

    Raises:
        CurateError: the build did not finish; what it committed stays.
    """
    started = time.monotonic()
    sources = find_sources(options.recipe, options.data, options.id_key)
    if options.recipe.tokenizer != HARMONY:
        load_counter(options.recipe.tokenizer)  # a file may be anything: better told now than by a worker
    guard = guard_of(options.recipe, options.evals or options.data, options.id_key)
    identity = identity_of(options.recipe, graph_of(options.recipe), sources, options.limit)
    folder = options.out
    engine = options.engine.make(options.workers)
    with opened(folder, identity):
        work = Work(folder, _reusable(options.reuse), library_versions())
        removal = removal_of(folder, options.reuse)
        session = replace(session_of(options.recipe, sources, work), removal=removal)
        with Reporter(EventLog(folder, EVENTS), options.quiet) as reporter:
            reporter.event("start", stage=options.recipe.stage, engine=engine.name, workers=options.workers)
            if sources.missing:
                reporter.say(f"not found under --data, left out (they are optional): {', '.join(sources.missing)}")
            for line in warnings_of(sources):
                reporter.say(f"warning: {line}")
            if guard is not None:
                guard.tell(reporter)
            try:
                engine.start(session.without_files())
                answer = _Build(options, sources, session, engine, reporter, identity, guard).run(folder)
            except BaseException as error:
                reporter.event("failed", error=type(error).__name__)
                raise
            finally:
                engine.close()
            answer["seconds"] = round(time.monotonic() - started, 3)
            reporter.event("finished", seconds=answer["seconds"])
        write_page(work, answer)
    return answer


def session_of(recipe: Recipe, sources: Sources, work: Work) -> Session:
    """What workers need. Splits told by records are selected while they are read."""
    splits = tuple(
        entry.split or corpus.card.training_splits or None
        for entry, corpus in zip(sources.entries, sources.found, strict=True)
    )
    return Session(recipe, sources.found, work, splits)


def identity_of(recipe: Recipe, graph: Graph, sources: Sources, limit: int | None) -> dict[str, Any]:
    """What makes a build this build: the recipe, the limit, and a mark of the site key.

    Paths and options of keyed sources may identify people: they are left out, whether the source is there or not.
    """
    document = recipe.model_dump(mode="json")
    for entry in document["sources"]:
        if entry["name"] in sources.keyed:
            for name in ("path", "images", "options", "join"):
                entry[name] = None
    document["steps"]["phi"]["review"] = None  # its decisions are in the step's fingerprint
    document["tokenizer"] = graph.token_counts.parameters()["tokenizer"]
    mark = None if sources.site_key is None else keyed_digest(sources.site_key, "check", "")
    return {"recipe": document, "limit": limit, "site_key": mark}


def _reusable(reuse: Sequence[Folder]) -> Sequence[Folder]:
    for run in reuse:
        if not run.has_folder("work"):
            raise UsageError(f"--reuse {run.place}: holds no committed work", "name a run that was not cleaned")
    return reuse


class _Build:
    """One run of the graph."""

    def __init__(
        self,
        options: BuildOptions,
        sources: Sources,
        session: Session,
        engine: Engine,
        reporter: Reporter,
        identity: Mapping[str, Any],
        guard: Guard | None = None,
    ) -> None:
        self.guard = guard
        self.recipe = options.recipe
        self.limit = options.limit
        self.out = options.out
        self.sources = sources
        self.session = session
        self.engine = engine
        self.reporter = reporter
        self.identity = identity
        self.graph: Graph = graph_of(options.recipe, session.removal, privacy_of(options.recipe, session.corpora))

    def run(self, folder: Folder) -> dict[str, Any]:
        """Plan, run the steps, write shards, publish."""
        planned = plan_fragments(self.engine, self.session, self.sources.found, self.reporter)
        if self.limit is not None:
            planned = limited(planned, self.limit)
        joined = plan_tables(self.engine, self.session)
        inputs = self._inputs(planned, joined)
        if self.guard is not None:
            self.guard, self.graph = self.guard.guarded(self.graph, self.engine, self.session, self.reporter)
        fingerprints = self._fingerprints()
        before = finished_with(folder, inputs, fingerprints)
        if before is not None:
            self._without_stale_reports(folder)
            return self._answer(before, ())
        flow = self._flow()
        gates = Gates(flow)
        self._steps(flow, with_tables(flow, joined, list(ingest_tasks(planned, self.limit))), gates)
        tables = self._tables(flow, fingerprints)
        gates.before_shards()
        sides = None if self.graph.holdout is None else sides_of(flow)
        shards = self._shards(flow, flow.views if sides is None else sides.training)
        shards += [] if sides is None else self._shards(flow, sides.validation, validation=True)
        fingerprint = self._fingerprint(fingerprints, tables, shards)
        manifest = self._manifest(fingerprint, shards)
        run = {
            "format": FORMAT_VERSION,
            "identity": self.identity,
            "stage": self.recipe.stage,
            "fingerprint": fingerprint,
            "fingerprints": fingerprints,
            "versions": library_versions(),
            "seed": self.recipe.mixture.seed,
            "inputs": inputs,
            **counted(flow.steps),
            "images": sum(commit.parts["images"].rows for commit in tables),
            "shards": len(manifest.every_shard),
            "samples_written": sum(shard.samples for shard in manifest.every_shard),
            "bytes_written": sum(shard.bytes for shard in manifest.every_shard),
            **held_facts(None if sides is None else sides.held),
        }
        run |= lineage(folder)
        check_written(run)
        gates.before_publishing(manifest_bytes(manifest), run)
        beside = companion_files(self.session.work, run, manifest, tables)
        audited = self._audited(manifest, shards, private_sources(run))
        beside |= {} if audited is None else audited.files
        beside |= energon_published(self.session.work, manifest, shards)
        beside |= packing_published(self.session.work, self.recipe.mixture, manifest, shards)
        if self.graph.privacy is not None:  # before: once a run is published, nothing is done for it any more
            write_review(self.session, flow.views, folder)
        publish(folder, self._files(tables, shards) | beside, manifest_bytes(manifest), run)
        if audited is not None:
            audited.write_reports(folder)
        self._without_stale_reports(folder)
        if self.session.removal is not None:
            clear_work(flow)
        return self._answer(run, flow.steps)

    def _audited(
        self, manifest: Manifest, shards: Sequence[tuple[str, Commit]], private: frozenset[str]
    ) -> "Audited | None":
        if self.guard is None:
            return None
        return self.guard.audit(self.engine, self.session, self.reporter, manifest, shards, self.graph, private)

    def _without_stale_reports(self, folder: Folder) -> None:
        if self.guard is None:
            drop_reports(folder)

    def _flow(self) -> Flow:
        own = {entry.name: entry.budget for entry in self.sources.entries if entry.budget is not None}
        budget = ErrorBudget(self.recipe.budget.quarantined, own)
        return Flow(self.engine, self.session, budget, self.reporter)

    def _steps(self, flow: Flow, tasks: Sequence[IngestTask], gates: Gates) -> None:
        graph = self.graph
        flow.ingest(tasks)
        flow.exchange(graph.identity, (), "ids")
        gates.ingested()
        ingested = [sum(part.rows for part in view.samples) for view in flow.views]
        flow.pictures(graph.pictures)
        made = [
            sum(part.rows for part in view.samples) - before for view, before in zip(flow.views, ingested, strict=True)
        ]
        flow.decide(graph.measure, "pictures_errors", made)
        if graph.labelling is not None:
            label_pictures(flow, graph.labelling)
        flow.exchange(graph.images, ("images",), "images_followers")
        for deciding in graph.deciding:
            if isinstance(deciding, Comparison):
                flow.decide_exchange(deciding.step)
                continue
            if isinstance(deciding, Nearness):
                drop_near(flow, deciding.step)
                continue
            if isinstance(deciding, Decontamination):
                decontaminate(flow, deciding)
                continue
            if isinstance(deciding, Privacy):
                screen_pictures(flow, deciding)
                continue
            if isinstance(deciding, Split):
                hold_out(flow, deciding.step)
                continue
            if deciding.facts is not None:
                flow.facts(deciding.facts)
            flow.decide(deciding.step, None if deciding.facts is None else f"{deciding.facts.name}_errors")

    def _tables(self, flow: Flow, fingerprints: Mapping[str, str]) -> list[Commit]:
        pairs, unshown = tuple(fingerprints.items()), self.graph.unshown
        tasks = [publishing.PublishTask(view, number, pairs, unshown) for number, view in enumerate(flow.views)]
        return flow.each(publishing.NODE, tasks)

    def _shards(self, flow: Flow, sides: Sequence[View], *, validation: bool = False) -> list[tuple[str, Commit]]:
        """Every tar of one side with its final name, source after source."""
        limits = self.recipe.shards
        sizes = flow.each("sizes", [SizesTask(view, number) for number, view in enumerate(sides)])
        tasks: list[ShardTask] = []
        names: list[str] = []
        for number, corpus in enumerate(self.session.corpora):
            own = [place for place, view in enumerate(sides) if view.corpus == number]
            loads = [
                FragmentLoad(
                    sides[place].samples[0].digest,
                    self.session.work.read(sizes[place].parts["sizes"])["bytes"].to_numpy(),
                )
                for place in own
            ]
            for place, shard in enumerate(plan_shards(loads, limits.max_bytes, limits.max_samples)):
                views = tuple(sides[own[part.fragment]] for part in shard.parts)
                tasks.append(ShardTask(number, views, shard))
                names.append(shard_name(self.recipe.stage, corpus.name, place, validation=validation))
        return list(zip(names, flow.each("write", tasks), strict=True))

    def _manifest(self, fingerprint: str, shards: Sequence[tuple[str, Commit]]) -> Manifest:
        weights = {entry.name: entry.weight for entry in self.sources.entries}
        mixture = self.recipe.mixture
        entries = [ShardEntry(name=name, **commit.facts) for name, commit in shards]
        held = tuple(entry for entry in entries if is_held_out(entry.name))
        return Manifest(
            format=MANIFEST_FORMAT,
            build=fingerprint,
            stage=self.recipe.stage,
            tokenizer=self.identity["recipe"]["tokenizer"],
            context_tokens=self.recipe.context_tokens,
            shards=tuple(entry for entry in entries if not is_held_out(entry.name)),
            validation=None if self.graph.holdout is None else held,
            index=INDEX_NAME,
            plan=PLAN_NAME,
            audit=None if self.guard is None else DOCUMENT,
            mixture=Mixture(seed=mixture.seed, epochs=mixture.epochs, weights=weights),
        )

    def _files(self, tables: Sequence[Commit], shards: Sequence[tuple[str, Commit]]) -> dict[str, str]:
        """Final name -> committed file, under the run."""
        files = {
            f"tables/{name}/part-{number:06d}.parquet": commit.parts[name].path
            for number, commit in enumerate(tables)
            for name in publishing.TABLES
        }
        return files | {f"shards/{name}": commit.parts["tar"].path for name, commit in shards}

    def _fingerprint(
        self, fingerprints: Mapping[str, str], tables: Sequence[Commit], shards: Sequence[tuple[str, Commit]]
    ) -> str:
        """The build's name: settings, steps, and the content of every table and tar."""
        contents = [commit.parts[name].digest for commit in tables for name in publishing.TABLES]
        return key_of(self.identity, fingerprints, contents, [commit.parts["tar"].digest for _, commit in shards])

    def _fingerprints(self) -> dict[str, str]:
        corpora = [(corpus_parameters(one), *text_parameters(self.session, one)) for one in self.session.corpora]
        ingest = key_of(INGEST, INGEST_VERSION, corpora, self.recipe.prompts.model_dump())
        return self.graph.fingerprints(ingest)

    def _inputs(self, planned: Sequence[Planned], joined: Tables) -> list[dict[str, Any]]:
        return [
            {"source": corpus.name, "license": corpus.card.license, "access": corpus.card.access}
            | {"identifiers": "keyed" if corpus.identity.keyed else "public"}
            | input_listing(corpus, plan)
            | table_listing(self.session, joined, plan.corpus)
            for corpus, plan in zip(self.session.corpora, planned, strict=True)
        ]

    def _answer(self, run: Mapping[str, Any], steps: Sequence[StepCounts]) -> dict[str, Any]:
        return {
            "run": self.out.place,
            "engine": self.engine.name,
            "missing": list(self.sources.missing),
            **answer_of(run, steps),
            "groups": group_coverage(self.out),
            "audit": verdict_in(self.out),
        }
