"""Being told to stop: the signals that ask for it, and the request that ranks look at between two pieces of work."""

import signal
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""Signals that ask a run to write a checkpoint and end."""


class StopRequest:
    """Whether one of these signals came; the step in hand is finished first."""

    def __init__(self) -> None:
        self.asked = False
        for number in STOPPING:
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
