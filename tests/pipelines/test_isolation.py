import os
import pickle
import threading
import time

import pytest

from pipelines import isolation
from pipelines.bisect import Failure, Piece, bisect
from pipelines.errors import CurateError
from pipelines.isolation import KILLS_BEFORE_ISOLATION, CrashedError, isolated
from sources.readers.registry import READERS, reader_named
from tests.pipelines import suspects


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


def test_a_call_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    function = isolated(suspects.hangs, KILLS_BEFORE_ISOLATION)
    started = isolation._Apart._hire  # the child's own start has the long deadline
    monkeypatch.setattr(isolation._Apart, "_hire", lambda self: (started(self), _shorten(monkeypatch))[0])
    with pytest.raises(CrashedError):
        function(0, 1)


def _shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "DEADLINE_S", 0.2)


def test_a_process_that_never_comes_up_is_no_record_s_fault() -> None:
    with pytest.raises(CurateError, match="died as it started"):
        list(bisect(isolated(suspects.CannotBeRead(), KILLS_BEFORE_ISOLATION), 4))


@pytest.mark.parametrize("name", sorted(READERS))
def test_readers_can_be_sent_to_it_to_open_pictures(name: str) -> None:
    reader = reader_named(name)
    assert type(pickle.loads(pickle.dumps(reader))) is type(reader)
