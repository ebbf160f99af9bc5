"""Workers that begin with everything imported: forks of a process that has done nothing but import.

The local engine starts new interpreters, which need two seconds each; those of builds in a process of their own are so.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

import pytest

from pipelines.engines import local


class _Worker(ForkServerProcess):
    """A worker in the environment of who starts it, as a new interpreter is, and not that of the process it forks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._environment = dict(os.environ)

    def run(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        pipe, _ = self._args  # type: ignore[attr-defined]
        self._target(pipe, os.getppid())  # type: ignore[attr-defined] # what it forks ends with who starts it


class _Context(ForkServerContext):
    Process = _Worker  # type: ignore[assignment]


_context = _Context()
_context.set_forkserver_preload(["pipelines.build"])


@contextmanager
def forked_workers() -> Iterator[None]:
    """Within it, workers of the local engine are forked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "_CONTEXT", _context)
        yield
