"""What an engine is: it runs tasks somewhere, a bounded number at a time, and hands back their commits."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from pipelines.session import Session, Task
from pipelines.work import Commit


class Engine(Protocol):
    """Runs tasks of one session. Which worker runs what, and in which order, never shows in any output."""

    name: str

    def start(self, session: Session) -> None:
        """Give workers the session. Called again when the session changes."""
        ...

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[int, Commit]]:
        """Yield (number of the task, its commit) as tasks finish; takes tasks only as workers become free.

        Raises:
            CurateError: what a task raised; the others are abandoned.
        """
        ...

    def close(self) -> None:
        """Stop the workers."""
        ...
