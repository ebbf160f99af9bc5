"""Looking at many files: one after the other on a disk, several at once in a bucket, where each look is a request."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from sources.storage.folder import FileStat, Folder
from sources.storage.local import LocalFolder

AT_ONCE = 16
BATCH = 1024


def stats_of(folder: Folder, paths: Iterable[str]) -> Iterator[FileStat | None]:
    """What `Folder.stat` says of each path, in order."""
    if isinstance(folder, LocalFolder):
        yield from map(folder.stat, paths)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        left = iter(paths)
        while batch := list(islice(left, BATCH)):
            yield from pool.map(folder.stat, batch)
