"""Paths of a folder as keys of a bucket: none leaves its folder, and none is another key than it says."""

import re

from sources.storage.folder import OutsideError

MAX_KEY_BYTES = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def leaves(path: str) -> bool:
    """Whether a path, as it is written, goes out of the folder it is under: absolute, or by `..`."""
    if path.startswith("/"):
        return True
    if ".." not in path:
        return False
    depth = 0
    for segment in path.split("/"):
        depth += -1 if segment == ".." else segment not in ("", ".")
        if depth < 0:
            return True
    return False


def resolved(folder: str, path: str, boundary: str) -> str:
    """The key of a path under a folder, both without slashes at their ends.

    `.` and `..` lead where they would lead on a disk without links. Empty segments are refused: `a//b` is another key
    than `a/b`, which it is not taken for, and cannot be asked for.

    Raises:
        OutsideError: the path is absolute, has an empty segment, or leaves the folder or the boundary.
        FileNotFoundError: no object can have such a key.
    """
    if leaves(path):
        raise OutsideError("leads out of its folder")
    segments = folder.split("/") if folder else []
    for segment in path.split("/") if path else []:
        if segment == "..":
            segments.pop()
        elif not segment:
            raise OutsideError("is absolute, or has an empty segment")
        elif segment != ".":
            segments.append(segment)
    key = "/".join(segments)
    if boundary and key != boundary and not key.startswith(boundary + "/"):
        raise OutsideError("leads out of its folder")
    if _CONTROL.search(key) or _too_long(key):
        raise FileNotFoundError(2, "not the name of an object")
    return key


def _too_long(key: str) -> bool:
    try:
        return len(key.encode()) > MAX_KEY_BYTES
    except UnicodeEncodeError:  # half a surrogate pair: not UTF-8
        return True


def bucket_and_prefix(rest: str) -> tuple[str, str]:
    """The bucket and the prefix of what follows `s3://`.

    Raises:
        ValueError: no bucket, or a prefix with empty, `.` or `..` segments. The message says what is wrong.
    """
    bucket, _, prefix = rest.partition("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]+", bucket):
        raise ValueError("names no bucket")
    prefix = prefix.strip("/")
    if prefix and any(segment in ("", ".", "..") for segment in prefix.split("/")):
        raise ValueError("has an empty, '.' or '..' segment")
    if _CONTROL.search(prefix) or _too_long(prefix):
        raise ValueError("is no name of objects")
    return bucket, prefix
