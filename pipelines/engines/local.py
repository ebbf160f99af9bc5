"""The local engine: worker processes on this machine, one pipe each.

A worker that dies (a codec's segmentation fault, the kernel's memory killer) costs its task one attempt and
is replaced. A worker whose driver dies sees its pipe close and ends.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pipelines.errors import CurateError, presentable
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.session import Session, Task
from pipelines.work import Commit

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class _Try:
    """A task, its number, and how many workers it has killed so far."""

    number: int
    task: Task
    killed: int = 0


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    trying: _Try | None = None


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
        source = (_Try(number, task) for number, task in enumerate(tasks))
        again: deque[_Try] = deque()
        try:
            while True:
                busy = self._feed(source, again)
                if not busy:
                    return
                for ready in wait([worker.pipe for worker in busy]):
                    worker = next(worker for worker in busy if worker.pipe is ready)
                    answer = self._receive(worker, again)
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

    def _feed(self, source: Iterator[_Try], again: deque[_Try]) -> list[_Worker]:
        """Give every idle worker a task while there are any; return the busy workers."""
        for number in range(self.count):
            if number < len(self._workers) and self._workers[number].trying is not None:
                continue
            trying = again.popleft() if again else next(source, None)
            if trying is None:
                break
            if number == len(self._workers):
                self._workers.append(self._hire())
            self._give(number, trying)
        return [worker for worker in self._workers if worker.trying is not None]

    def _give(self, number: int, trying: _Try) -> None:
        """Send a task; a worker that died while it was idle is replaced."""
        try:
            self._workers[number].pipe.send(("task", trying.task))
        except (BrokenPipeError, ConnectionResetError):
            self._workers[number].pipe.close()
            self._workers[number] = self._hire()
            self._workers[number].pipe.send(("task", trying.task))
        self._workers[number].trying = trying

    def _receive(self, worker: _Worker, again: deque[_Try]) -> tuple[int, Commit] | None:
        trying = worker.trying
        assert trying is not None
        try:
            succeeded, answer = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            worker.pipe.close()
            again.append(_after_death(trying, worker.process.exitcode))
            self._workers[self._workers.index(worker)] = self._hire()
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


def _after_death(trying: _Try, exit_code: int | None) -> _Try:
    """The task as it is tried again: apart from others, where it knows how, once it has killed three workers.

    Raises:
        CurateError: it kills every worker it is given.
    """
    killed = trying.killed + 1
    if killed > KILLS_BEFORE_ISOLATION:
        raise CurateError(
            f"{trying.task.label}: its workers died {killed} times (exit code {exit_code})",
            "if the machine ran out of memory, use fewer --workers; the same command resumes",
        )
    again = getattr(trying.task, "again", None)
    return _Try(trying.number, trying.task if again is None else again(), killed)


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
