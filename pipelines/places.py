"""The places that a command was given, as folders."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.errors import UsageError
from sources.storage import Folder, folder_at
from sources.storage.inventory import with_inventory
from sources.storage.inventory_file import InventoryError


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


def data_folders(places: Iterable[str], inventory: Path | None) -> tuple[Folder, ...]:
    """The folders given as `--data`; those of buckets list what the inventory says, if there is one.

    Raises:
        UsageError: a URL or the inventory cannot be used.
    """
    folders = tuple(folder_of(place, "--data") for place in places)
    if inventory is None:
        return folders
    try:
        return tuple(with_inventory(folders, inventory))
    except InventoryError as error:
        raise UsageError(f"--inventory {error}", "see docs/object_storage.md") from None
