"""The local engine: worker processes on this machine, one pipe each.

A worker that dies (a codec's segmentation fault, the kernel's memory killer) costs its task one attempt and
is replaced; one that hangs is killed. A worker whose driver dies sees its pipe close and ends.
"""

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from pipelines.engines.attempts import Try, Waiting
from pipelines.errors import CurateError, presentable
from pipelines.session import Session, Task
from pipelines.work import Commit

LOOK_S = 3600.0
"""The system takes no wait of any length."""
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    trying: Try | None = None
    until: float = math.inf
    """When it should have answered, by the monotonic clock."""


class LocalEngine:
    """`workers` processes; each holds one fragment at a time."""

    name = "local"

    def __init__(self, workers: int) -> None:
        self.count = workers
        self._session: Session | None = None
        self._workers: list[_Worker] = []

    def start(self, session: Session) -> None:
        """Give every worker the session; workers start when there is work."""
        self._session = session
        for worker in self._workers:
            worker.pipe.send(("session", session))

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[int, Commit]]:
        """Yield commits as they come.

        Raises:
            CurateError: what a task raised, or a task that kills every worker it is given.
        """
        waiting = Waiting(tasks)
        try:
            while True:
                busy = self._feed(waiting)
                if not busy:
                    return
                for ready in self._answered(busy, waiting):
                    worker = next(worker for worker in busy if worker.pipe is ready)
                    answer = self._receive(worker, waiting)
                    if answer is not None:
                        yield answer
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the workers at once: what they have not committed is not missed."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def _answered(self, busy: list[_Worker], waiting: Waiting) -> list[Any]:
        """Wait for pipes of workers that have answered or died; if none has in time, those that hang are replaced."""
        left = min(worker.until for worker in busy) - time.monotonic()
        answered = wait([worker.pipe for worker in busy], max(min(left, LOOK_S), 0.0))
        for worker in busy if not answered else ():
            if worker.trying is not None and worker.until <= time.monotonic():
                worker.process.kill()
                self._replace(worker, worker.trying.after_hang(), waiting)
        return answered

    def _replace(self, worker: _Worker, trying: Try, waiting: Waiting) -> None:
        worker.process.join()
        worker.pipe.close()
        waiting.put_back(trying)
        self._workers[self._workers.index(worker)] = self._hire()

    def _feed(self, waiting: Waiting) -> list[_Worker]:
        """Give every idle worker a task while there are any; return the busy workers."""
        for number in range(self.count):
            if number < len(self._workers) and self._workers[number].trying is not None:
                continue
            if not waiting.at_least(1):
                break
            if number == len(self._workers):
                self._workers.append(self._hire())
            self._give(number, waiting.take())
        return [worker for worker in self._workers if worker.trying is not None]

    def _give(self, number: int, trying: Try) -> None:
        """Send a task; a worker that died while it was idle is replaced."""
        try:
            self._workers[number].pipe.send(("task", trying.task))
        except (BrokenPipeError, ConnectionResetError):
            self._workers[number].pipe.close()
            self._workers[number] = self._hire()
            self._workers[number].pipe.send(("task", trying.task))
        self._workers[number].trying = trying
        self._workers[number].until = time.monotonic() + trying.deadline_s

    def _receive(self, worker: _Worker, waiting: Waiting) -> tuple[int, Commit] | None:
        trying = worker.trying
        assert trying is not None
        try:
            succeeded, answer = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            self._replace(worker, trying.after_death(f"exit code {worker.process.exitcode}"), waiting)
            return None
        worker.trying = None
        if not succeeded:
            raise answer
        return trying.number, answer

    def _hire(self) -> _Worker:
        """Start a worker.

        Raises:
            CurateError: it dies before it can take the session.
        """
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_work, args=(theirs, os.getpid()), daemon=False)
        process.start()
        theirs.close()
        try:
            ours.send(("session", self._session))
        except (BrokenPipeError, ConnectionResetError):
            process.join()
            raise CurateError(
                f"a worker died as it started (exit code {process.exitcode})",
                "if the machine ran out of memory, use fewer --workers; the same command resumes",
            ) from None
        return _Worker(process, ours)


def _work(pipe: Connection, driver: int) -> None:
    """A worker's life: take the session, then tasks, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    session: Session | None = None
    while os.getppid() == driver:
        try:
            kind, value = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        if kind == "session":
            session = value
            continue
        assert session is not None
        try:
            pipe.send((True, value.run(session)))
        except BrokenPipeError:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the driver, which ends the run with it
            _send_last(pipe, presentable(error, value.label))


def _send_last(pipe: Connection, error: Exception) -> None:
    """Hand over an error; where nobody listens any more, end without a word: it may hold what nobody may read."""
    try:
        pipe.send((False, error))
    except OSError:
        os._exit(1)


def default_workers() -> int:
    """As many workers as this process may use cores."""
    return len(os.sched_getaffinity(0))
