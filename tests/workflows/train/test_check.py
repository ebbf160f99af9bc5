"""`curate train check` as a command; what it finds is in test_distributed.py."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from pipelines.errors import UsageError
from tests.workflows.train.minis import mini_file
from workflows.train.check import check


def processes_of(place: Path) -> list[int]:
    """Those that name a folder on their command line, ranks among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:  # it has ended
            continue
        if str(place).encode() in words and b"check_rank" in words:
            found.append(int(entry.parent.name))
    return found


def test_a_check_that_is_cut_off_ends_its_ranks_and_leaves_nothing(tmp_path: Path) -> None:
    def cut_off() -> None:
        while len(processes_of(tmp_path)) < 3:  # torchrun and two ranks
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    threading.Thread(target=cut_off, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        check(str(mini_file(tmp_path)), None, 2, tmp_path)
    assert processes_of(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["mini.yaml"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_weights_of_nobody_are_refused_with_or_without_gpus(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model of"):
        check("medgpt-oss-20b", tmp_path, 2, tmp_path)
