"""The joins of a build, from the tables that cards name to the rows that each fragment ingests with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipelines.engines.engine import Engine
from pipelines.exchange import PARTITION_ROWS
from pipelines.flow import Flow
from pipelines.ingest import IngestTask
from pipelines.join_matches import records_counted, say_records
from pipelines.joins.collect import CollectTask
from pipelines.joins.rows import RowsTask, TablePlanTask, WantedTask, reduction
from pipelines.joins.solve import PARTITION_BYTES, MatchTask
from pipelines.session import Session
from pipelines.sorted_runs import Run, merged_runs
from pipelines.work import Commit, Part, key_of
from sources.joins import companion_path
from sources.readers.companions import join_of
from sources.records import Fragment, JoinedRows

Tables = Mapping[int, Commit]
"""Number of a corpus -> the plan of the table it joins, where that is joined by exchange."""
COLLECTED_BYTES = 64 * 2**20
"""Rows that the fragments of one run match, if each value has as many as the table's values have on average."""
RUN_BYTES = 64 * 2**20
"""Rows of the table that are merged at once."""


def plan_tables(engine: Engine, session: Session) -> Tables:
    """Cut the tables that are joined by exchange.

    Raises:
        CurateError: one is absent or not in its form.
    """
    numbers = [number for number, corpus in enumerate(session.corpora) if corpus.companion is not None]
    commits = dict(engine.run([TablePlanTask(number) for number in numbers])) if numbers else {}
    return {number: commits[place] for place, number in enumerate(numbers)}


def table_listing(session: Session, tables: Tables, corpus: int) -> dict[str, Any]:
    """What `run.json` says of the table that a corpus joins by exchange; nothing where there is none."""
    if corpus not in tables:
        return {}
    source, facts = session.corpora[corpus], tables[corpus].facts
    name = source.identity.name("path", companion_path(join_of(source), ""))
    digest = key_of([fragment["digest"] for fragment in facts["fragments"]])
    return {"joined": {"path": name, "bytes": facts["bytes"], "digest": digest}}


def with_tables(flow: Flow, tables: Tables, tasks: Sequence[IngestTask]) -> list[IngestTask]:
    """Ingest as planned, each fragment of a corpus that joins a table with the rows that its records match."""
    joined = list(tasks)
    for number, plan in tables.items():
        places = [place for place, task in enumerate(tasks) if task.corpus == number]
        fragments = [Fragment("", **row) for row in plan.facts["fragments"]]
        answers = _Join(flow, number, fragments).answers([tasks[place] for place in places])
        for place, answer in zip(places, answers, strict=True):
            joined[place] = replace(joined[place], fragment=replace(joined[place].fragment, joined=answer))
    return joined


class _Join:
    """The join of one corpus."""

    def __init__(self, flow: Flow, number: int, table: Sequence[Fragment]) -> None:
        self._flow = flow
        self._number = number
        self._table = table
        self._corpus = flow.session.corpora[number]

    def answers(self, tasks: Sequence[IngestTask]) -> list[JoinedRows]:
        """The rows that each fragment's records match."""
        each = self._flow.each
        sent = each("join table", [RowsTask(self._number, part, place) for place, part in enumerate(self._table)])
        values = sum(commit.facts["values"] for commit in sent)
        size = sum(commit.facts["bytes"] for commit in sent)
        parts = [commit.parts["rows"] for commit in sent]
        rows = merged_runs(
            each, f"join_{'many' if join_of(self._corpus).many else 'first'}", parts,
            [commit.facts["bytes"] for commit in sent], RUN_BYTES, reduction(self._corpus),
        )  # fmt: skip
        asked = each("join keys", [WantedTask(self._number, task.fragment, task.number, task.limit) for task in tasks])
        wanted = self._wanted(asked, values, size)
        solved = self._solved(rows, wanted, size)
        self._report(sent, asked, solved)
        columns = tuple(dict.fromkeys(name for commit in sent for name in commit.facts["columns"]))
        return [
            JoinedRows(part.path, part.digest, part.rows, part.size, columns)
            for part in self._collected(wanted, solved)
        ]

    def _wanted(self, asked: Sequence[Commit], values: int, size: int) -> list[Run]:
        """Runs of the fragments' values, short enough for the rows they match, as a rule, to be held at once.

        How long they are moves by powers of two, so that a few more rows cut no run anew.
        """
        parts = [commit.parts["rows"] for commit in asked]
        most = COLLECTED_BYTES // max(1, size // max(1, values))
        most = min(PARTITION_ROWS, 2 ** (max(1, most).bit_length() - 1))
        return merged_runs(self._flow.each, "join_wanted", parts, [part.rows for part in parts], most)

    def _solved(self, rows: Sequence[Run], wanted: Sequence[Run], size: int) -> list[Commit]:
        partitions = 1
        keys = sum(run.part.rows for run in wanted)
        while size / partitions > PARTITION_BYTES or keys / partitions > PARTITION_ROWS:
            partitions *= 2
        reduce = reduction(self._corpus)
        tasks = []
        for number in range(partitions):
            left = [run.digests(number, partitions) for run in wanted]
            right = [run.digests(number, partitions) for run in rows]
            tasks.append(
                MatchTask(
                    number,
                    partitions,
                    tuple((place, run.part) for place, run in enumerate(wanted) if left[place]),
                    tuple(run.part for place, run in enumerate(rows) if right[place]),
                    reduce,
                    key_of(join_of(self._corpus).many, left, right),
                )
            )
        return self._flow.each("join solve", tasks)

    def _collected(self, wanted: Sequence[Run], solved: Sequence[Commit]) -> list[Part]:
        tasks = []
        for number, run in enumerate(wanted):
            shares = [(commit.parts["rows"], commit.facts["runs"].get(str(number))) for commit in solved]
            used = tuple(part for part, share in shares if share is not None)
            digest = key_of(run.part.digest, [share for _, share in shares])
            tasks.append(CollectTask(self._number, number, run.count, run.part, used, digest))
        commits = self._flow.each("join answers", tasks)
        return [
            commit.parts[str(place)] for run, commit in zip(wanted, commits, strict=True) for place in range(run.count)
        ]

    def _report(self, sent: Sequence[Commit], asked: Sequence[Commit], solved: Sequence[Commit]) -> None:
        """Every row of the table is matched, matches nothing, or has no value to match by; records as in memory."""
        counts = {name: sum(commit.facts[name] for commit in sent) for name in ("rows", "blank")}
        counts |= {name: sum(commit.facts[name] for commit in solved) for name in ("matched", "records")}
        counts["unmatched"] = counts["rows"] - counts["blank"] - counts["matched"]
        found = Counter({"none": sum(commit.facts["unmatched"] for commit in solved)})
        found["several"] = sum(commit.facts["several"] for commit in solved)
        found["one"] = counts["records"] - found["none"] - found["several"]
        found["blank"] = sum(commit.facts["blank"] for commit in asked)
        self._flow.reporter.event("joined", source=self._corpus.name, **(counts | records_counted(found)))
        self._flow.reporter.say(
            f"source {self._corpus.name}: {counts['matched']:,} of {counts['rows']:,} rows of the joined table match"
            f" records, {counts['unmatched']:,} match none, {counts['blank']:,} have nothing to match by"
        )
        say_records(self._flow.reporter, self._corpus.name, found)
