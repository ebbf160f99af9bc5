"""Files that come with this package: one that cannot be used ends a run, and no record is to blame."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PackageError(ImportError):
    """A file that comes with this package is missing or damaged. The message says what to do.

    An ImportError, so that a run ends with it: what a worker cannot do without is no record's fault.
    """


@contextmanager
def usable(what: str, file: Path) -> Iterator[None]:
    """Within it, whatever fails is the file's fault.

    Raises:
        PackageError: something failed; only memory that does not suffice is told as it is.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken archive raises whatever its first wrong byte leads to
        raise PackageError(
            f"{what}: {file.name} of this package cannot be used ({type(error).__name__}): it is damaged; "
            "install curate again"
        ) from None
