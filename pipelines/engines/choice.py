"""Which engine a command runs on, from what it was told."""

import os
from dataclasses import dataclass

from pipelines.engines.engine import Engine
from pipelines.engines.local import LocalEngine
from pipelines.errors import UsageError

LOCAL = "local"
RAY = "ray"


@dataclass(frozen=True)
class EngineChoice:
    """An engine that was asked for."""

    name: str = LOCAL
    address: str | None = None
    """Of a Ray cluster; None starts one on this machine."""
    cluster_workers: int | None = None
    """The most workers on a cluster that was there before; None takes one for each of its cores."""

    def make(self, workers: int) -> Engine:
        """The engine, with so many workers where they are on this machine. Ray is imported only if it is Ray.

        Raises:
            UsageError: no Ray cluster answers at the address.
        """
        if self.name == LOCAL:
            return LocalEngine(workers)
        from pipelines.engines.ray import RayEngine

        return RayEngine(self.address, workers if self.address is None else self.cluster_workers)


def chosen(name: str | None, address: str | None, workers: int | None) -> EngineChoice:
    """Ray where it is asked for, or where `--address` or RAY_ADDRESS name a cluster; else local.

    Raises:
        UsageError: an address for the local engine.
    """
    if name == LOCAL:
        if address is not None:
            raise UsageError("--address: the local engine has none", "leave out --engine local to use the cluster")
        return EngineChoice()
    address = address or os.environ.get("RAY_ADDRESS") or None
    if name is None and address is None:
        return EngineChoice()
    return EngineChoice(RAY, None if address == "local" else address, workers)
