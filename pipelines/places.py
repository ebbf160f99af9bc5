"""The places that a command was given, as folders."""

from pipelines.errors import UsageError
from sources.storage import Folder, folder_at


def folder_of(place: str, option: str = "") -> Folder:
    """The folder at a path or URL; `option` names where the user wrote it.

    Raises:
        UsageError: a URL that cannot be used.
    """
    try:
        return folder_at(place)
    except ValueError as error:
        raise UsageError(
            f"{option} {error}".strip(), "use a folder of this machine, s3://bucket/prefix or gs://"
        ) from None
