"""From what people write, a path or a URL, to a folder."""

import re
from os import PathLike, fspath
from pathlib import Path

from sources.storage.folder import Folder
from sources.storage.local import LocalFolder

SCHEMES = ("s3", "gs")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def is_url(place: str | PathLike[str]) -> bool:
    """Whether it is written as a URL, of any scheme."""
    return _URL.match(fspath(place)) is not None


def folder_at(place: str | PathLike[str]) -> Folder:
    """The folder at a path or a URL (`s3://bucket/prefix`, `gs://bucket/prefix`); it need not exist.

    Raises:
        ValueError: a URL of another scheme, or without a bucket. The message says what is possible.
    """
    if not is_url(place):
        return LocalFolder(Path(place))
    raise ValueError(f"{fspath(place)}: not a folder that can be used; give a path")
