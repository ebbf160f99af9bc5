"""Folders of object storage: prefixes of buckets on S3 and Google Cloud Storage."""

import errno
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import blake3

from sources.storage.bucket_globs import is_wild, matching
from sources.storage.bucket_requests import PART_BYTES, Bucket, Found
from sources.storage.folder import MAX_READ_BYTES, FileStat, Folder, OutsideError, StoreError, TooLargeError
from sources.storage.keys import resolved
from sources.storage.lease import expect_held, held
from sources.storage.range_file import FIRST_BYTES, RangeFile
from sources.storage.upload import Upload

COMPARED_BYTES = 2**20
_MD5 = re.compile(r"[A-Za-z0-9+/]{22}==")
MAX_COPY_BYTES = 5 * 2**30
"""What a server copies in one request."""


@dataclass(frozen=True)
class BucketFolder:
    """A prefix of a bucket. It holds names alone: each process makes its own connection from its environment.

    `boundary` is the prefix that paths with `..` may not leave (default: the folder itself).
    """

    bucket: Bucket
    prefix: str = ""
    boundary: str | None = None

    @property
    def place(self) -> str:
        """The URL."""
        return f"{self.bucket.url}/{self.prefix}".rstrip("/")

    def inside(self, path: str) -> "BucketFolder":
        """A folder in this one, with the same boundary."""
        boundary = self.prefix if self.boundary is None else self.boundary
        return BucketFolder(self.bucket, self.key(path.rstrip("/")), boundary)

    def exists(self) -> bool:
        """Whether anything is in it.

        Raises:
            StoreError: there is no such bucket, it may not be listed, or it cannot be reached.
        """
        return self._holds(self.prefix)

    def has_folder(self, path: str) -> bool:
        """Whether anything is under the path."""
        try:
            return self._holds(self.key(path.rstrip("/")))
        except (OutsideError, FileNotFoundError):
            return False

    def names(self) -> list[str]:
        """What lies directly in the folder, sorted; an object and a folder of one name are one."""
        objects, folders = self.bucket.level(self.prefix)
        return sorted({key[self._above :] for key in (*(row.key for row in objects), *folders)} - {""})

    def files(self, path: str = "") -> Iterator[FileStat]:
        """Every object under a path."""
        for row in self.bucket.walk(self.key(path)):
            if row.size or self._is_object(row.key):
                yield FileStat(row.key[self._above :], row.size, stamp_of(row.etag))

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """All objects that match any pattern, sorted by path; hidden ones are left out, and what is in a run."""
        found: dict[str, FileStat] = {}
        for pattern in patterns:
            if not is_wild(pattern):
                stat = self.stat(pattern)
                found.update({} if stat is None else {pattern: stat})
                continue
            for row in matching(self.bucket, self.prefix, pattern):
                if row.size or self._is_object(row.key):
                    path = row.key[self._above :]
                    found[path] = FileStat(path, row.size, stamp_of(row.etag))
        return [found[path] for path in sorted(found)]

    def listing(self, patterns: Sequence[str]) -> tuple[list[FileStat], list[str]]:
        """What `glob` lists, and the patterns that lead out of the boundary by `..`; there are no links in a bucket."""
        return self.glob(patterns), sorted(pattern for pattern in patterns if self._escapes(pattern))

    def stat(self, path: str) -> FileStat | None:
        """Size and stamp of an object, or None where there is none."""
        try:
            found = self.bucket.head(self.key(path))
        except (OutsideError, FileNotFoundError):
            return None
        return FileStat(path, found.size, stamp_of(found.etag))

    def open(self, path: str) -> BinaryIO:
        """Open an object for reading; it stays the version that it is now, or reading fails (ESTALE)."""
        key = self.key(path)
        head, found = self.bucket.fetch(key, 0, FIRST_BYTES)

        def fetch(start: int, stop: int) -> bytes:
            return self.bucket.fetch(key, start, stop, found.etag or None)[0]

        return cast("BinaryIO", RangeFile(fetch, head, found.size))

    def read(self, path: str, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The bytes of an object: one request for each 16 MiB.

        Raises:
            TooLargeError: it has more than `max_bytes`; 16 MiB at most were read to learn that.
        """
        key = self.key(path)
        first, found = self.bucket.fetch(key, 0, min(PART_BYTES, max_bytes + 1))
        if found.size > max_bytes:
            raise TooLargeError(found.size, max_bytes)
        parts = [first]
        for start in range(len(first), found.size, PART_BYTES):
            parts.append(self.bucket.fetch(key, start, start + PART_BYTES, found.etag or None)[0])
        data = b"".join(parts)
        if len(data) != found.size:
            raise StoreError(errno.EIO, f"{self.bucket.url}: the server gave less than there is", "try again")
        return data

    @contextmanager
    def writing(self, path: str, *, last: bool = True) -> Iterator[BinaryIO]:
        """Write an object that appears under its name whole, or not at all."""
        del last
        with self._uploading(path, None) as upload:
            yield upload

    def write(self, path: str, data: bytes, *, last: bool = True) -> None:
        """Write a small object: one request, which succeeds or changes nothing."""
        if len(data) <= PART_BYTES:
            self.bucket.put(self.key(path), data)
            return
        with self.writing(path, last=last) as file:
            file.write(data)

    def take(self, source: Folder, source_path: str, path: str) -> None:
        """Make `path` a copy of `source_path` in `source`: by the server within a bucket, else through this machine."""
        content = None
        if isinstance(source, BucketFolder):
            found = source.bucket.head(source.key(source_path))
            if source.bucket == self.bucket and found.size <= MAX_COPY_BYTES:
                self.bucket.copy(source.key(source_path), self.key(path))
                return
            content = found.content
        with source.open(source_path) as file, self._uploading(path, content) as copy:
            shutil.copyfileobj(file, copy, COMPARED_BYTES)

    def is_same(self, path: str, source: Folder, source_path: str) -> bool:
        """Whether `path` has the content of `source_path`; both are read only where nothing else tells."""
        try:
            here = self.bucket.head(self.key(path))
        except FileNotFoundError:
            if source.stat(source_path) is None:
                raise FileNotFoundError(errno.ENOENT, "the file to compare with is gone") from None
            return False
        if isinstance(source, BucketFolder):
            same = _compared(here, source.bucket.head(source.key(source_path)))
            if same is not None:
                return same
        there = source.stat(source_path)
        if there is None:
            raise FileNotFoundError(errno.ENOENT, "the file to compare with is gone")
        return there.size == here.size and self._has_bytes(path, source, source_path)

    def delete(self, path: str) -> None:
        """Delete an object; one that is not there is fine."""
        self.bucket.delete([self.key(path)])

    def delete_tree(self, path: str) -> None:
        """Delete everything under a path; nothing there is fine."""
        keys: list[str] = []
        for row in self.bucket.walk(self.key(path)):
            keys.append(row.key)
            if len(keys) == 1000:
                self.bucket.delete(keys)
                keys = []
        self.bucket.delete(keys)

    def clear_unfinished(self) -> None:
        """Nothing: parts of uploads that were killed are no objects. A lifecycle rule of the bucket removes them."""

    def bytes_used(self) -> int:
        """Bytes of all objects."""
        return sum(row.size for row in self.bucket.walk(self.prefix))

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Hold an object as a lock, among all machines that use the bucket."""
        return held(self.bucket, self.key(path))

    def expect_locked(self, path: str) -> None:
        """Whether a lock of this process is still its own: one request."""
        expect_held(self.bucket, self.key(path))

    def key(self, path: str) -> str:
        """The key of a path.

        Raises:
            OutsideError: it leads out of the boundary.
            FileNotFoundError: no object can have such a name.
        """
        return resolved(self.prefix, path, self.prefix if self.boundary is None else self.boundary)

    def _escapes(self, pattern: str) -> bool:
        try:
            self.key(pattern)
        except OutsideError:
            return ".." in pattern.split("/")
        except FileNotFoundError:
            return False
        return False

    @property
    def _above(self) -> int:
        """How many characters of a key come before the path."""
        return len(self.prefix) + 1 if self.prefix else 0

    def _holds(self, prefix: str) -> bool:
        return next(iter(self.bucket.walk(prefix)), None) is not None

    def _is_object(self, key: str) -> bool:
        """Whether an empty object is what it seems, and no mark that some tool put down for a folder (`key/`)."""
        try:
            self.bucket.head(key)
        except FileNotFoundError:
            return False
        return True

    def _has_bytes(self, path: str, source: Folder, source_path: str) -> bool:
        with self.open(path) as one, source.open(source_path) as other:
            while block := one.read(COMPARED_BYTES):
                if block != other.read(COMPARED_BYTES):
                    return False
        return True

    @contextmanager
    def _uploading(self, path: str, content: str | None) -> Iterator[BinaryIO]:
        upload = Upload(self.bucket, self.key(path), content)
        try:
            yield cast("BinaryIO", upload)
            upload.finish()
        except BaseException:
            upload.give_up()
            raise


def _compared(here: Found, there: Found) -> bool | None:
    """Whether two objects hold the same, as far as their descriptions tell.

    Equal ETags of equally large objects are equal content. Different ones say nothing: they also depend on how an
    object was uploaded, and how the server encrypts it.
    """
    if here.size != there.size:
        return False
    if here.content is not None and here.content == there.content:
        return True
    return True if here.etag and here.etag == there.etag else None


def stamp_of(etag: str) -> int:
    """A stamp of 63 bits that changes when the ETag does, with or without its quotes; never 0.

    An MD5 in base64, as Google's inventories have it, is taken for the ETag in hexadecimal that its server sends.
    """
    plain = etag.removeprefix("W/").strip('"')
    if plain.endswith("==") and _MD5.fullmatch(plain):
        plain = b64decode(plain).hex()
    digest = blake3.blake3(plain.encode()).digest(length=8)
    return int.from_bytes(digest, "little") >> 1 or 1
