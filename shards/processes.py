"""Runs a function over jobs in processes, so that one job that kills its process costs the others nothing."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_in_processes(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int
) -> Iterator[tuple[int, Result | None]]:
    """Yield (number of the job, its result) as jobs finish.

    The result is None where the process died under the job: killed for memory, crashed in a decoder. No more
    than `workers` jobs are under way at once. When a process dies, which of them killed it is not known: each is
    run again alone, and the rest go on in new processes. With one worker, jobs run in this process. An exception of
    `function` ends everything: it is the function's part to answer for bad input.
    """
    if workers <= 1:
        for number, job in enumerate(jobs):
            yield number, function(job)
        return
    waiting = deque(enumerate(jobs))
    while waiting:
        suspects = yield from _until_one_dies(function, waiting, workers)
        for number, job in suspects:
            yield number, _alone(function, job)


def _until_one_dies(
    function: Callable[[Job], Result], waiting: deque[tuple[int, Job]], workers: int
) -> Generator[tuple[int, Result], None, list[tuple[int, Job]]]:
    """Work off `waiting`; return the jobs that were under way when a process died."""
    running: dict[Future[Result], tuple[int, Job]] = {}
    with _pool(workers) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    running[pool.submit(function, waiting[0][1])] = waiting[0]
                    waiting.popleft()
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    yield running.pop(future)[0], result
        except BrokenProcessPool:
            return list(running.values())
    return []


def _alone(function: Callable[[Job], Result], job: Job) -> Result | None:
    with _pool(1) as pool:
        try:
            return pool.submit(function, job).result()
        except BrokenProcessPool:
            return None


def _pool(workers: int) -> ProcessPoolExecutor:
    # Forking a process whose libraries have threads (polars, arrow) can hang the child.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
