"""The Ray engine: a pool of actors on a Ray cluster, each with the session, given tasks one after the other.

Actors of our own rather than Ray tasks: the driver must know which task a worker died under, how often, and whether
the worker died or its node. Ray schedules the actors, starts their processes, watches nodes and moves the bytes.
"""

import contextlib
import os
import pickle
import secrets
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from pipelines.engines.attempts import Try, Waiting
from pipelines.engines.needs import Need, need_of
from pipelines.engines.ray_cluster import checked_address, connected
from pipelines.engines.ray_worker import HUB_CACHES, Hello, RayWorker, Start, plugins_of
from pipelines.errors import CurateError, UsageError
from pipelines.session import Session, Task
from pipelines.versions import library_versions
from pipelines.work import Commit
from sources.storage import LocalFolder

PIECE_BYTES = 90_000
"""Ray puts an argument of more than 100 KB into its object store, and so perhaps on a disk; ours hold raw names."""
PIECES_A_CALL = 64
"""Ray takes 10 MB of arguments within a call."""
WAIT_S = 1.0
LOOK_EVERY_S = 5.0
SAY_EVERY_S = 30.0
STILLBORN = 3
"""Workers that may die one after the other before they have said hello."""
FORWARDED = ("AWS_", "GOOGLE_", "CURATE_")
FORWARDED_NAMES = HUB_CACHES | frozenset(
    {"STORAGE_EMULATOR_HOST", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY",
     "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
)  # fmt: skip


@dataclass(eq=False)
class _Worker:
    """An actor, what it was given in order (the first is being worked on), and its hello until that has come."""

    actor: Any
    hello: Any
    node: str = ""
    given: deque[tuple[Any, Try]] = field(default_factory=deque)
    since: float = 0.0
    """When it began with the first, by the monotonic clock."""

    @property
    def answers(self) -> Any:
        """The reference to what it says next, or None."""
        return self.hello if self.hello is not None else self.given[0][0] if self.given else None


class RayEngine:
    """Workers on a Ray cluster: at most `workers`; None: one for each core that it has at the moment."""

    name = "ray"

    def __init__(self, address: str | None, workers: int | None) -> None:
        """Check that a cluster answers; it is joined, or one started, when the session comes.

        Raises:
            UsageError: no Ray cluster answers at the address.
        """
        self._address = None if address is None else checked_address(address)
        self._most = workers
        self._held = ExitStack()
        self._ray: Any = None
        self._session: Session | None = None
        self._mark: tuple[str, bytes] | None = None
        self._workers: list[_Worker] = []
        self._waiting = Waiting(())
        self._need = Need()
        self._gpus: float | None = None
        self._stillborn = 0
        self._wanted, self._looked, self._said = 0, -LOOK_EVERY_S, time.monotonic()

    def start(self, session: Session) -> None:
        """Join the cluster, or start one; give every worker the session.

        Raises:
            UsageError: the cluster is of another Ray or Python, or cannot be joined.
        """
        if self._ray is None:
            dashboard = self._held.enter_context(connected(self._address, self._most or 1))
            import ray

            self._ray = ray
            if dashboard:
                _say(f"Ray's dashboard, as long as this runs: http://{dashboard}")
        self._session = session
        self._mark = self._marked(session)
        for worker in self._workers:
            worker.hello = self._begin(worker.actor)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[int, Commit]]:
        """Yield commits as they come.

        Raises:
            CurateError: what a task raised, or a task that kills every worker it is given, or a lost cluster.
            UsageError: a worker that cannot do what the driver can: other libraries, another file system.
        """
        self._waiting, self._gpus = Waiting(tasks), None
        errors = self._ray.exceptions
        try:
            while self._feed():
                yield from self._collect()
        except (errors.RayError, ConnectionError) as error:
            raise CurateError(
                f"the Ray cluster was lost ({type(error).__name__})", "the same command resumes"
            ) from None
        finally:
            if any(worker.given for worker in self._workers):  # nobody waits for their answers any more
                self._dismiss()

    def close(self) -> None:
        """End the workers at once; leave the cluster, or end it if it was started here."""
        self._dismiss()
        if self._mark is not None and self._session is not None:
            with contextlib.suppress(OSError):
                self._session.work.folder.delete(self._mark[0])
        self._mark = self._ray = None
        self._held.close()

    def _feed(self) -> bool:
        """Give out what can be given; returns whether anything is waiting or under way."""
        trying = self._waiting.first()
        busy = any(worker.given for worker in self._workers)
        if trying is None:
            return busy
        need = self._need_of(trying.task)
        if need != self._need:
            if busy:
                return True
            self._dismiss()  # what they hold, the next may need
            self._need, self._looked = need, -LOOK_EVERY_S
        self._hire()
        while (trying := self._waiting.first()) is not None and self._need_of(trying.task) == self._need:
            worker = self._free_for(trying)
            if worker is None:
                break
            self._give(worker, self._waiting.take())
        return True

    def _need_of(self, task: Task) -> Need:
        """What a worker for a task gets. Of one `run` all have GPUs or none has: other devices, other numbers."""
        need = need_of(task)
        if need.gpus_optional and self._gpus is None:
            alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._gpus = max((resources.get("GPU", 0.0) for resources in alive), default=0.0)
            if need.gpus > self._gpus:
                _say(
                    f"{task.label}: no node has {need.gpus:g} GPU now, so this step uses the CPU to its end; "
                    "`device: cuda` waits for one"
                )
        return need.where_a_node_has(self._gpus or 0.0)

    def _free_for(self, trying: Try) -> _Worker | None:
        """An idle worker; or one that is at its last task, so that it need not wait for the driver.

        Not for a suspect, nor behind one: then it would not be known who killed the worker. And not if the
        workers that become idle first would find nothing left.
        """
        ready = [worker for worker in self._workers if worker.hello is None]
        idle = next((worker for worker in ready if not worker.given), None)
        if idle is not None or trying.suspect or not self._waiting.at_least(len(self._workers) + 1):
            return idle
        return next((worker for worker in ready if len(worker.given) == 1 and not worker.given[0][1].suspect), None)

    def _give(self, worker: _Worker, trying: Try) -> None:
        data = pickle.dumps(trying.task)
        if not worker.given:
            worker.since = time.monotonic()
        worker.given.append((self._send(worker.actor, "work", data, trying.task.label), trying))

    def _collect(self) -> Iterator[tuple[int, Commit]]:
        """Wait until some worker answers, or a second has passed."""
        ray = self._ray
        by_answer = {worker.answers: worker for worker in self._workers if worker.answers is not None}
        self._explain_waiting()
        answered, rest = ray.wait(list(by_answer), num_returns=1, timeout=WAIT_S)
        if answered and rest:
            answered += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        for answer in answered:
            found = self._receive(by_answer[answer], answer)
            if found is not None:
                yield found
        self._kill_hanging()

    def _kill_hanging(self) -> None:
        """End the workers whose task is past its deadline, and try it again apart."""
        for worker in [worker for worker in self._workers if worker.given]:
            answer, first = worker.given[0]
            late = time.monotonic() - worker.since > first.deadline_s
            if late and not self._ray.wait([answer], timeout=0)[0]:  # nor has it answered while nobody asked
                self._dispose(worker)
                self._waiting.put_back(first.after_hang())

    def _receive(self, worker: _Worker, answer: Any) -> tuple[int, Commit] | None:
        errors = self._ray.exceptions
        deaths = (errors.RayActorError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError)
        try:
            succeeded, value = pickle.loads(self._ray.get(answer))  # noqa: S301 - our own worker's, over Ray
        except deaths as error:
            self._bury(worker, error)
            return None
        if not succeeded:
            raise value
        if worker.hello is not None:
            self._check(value)
            worker.hello, worker.node, self._stillborn = None, value.node, 0
            return None
        _, trying = worker.given.popleft()
        worker.since = time.monotonic()
        return trying.number, value

    def _check(self, hello: Hello) -> None:
        """Whether a worker does what the driver would do.

        Raises:
            UsageError: it has other libraries, or does not see the run or a corpus.
        """
        ours = library_versions()
        for library, version in hello.versions.items():
            if library != "curate" and version != ours[library]:  # our own code came with the job
                raise UsageError(
                    f"node {hello.address}: has {library} {version}, here it is {ours[library]}",
                    "install the same versions on every node: they decide about bytes",
                )
        for plugin, origin in (plugins_of(self._session) if self._session is not None else {}).items():
            there = hello.plugins.get(plugin)
            if there != origin:
                has = f"no {plugin}" if there is None else f"{plugin} {there}"
                raise UsageError(
                    f"node {hello.address}: has {has}, here it is {origin}",
                    "install the same distribution on every node",
                )
        if hello.unseen:
            raise UsageError(
                f"node {hello.address}: does not see {', '.join(hello.unseen)}",
                "it is not on a shared file system: use s3:// or gs://, or a mount that every node has",
            )

    def _bury(self, worker: _Worker, error: BaseException) -> None:
        """Take leave of a worker that died, and try its tasks again."""
        self._dispose(worker)
        errors = self._ray.exceptions
        away = isinstance(error, errors.ActorUnavailableError | errors.NodeDiedError | errors.ObjectLostError)
        lost = away or (bool(worker.node) and worker.node not in self._nodes())
        how = "out of memory" if isinstance(error, errors.OutOfMemoryError) else "killed, crashed, or out of memory"
        if worker.hello is not None and not lost:
            self._stillborn += 1
            if self._stillborn > STILLBORN:
                raise CurateError(
                    f"workers die as they start ({type(error).__name__})",
                    "look at the memory of the nodes and at Ray's logs; the same command resumes",
                )
        if worker.given:
            first = worker.given[0][1]
            self._waiting.put_back(first.after_loss(how) if lost else first.after_death(how))

    def _dispose(self, worker: _Worker) -> None:
        """Take leave of a worker; what it was given behind its first task is given to others."""
        self._workers.remove(worker)
        self._end(worker)
        self._looked = -LOOK_EVERY_S
        for _, trying in reversed(list(worker.given)[1:]):
            self._waiting.put_back(trying)

    def _hire(self) -> None:
        """Workers for what is waiting, as many as the cluster has room for; those that found none are let go."""
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self._looked = time.monotonic()
            self._wanted = self._room()
        for worker in [worker for worker in self._workers if worker.hello is not None and not worker.given]:
            if len(self._workers) > self._wanted:
                self._workers.remove(worker)
                self._end(worker)
        if not self._workers:
            self._said = time.monotonic()
        starting = sum(worker.hello is not None for worker in self._workers)
        while len(self._workers) < self._wanted and self._waiting.at_least(starting + 1):
            starting += 1
            actor = self._ray.remote(RayWorker).options(
                num_cpus=self._need.cpus,
                num_gpus=self._need.gpus,
                scheduling_strategy="SPREAD",
                max_restarts=0,
                max_task_retries=0,
            )
            hired = actor.remote()
            self._workers.append(_Worker(hired, self._begin(hired)))

    def _room(self) -> int:
        """Workers that the nodes which are alive have cores and GPUs for, busy with others or not; one at least.

        Of those that need neither, one for each core.
        """
        total = self._ray.cluster_resources()
        cores = total.get("CPU", 0.0)
        room = cores / self._need.cpus if self._need.cpus else cores
        if self._need.gpus:
            on_gpus = total.get("GPU", 0.0) / self._need.gpus
            room = min(room, on_gpus) if self._need.cpus else on_gpus
        return max(1, int(min(room, self._most or room)))

    def _begin(self, actor: Any) -> Any:
        assert self._session is not None, "the engine was started"
        start = Start(self._session, self._environment(), os.getcwd(), self._mark)  # noqa: PTH109 - sent as text
        return self._send(actor, "begin", pickle.dumps(start), "start")

    def _environment(self) -> dict[str, str]:
        """What workers are to have of the driver's environment: on this machine all of it."""
        if self._address is None:
            return dict(os.environ)
        return {
            name: value for name, value in os.environ.items() if name.startswith(FORWARDED) or name in FORWARDED_NAMES
        }

    def _send(self, actor: Any, method: str, data: bytes, label: str) -> Any:
        """Call a method with data of any size, in calls that each stay within Ray's limits."""
        pieces = [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
        calls = [pieces[at : at + PIECES_A_CALL] for at in range(0, len(pieces), PIECES_A_CALL)]
        for call in calls[:-1]:
            actor.hold.options(name=label).remote(*call)
        return getattr(actor, method).options(name=label).remote(*calls[-1])

    def _nodes(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}

    def _explain_waiting(self) -> None:
        """While there is no worker at all, say every 30 s what is missing."""
        if any(worker.hello is None for worker in self._workers):
            self._said = time.monotonic()
            return
        if time.monotonic() - self._said < SAY_EVERY_S:
            return
        self._said = time.monotonic()
        total, free = self._ray.cluster_resources(), self._ray.available_resources()
        has = ", ".join(f"{total.get(kind, 0):g} {kind} ({free.get(kind, 0):g} free)" for kind in ("CPU", "GPU"))
        _say(
            f"waiting for a worker of {self._need}: the cluster has {len(self._nodes())} nodes with {has} in all; "
            "add nodes, end what holds them, or interrupt: the same command resumes"
        )

    def _marked(self, session: Session) -> tuple[str, bytes] | None:
        """Leave a file in the run that tells this very folder from another of the same name on another machine."""
        folder = session.work.folder
        if self._address is None or not isinstance(folder, LocalFolder):
            return None
        mark = self._mark or (f"work/tmp/ray-{secrets.token_hex(8)}", secrets.token_bytes(16))
        folder.write(mark[0], mark[1])
        return mark

    def _dismiss(self) -> None:
        for worker in self._workers:
            self._end(worker)
        self._workers = []

    def _end(self, worker: _Worker) -> None:
        if self._ray is not None and self._ray.is_initialized():
            with contextlib.suppress(self._ray.exceptions.RayError, ConnectionError, ValueError):
                self._ray.kill(worker.actor)


def _say(text: str) -> None:
    """Tell people; the progress bars, where there are any, move down for it."""
    print(text, file=sys.stderr, flush=True)
