"""Where files lie: folders of this machine and of object storage, read and written through one interface."""

from sources.storage.folder import (
    MAX_READ_BYTES,
    FileStat,
    Folder,
    InUseError,
    OutsideError,
    TooLargeError,
    is_absence,
)
from sources.storage.local import LocalFolder
from sources.storage.locations import folder_at, is_url

__all__ = [
    "MAX_READ_BYTES",
    "FileStat",
    "Folder",
    "InUseError",
    "LocalFolder",
    "OutsideError",
    "TooLargeError",
    "folder_at",
    "is_absence",
    "is_url",
]
