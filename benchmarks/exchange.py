"""The exchange alone, at scale: keys of many fragments, and the join of a table that is larger than memory should hold.

    python -m benchmarks.exchange --fragments 2000 --rows 4096
    python -m benchmarks.exchange --join 500000 --records 1600000 [--keyed] [--many]

The first makes sorted keys of which one in ten is drawn from a pool that all fragments share, and solves them; the
second writes a CSV of that many reports of about 1 KB, and JSON lines that name one of them each, and runs the join
up to the rows that each fragment ingests with. Reads are openings of a Parquet file of which ranges are read; whole
files that are read at once are counted apart. Peak memory is of the process that does the work.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from dedup.keys import KEY_BYTES, KEYS, sent_keys
from pipelines.counts import ErrorBudget
from pipelines.engines.local import LocalEngine
from pipelines.exchange import exchanged
from pipelines.flow import Flow
from pipelines.ingest import IngestTask
from pipelines.joins.tables import plan_tables, with_tables
from pipelines.plan import plan_fragments
from pipelines.progress import Reporter
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Commit, Part, Work
from sources.cards import Card, Join, Layout
from sources.find import find_corpus
from sources.identity import Identity
from sources.readers.companions import awaiting_rows
from sources.storage import LocalFolder

RECIPE = Recipe(stage="mid", sources=(SourceEntry(name="made"),))
WORDS = ["lungs", "clear", "effusion", "nodule", "mm", "left", "right", "lobe", "stable", "prior", "no", "fracture"]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fragments", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=4096, help="keys of a fragment")
    parser.add_argument("--join", type=int, default=0, help="rows of the joined table; 0: no join")
    parser.add_argument("--records", type=int, default=1_600_000, help="records that join it")
    parser.add_argument("--keyed", action="store_true", help="as a source whose rows travel sealed")
    parser.add_argument("--many", action="store_true", help="all rows of a value, not the first")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if given.join:
            _join(Path(place), given.join, given.records, given.keyed, given.many)
        else:
            _keys(Path(place), given.fragments, given.rows)


def _keys(place: Path, fragments: int, rows: int) -> None:
    work = _Counted(LocalFolder(place))
    session = Session(RECIPE, (), work)
    random = np.random.default_rng(0)
    parts = [_sent(work, random, number, fragments * rows // 4, rows) for number in range(fragments)]
    started = time.perf_counter()

    def each(name: str, tasks: Sequence[Any]) -> list[Commit]:
        with _told(f"{name}, {len(tasks)} tasks", work):
            return [task.run(session) for task in tasks]

    answers = exchanged(each, "made", parts)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"{fragments * rows:,} keys, {sum(part.rows for part in answers):,} followers: {seconds:.1f} s, peak {peak} MiB"
    )


def _sent(work: Work, random: np.random.Generator, number: int, pool: int, rows: int) -> Part:
    words = random.integers(0, 2**63, (rows, 2), np.uint64)
    shared = random.random(rows) < 0.1
    drawn = random.integers(0, pool, rows).astype(np.uint64)[shared]
    words[shared] = np.column_stack([drawn * np.uint64(0x9E3779B97F4A7C15), drawn])
    data = pa.py_buffer(words.astype(">u8").tobytes())
    keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), rows, [None, data])
    numbers = pa.array(np.arange(rows, dtype=np.int32))
    table = pa.table([keys, pa.array(np.zeros(rows, np.int32)), numbers, keys], schema=KEYS)
    return work.put("keys", str(number), {"keys": sent_keys(table, 0)}).parts["keys"]


def _join(place: Path, rows: int, records: int, keyed: bool, many: bool) -> None:  # noqa: FBT001 - as the flags
    _write_corpus(place / "data", rows, records)
    card = Card(
        name="made", reader="jsonl", layout=Layout(files=("notes.jsonl",)),
        fields={"text": "body", "findings": "report"},
        task="text", access="open", identifiers="keyed" if keyed else "public",
        join=Join(path="reports.csv", left="uid", right="accession", many=many),
    )  # fmt: skip
    identity = Identity("made", b"a site key of a benchmark" if keyed else None)
    found = find_corpus(card, "made", [LocalFolder(place / "data")], identity)
    if found is None:
        raise SystemExit("the made corpus is not where it was written")
    corpus = awaiting_rows(found)
    session = Session(RECIPE, (corpus,), Work(LocalFolder(place / "run")), (None,))
    engine = LocalEngine(1)
    engine.start(session)
    with Reporter(None) as reporter:
        flow = _Told(engine, session, ErrorBudget(1.0, {}), reporter)
        with _told("plan"):
            planned = plan_fragments(engine, session, [corpus])
            tables = plan_tables(engine, session)
        tasks = [IngestTask(0, fragment, number) for number, fragment in enumerate(planned[0].fragments)]
        started = time.perf_counter()
        joined = with_tables(flow, tables, tasks)
        seconds = time.perf_counter() - started
        engine.close()
    answers = [task.fragment.joined for task in joined if task.fragment.joined is not None]
    table = (place / "data" / "reports.csv").stat().st_size / 1e6
    work = sum(path.stat().st_size for path in (place / "run").rglob("*") if path.is_file()) / 1e6
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    driver = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"{table:,.0f} MB table, {records:,} records in {len(tasks):,} fragments: {sum(a.rows for a in answers):,} rows"
        f" of {sum(a.size for a in answers) / 1e6:,.0f} MB back in {seconds:.1f} s; work {work:,.0f} MB;"
        f" peak of the worker {peak} MiB, of the driver {driver} MiB"
    )


def _write_corpus(place: Path, rows: int, records: int) -> None:
    place.mkdir()
    random = np.random.default_rng(0)
    with (place / "reports.csv").open("w") as file:
        file.write("accession,report\n")
        for number in range(rows):
            file.write(f"ACC{number:09},{' '.join(WORDS[word] for word in random.integers(0, len(WORDS), 170))}\n")
    with (place / "notes.jsonl").open("wb") as lines:
        for number, wanted in enumerate(random.integers(0, rows * 5 // 4, records)):
            lines.write(orjson.dumps({"uid": f"ACC{wanted:09}", "body": f"note {number}"}) + b"\n")


class _Counted(Work):
    """Work that counts how often ranges of a file, and whole files, are read."""

    ranges = wholes = 0

    def parquet_file(self, part: Part) -> Any:
        self.ranges += 1
        return super().parquet_file(part)

    def read(self, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        self.wholes += 1
        return super().read(part, columns)


class _Told(Flow):
    """A flow that prints how long each kind of task took."""

    def each(self, name: str, tasks: Sequence[Any]) -> list[Commit]:
        with _told(f"{name}, {len(tasks)} tasks"):
            return super().each(name, tasks)


@contextmanager
def _told(what: str, work: _Counted | None = None) -> Iterator[None]:
    started, before = time.perf_counter(), (0, 0) if work is None else (work.ranges, work.wholes)
    yield
    reads = (
        "" if work is None else f"; {work.ranges - before[0]:,} reads of ranges, {work.wholes - before[1]:,} of files"
    )
    print(f"  {what}: {time.perf_counter() - started:.1f} s{reads}", flush=True)


if __name__ == "__main__":
    main()
