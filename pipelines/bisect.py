"""One bad record never takes others with it: a failing batch is halved until the culprits stand alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from filters.tokens import TokenizerError
from pipelines.errors import CurateError, code_locations
from sources.records import CorpusError

T = TypeVar("T")

PROGRAMMING_ERRORS = (NameError, ImportError, SyntaxError, NotImplementedError, MemoryError)
FATAL_ERRORS = (*PROGRAMMING_ERRORS, OSError, CurateError, CorpusError, TokenizerError)
"""Never one record's fault: a defect, the machine, the configuration. They end the run."""
OURS = ("pipelines/bisect.py:", "pipelines/isolation.py:")
"""Whoever calls a step, here or in a process of its own: what the ledger says of a record does not depend on it."""


@dataclass(frozen=True)
class Failure:
    """Why a record failed, without its content: exception type and code locations, innermost last."""

    exception: str
    locations: tuple[str, ...]

    @property
    def evidence(self) -> str:
        """JSON for the ledger."""
        return orjson.dumps({"exception": self.exception, "at": self.locations}).decode()

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Take type and places from an exception; never its message or values, which may hold PHI."""
        if isinstance(error, ToldError):
            return error.failure
        if isinstance(error, CrashedError):
            return cls(type(error).__name__, ())
        places = code_locations(error)
        return cls(type(error).__name__, tuple(place for place in places if not place.startswith(OURS)))


class CrashedError(Exception):
    """The process that worked on a batch died (a codec's segmentation fault, an out-of-memory kill), or hung.

    `reached` is what the function last told of how far it had come, or None.
    """

    def __init__(self, reached: Any = None) -> None:
        super().__init__()
        self.reached = reached


class ToldError(Exception):
    """An error of another process, of which only this much was told."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True)
class Piece(Generic[T]):
    """The rows `start:stop` of a batch and what became of them."""

    start: int
    stop: int
    result: T | Failure


def bisect(function: Callable[[int, int], T], rows: int) -> Iterator[Piece[T]]:
    """Call `function(start, stop)` on the whole batch, or on halves of what fails, in order.

    Raises:
        FATAL_ERRORS: as they are.
    """
    pending = [(0, rows)]
    while pending:
        start, stop = pending.pop()
        try:
            yield Piece(start, stop, function(start, stop))
        except FATAL_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - a record may make a step raise anything: it is quarantined
            if stop - start <= 1:
                yield Piece(start, stop, Failure.of(error))
                continue
            middle = (start + stop) // 2
            pending += [(middle, stop), (start, middle)]
