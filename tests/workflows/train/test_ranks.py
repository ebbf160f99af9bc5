"""Ranks that wait for one of them."""

import socket
import time
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist
import torch.multiprocessing as processes

from workflows.train.ranks import Ranks


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
