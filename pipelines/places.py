"""The places that a command was given, as folders."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.errors import CurateError, UsageError
from sources.storage import Folder, folder_at, is_url
from sources.storage.inventory import with_inventory
from sources.storage.inventory_file import InventoryError
from sources.storage.packed import archive_at
from sources.storage.zip_members import ArchiveError


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


def data_folder(place: str) -> Folder:
    """A folder given as `--data`, or an archive, which is read as if it had been unpacked.

    Raises:
        UsageError: a URL that cannot be used, or a file that is no archive that is read.
        CurateError: the archive cannot be read.
    """
    above, slash, name = place.rstrip("/").rpartition("/")
    try:
        packed = archive_at(folder_of(above or slash or ".", "--data"), name)
    except ArchiveError as error:
        raise CurateError(f"--data {above}{slash}{error}") from None
    if packed is None and not is_url(place) and Path(place).is_file():
        raise UsageError(
            f"--data {place}: is neither a folder nor a .zip, .tar, .tar.gz or .tgz",
            "give the folder that a file of records lies in; unpack archives of other forms",
        )
    return folder_of(place, "--data") if packed is None or folder_of(place).exists() else packed


def data_folders(places: Iterable[str], inventory: Path | None) -> tuple[Folder, ...]:
    """The folders and archives given as `--data`; those of buckets list what the inventory says, if there is one.

    Raises:
        UsageError: a URL or the inventory cannot be used.
        CurateError: an archive cannot be read.
    """
    folders = tuple(map(data_folder, places))
    if inventory is None:
        return folders
    try:
        return tuple(with_inventory(folders, inventory))
    except InventoryError as error:
        raise UsageError(f"--inventory {error}", "see docs/object_storage.md") from None
