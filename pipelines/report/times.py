"""How long the steps of a run took, from `events.jsonl`: over all times that the command was given."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipelines.run_directory import EVENTS
from sources.storage import Folder


@dataclass
class StepTime:
    """What one step cost. `units`, `samples` and `seconds` are of work that was done, `reused` of work found done."""

    name: str
    units: int = 0
    reused: int = 0
    samples: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float | None:
        """Samples a second, where the step counts samples."""
        return self.samples / self.seconds if self.samples and self.seconds > 0 else None


@dataclass
class Session:
    """One time that the command was given."""

    started: float
    engine: str = ""
    workers: int = 0
    outcome: str = "stopped"
    seconds: float = 0.0


@dataclass
class Times:
    """Steps in the order in which they first ran, and the sessions."""

    steps: dict[str, StepTime] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)


@dataclass
class _Running:
    """A step between its beginning and its end."""

    name: str
    began: float
    units: int = 0
    reused: int = 0
    samples: int = 0
    last: float = 0.0


def read_times(run: Folder) -> Times:
    """Add up the events of a run. A step that was killed counts to its last unit."""
    times = Times()
    running: _Running | None = None
    for event in _events(run):
        kind, now = event.get("event"), float(event.get("time", 0.0))
        if times.sessions and kind != "start":
            times.sessions[-1].seconds = max(times.sessions[-1].seconds, now - times.sessions[-1].started)
        if kind == "start":
            _close(times, running)
            running = None
            engine, workers = str(event.get("engine", "")), int(event.get("workers") or 0)
            times.sessions.append(Session(now, engine, workers))
        elif kind == "begin":
            _close(times, running)
            running = _Running(str(event.get("step")), now, last=now)
        elif kind in {"unit", "end"} and running is not None:
            running.last = now
            if kind == "end":
                _close(times, running)
                running = None
            elif event.get("reused"):
                running.reused += 1
            else:
                running.units += 1
                running.samples += int(event.get("samples") or 0)
        elif kind in {"finished", "failed"} and times.sessions:
            times.sessions[-1].outcome = str(kind)
    _close(times, running)
    return times


def _close(times: Times, running: _Running | None) -> None:
    if running is None:
        return
    step = times.steps.setdefault(running.name, StepTime(running.name))
    step.reused = running.reused
    if running.units:
        step.units += running.units
        step.samples += running.samples
        step.seconds += running.last - running.began


def _events(run: Folder) -> Iterator[dict[str, Any]]:
    """The lines that are whole."""
    if run.stat(EVENTS) is None:
        return
    with run.open(EVENTS) as file:
        for line in file:
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # a build was killed while it wrote this line
            if isinstance(event, dict):
                yield event
