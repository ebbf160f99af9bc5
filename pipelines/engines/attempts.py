"""How often a task is tried, whoever its workers are, and in which order tasks are given out."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

from pipelines.errors import CurateError
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.session import Task

TASK_S = 3600.0
"""A worker that has not answered by then hangs. A fragment takes seconds; steps that need longer say `deadline_s`."""
LOSSES_WITHOUT_BLAME = 3
"""A node may die under a task so often; a task that goes on losing nodes may be what kills them."""


@dataclass(frozen=True)
class Try:
    """A task, its number, and how many workers it has killed, and nodes it was lost with, so far."""

    number: int
    task: Task
    killed: int = 0
    lost: int = 0

    @property
    def suspect(self) -> bool:
        """Whether it was worked on by a worker that died."""
        return self.killed > 0

    @property
    def deadline_s(self) -> float:
        """How long a worker may take. No end where the task knows no other way, or sets its own deadlines by now."""
        if self.killed >= KILLS_BEFORE_ISOLATION or getattr(self.task, "again", None) is None:
            return math.inf
        step = getattr(self.task, "step", None)
        return float(getattr(self.task, "deadline_s", getattr(step, "deadline_s", TASK_S)))

    def after_hang(self) -> "Try":
        """The task as it is tried again after its deadline: apart at once, where each record has a deadline."""
        trying = self
        while trying.killed < KILLS_BEFORE_ISOLATION:
            trying = trying.after_death("hung")
        return trying

    def after_death(self, how: str) -> "Try":
        """The task as it is tried again: apart from others, where it knows how, once it has killed three workers.

        Raises:
            CurateError: it kills every worker it is given; `how` says what is known of the last death.
        """
        killed = self.killed + 1
        if killed > KILLS_BEFORE_ISOLATION:
            raise CurateError(
                f"{self.task.label}: its workers died {killed} times ({how})",
                "if the machine ran out of memory, use fewer --workers; the same command resumes",
            )
        again = getattr(self.task, "again", None)
        return replace(self, task=self.task if again is None else again(), killed=killed)

    def after_loss(self, how: str) -> "Try":
        """The task as it is tried again after its node went away: nobody's fault, if it does not go on and on.

        Raises:
            CurateError: as `after_death`.
        """
        if self.lost < LOSSES_WITHOUT_BLAME:
            return replace(self, lost=self.lost + 1)
        return self.after_death(how)


class Waiting:
    """The tasks that are not given out: those to be tried again first, then new ones, of which a few are known."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._source = (Try(number, task) for number, task in enumerate(tasks))
        self._known: deque[Try] = deque()

    def first(self) -> Try | None:
        """The next task, which stays here."""
        return self._known[0] if self.at_least(1) else None

    def take(self) -> Try:
        """The next task, which leaves."""
        return self._known.popleft()

    def put_back(self, trying: Try) -> None:
        """A task that is to be tried again comes first."""
        self._known.appendleft(trying)

    def at_least(self, count: int) -> bool:
        """Whether so many tasks are waiting; takes no more than these from where they come from."""
        self._known.extend(islice(self._source, max(count - len(self._known), 0)))
        return len(self._known) >= count
