"""What runs in a Ray worker: it takes the session once, then works on tasks.

Nothing here raises, prints or logs: what Ray is told it may write to its logs, and show to whoever can reach it.
"""

import os
import pickle
import platform
import time
from dataclasses import dataclass
from typing import Any

from pipelines.errors import presentable
from pipelines.session import Session
from pipelines.versions import library_versions, plugin_versions
from sources.storage import LocalFolder, base_of

HUB_CACHES = frozenset({"HF_HOME", "HF_HUB_CACHE"})
"""Variables that name folders which only save fetching anew: each machine may have its own."""
MARK_SEEN_AFTER_S = 10.0
"""A network file system may show a new file to other nodes only after a while."""


@dataclass(frozen=True)
class Start:
    """What a worker begins with. Sent in memory from process to process, stored nowhere."""

    session: Session
    environment: dict[str, str]
    """Credentials and endpoints of storage, caches of the hub; on the machine of the driver, all of its environment."""
    directory: str
    """Where the command was given: relative paths start there."""
    mark: tuple[str, bytes] | None
    """A file of the run and its content, where the run is on a file system."""


@dataclass(frozen=True)
class Hello:
    """What a worker says of itself."""

    node: str
    address: str
    python: str
    versions: dict[str, str]
    plugins: dict[str, str]
    """Steps and readers of other packages that the build uses: whose they are here."""
    unseen: tuple[str, ...]
    """Places that it does not see, in words."""


class RayWorker:
    """An actor. Arguments come in pieces small enough to travel inside a call: no object store, no disk."""

    def __init__(self) -> None:
        _silence()
        self._pieces: list[bytes] = []
        self._session: Session | None = None

    def hold(self, *pieces: bytes) -> None:
        """Keep the first pieces of what the next call brings the last of."""
        self._pieces += pieces

    def begin(self, *pieces: bytes) -> bytes:
        """Take a `Start`; answers (True, Hello) or (False, the error)."""
        try:
            start: Start = self._whole(pieces)
            if os.path.isdir(start.directory):  # noqa: PTH112 - a name from another machine, no path of ours
                os.chdir(start.directory)
            os.environ.update(_usable_here(start.environment))
            self._session = start.session
            return pickle.dumps((True, _hello(start)))
        except BaseException as error:  # noqa: BLE001 - handed to the driver, which ends the run with it
            return pickle.dumps((False, presentable(error, "start of a worker")))

    def work(self, *pieces: bytes) -> bytes:
        """Run a task; answers (True, its commit) or (False, the error)."""
        label = "a task"
        try:
            task = self._whole(pieces)
            label = task.label
            assert self._session is not None, "it began"
            return pickle.dumps((True, task.run(self._session)))
        except BaseException as error:  # noqa: BLE001 - handed to the driver, which ends the run with it
            return pickle.dumps((False, presentable(error, label)))

    def _whole(self, pieces: tuple[bytes, ...]) -> Any:
        data = b"".join((*self._pieces, *pieces))
        self._pieces = []
        return pickle.loads(data)  # noqa: S301 - from our own driver, over Ray's connection


def _usable_here(environment: dict[str, str]) -> dict[str, str]:
    """All but the caches of the hub that this machine does not see: here its own stay in use."""
    return {
        name: value
        for name, value in environment.items()
        if name not in HUB_CACHES or os.path.isdir(value)  # noqa: PTH112 - a name from another machine
    }


def plugins_of(session: Session) -> dict[str, str]:
    """Whose the steps and readers of other packages are that the session uses, on this machine."""
    return plugin_versions(session.recipe.steps.others or (), (corpus.card.reader for corpus in session.corpora))


def _hello(start: Start) -> Hello:
    import ray

    return Hello(
        node=ray.get_runtime_context().get_node_id(),
        address=str(ray.util.get_node_ip_address()),  # type: ignore[no-untyped-call]
        python=platform.python_version(),
        versions=library_versions(),
        plugins=plugins_of(start.session),
        unseen=tuple(_unseen(start)),
    )


def _unseen(start: Start) -> list[str]:
    """Folders of the driver's machine that are not here, or are others here."""
    session = start.session
    unseen = []
    if start.mark is not None and not _sees(session, *start.mark):
        unseen.append(f"the run {session.work.folder.place}")
    for corpus in session.corpora:
        if isinstance(base_of(corpus.root), LocalFolder) and not corpus.root.exists():
            unseen.append(f"the folder of source {corpus.name}")
    for folder in session.work.reuse:
        if isinstance(folder, LocalFolder) and not folder.exists():
            unseen.append(f"the run {folder.place} (--reuse)")
    return unseen


def _sees(session: Session, path: str, content: bytes) -> bool:
    until = time.monotonic() + MARK_SEEN_AFTER_S
    while True:
        try:
            if session.work.folder.read(path) == content:
                return True
        except OSError:
            pass
        if time.monotonic() > until or not session.work.folder.exists():
            return False
        time.sleep(0.5)


def _silence() -> None:
    """What libraries print about what they read goes nowhere: Ray keeps the output of workers in files."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
