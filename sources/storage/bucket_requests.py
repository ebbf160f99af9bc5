"""Requests to a bucket: each is bounded in time, tried again where that may help, and fails with a number."""

import errno
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from sources.storage.folder import StoreError
from sources.storage.store_errors import AGAIN, NotSatisfiableError, told_apart
from sources.storage.stores import FIRST_PATIENCE_S, PATIENCE_S, store_of

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import GCSStore, S3Store

PART_BYTES = 16 * 2**20
"""Of a large upload. 10,000 parts, the most there may be, make 160 GB."""
PARTS_AT_ONCE = 2
DELETED_AT_ONCE = 1000
LISTED_AT_ONCE = 1000
CONTENT = "curate-content"
"""Metadata of every object we write: a name of its own for this content. The server copies it with the object, so that
a copy is known for one without reading both: ETags of a multipart upload and of its copy differ."""


T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """An object as the server describes it. `content` is our name for what is in it, if we wrote it."""

    size: int
    etag: str
    version: str | None = None
    content: str | None = None


@dataclass(frozen=True)
class Listed:
    """An object of a listing."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True)
class Bucket:
    """A bucket by name; the connection is made when it is needed, in the process that needs it."""

    scheme: str
    name: str

    @property
    def url(self) -> str:
        """As people write it."""
        return f"{self.scheme}://{self.name}"

    def head(self, key: str) -> Found:
        """Describe an object.

        Raises:
            FileNotFoundError: there is none.
            StoreError: it cannot be told now.
        """
        return self._persistently(lambda: _found(self._store().get(key, options={"head": True})))

    def fetch(self, key: str, start: int, stop: int, etag: str | None = None) -> tuple[bytes, Found]:
        """The bytes `start:stop` of an object, or what of them there is; `etag` says which version it must be.

        A connection that breaks off in the middle costs what was under way, not what came before.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: it cannot be had now, or is another version (ESTALE).
        """
        reading = _Reading(key, start, stop, etag)
        try:
            return self._persistently(lambda: reading.rest(self._store()))
        except NotSatisfiableError:  # an empty object has no ranges; or it was one a moment ago
            found = self.head(key)
            return (b"", found) if found.size <= start else self.fetch(key, start, stop, etag)

    def put(self, key: str, data: bytes, content: str | None = None) -> None:
        """Write an object in one request."""
        self._persistently(lambda: self._put(key, data, {"mode": "overwrite", "attributes": _attributes(content)}))

    def put_new(self, key: str, data: bytes) -> Found:
        """Write an object where there is none.

        Raises:
            FileExistsError: there is one. It may be ours, of a request whose answer was lost.
            UnsupportedError: the store cannot promise that.
        """
        with told_apart(self.url):
            return self._put(key, data, {"mode": "create"})

    def put_over(self, key: str, data: bytes, known: Found) -> Found:
        """Write an object over the version that we know.

        Raises:
            StoreError: ESTALE where it is another version by now, be it ours, of a request whose answer was lost.
            UnsupportedError: the store cannot promise that.
        """
        version = {"e_tag": known.etag, "version": known.version}
        with told_apart(self.url):
            return self._put(key, data, {"mode": {name: value for name, value in version.items() if value}})

    def put_parts(self, key: str, parts: Iterable[bytes], content: str) -> None:
        """Write a large object in parts; an exception out of `parts` leaves nothing behind and is raised again.

        Raises:
            StoreError: it could not be written; there is what was there before.
        """
        taken = _Taken(parts)
        options = {
            "attributes": _attributes(content), "use_multipart": True,
            "chunk_size": PART_BYTES, "max_concurrency": PARTS_AT_ONCE,
        }  # fmt: skip

        def upload() -> Found:
            return self._put(key, taken, options)

        try:
            self._persistently(upload, lambda: not taken.begun)
        except (StoreError, FileNotFoundError) as error:
            if self._holds(key, content):  # it is complete, and only the answer was lost
                return
            if isinstance(error, FileNotFoundError):
                raise StoreError(errno.EIO, f"{self.url}: an upload was lost", AGAIN) from None
            raise

    def copy(self, source_key: str, key: str) -> None:
        """Copy an object within the bucket, by the server.

        Raises:
            FileNotFoundError: there is no such source.
            StoreError: it cannot be done now, or not at all because it has more than 5 GiB.
        """
        self._persistently(lambda: self._store().copy(source_key, key))

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are fine."""
        for start in range(0, len(keys), DELETED_AT_ONCE):
            some = list(keys[start : start + DELETED_AT_ONCE])
            try:
                self._persistently(partial(self._delete, some))
            except FileNotFoundError:
                for key in some if len(some) > 1 else []:  # GCS deletes one by one and stops at the first that is gone
                    self.delete([key])

    def walk(self, prefix: str) -> Iterator[Listed]:
        """Every object under a prefix of whole names (without a trailing slash), a page at a time.

        The server says of a key `x/`, which some tools make for a folder, that it is an empty object `x`.
        """
        pages = _Pages(prefix)
        while rows := self._persistently(lambda: pages.next(self._store())):
            yield from (Listed(row["path"], row["size"], row["e_tag"] or "") for row in rows)

    def level(self, prefix: str) -> tuple[list[Listed], list[str]]:
        """Objects directly under a prefix, and the prefixes directly under it."""
        found = self._persistently(lambda: self._store().list_with_delimiter(prefix or None))
        rows = [Listed(row["path"], row["size"], row["e_tag"] or "") for row in found["objects"]]
        return rows, list(found["common_prefixes"])

    def _delete(self, keys: Sequence[str]) -> None:
        self._store().delete(keys)

    def _put(self, key: str, data: Any, options: dict[str, Any]) -> Found:
        made = self._store().put(key, data, **options)
        return Found(0, made["e_tag"] or "", made["version"])

    def _holds(self, key: str, content: str) -> bool:
        try:
            return self.head(key).content == content
        except FileNotFoundError:
            return False

    def _persistently(self, request: Callable[[], T], may_repeat: Callable[[], bool] = lambda: True) -> T:
        """Make a request that may be made twice, again and again where its answer breaks off.

        The store tries again by itself what fails before an answer begins, and tells us when its patience is over.
        """
        deadline = time.monotonic() + PATIENCE_S
        for number in count():
            try:
                with told_apart(self.url):
                    answer = request()
            except StoreError as error:
                if error.errno in _AWAY:
                    _away.add(self.url)
                if error.errno != errno.EIO or not may_repeat() or time.monotonic() > deadline:
                    raise
            else:
                _away.discard(self.url)
                return answer
            time.sleep(random.uniform(0, min(0.1 * 2**number, 15)))  # noqa: S311 - not a secret
        raise AssertionError("unreachable")

    def _store(self) -> "S3Store | GCSStore":
        """The connection, once the bucket has answered: what is wrong with it is told early, and as what it is."""
        store = store_of(self.scheme, self.name, FIRST_PATIENCE_S if self.url in _away else PATIENCE_S)
        with _first:
            if id(store) not in _answered:
                first = store_of(self.scheme, self.name, FIRST_PATIENCE_S)
                next(iter(first.list(".curate-is-there", chunk_size=1)), None)
                _answered[id(store)] = store
        return store


class _Reading:
    """A range that is being read, and what has come of it."""

    def __init__(self, key: str, start: int, stop: int, etag: str | None) -> None:
        self._key, self._place, self._stop, self._etag = key, start, stop, etag
        self.pieces: list[bytes] = []

    def rest(self, store: "S3Store | GCSStore") -> tuple[bytes, Found]:
        """Read what has not come yet."""
        options: GetOptions = {"range": (self._place, self._stop)}
        if self._etag:
            options["if_match"] = self._etag
        answer = store.get(self._key, options=options)
        found = _found(answer)
        self._etag = found.etag
        for piece in answer.stream(2**20):
            self.pieces.append(bytes(piece))
            self._place += len(piece)
        return b"".join(self.pieces), found


class _Pages:
    """The pages of a listing. Keys come in order: a page that breaks off is asked for again from the last one on."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix or None
        self._pages: Iterator[Sequence[ObjectMeta]] | None = None
        self._last: str | None = None

    def next(self, store: "S3Store | GCSStore") -> "Sequence[ObjectMeta]":
        """The next page; an empty one at the end."""
        if self._pages is None:
            self._pages = iter(store.list(self._prefix, offset=self._last, chunk_size=LISTED_AT_ONCE))
        try:
            rows = next(self._pages, [])
        except Exception:
            self._pages = None
            raise
        if rows:
            self._last = rows[-1]["path"]
        return rows


class _Taken:
    """Parts of an upload, and whether any was taken."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self.begun = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.begun = True
        return next(self._parts)


_answered: "dict[int, S3Store | GCSStore]" = {}
"""By identity, and held here, so that no later connection has the identity of one that answered."""
_AWAY = (errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.EREMOTEIO)
_away: set[str] = set()
"""Buckets that one request has waited for in vain: the next ones, which tidy up, do not wait as long again."""
_first = threading.Lock()


def new_content() -> str:
    """A name for the content of an object that is about to be written."""
    return uuid.uuid4().hex


def _attributes(content: str | None) -> dict[str, str]:
    return {CONTENT: content or new_content()}


def _found(answer: Any) -> Found:
    meta = answer.meta
    return Found(meta["size"], meta["e_tag"] or "", meta["version"], answer.attributes.get(CONTENT))
