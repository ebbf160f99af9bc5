"""Running a suspect batch where its crash costs nothing: in a process of its own.

The process is a new interpreter, not a fork: workers have threads (Ray's, the object store's), and a fork of a
process with threads may hang.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Generic, TypeVar

from pipelines.bisect import FATAL_ERRORS, Failure, ToldError
from pipelines.errors import CurateError

T = TypeVar("T")

KILLS_BEFORE_ISOLATION = 3
DEADLINE_S = 600.0
"""For one call: a decoder may also hang."""
READY = b"ready"


class CrashedError(Exception):
    """The process that worked on a batch died (a codec's segmentation fault, an out-of-memory kill)."""


def isolated(function: Callable[[int, int], T], attempt: int) -> Callable[[int, int], T]:
    """The function itself, or, once its task has killed three workers, the function in a process of its own.

    The function must be picklable then. A process that dies raises `CrashedError`, so that bisection finds the
    record that kills; the next call has a new process.
    """
    return function if attempt < KILLS_BEFORE_ISOLATION else _Apart(function)


class _Apart(Generic[T]):
    """Calls a function in a child, which serves one call after the other until it dies."""

    def __init__(self, function: Callable[[int, int], T]) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._function = pickle.dumps(function)

    def __call__(self, start: int, stop: int) -> T:
        pipe = self._pipe or self._hire()
        try:
            pipe.send((start, stop))
            answer = pipe.recv_bytes() if pipe.poll(DEADLINE_S) else None
        except (EOFError, OSError):  # of the pipe: what the function raises is in the answer
            answer = None
        if answer is None:
            self._end()
            raise CrashedError
        succeeded, value = pickle.loads(answer)  # noqa: S301 - written by our own child a moment ago
        if not succeeded:
            raise value
        result: T = value
        return result

    def __del__(self) -> None:
        self._end()

    def _hire(self) -> Connection:
        """Start the child.

        Raises:
            CurateError: it does not come up; no record is to blame for that.
        """
        ours, theirs = Pipe()
        self._pipe = ours
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # the last words of a library may hold what it was working on
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                start_new_session=True,  # an interrupt is for the build: the child ends with its pipe
            )
        finally:
            theirs.close()
        try:
            ours.send_bytes(self._function)
            if ours.poll(DEADLINE_S) and ours.recv_bytes() == READY:
                return ours
        except (EOFError, OSError):
            pass
        self._end()
        raise CurateError("a process for suspect records died as it started", "look at memory and installation")

    def _end(self) -> None:
        child, pipe = self._child, self._pipe
        self._child = self._pipe = None
        if pipe is not None:
            pipe.close()
        if child is not None:
            child.kill()  # it has answered, or it hangs
            child.wait()


_SERVE = "import sys; from pipelines.isolation import serve; serve(int(sys.argv[1]))"


def serve(descriptor: int) -> None:
    """In the child: take the function, then answer calls until nobody asks any more."""
    _volunteer()
    with Connection(descriptor) as pipe:
        try:
            function = pickle.loads(pipe.recv_bytes())  # noqa: S301 - our parent's, over our own pipe
            pipe.send_bytes(READY)
            while True:
                start, stop = pipe.recv()
                pipe.send_bytes(_answer(function, start, stop))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _answer(function: Callable[[int, int], object], start: int, stop: int) -> bytes:
    """The pickled result, or error: what ends the run as it is, anything else as what the ledger says of it."""
    try:
        return pickle.dumps((True, function(start, stop)))
    except FATAL_ERRORS as error:
        return pickle.dumps((False, error))
    except Exception as error:  # noqa: BLE001 - handed to the parent, which decides
        return pickle.dumps((False, ToldError(Failure.of(error))))


def _volunteer() -> None:
    """Where memory runs out, this process goes first: it works on the suspect."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        return  # not Linux, or not allowed: then the kernel chooses
