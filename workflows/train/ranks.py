"""The processes of a run: which one this is, and the few words they exchange."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others: longer than writing a checkpoint takes."""
LONG = timedelta(hours=24)
"""How long while one of them rewrites a checkpoint: about 1 TB through one process for the full model."""


@dataclass(frozen=True)
class Ranks:
    """This process among `world`, as the standard environment says (RANK, LOCAL_RANK, WORLD_SIZE)."""

    rank: int
    local_rank: int
    local_world: int
    world: int

    @property
    def first(self) -> bool:
        """Whether this is the one that writes what is written once."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Its GPU, or the CPU where there is none."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def summed(self, values: Sequence[float]) -> list[float]:
        """The sums over all ranks, in double precision."""
        numbers = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(numbers)
        told: list[float] = numbers.tolist()
        return told

    def gathered(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order."""
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Return when all ranks have come here."""
        dist.barrier()

    @contextmanager
    def long_work(self) -> Iterator[None]:
        """Wait at the end of what one of them has hours to do.

        All meet first, in a group of gloo: making one waits for all, for no longer than the usual time.
        """
        group: Any = dist.new_group(timeout=LONG, backend="gloo")
        yield
        dist.barrier(group=group)
        dist.destroy_process_group(group)


def ranks_of_environment() -> Ranks:
    """What torchrun, DeepSpeed or another launcher set; one rank where nobody did."""

    def number(default: int, *names: str) -> int:
        return next((int(os.environ[name]) for name in names if name in os.environ), default)

    local_world = number(1, "LOCAL_WORLD_SIZE", "LOCAL_SIZE")  # the second is DeepSpeed's word
    return Ranks(number(0, "RANK"), number(0, "LOCAL_RANK"), local_world, number(1, "WORLD_SIZE"))
