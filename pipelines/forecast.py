"""`--dry-run`: what a build would do and what it takes, from a probe of a few hundred records."""

import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filters.model_files import cached_directory
from filters.tokens import load_counter
from filters.torch_file import WeightsError
from pipelines.audit.guard import guard_of
from pipelines.build import BuildOptions, identity_of, session_of
from pipelines.engines.local import LocalEngine
from pipelines.facts import FactTask, PictureTask
from pipelines.graph import Graph, graph_of
from pipelines.ingest import NAME as INGEST
from pipelines.ingest import IngestTask
from pipelines.label import chosen_model
from pipelines.plan import Planned, ingest_tasks, limited, plan_fragments
from pipelines.recipe import Recipe
from pipelines.run_directory import check_identity
from pipelines.session import Session
from pipelines.sources import Sources, find_sources, warnings_of
from pipelines.versions import library_versions
from pipelines.view import View
from pipelines.work import Commit, Work
from sources.records import Fragment
from sources.storage import Folder, LocalFolder

PROBE_RECORDS = 200
PROBE_FILES = 20
"""Where a file holds several records, so many files stand for the others."""
WORKER_BYTES = 350 * 2**20
"""What a worker takes before it has read anything: the interpreter and the libraries, measured."""
OVERHEAD = 1.3
"""Steps that are not probed (deciding, exchanges, publishing) relative to those that are."""


def forecast(options: BuildOptions) -> dict[str, Any]:
    """Plan the build, probe each source, and predict; nothing is written to the run.

    Raises:
        CurateError: the build itself would stop at once, for the same reason.
    """
    sources = find_sources(options.recipe, options.data, options.id_key)
    guard_of(options.recipe, options.evals or options.data, options.id_key)
    probed, warnings = _without_fetching(options.recipe)
    graph = graph_of(probed)
    check_identity(options.out, identity_of(options.recipe, graph, sources, options.limit))
    with TemporaryDirectory(prefix="curate-plan-") as place:
        existing = [folder for folder in (options.out, *options.reuse) if folder.has_folder("work")]
        session = session_of(options.recipe, sources, Work(LocalFolder(Path(place)), existing, library_versions()))
        engine = LocalEngine(options.workers)
        try:
            engine.start(session.without_files())
            planned = plan_fragments(engine, session, sources.found)
        finally:
            engine.close()
        if options.limit is not None:
            planned = limited(planned, options.limit)
        tasks = list(ingest_tasks(planned, options.limit))
        left = [task for task in tasks if not _is_done(session, existing, task)]
        probes = [_probe(session, graph, plan) for plan in planned]
    warnings += warnings_of(sources)
    return _document(options, sources, planned, (len(tasks), left), probes, warnings)


def _without_fetching(recipe: Recipe) -> tuple[Recipe, list[str]]:
    """The recipe that is probed, which fetches nothing, and a warning if that leaves its model out.

    A model that the hub names is the one in this machine's cache, where it is there.
    """
    modality = recipe.steps.modality
    if modality is None or not modality.enabled or chosen_model(modality) != "biomedclip":
        return recipe, []
    assert modality.biomedclip is not None, "chosen_model has looked"
    path = modality.biomedclip.path
    directory = _directory_here(path)
    if directory is not None:
        here = modality.biomedclip.model_copy(update={"path": directory})
        return _with_steps(recipe, modality=modality.model_copy(update={"biomedclip": here})), []
    without: dict[str, Any] = {"modality": modality.model_copy(update={"model": "none"})}
    if recipe.steps.quality is not None:  # agreement is measured by the model
        without["quality"] = recipe.steps.quality.model_copy(update={"min_agreement": None})
    warning = (
        f"model {path} is not in this machine's cache of the hub: the build would fetch it; its time, memory and disk "
        "are not in what is predicted"
    )
    return _with_steps(recipe, **without), [warning]


def _directory_here(path: str) -> str | None:
    """The directory of BiomedCLIP, or None where files must be fetched first."""
    from filters.biomedclip import FILES, weights_file

    directory = cached_directory(path, FILES)
    if directory is None or directory == path:
        return directory
    try:
        weights_file(Path(directory))  # a cache from before listings were kept may be of an interrupted download
    except WeightsError:
        return None
    return directory


def _with_steps(recipe: Recipe, **steps: Any) -> Recipe:
    return recipe.model_copy(update={"steps": recipe.steps.model_copy(update=steps)})


def _is_done(session: Session, existing: Sequence[Folder], task: IngestTask) -> bool:
    key = task.key(session)
    return any(bool(Work(folder, (), library_versions()).find(INGEST, key)) for folder in existing)


def _probe(session: Session, graph: Graph, planned: Planned) -> dict[str, float]:
    """Ingest, pictures and tokens of the first records of a source, timed and weighed, in a temporary folder."""
    first = next(iter(ingest_tasks([planned], PROBE_RECORDS)), None)
    if first is None:
        return {"records": 0, "seconds": 0.0, "disk_bytes": 0.0}
    files = first.fragment.files[:PROBE_FILES]
    if first.fragment.counted == "files":
        first = replace(first, limit=None, fragment=replace(first.fragment, files=files))
    work = Work(session.work.folder, (), library_versions())
    alone = Session(session.recipe, session.corpora, work, session.splits)
    load_counter(session.recipe.tokenizer)
    replace(first, limit=1).run(alone)  # what is slow once is not slow for every record
    started = time.monotonic()
    ingested = first.run(alone)
    view = View(planned.corpus, first.fragment, (ingested.parts["samples"],), {"alive": ingested.parts["alive"]})
    pictures = PictureTask(graph.pictures, view, 0).run(alone)
    tokens = FactTask(graph.token_counts, view, 0).run(alone)
    seconds = time.monotonic() - started
    tables = sum(_bytes(commit) for commit in (ingested, pictures, tokens))
    return {
        "records": ingested.facts["counts"]["in"] if first.fragment.counted == "records" else _files_in(first.fragment),
        "seconds": seconds,
        "disk_bytes": 3.0 * tables + _shard_bytes(work, ingested, pictures),
    }


def _files_in(fragment: Fragment) -> int:
    """Files of a folder, or members of an archive."""
    return len(fragment.files) or fragment.records


def _shard_bytes(work: Work, ingested: Commit, pictures: Commit) -> int:
    """What the probed samples take in tars: their JSON, and their pictures as often as samples show them."""
    images = work.read(pictures.parts["images"], ["image_id", "bytes"]).to_pydict()
    size_of: dict[str, int] = dict(zip(images["image_id"], images["bytes"], strict=True))
    shown = [image for links in work.read(pictures.parts["links"], ["images"])["images"].to_pylist() for image in links]
    samples = work.read(ingested.parts["samples"])
    pictures_bytes: int = sum(size_of.get(image["image_id"], 0) for image in shown)
    return pictures_bytes + int(samples.nbytes) + 1024 * int(samples.num_rows)


def _bytes(commit: Commit) -> int:
    return sum(part.size for part in commit.parts.values())


def _document(
    options: BuildOptions,
    sources: Sources,
    planned: Sequence[Planned],
    units: tuple[int, list[IngestTask]],
    probes: Sequence[dict[str, float]],
    warnings: list[str],
) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for number, (corpus, plan, probe) in enumerate(zip(sources.found, planned, probes, strict=True)):
        share = _records_left(units[1], number) / max(1, plan.records)
        records = plan.records if options.limit is None else min(options.limit, plan.records)
        scale = records * share / probe["records"] if probe["records"] else 0.0
        rows.append(
            {
                "name": corpus.name,
                "where": "(keyed)" if corpus.identity.keyed else corpus.root.place,
                "files": len(corpus.files),
                "records": records,
                "bytes": sum(fragment.size for fragment in plan.fragments),
                "access": corpus.card.access,
                "license": corpus.card.license,
                "seconds": round(probe["seconds"] * scale * OVERHEAD / options.workers, 1),
                "disk_bytes": int(probe["disk_bytes"] * scale),
            }
        )
    total, done = units[0], units[0] - len(units[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "stage": options.recipe.stage,
        "run": options.out.place,
        "sources": rows,
        "missing": list(sources.missing),
        "warnings": warnings,
        "units": {"run": total - done, "reuse": done},
        "predicted": {
            "seconds": round(sum(row["seconds"] for row in rows), 1),
            "disk_bytes": sum(row["disk_bytes"] for row in rows),
            "memory_bytes": options.workers * max(peak, WORKER_BYTES),
        },
    }


def _records_left(tasks: Sequence[IngestTask], corpus: int) -> int:
    return sum(task.fragment.records for task in tasks if task.corpus == corpus)


def forecast_lines(plan: dict[str, Any]) -> list[str]:
    """The answer for people."""
    lines = [f"{plan['stage']}: would build {plan['run']}"]
    for row in plan["sources"]:
        lines.append(
            f"  {row['name']:<22} {row['records']:>10,} records in {row['files']:,} files, {row['access']}, "
            f"about {row['seconds']:,.0f} s and {row['disk_bytes'] / 1e6:,.0f} MB"
        )
    lines += [f"  {name:<22} not found under --data (optional)" for name in plan["missing"]]
    lines += [f"  warning: {line}" for line in plan["warnings"]]
    units, predicted = plan["units"], plan["predicted"]
    lines.append(f"fragments to read: {units['run']:,}; found done: {units['reuse']:,}")
    lines.append(
        f"in all about {predicted['seconds']:,.0f} s, {predicted['disk_bytes'] / 1e6:,.0f} MB on disk, "
        f"{predicted['memory_bytes'] / 2**30:.1f} GiB of memory"
    )
    return lines
