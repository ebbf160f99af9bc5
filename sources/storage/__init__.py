"""Where files lie: folders of this machine and of object storage, read and written through one interface."""

from sources.storage.bucket import BucketFolder
from sources.storage.folder import (
    MAX_READ_BYTES,
    FileStat,
    Folder,
    InUseError,
    OutsideError,
    StoreError,
    TooLargeError,
    is_absence,
)
from sources.storage.inventory import InventoryFolder
from sources.storage.listed import with_listing
from sources.storage.local import LocalFolder
from sources.storage.locations import folder_at, is_url
from sources.storage.packed import base_of
from sources.storage.stats import stats_of
from sources.storage.stores import table_options

__all__ = [
    "MAX_READ_BYTES",
    "BucketFolder",
    "FileStat",
    "Folder",
    "InUseError",
    "InventoryFolder",
    "LocalFolder",
    "OutsideError",
    "StoreError",
    "TooLargeError",
    "base_of",
    "folder_at",
    "is_absence",
    "is_url",
    "stats_of",
    "table_options",
    "with_listing",
]
