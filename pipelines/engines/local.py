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

from filters.tokens import TokenizerError
from pipelines.bisect import code_locations
from pipelines.errors import CurateError
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.session import Session, Task
from pipelines.work import Commit
from sources.records import CorpusError

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: tuple[int, Task] | None = None


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
        source = iter(enumerate(tasks))
        again: deque[tuple[int, Task]] = deque()
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

    def _feed(self, source: Iterator[tuple[int, Task]], again: deque[tuple[int, Task]]) -> list[_Worker]:
        """Give every idle worker a task while there are any; return the busy workers."""
        for number in range(self.count):
            if number < len(self._workers) and self._workers[number].task is not None:
                continue
            task = again.popleft() if again else next(source, None)
            if task is None:
                break
            if number == len(self._workers):
                self._workers.append(self._hire())
            self._give(number, task)
        return [worker for worker in self._workers if worker.task is not None]

    def _give(self, number: int, task: tuple[int, Task]) -> None:
        worker = self._workers[number]
        worker.task = task
        try:
            worker.pipe.send(("task", task[1]))
        except (BrokenPipeError, ConnectionResetError):
            worker = self._workers[number] = self._hire()
            worker.task = task
            worker.pipe.send(("task", task[1]))

    def _receive(self, worker: _Worker, again: deque[tuple[int, Task]]) -> tuple[int, Commit] | None:
        assert worker.task is not None
        number, task = worker.task
        try:
            succeeded, answer = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            again.append((number, _after_death(task, worker.process.exitcode)))
            place = self._workers.index(worker)
            self._workers[place] = self._hire()
            return None
        worker.task = None
        if not succeeded:
            raise answer
        return number, answer

    def _hire(self) -> _Worker:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_work, args=(theirs, os.getpid()), daemon=False)
        process.start()
        theirs.close()
        ours.send(("session", self._session))
        return _Worker(process, ours)


def _after_death(task: Task, exit_code: int | None) -> Task:
    """The task as it is tried again.

    Raises:
        CurateError: it has killed a worker even where its records were tried apart.
    """
    attempt = getattr(task, "attempt", None)
    if attempt is None or attempt > KILLS_BEFORE_ISOLATION:
        raise CurateError(
            f"{task.label}: its worker died (exit code {exit_code})",
            "if the machine ran out of memory, use fewer --workers; the same command resumes",
        )
    following: Task = task.again()  # type: ignore[attr-defined]
    return following


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
            pipe.send((False, _presentable(error, value)))


def _presentable(error: BaseException, task: Task) -> Exception:
    """The error as the user may see it: ours as it is, others without their message, which may hold PHI."""
    if isinstance(error, CurateError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return CurateError(f"{task.label}: {os.strerror(error.errno)}", _os_hint(error))
    if isinstance(error, CorpusError | TokenizerError):
        return CurateError(str(error))
    places = ", ".join(code_locations(error))
    return CurateError(f"{task.label}: {type(error).__name__} at {places}", "this is a defect: please report it")


def _os_hint(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, then run the same command again: it resumes"
    return "repair the cause, then run the same command again: it resumes"


def default_workers() -> int:
    """As many workers as this process may use cores."""
    return len(os.sched_getaffinity(0))
