import os
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import isolation
from pipelines.bisect import CrashedError, Failure, Piece, bisect
from pipelines.errors import CurateError
from pipelines.isolation import KILLS_BEFORE_ISOLATION, isolated
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.readers.registry import READERS, reader_named
from sources.storage import LocalFolder
from tests.pipelines import suspects
from tests.pipelines.engine_tasks import measured_and_failed, poisoned


def covered(pieces: list[Piece[int]]) -> list[int]:
    return [row for piece in pieces for row in range(piece.start, piece.stop)]


def test_until_three_workers_died_the_function_runs_where_it_is() -> None:
    assert isolated(suspects.counts_rows, KILLS_BEFORE_ISOLATION - 1) is suspects.counts_rows


def test_a_record_that_kills_its_process_is_singled_out() -> None:
    pieces = list(bisect(isolated(suspects.kills_itself_on_five, KILLS_BEFORE_ISOLATION), 9))
    (failed,) = [piece for piece in pieces if isinstance(piece.result, Failure)]
    assert (failed.start, failed.result.exception) == (5, "CrashedError")  # type: ignore[union-attr]
    assert covered(pieces) == list(range(9))


def test_one_process_serves_call_after_call() -> None:
    function = isolated(suspects.tells_its_process, KILLS_BEFORE_ISOLATION)
    assert function(0, 1) == function(0, 2) != os.getpid()


def test_the_process_ends_with_the_function() -> None:
    function = isolated(suspects.tells_its_process, KILLS_BEFORE_ISOLATION)
    child = function(0, 1)
    del function
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_threads_of_the_worker_do_not_hang_it() -> None:
    stop = threading.Event()
    lock = threading.Lock()

    def busy() -> None:
        while not stop.is_set():
            with lock:
                time.sleep(0.001)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert isolated(suspects.counts_rows, KILLS_BEFORE_ISOLATION)(0, 4) == 4
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_an_error_is_told_by_type_and_place_in_the_child_and_nothing_else() -> None:
    pieces = list(bisect(isolated(suspects.raises_on_three, KILLS_BEFORE_ISOLATION), 6))
    (failed,) = [piece.result for piece in pieces if isinstance(piece.result, Failure)]
    assert failed.exception == "ValueError"
    assert "suspects.py" in failed.locations[-1]
    assert "0012345" not in failed.evidence


def test_an_error_of_the_machine_ends_the_run() -> None:
    with pytest.raises(OSError, match="No space left"):
        list(bisect(isolated(suspects.runs_out_of_disk, KILLS_BEFORE_ISOLATION), 6))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of 0.2 s for a call and of 2 s for a row; the child's own start has the long one."""
    started = isolation.Apart._hire

    def hire(self: isolation.Apart[int]) -> object:
        pipe = started(self)
        monkeypatch.setattr(isolation, "DEADLINE_S", 0.2)
        return pipe

    monkeypatch.setattr(isolation, "ROW_S", 2.0)
    monkeypatch.setattr(isolation.Apart, "_hire", hire)


@pytest.mark.usefixtures("short")
def test_a_call_that_hangs_is_given_up() -> None:
    with pytest.raises(CrashedError):
        isolated(suspects.hangs, KILLS_BEFORE_ISOLATION)(0, 0)


@pytest.mark.usefixtures("short")
def test_a_batch_has_more_time_than_a_record() -> None:
    assert isolated(suspects.takes_a_second, KILLS_BEFORE_ISOLATION)(0, 2) == 2


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("deadline_s", [0.3, 30.0])
def test_a_step_has_there_at_least_the_time_that_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deadline_s: float
) -> None:
    monkeypatch.setattr(isolation, "ROW_S", 0.0)
    work = Work(LocalFolder(tmp_path))
    task = poisoned(work, 2, -1)
    task = replace(task, step=suspects.TakesASecond(deadline_s), attempt=KILLS_BEFORE_ISOLATION)
    session = Session(Recipe(stage="mid", sources=(SourceEntry(name="x"),)), (), work)
    if deadline_s > 1:
        assert measured_and_failed(work, task.run(session)) == ([0, 1], [])
    else:
        with pytest.raises(CrashedError):
            isolated(partial(_measured_all, task.step), KILLS_BEFORE_ISOLATION, task.step)(0, 2)


def _measured_all(step: suspects.TakesASecond, start: int, stop: int) -> object:
    return step.measure(pa.table({"source_key": ["x"] * (stop - start)}))


def test_the_process_ends_with_the_worker_that_is_killed_while_it_works(tmp_path: Path) -> None:
    script = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from pipelines.isolation import isolated; from tests.pipelines import suspects\n"
        "isolated(partial(suspects.marks_when_it_wakes, folder=Path(sys.argv[1])), 3)(0, 1)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    started = tmp_path / "started"
    while not started.exists() or not started.read_text():
        time.sleep(0.02)
    child = int(started.read_text())
    os.kill(child, 0)
    worker.kill()
    worker.wait()
    until = time.monotonic() + 5
    while is_running(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only what nobody has asked about since it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_imports_from_where_the_worker_does_and_not_from_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path] + [str(Path(__file__).parents[2])])
    monkeypatch.chdir(tmp_path)
    found = isolated(suspects.tells_its_path, KILLS_BEFORE_ISOLATION)(0, 1)
    assert str(Path(__file__).parents[2]) in found
    assert not {"", str(tmp_path)} & set(found)


def test_a_record_that_takes_all_memory_is_singled_out() -> None:
    pieces = list(bisect(isolated(suspects.takes_all_memory, KILLS_BEFORE_ISOLATION), 4))
    assert [piece.start for piece in pieces if isinstance(piece.result, Failure)] == [2]


def test_a_process_that_never_comes_up_is_no_record_s_fault() -> None:
    with pytest.raises(CurateError, match="died as it started"):
        list(bisect(isolated(suspects.CannotBeRead(), KILLS_BEFORE_ISOLATION), 4))


@pytest.mark.parametrize("name", sorted(READERS))
def test_readers_can_be_sent_to_it_to_open_pictures(name: str) -> None:
    reader = reader_named(name)
    assert type(pickle.loads(pickle.dumps(reader))) is type(reader)


def test_evidence_of_an_error_is_the_same_apart_and_in_a_worker() -> None:
    def failures(attempt: int) -> list[str]:
        pieces = bisect(isolated(suspects.raises_on_three, attempt), 6)
        return [piece.result.evidence for piece in pieces if isinstance(piece.result, Failure)]

    assert failures(0) == failures(KILLS_BEFORE_ISOLATION) != []
