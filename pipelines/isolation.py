"""Running a suspect batch where its crash costs nothing: in a process of its own."""

import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

KILLS_BEFORE_ISOLATION = 3


DEADLINE_S = 600.0
"""A child may hang: it is forked from a process that has threads."""
END = b"done"


class CrashedError(Exception):
    """The process that worked on a batch died (a codec's segmentation fault, an out-of-memory kill)."""


def isolated(function: Callable[[int, int], T], attempt: int) -> Callable[[int, int], T]:
    """The function itself, or, once its task has killed three workers, the function in a forked child.

    A child that dies raises `CrashedError`, so that bisection finds the record that kills.
    """
    if attempt < KILLS_BEFORE_ISOLATION:
        return function

    def in_child(start: int, stop: int) -> T:
        return _fork(lambda: function(start, stop))

    return in_child


def _fork(function: Callable[[], T]) -> T:
    """Run in a forked child and return its pickled answer (our own objects, over our own pipe)."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _answer(function, write_end)
    os.close(write_end)
    data = _read_until(read_end, time.monotonic() + DEADLINE_S)
    os.kill(child, signal.SIGKILL)  # it has answered, or it hangs
    os.waitpid(child, 0)
    if not data.endswith(END):
        raise CrashedError
    succeeded, value = pickle.loads(data[: -len(END)])  # noqa: S301 - written by our own child a moment ago
    if succeeded:
        result: T = value
        return result
    raise value


def _read_until(descriptor: int, deadline: float) -> bytes:
    parts = []
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
            part = pipe.read(2**20)
            if not part:
                break
            parts.append(part)
    return b"".join(parts)


def _answer(function: Callable[[], T], write_end: int) -> None:
    """In the child: never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = 1
    try:
        try:
            answer = pickle.dumps((True, function()))
        except Exception as error:  # noqa: BLE001 - handed to the parent, which decides
            answer = pickle.dumps((False, error))
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(answer + END)
        status = 0
    finally:
        os._exit(status)
