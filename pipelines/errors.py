"""Errors that end a command, with what the user can do about them and the exit status they mean."""

from typing import ClassVar


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
