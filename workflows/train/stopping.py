"""Being told to stop: the signals that ask for it, and the request that ranks look at between two pieces of work."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""Signals that ask a run to write a checkpoint and end."""


@contextmanager
def held_back() -> Iterator[None]:
    """Keep these signals from this thread meanwhile, and for good from the processes that it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StopRequest:
    """Whether one of these signals came; the step in hand is finished first."""

    def __init__(self, signals: Sequence[signal.Signals] = STOPPING) -> None:
        self.asked = False
        for number in signals:
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


@contextmanager
def cut_off_in_order() -> Iterator[None]:
    """Make the signals that end this process raise KeyboardInterrupt in it, so that what it began is cleaned up."""

    def raised(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    try:
        before = {number: signal.signal(number, raised) for number in (*STOPPING, signal.SIGHUP)}
    except ValueError:  # not the main thread, which is the one that signals interrupt
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
