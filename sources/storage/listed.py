"""A folder of a bucket whose files were listed a moment ago: sizes and stamps are known without a request for each."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sources.storage.bucket import BucketFolder
from sources.storage.bucket_requests import Bucket
from sources.storage.folder import FileStat


@dataclass(frozen=True)
class Listing:
    """Files by path, sorted; 16 bytes each beside the path."""

    paths: tuple[str, ...]
    sizes: npt.NDArray[np.int64]
    stamps: npt.NDArray[np.int64]

    @classmethod
    def of(cls, stats: Iterable[FileStat]) -> "Listing":
        """The listing of these files."""
        by_path = sorted(stats, key=lambda stat: stat.path)
        return cls(
            tuple(stat.path for stat in by_path),
            np.array([stat.size for stat in by_path], np.int64),
            np.array([stat.stamp for stat in by_path], np.int64),
        )

    def stat(self, path: str) -> FileStat | None:
        """What was listed of a file, or None."""
        place = bisect_left(self.paths, path)
        if place == len(self.paths) or self.paths[place] != path:
            return None
        return FileStat(path, int(self.sizes[place]), int(self.stamps[place]))


@dataclass(frozen=True)
class ListedFolder(BucketFolder):
    """A folder that answers `stat` from a listing, in the process that made it.

    Sent elsewhere it is the plain folder: who reads a file later compares it with what was listed.
    """

    known: Listing | None = field(default=None, compare=False, repr=False)
    source: BucketFolder | None = field(default=None, compare=False, repr=False)
    """The folder that was listed: what an inventory says is not asked of the bucket."""

    def names(self) -> list[str]:
        """As the listed folder tells them."""
        return super().names() if self.source is None else self.source.names()

    def files(self, path: str = "") -> Iterator[FileStat]:
        """As the listed folder tells them."""
        return super().files(path) if self.source is None else self.source.files(path)

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """As the listed folder tells them."""
        return super().glob(patterns) if self.source is None else self.source.glob(patterns)

    def stat(self, path: str) -> FileStat | None:
        """Size and stamp as listed; of other files as they are."""
        listed = None if self.known is None else self.known.stat(path)
        return listed or super().stat(path)

    def __reduce__(self) -> tuple[type[BucketFolder], tuple[Bucket, str, str | None]]:
        return BucketFolder, (self.bucket, self.prefix, self.boundary)


def with_listing(folder: BucketFolder, stats: Iterable[FileStat]) -> ListedFolder:
    """The folder, with what is known of its files."""
    return ListedFolder(folder.bucket, folder.prefix, folder.boundary, Listing.of(stats), folder)
