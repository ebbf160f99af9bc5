"""Running a suspect batch where its crash costs nothing: in a process of its own.

The process is a new interpreter, not a fork: workers have threads (Ray's, the object store's), and a fork of a
process with threads may hang.
"""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipelines.bisect import FATAL_ERRORS, CrashedError, Failure, ToldError
from pipelines.errors import CurateError

T = TypeVar("T")

KILLS_BEFORE_ISOLATION = 3
DEADLINE_S = 600.0
"""For one record: a decoder may also hang. A batch has as long, and a second more for each of its rows.

What is slower as a batch is halved until it is in time, so only a record that takes ten minutes alone is lost.
"""
ROW_S = 1.0
READY = b"ready"
PR_SET_PDEATHSIG = 1


def isolated(function: Callable[[int, int], T], attempt: int, step: object = None) -> Callable[[int, int], T]:
    """The function itself, or, once its task has killed three workers, the function in a process of its own.

    A step that says `deadline_s` has at least so long for each batch there, however small.
    """
    if attempt < KILLS_BEFORE_ISOLATION:
        return function
    return Apart(function, float(getattr(step, "deadline_s", 0.0)))


class Apart(Generic[T]):
    """Calls a function, which must be picklable, in a child that serves one call after the other until it dies.

    A child that dies or hangs raises `CrashedError`, so that bisection finds the record that kills; the next call
    has a new child. A call has `least_s` seconds at least; a record that it tells of (`reach`) has `DEADLINE_S`.
    """

    def __init__(self, function: Callable[[int, int], T], least_s: float = 0.0) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._function = pickle.dumps(function)
        self._least_s = least_s

    def __call__(self, start: int, stop: int) -> T:
        """The function's answer about the rows `start:stop`.

        Raises:
            CrashedError: the child died, or was not in time.
            CurateError: no child comes up.
            FATAL_ERRORS, ToldError: what the function raised.
        """
        pipe = self._pipe or self._hire()
        answer: tuple[bool, Any] | None = None
        reached: Any = None
        whole_s = deadline_s = max(DEADLINE_S + ROW_S * (stop - start), self._least_s)
        with suppress(EOFError, OSError):  # of the pipe: what the function raises is in the answer
            pipe.send((start, stop))
            while answer is None and pipe.poll(deadline_s):
                succeeded, value = pickle.loads(pipe.recv_bytes())  # noqa: S301 - written by our own child just now
                if succeeded is None:
                    reached, deadline_s = value, whole_s if value is None else DEADLINE_S
                else:
                    answer = succeeded, value
        if answer is None:
            self._end()
            raise CrashedError(reached)
        if not answer[0]:
            raise answer[1]
        result: T = answer[1]
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
                [sys.executable, "-P", "-c", _SERVE, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # the last words of a library may hold what it was working on
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                start_new_session=True,  # an interrupt is for the build: the child ends with it, or with its pipe
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


_SERVE = "import sys; from pipelines.isolation import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
_parent: Connection | None = None
"""In the child: who waits for the answer."""


class DeadlyError(CurateError):
    """A process that reads something apart died, or hung, and no one record of it is to blame."""


def answered(call: Callable[[], T], what: str) -> T:
    """What a call of an `Apart` answers; `what` it reads, as messages may show it.

    Raises:
        CrashedError: the child died, or hung, on what it had told of.
        DeadlyError: it had told of nothing, so that nothing can be passed over.
        CurateError: it raised what is a defect.
        FATAL_ERRORS: as they are.
    """
    try:
        return call()
    except CrashedError as crash:
        if crash.reached is not None:
            raise
        raise DeadlyError(
            f"{what}: the process that reads it apart died, or hung, and no one record of it is to blame",
            "if the machine ran out of memory, use fewer --workers; else look at the file; the same command resumes",
        ) from None
    except ToldError as told:
        places = ", ".join(told.failure.locations)
        raise CurateError(
            f"{what}: {told.failure.exception} at {places}", "this is a defect: please report it"
        ) from None


def reach(where: Any) -> None:
    """Tell who waits what a call works on (`CrashedError.reached`); the deadline begins anew. Else does nothing.

    None: on nothing that could be passed over.
    """
    if _parent is not None:
        _parent.send_bytes(pickle.dumps((None, where)))


def serve(descriptor: int, parent: int) -> None:
    """In the child: take the function, then answer calls until nobody asks any more."""
    global _parent  # noqa: PLW0603 - one child, one parent
    _volunteer()
    _end_with(parent)
    with Connection(descriptor) as pipe:
        try:
            function = pickle.loads(pipe.recv_bytes())  # noqa: S301 - our parent's, over our own pipe
            pipe.send_bytes(READY)
            _parent = pipe
            while True:
                start, stop = pipe.recv()
                pipe.send_bytes(_answer(function, start, stop))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _answer(function: Callable[[int, int], object], start: int, stop: int) -> bytes:
    """The pickled result, or error: what ends the run as it is, anything else as what the ledger says of it."""
    try:
        return pickle.dumps((True, function(start, stop)))
    except MemoryError:  # the suspect alone took it all: as if the kernel had ended this process
        os._exit(1)
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


def _end_with(parent: int) -> None:
    """Let the kernel end this process when the thread that started it has ended, however deep in a codec it is.

    Workers start it from their main thread. Elsewhere than on Linux it ends when it next looks at its pipe.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we had asked
        os._exit(1)
