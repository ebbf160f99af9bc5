"""The step on the local engine: from the samples of fragments, as a build has them in `work/`, to verdicts there.

Everything that a build commits on the way is committed. Start-up is apart: the workers first run the step on a few
texts, which starts them, loads numba and pyarrow in them, and compiles the kernels or finds them on disk.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.near_text_corpus import as_samples
from dedup.text import NearText
from pipelines.engines.local import LocalEngine
from pipelines.near import propose
from pipelines.near.decide import NearDecideTask
from pipelines.near.search import search
from pipelines.near.texts import Texts
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.view import View, rows_table
from pipelines.work import Commit, Work
from sources.records import Fragment
from sources.schema import Verdict
from sources.storage import LocalFolder

FRAGMENT = 4096
WARM_TEXTS = 64


def step_on_the_engine(path: Path, jaccard: float, workers: int, partition_rows: int | None = None) -> dict[str, Any]:
    """Seconds by stage, CPU of the workers and of this process, the largest worker, and who was dropped."""
    step = NearText(jaccard=jaccard)
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        work = Work(LocalFolder(Path(place)))
        engine = LocalEngine(workers)
        engine.start(Session(Recipe(stage="mid", sources=(SourceEntry(name="made"),)), (), work))
        before, propose.PARTITION_ROWS = propose.PARTITION_ROWS, partition_rows or propose.PARTITION_ROWS
        try:
            started = time.perf_counter()
            few = _few_texts(workers)
            _verdicts(engine, work, step, [_view(work, texts, -1 - number) for number, texts in enumerate(few)], {})
            startup = time.perf_counter() - started
            batches = pq.ParquetFile(path).iter_batches(FRAGMENT)
            views = [_view(work, batch["text"], number) for number, batch in enumerate(batches)]
            return {"startup_s": startup, **_timed(engine, work, step, views, workers)}
        finally:
            engine.close()
            propose.PARTITION_ROWS = before


def _few_texts(workers: int) -> list[pa.Array]:
    """Texts for each worker, some long and some short, some of them copies of others."""
    words = [f"text {number % 40} of a few words" for number in range(WARM_TEXTS)]
    long = [f"{text}, and of as many others as make it one that is compared by its words alone" for text in words]
    return [pa.array([*words, *long])] * (4 * workers)


def _timed(engine: LocalEngine, work: Work, step: NearText, views: Sequence[View], workers: int) -> dict[str, Any]:
    stages: dict[str, float] = {}
    used, started = _cpu(), time.perf_counter()
    commits = _verdicts(engine, work, step, views, stages)
    seconds, cpu = time.perf_counter() - started, _cpu() - used
    dropped = []
    for number, commit in enumerate(commits):
        table = work.read(commit.parts["verdicts"], ["row", "verdict"])
        rows = table["row"].to_numpy()[np.asarray(table["verdict"].to_pylist(), object) == Verdict.DROP]
        dropped.extend((rows.astype(np.int64) + number * FRAGMENT).tolist())
    peaks = [_peak_mib(pid) for pid in _workers()]
    return {
        "seconds": seconds, "cpu_s": cpu, "workers": workers, "peak_mib": max(peaks), "dropped": dropped,
        **{f"{name.removeprefix('near_text').strip(' _') or 'verdicts'}_s": value for name, value in stages.items()},
    }  # fmt: skip


def _verdicts(
    engine: LocalEngine, work: Work, step: NearText, views: Sequence[View], stages: dict[str, float]
) -> list[Commit]:
    """Run the step as a build does; seconds by stage are added to `stages`."""

    def each(name: str, tasks: Sequence[Any]) -> list[Commit]:
        started = time.perf_counter()
        found = dict(engine.run(tasks))
        stages[name] = stages.get(name, 0.0) + time.perf_counter() - started
        return [found[number] for number in range(len(tasks))]

    found = search(each, work, Texts(step.name, step, ("made",)), views)
    decided = [
        NearDecideTask(step, view, number, answers, edges)
        for number, (view, answers, edges) in enumerate(zip(views, found.answers, found.edges, strict=True))
    ]
    return each(step.name, decided)


def _view(work: Work, texts: pa.Array, number: int) -> View:
    """A fragment of samples, committed as ingest does."""
    samples = as_samples(texts, max(0, number) * FRAGMENT)
    tables = {"samples": samples, "alive": rows_table(np.arange(len(texts), dtype=np.int32))}
    commit = work.put("ingest", str(number), tables, compression="lz4")
    fragment = Fragment("texts.parquet", str(number), records=len(texts))
    return View(0, fragment, (commit.parts["samples"],), {"alive": commit.parts["alive"]})


def _workers() -> list[int]:
    return [process.pid for process in multiprocessing.active_children() if process.pid is not None]


def _cpu() -> float:
    """Seconds of this process and of the workers (Linux)."""
    ticks = 0
    for pid in _workers():
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _peak_mib(pid: int) -> int:
    """The largest memory that a process has had (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) >> 10
