"""Tasks for the engine's tests: workers import them by name."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import BudgetError
from pipelines.session import Session
from pipelines.work import Commit


def done(number: int) -> Commit:
    return Commit("test", str(number), {}, {"number": number, "pid": os.getpid()})


@dataclass(frozen=True)
class Count:
    number: int
    seconds: float = 0.0
    label: str = "count"

    def run(self, session: Session) -> Commit:
        time.sleep(self.seconds)
        return done(self.number)


@dataclass(frozen=True)
class KillsWorkers:
    """Kills its worker `times` times."""

    number: int
    times: int
    attempt: int = 0
    label: str = "killer"

    def run(self, session: Session) -> Commit:
        if self.attempt < self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return done(self.number)

    def again(self) -> "KillsWorkers":
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Raises:
    error: str
    label: str = "raiser"

    def run(self, session: Session) -> Commit:
        if self.error == "budget":
            raise BudgetError("too many", "repair")
        if self.error == "full":
            raise OSError(28, "No space left on device", "/secret/MRN123")
        raise ValueError("MRN123 is in this message")


@dataclass(frozen=True)
class SleepsThenMarks:
    """Marks a file after a while, unless its process has ended."""

    mark: Path
    seconds: float
    label: str = "sleeper"

    def run(self, session: Session) -> Commit:
        (self.mark.parent / "started").write_text(str(os.getpid()))
        time.sleep(self.seconds)
        self.mark.touch()
        return done(0)
