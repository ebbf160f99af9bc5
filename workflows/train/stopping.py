"""Signals that ask a run to end in order. Imports nothing that takes long: they count from a rank's first moment."""

import signal
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""Signals that ask a run to write a checkpoint and end."""


class StopRequest:
    """Whether one of them came; the step in hand is finished first."""

    def __init__(self) -> None:
        self.asked = False
        for number in STOPPING:
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
