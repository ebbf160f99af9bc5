"""From what people write, a path or a URL, to a folder."""

import re
from os import PathLike, fspath
from pathlib import Path

from sources.storage.bucket import BucketFolder
from sources.storage.bucket_requests import Bucket
from sources.storage.folder import Folder
from sources.storage.hub import hub_folder
from sources.storage.keys import bucket_and_prefix
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
    text = fspath(place)
    url = _URL.match(text)
    if url is None:
        return LocalFolder(Path(place))
    if url[1] == "hf":
        try:
            return hub_folder(text[url.end() :])
        except ValueError as error:
            raise ValueError(f"{text}: {error}") from None
    if url[1] not in SCHEMES:
        raise ValueError(f"{text}: not a folder that can be used; give a path, or a URL of {' or '.join(SCHEMES)}")
    try:
        bucket, prefix = bucket_and_prefix(text[url.end() :])
    except ValueError as error:
        raise ValueError(f"{text}: {error}; give {url[1]}://bucket/prefix") from None
    return BucketFolder(Bucket(url[1], bucket), prefix)
