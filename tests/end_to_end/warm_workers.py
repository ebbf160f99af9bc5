"""Worker processes that outlive the build they were started for, so that the next one need not import everything.

They are the local engine's own. Builds in a process of their own, as a user's are, start theirs.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines import plugins
from pipelines.engines.choice import LOCAL, EngineChoice
from pipelines.engines.engine import Engine
from pipelines.engines.local import LocalEngine
from pipelines.session import Session

OF_PYTEST = "PYTEST_CURRENT_TEST"


class _Warm(LocalEngine):
    """A local engine that is closed only where a worker still works or has died, or when it is ended."""

    def __init__(self, inherited: object) -> None:
        super().__init__(1)
        self.inherited = inherited
        self.building = False

    def start(self, session: Session) -> None:
        self.building = True
        if not all(worker.process.is_alive() for worker in self._workers):
            super().close()
        super().start(session)

    def close(self) -> None:
        self.building = False
        if any(worker.trying is not None for worker in self._workers):
            super().close()

    def end(self) -> None:
        super().close()


_warm: list[_Warm] = []
"""The one that is there, if any."""
_make = EngineChoice.make


@contextmanager
def warm_workers() -> Iterator[None]:
    """Within it, builds by the local engine have warm workers, if those would inherit what new ones would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EngineChoice, "make", _made)
        yield


@contextmanager
def installed(folders: Sequence[Path]) -> Iterator[None]:
    """Within it this process, and workers started by it, have the packages in these folders; no trace is left."""
    if not folders:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for folder in reversed(folders):
            patch.syspath_prepend(folder)
        try:
            yield
        finally:
            end_workers()
            _forget(folders)


def _forget(folders: Sequence[Path]) -> None:
    """As if nothing had ever been imported from there: another test has other code under the same name."""
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if origin is not None and any(folder in Path(origin).parents for folder in folders):
            del sys.modules[name]
    importlib.invalidate_caches()
    plugins._step.cache_clear()


def end_workers() -> None:
    """End those that are there."""
    while _warm:
        _warm.pop().end()


def _made(choice: EngineChoice, workers: int) -> Engine:
    if choice.name != LOCAL or any(engine.building for engine in _warm):
        return _make(choice, workers)
    inherited = {k: v for k, v in os.environ.items() if k != OF_PYTEST}, tuple(sys.path), Path.cwd()
    if not _warm or _warm[0].inherited != inherited:
        end_workers()
        _warm.append(_Warm(inherited))
    _warm[0].count = workers
    return _warm[0]
