"""Progress for people (stderr) and for machines (`events.jsonl`). Neither is part of a run's identity."""

import time
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from pipelines.event_log import EventLog

LINE_EVERY_S = 30.0


class Reporter:
    """Bars on a terminal, one line every 30 s otherwise, and an event per step in the run's `events.jsonl`."""

    def __init__(self, events: EventLog | None, quiet: bool = False) -> None:  # noqa: FBT001, FBT002 - as the flag
        self._console = Console(stderr=True, quiet=quiet)
        self._events = events
        self._bars: Progress | None = None
        self._bar: TaskID | None = None
        self._step = ""
        self._started = self._said = time.monotonic()
        self._done = self._total = self._samples = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.quiet:
            columns = (
                TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), Remaining(),
            )  # fmt: skip
            self._bars = Progress(*columns, console=self._console)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        if self._events is not None:
            with nullcontext() if error is None else suppress(OSError):  # what failed first is what is told
                self._events.close()

    def begin(self, step: str, total: int) -> None:
        """A step starts on `total` units."""
        self._step, self._total, self._done, self._samples = step, total, 0, 0
        self._started = self._said = time.monotonic()
        if self._bars is not None:
            self._bar = self._bars.add_task(step, total=total, rate="")
        self.event("begin", step=step, units=total)

    def advance(self, samples: int, reused: bool) -> None:  # noqa: FBT001 - a fact about the unit
        """One unit is done, or was found done."""
        self._done += 1
        self._samples += samples
        elapsed = max(time.monotonic() - self._started, 1e-6)
        rate = f"{self._samples / elapsed:,.0f} samples/s" if self._samples else ""
        if self._bars is not None and self._bar is not None:
            self._bars.update(self._bar, advance=1, rate=rate)
        elif time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            left = elapsed / self._done * (self._total - self._done)
            self.say(
                f"{self._step}: {self._done} of {self._total} units, {rate or 'working'}, about {left:,.0f} s left"
            )
        self.event("unit", step=self._step, unit=self._done, of=self._total, samples=samples, reused=reused)

    def end(self, **facts: Any) -> None:
        """The step is over."""
        seconds = round(time.monotonic() - self._started, 3)
        self.event("end", step=self._step, seconds=seconds, samples=self._samples, **facts)

    def say(self, text: str) -> None:
        """A line for people."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def event(self, kind: str, **facts: Any) -> None:
        """A line for machines. Facts hold counts and names of steps and sources, never names of records."""
        if self._events is not None:
            self._events.add(kind, facts)
