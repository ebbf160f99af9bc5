"""Errors that end a command, with what the user can do about them and the exit status they mean."""

import errno
import os
import platform
import traceback
from pathlib import Path
from typing import ClassVar

from filters.modality_head import HeadError
from filters.tokens import TokenizerError
from filters.torch_file import WeightsError
from sources.identity import MissingIdKeyError
from sources.records import CorpusError
from sources.shipped import PackageError
from sources.storage.folder import StoreError

_HOUSE = Path(__file__).resolve().parent.parent
_ROOMS = frozenset({"sources", "filters", "dedup", "shards", "pipelines", "workflows"})


class CurateError(Exception):
    """The work failed. `hint` says what to do."""

    status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["CurateError"], tuple[str, str]]:
        return type(self), (self.message, self.hint)


class UsageError(CurateError):
    """Wrong usage or configuration: nothing was done."""

    status = 2


class BudgetError(CurateError):
    """More records were quarantined by errors than the recipe tolerates."""

    status = 4


class ConservationError(CurateError):
    """Counts do not balance: samples were lost or invented. Always a defect of a step."""


def presentable(error: BaseException, label: str) -> CurateError:
    """Any error as the user may see it.

    Ours are as they are; of others only their kind and the places in the code, since messages of libraries and
    names of files may hold what identifies a patient. `label` says what was being done.
    """
    if isinstance(error, CurateError):
        return error
    if isinstance(error, CorpusError):
        return CurateError(str(error))
    if isinstance(error, TokenizerError | MissingIdKeyError | WeightsError | HeadError | PackageError):
        return UsageError(str(error))
    if isinstance(error, OSError) and error.errno is not None:
        return _of_the_system(error, error.errno, label)
    if isinstance(error, MemoryError):
        return CurateError(
            f"{label}: out of memory", "use fewer --workers, or a machine with more; the same command resumes"
        )
    return _of_the_code(error, label)


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


def _of_the_code(error: BaseException, label: str) -> CurateError:
    """A module of others that is not there, or else a defect."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package and package not in _ROOMS:
        return CurateError(
            f"{label}: the module {package} is not installed on {platform.node() or 'this machine'}",
            "install the package it belongs to; where the build runs on a cluster, on every node",
        )
    places = ", ".join(code_locations(error))
    return CurateError(f"{label}: {type(error).__name__} at {places}", "this is a defect: please report it")


def _of_the_system(error: OSError, number: int, label: str) -> CurateError:
    """What storage says in our own words, or the system's number in its words."""
    if isinstance(error, StoreError):
        return CurateError(error.strerror or label, error.hint)
    return CurateError(f"{label}: {os.strerror(number)}", _what_to_do(number))


def _what_to_do(number: int) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, then run the same command again: it resumes"
    if number in (errno.EACCES, errno.EPERM):
        return "give this user the right to read the data and to write the run, then run the same command again"
    return "repair the cause, then run the same command again: it resumes"
