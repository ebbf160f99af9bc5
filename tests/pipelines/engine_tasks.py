"""Tasks for the engine's tests: workers import them by name."""

import logging
import os
import resource
import signal
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.errors import BudgetError
from pipelines.facts import FactTask
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.session import Session
from pipelines.view import View
from pipelines.work import Commit, Work
from sources.records import Fragment


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


@dataclass(frozen=True)
class TakesMemory:
    """Takes more than its process may have."""

    label: str = "glutton"

    def run(self, session: Session) -> Commit:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (taken + 2**28, before[1]))
        try:
            return Commit("test", "0", {}, {"bytes": len(bytes(2**29))})
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)


@dataclass(frozen=True)
class Carries:
    """Says how many bytes reached it, and answers with as many."""

    content: bytes
    label: str = "carrier"

    def run(self, session: Session) -> Commit:
        return Commit("test", "0", {}, {"bytes": len(self.content), "back": "x" * (len(self.content) // 10)})


@dataclass(frozen=True)
class OnGpu:
    """Tells which node and which GPUs it was given."""

    number: int
    gpus: float = 1.0
    gpus_optional: bool = False
    label: str = "model"

    def run(self, session: Session) -> Commit:
        import ray

        node = ray.get_runtime_context().get_node_id()
        return Commit("test", "0", {}, {"node": node, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")})


@dataclass(frozen=True)
class Prints:
    """Says on both streams, and in a warning, what nobody may read."""

    label: str = "talker"

    def run(self, session: Session) -> Commit:
        print("MRN123 on stdout", flush=True)
        print("MRN123 on stderr", file=sys.stderr, flush=True)
        warnings.warn("MRN123 in a warning", stacklevel=1)
        logging.getLogger("library").error("MRN123 in a log")
        return done(0)


@dataclass(frozen=True)
class TellsEnvironment:
    """Answers with some variables of its environment, and where it stands."""

    names: tuple[str, ...]
    label: str = "environment"

    def run(self, session: Session) -> Commit:
        found = {name: os.environ.get(name) for name in self.names}
        return Commit("test", "0", {}, {**found, "cwd": str(Path.cwd())})


@dataclass(frozen=True)
class Needs:
    """Asks for so many cores and GPUs."""

    number: int
    cpus: float = 1.0
    gpus: float = 0.0
    seconds: float = 0.0
    label: str = "wants"

    def run(self, session: Session) -> Commit:
        time.sleep(self.seconds)
        return done(self.number)


@dataclass(frozen=True)
class Slow:
    """Takes its time, and tells whether it was tried again."""

    seconds: float
    deadline_s: float
    attempt: int = 0
    label: str = "slow"

    def run(self, session: Session) -> Commit:
        time.sleep(self.seconds)
        return done(self.attempt)

    def again(self) -> "Slow":
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Hangs:
    """Hangs until it is tried apart."""

    number: int
    deadline_s: float = 1.0
    attempt: int = 0
    label: str = "hanger"

    def run(self, session: Session) -> Commit:
        if self.attempt < KILLS_BEFORE_ISOLATION:
            time.sleep(600)
        return done(self.number)

    def again(self) -> "Hangs":
        return replace(self, attempt=self.attempt + 1)


class KillsOnPoison:
    """A fact step that kills its process on one record."""

    name = "length"
    version = 1
    columns = ("source_key",)

    def parameters(self) -> dict[str, Any]:
        return {}

    def measure(self, samples: pa.Table) -> dict[str, pa.Table]:
        keys = samples["source_key"].to_pylist()
        if any("poison" in key for key in keys):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"length": pa.table({"length": pa.array([len(key) for key in keys], pa.int32())})}


def poisoned(work: Work, rows: int, poison: int) -> FactTask:
    """A fragment of which one record kills whoever works on it."""
    keys = [f"{'poison' if row == poison else 'food'}{row}" for row in range(rows)]
    samples = pa.table({"source_key": keys})
    alive = pa.table({"row": pa.array(range(rows), pa.int32())})
    parts = work.put("ingest", "0", {"samples": samples, "alive": alive}).parts
    view = View(0, Fragment("food.jsonl", "d", records=rows), (parts["samples"],), {"alive": parts["alive"]})
    return FactTask(KillsOnPoison(), view, 0)


def measured_and_failed(work: Work, commit: Commit) -> tuple[list[int], list[int]]:
    """Numbers of the records that have the fact, and of those that an error kept from it."""
    errors = work.read(commit.parts["length_errors"])
    assert all("CrashedError" in evidence for evidence in errors["evidence"].to_pylist())
    return work.read(commit.parts["length"])["row"].to_pylist(), errors["row"].to_pylist()
