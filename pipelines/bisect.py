"""One bad record never takes others with it: a failing batch is halved until the culprits stand alone."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import orjson

T = TypeVar("T")

PROGRAMMING_ERRORS = (NameError, ImportError, SyntaxError, NotImplementedError, MemoryError)
"""Never one record's fault: they end the run."""

_HOUSE = Path(__file__).resolve().parent.parent
_ROOMS = frozenset({"sources", "filters", "dedup", "shards", "pipelines", "workflows"})


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
        return cls(type(error).__name__, code_locations(error))


@dataclass(frozen=True)
class Piece(Generic[T]):
    """The rows `start:stop` of a batch and what became of them."""

    start: int
    stop: int
    result: T | Failure


def bisect(function: Callable[[int, int], T], rows: int) -> Iterator[Piece[T]]:
    """Call `function(start, stop)` on the whole batch, or on halves of what fails, in order.

    Raises:
        PROGRAMMING_ERRORS: as they are.
    """
    pending = [(0, rows)]
    while pending:
        start, stop = pending.pop()
        try:
            yield Piece(start, stop, function(start, stop))
        except PROGRAMMING_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - a record may make a step raise anything: it is quarantined
            if stop - start <= 1:
                yield Piece(start, stop, Failure.of(error))
                continue
            middle = (start + stop) // 2
            pending += [(middle, stop), (start, middle)]


def code_locations(error: BaseException) -> tuple[str, ...]:
    """`folder/file.py:line` of the frames in this project, and of the innermost frame wherever it is."""
    frames = traceback.extract_tb(error.__traceback__)
    places = []
    for number, frame in enumerate(frames):
        path = Path(frame.filename)
        if path.is_relative_to(_HOUSE) and path.relative_to(_HOUSE).parts[0] in _ROOMS:
            places.append(f"{path.relative_to(_HOUSE).as_posix()}:{frame.lineno}")
        elif number == len(frames) - 1:
            places.append(f"{path.name}:{frame.lineno}")
    return tuple(places)
