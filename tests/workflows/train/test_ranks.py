"""Ranks that wait for one of them."""

import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch.distributed as dist
import torch.multiprocessing as processes

from workflows.train.ranks import Ranks, ranks_of_environment


def work(rank: int, port: int, place: Path) -> None:
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2, timeout=timedelta(seconds=5))
    with Ranks(rank, rank, 2, 2).long_work():
        if rank == 0:
            time.sleep(8)
            (place / "done").touch()
    assert (place / "done").exists()
    (place / str(rank)).touch()


def test_ranks_wait_for_long_work_beyond_their_usual_time(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes.spawn(work, (port, tmp_path), nprocs=2)
    assert {path.name for path in tmp_path.iterdir()} == {"done", "0", "1"}


LAUNCHERS: dict[str, dict[str, str]] = {
    "torchrun": {"RANK": "5", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"},
    "DeepSpeed": {"RANK": "5", "LOCAL_RANK": "1", "LOCAL_SIZE": "4", "WORLD_SIZE": "8"},
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_rank_learns_its_place_from(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "LOCAL_SIZE", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert ranks_of_environment() == Ranks(0, 0, 1, 1)
    for name, value in LAUNCHERS[launcher].items():
        monkeypatch.setenv(name, value)
    assert ranks_of_environment() == Ranks(5, 1, 4, 8)
