"""Functions for the tests of isolation: the child imports them by name."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from sources.sealing import Seal


def counts_rows(start: int, stop: int) -> int:
    return stop - start


def kills_itself_on_five(start: int, stop: int) -> int:
    if start <= 5 < stop:
        os.kill(os.getpid(), signal.SIGKILL)
    return stop - start


def tells_its_process(start: int, stop: int) -> int:
    return os.getpid()


def raises_on_three(start: int, stop: int) -> int:
    if start <= 3 < stop:
        raise ValueError("MRN 0012345")
    return stop - start


def runs_out_of_disk(start: int, stop: int) -> int:
    raise OSError(28, "No space left on device")


def hangs(start: int, stop: int) -> int:
    time.sleep(600)
    return 0


def marks_when_it_wakes(start: int, stop: int, folder: Path) -> int:
    (folder / "started").write_text(str(os.getpid()))
    time.sleep(600)
    return 0


def tells_its_path(start: int, stop: int) -> list[str]:
    return sys.path


def takes_all_memory(start: int, stop: int) -> int:
    if start <= 2 < stop:
        raise MemoryError
    return stop - start


def takes_a_second(start: int, stop: int) -> int:
    time.sleep(1)
    return stop - start


class TakesASecond:
    """A step that says how long it may take."""

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.name, self.version, self.columns = "length", 1, ("source_key",)

    def parameters(self) -> dict[str, Any]:
        return {}

    def measure(self, samples: pa.Table) -> dict[str, pa.Table]:
        time.sleep(1)
        return {"length": pa.table({"length": pa.array([1] * samples.num_rows, pa.int32())})}


class HeavySeal(Seal):
    """Finds no memory as the first row is unsealed."""

    def unseal(self, key: bytes, sealed: bytes) -> bytes:
        raise MemoryError


class CannotBeRead:
    """Kills whoever unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (3,)

    def __call__(self, start: int, stop: int) -> int:
        return 0
