"""A corpus that joins a table, small enough to look at, and what a search over all rows gives."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from pipelines.ingest import IngestTask
from pipelines.joins.joined import with_joined_rows
from pipelines.joins.tables import plan_tables, with_tables
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.joins import joined
from sources.readers.companions import awaiting_rows
from sources.readers.registry import reader_named
from sources.records import Corpus, Record, RecordError
from sources.storage import LocalFolder
from tests.pipelines.in_process import flow_of
from tests.sources.corpora import corpus_in, planned

FIELDS = {"text": "body", "license": "cc", "images": "file"}


DEEP = b"[" * 400 + b'"ACC1"' + b"]" * 400
"""JSON that can be read, and that no function which calls itself for each list gets to the bottom of."""


class Join:
    """A corpus of records that joins a table, in a folder; `run` holds the work of its build."""

    def __init__(
        self, folder: Path, many: bool = False, identifiers: str = "public", table: str = "side.jsonl"
    ) -> None:
        self.folder, self.many, self.identifiers, self.table = folder, many, identifiers, table
        self.session: Session | None = None
        self.said: dict[str, Any] = {}

    def write(self, records: list[dict[str, Any]], rows: list[dict[str, Any]]) -> "Join":
        (self.folder / "notes.jsonl").write_bytes(b"\n".join(map(orjson.dumps, records)))
        (self.folder / self.table).write_bytes(b"\n".join(map(orjson.dumps, rows)))
        return self

    def corpus(self) -> Corpus:
        join = {"path": self.table, "left": "uid", "right": "id", "many": self.many}
        return corpus_in(self.folder, "jsonl", "notes.jsonl", fields=FIELDS, join=join, identifiers=self.identifiers)

    def by_exchange(self) -> list[dict[str, Any] | str]:
        corpus = awaiting_rows(self.corpus())
        recipe = Recipe(stage="mid", sources=(SourceEntry(name="test"),))
        self.session = Session(recipe, (corpus,), Work(LocalFolder(self.folder / "run")), (None,))
        flow = flow_of(self.session)
        tables = plan_tables(flow.engine, self.session)
        flow.reporter.event = lambda kind, **facts: self.said.update(facts) if kind == "joined" else None  # type: ignore[method-assign]
        tasks = [IngestTask(0, fragment, number) for number, fragment in enumerate(planned(corpus))]
        self.tasks = with_tables(flow, tables, tasks)
        return [
            found
            for task in self.tasks
            for found in _joined(with_joined_rows(self.session.work, corpus, task.fragment), [task.fragment])
        ]

    def at_once(self) -> list[dict[str, Any] | str]:
        corpus = self.corpus()
        return list(_joined(corpus, planned(corpus)))


def _joined(corpus: Corpus, fragments: Any) -> Iterator[dict[str, Any] | str]:
    for fragment in fragments:
        for record in reader_named(corpus.card.reader).read(corpus, fragment):
            assert isinstance(record, Record)
            try:
                yield joined(corpus, fragment.path, record).row
            except RecordError as error:
                yield str(error)


def searched(records: list[dict[str, Any]], rows: list[dict[str, Any]], many: bool) -> list[dict[str, Any]]:
    """What each record is joined to, by looking at every row for every record."""

    def text(value: Any) -> str | None:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        return str(value).replace("\r\n", "\n").replace("\r", "\n").strip() or None

    columns = list(dict.fromkeys(name for row in rows if text(row.get("id")) for name in row if name in ("cc", "file")))
    answers = []
    for record in records:
        value = text(record.get("uid"))
        found = [row for row in rows if value is not None and text(row.get("id")) == value]
        added: dict[str, Any] = {}
        if many:
            added = {name: [row.get(name) for row in found] for name in columns}
        elif found:
            added = {name: found[0].get(name) for name in columns}
        answers.append({**added, **record})
    return answers
