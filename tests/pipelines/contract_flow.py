"""A build stopped at its gates, for the tests of contracts: real units on a real engine, over a small corpus."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.build import session_of
from pipelines.contracts.gates import Gates
from pipelines.counts import ErrorBudget
from pipelines.engines.local import LocalEngine
from pipelines.flow import Flow
from pipelines.graph import graph_of
from pipelines.plan import ingest_tasks, plan_fragments
from pipelines.progress import Reporter
from pipelines.recipe import Recipe
from pipelines.sources import find_sources
from pipelines.work import Part, Work
from sources.storage import LocalFolder

TEXT = "A quiet note about a film without any finding that would need a second look today"


@dataclass
class Stopped:
    """A build before a gate, and the gates that are next."""

    flow: Flow
    gates: Gates
    place: Path

    def tamper(self, part: Part, change: Callable[[pa.Table], pa.Table]) -> None:
        """Change a committed table behind the build's back, as a disk or a defect might."""
        path = self.place / "run" / part.path
        table = pq.read_table(path, partitioning=None)
        pq.write_table(change(table).cast(table.schema), path)

    def document(self) -> dict[str, Any]:
        """`reports/contracts.json`."""
        found: dict[str, Any] = orjson.loads((self.place / "run" / "reports" / "contracts.json").read_bytes())
        return found


def notes(count: int = 6, **fields: Any) -> list[dict[str, Any]]:
    """Records of a corpus of notes; `fields` are added to each."""
    return [{"id": str(number), "text": f"{TEXT}, number {number}.", **fields} for number in range(count)]


def recipe_of(place: Path, sources: dict[str, list[dict[str, Any]]], card: dict[str, Any], **more: Any) -> Recipe:
    """Write corpora of notes under `place/data`, and the recipe that reads them."""
    entries = []
    for name, records in sources.items():
        (place / "data").mkdir(exist_ok=True)
        (place / "data" / f"{name}.jsonl").write_bytes(b"\n".join(orjson.dumps(record) for record in records))
        known = {"reader": "jsonl", "path": f"{name}.jsonl", "task": "text", "access": "open", "license": "CC0-1.0",
                 "fields": {"id": "id", "text": "text"}}  # fmt: skip
        entries.append({"name": name, **known, **card})
    return Recipe.model_validate({"stage": "mid", "sources": entries, **more})


def ingested(engine: LocalEngine, place: Path, recipe: Recipe) -> Stopped:
    """A build that has read its records and given duplicates ids of their own."""
    sources = find_sources(recipe, [LocalFolder(place / "data")], None)
    session = session_of(recipe, sources, Work(LocalFolder(place / "run")))
    engine.start(session)
    flow = Flow(engine, session, ErrorBudget(1.0, {}), Reporter(None, quiet=True))
    planned = plan_fragments(engine, session, sources.found)
    flow.ingest(list(ingest_tasks(planned, None)))
    flow.exchange(graph_of(recipe).identity, (), "ids")
    return Stopped(flow, Gates(flow), place)


def measured(engine: LocalEngine, place: Path, recipe: Recipe) -> Stopped:
    """A build before its shards in which no filter has run: nothing that a recipe forbids was dropped."""
    stopped = ingested(engine, place, recipe)
    graph, flow = graph_of(recipe), stopped.flow
    flow.pictures(graph.pictures)
    made = [sum(part.rows for part in view.samples[1:]) for view in flow.views]
    flow.decide(graph.measure, "pictures_errors", made)
    flow.facts(graph.token_counts)
    flow.exchange(graph.images, ("images",), "images_followers")
    return stopped
