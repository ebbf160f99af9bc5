from pathlib import Path
from typing import Any

import orjson

from pipelines.report.times import read_times
from sources.storage import LocalFolder


def events(place: Path, *lines: dict[str, Any] | bytes) -> LocalFolder:
    data = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    (place / "events.jsonl").write_bytes(data + b"\n")
    return LocalFolder(place)


def event(time: float, kind: str, **facts: Any) -> dict[str, Any]:
    return {"time": time, "event": kind, **facts}


def unit(time: float, samples: int, *, reused: bool = False) -> dict[str, Any]:
    return event(time, "unit", step="ingest", samples=samples, reused=reused)


def test_a_step_takes_from_its_beginning_to_its_end_and_counts_what_it_did(tmp_path: Path) -> None:
    times = read_times(
        events(
            tmp_path,
            event(0, "start", engine="local", workers=2),
            event(1, "begin", step="ingest", units=2),
            unit(2, 30),
            unit(5, 10),
            event(5, "end", step="ingest"),
            event(6, "finished", seconds=6),
        )
    )
    (step,) = times.steps.values()
    assert (step.units, step.samples, step.seconds, step.rate) == (2, 40, 4, 10)
    (session,) = times.sessions
    assert (session.engine, session.workers, session.seconds, session.outcome) == ("local", 2, 6, "finished")


def test_a_killed_step_counts_to_its_last_unit_and_the_next_start_goes_on(tmp_path: Path) -> None:
    times = read_times(
        events(
            tmp_path,
            event(0, "start", engine="local", workers=1),
            event(1, "begin", step="ingest"),
            unit(4, 30),
            b'{"time": 5, "event": "un',
            event(100, "start", engine="ray", workers=1),
            event(101, "begin", step="ingest"),
            unit(102, 30, reused=True),
            unit(103, 10),
            event(103, "end", step="ingest"),
            event(104, "failed", error="CurateError"),
        )
    )
    (step,) = times.steps.values()
    assert (step.units, step.reused, step.samples, step.seconds) == (2, 1, 40, 5)
    assert [(one.outcome, one.seconds) for one in times.sessions] == [("stopped", 4), ("failed", 4)]


def test_finding_everything_done_is_no_work(tmp_path: Path) -> None:
    times = read_times(
        events(
            tmp_path,
            event(0, "start", engine="local", workers=1),
            event(1, "begin", step="ingest"),
            unit(4, 30, reused=True),
            event(4, "end", step="ingest"),
        )
    )
    assert (times.steps["ingest"].seconds, times.steps["ingest"].rate, times.steps["ingest"].reused) == (0, None, 1)


def test_a_run_without_events_has_no_times(tmp_path: Path) -> None:
    times = read_times(LocalFolder(tmp_path))
    assert (times.steps, times.sessions) == ({}, [])
