"""A Ray cluster of several nodes on this machine, for tests: each node a raylet of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OBJECT_STORE_BYTES = 80 * 2**20
HEAD_STARTS = 3
ROOT = str(Path(__file__).resolve().parents[2])
KERNELS = str(Path(ROOT, "dedup", "kernels", "__pycache__"))
"""Where this checkout keeps its machine code: nodes have a copy of the code, and would compile it anew."""


class Nodes:
    """The nodes; the first holds the head, and a driver on this machine talks to the cluster through it."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.nodes: list[Any] = []

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    @property
    def client(self) -> str:
        """Where Ray's client server listens, if the head was given a `ray_client_server_port`."""
        return f"ray://127.0.0.1:{self.nodes[0]._ray_params.ray_client_server_port}"

    def add(self, **resources: Any) -> Any:
        self.nodes.append(self._cluster.add_node(object_store_memory=OBJECT_STORE_BYTES, **resources))
        return self.nodes[-1]

    def kill(self, node: Any) -> None:
        """SIGKILL to the raylet; its workers end when they miss it."""
        node.kill_raylet(check_alive=False)


@contextmanager
def ray_nodes(resources: Sequence[dict[str, Any]]) -> Iterator[Nodes]:
    """Start a cluster with these nodes. Its workers find the tests' own modules."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    folder = tempfile.mkdtemp(prefix="curate-nodes-", dir="/tmp")  # names of sockets must be short
    # The raylets' own environment is that of their workers. The head's address is written into RAY_TMPDIR/ray, which
    # Ray does not make, so that on a machine where Ray never ran before no cluster of tests would start.
    ours = {"PYTHONPATH": ROOT, "RAY_TMPDIR": folder}
    ours |= {"NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", KERNELS)}
    Path(folder, "ray").mkdir()
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    cluster = None
    try:
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        nodes = Nodes(cluster)
        start_head(nodes, {**resources[0], "include_dashboard": False}, folder)
        for wanted in resources[1:]:
            nodes.add(**wanted)
        yield nodes
    finally:
        if cluster is not None:
            cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def start_head(nodes: Nodes, wanted: dict[str, Any], folder: str) -> None:
    """Start the head, again if its server does not come up: on a busy machine Ray gives up after half a minute."""
    for attempt in range(HEAD_STARTS):
        try:
            nodes.add(**wanted, temp_dir=str(Path(folder, str(attempt))))
        except RuntimeError:
            if attempt + 1 == HEAD_STARTS:
                raise
        else:
            return
