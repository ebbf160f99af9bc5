"""A lock in a bucket: an object that its holder keeps changing. Who sees it change for nobody any more may take it.

The object stays when the lock is given back, since it also says what the folder is. No clocks are compared: who wants
the lock watches, on its own clock, whether the object changes.
"""

import errno
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from sources.storage.bucket_requests import Bucket, Found
from sources.storage.folder import InUseError, StoreError
from sources.storage.store_errors import UnsupportedError

REFRESH_S = 10.0
WATCH_S = 45.0
"""A holder that changes nothing for so long, four refreshes, is dead or cannot reach the bucket."""
LOOK_S = 2.0


@contextmanager
def held(
    bucket: Bucket,
    key: str,
    refresh_s: float = REFRESH_S,
    watch_s: float = WATCH_S,
    machine: str | None = None,
) -> Iterator[None]:
    """Hold the object `key`.

    Raises:
        InUseError: a holder is alive, or took the lock from us because it could not see that we are.
        StoreError: the bucket cannot be used now.
    """
    lease = _Lease(
        bucket, key, {"token": uuid.uuid4().hex, "host": socket.gethostname(), "machine": machine or _machine()}
    )
    lease.take(watch_s)
    _leases[bucket, key] = lease
    ended = threading.Event()
    thread = threading.Thread(target=lease.keep, args=(ended, refresh_s), name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _leases.pop((bucket, key), None)
        lease.give_back()
    if lease.lost:
        raise InUseError(LOST)


def expect_held(bucket: Bucket, key: str) -> None:
    """Ask the bucket whether the object `key` is still held by this process, where it ever was.

    Before anything that a new holder would not want to happen: whoever is slow enough to lose a lock learns it here,
    and not once the harm is done. What follows within a few seconds is safe, since a new holder watches for longer.

    Raises:
        InUseError: somebody else has it, or the object is gone.
        StoreError: that cannot be told now.
    """
    lease = _leases.get((bucket, key))
    if lease is not None and not lease.is_ours():
        raise InUseError(LOST)


LOST = "another build took it over: this one had not answered for 45 s"


class _Lease:
    """What one process knows of the object, and what it has written into it."""

    def __init__(self, bucket: Bucket, key: str, holder: dict[str, Any]) -> None:
        self._bucket, self._key = bucket, key
        self._holder = {**holder, "pid": os.getpid(), "started": _started(os.getpid())}
        self._beat = 0
        self._known: Found | None = None
        self.lost = False

    def take(self, watch_s: float) -> None:
        """Become the holder.

        Raises:
            InUseError: there is one, and it lives.
        """
        while self._known is None:
            holder, seen = self._look()
            if seen is None:
                self._known = self._first()
            elif self._is_free(holder) or self._stays(seen, watch_s):
                self._known = self._over(seen)
            else:
                holder, seen = self._look()
                if not self._is_free(holder):
                    raise InUseError(f"on {holder['host']}, process {holder['pid']}")

    def is_ours(self) -> bool:
        """Whether the object still names us; once it does not, it is lost for good."""
        if not self.lost and self._if_ours() is None:
            self.lost = True
        return not self.lost

    def keep(self, ended: threading.Event, refresh_s: float) -> None:
        """Change the object every few seconds until told to end, or until somebody else has it or has deleted it."""
        while not ended.wait(refresh_s):
            with suppress(StoreError):  # out of reach for now: whoever watches gives us four refreshes
                known = None if self._known is None else self._over(self._known)
                if known is None:
                    self.lost = True
                    return
                self._known = known

    def give_back(self) -> None:
        """Say that nobody holds it. A holder that cannot say so any more is found dead by those who look."""
        if self._known is not None and not self.lost:
            self._holder["token"] = None
            with suppress(StoreError):
                self._over(self._known)

    def _first(self) -> Found | None:
        """Make the object; None where somebody else was faster."""
        try:
            return self._bucket.put_new(self._key, self._document())
        except FileExistsError:
            return self._if_ours()  # or it is ours, and only the answer was lost
        except UnsupportedError:
            return self._unconditionally()

    def _over(self, known: Found) -> Found | None:
        """Write over the version that is known; None where somebody else was faster, or has deleted it."""
        self._beat += 1
        try:
            return self._bucket.put_over(self._key, self._document(), known)
        except FileNotFoundError:
            return None
        except StoreError as error:
            if error.errno != errno.ESTALE:
                raise
            return self._if_ours()
        except UnsupportedError:
            return self._unconditionally()

    def _unconditionally(self) -> Found | None:
        """On a store without conditions the last of those who write at the same moment has it, and all see that."""
        self._bucket.put(self._key, self._document())
        time.sleep(LOOK_S)
        return self._if_ours()

    def _if_ours(self) -> Found | None:
        holder, seen = self._look()
        return seen if holder.get("token") == self._holder["token"] else None

    def _look(self) -> tuple[dict[str, Any], Found | None]:
        """What the object says, and its version; no version where there is none."""
        try:
            data, found = self._bucket.fetch(self._key, 0, 2**16)
            document = orjson.loads(data or b"{}")
        except FileNotFoundError:
            return {}, None
        except orjson.JSONDecodeError:  # somebody else's, or a local run that was copied here: nobody holds it
            return {}, found
        return (document if isinstance(document, dict) else {}), found

    def _is_free(self, holder: dict[str, Any]) -> bool:
        """Whether nobody holds it, or a process of this machine that has ended."""
        if not holder.get("token"):
            return True
        return holder.get("machine") == self._holder["machine"] and holder.get("started") != _started(holder["pid"])

    def _stays(self, seen: Found, watch_s: float) -> bool:
        """Whether the object does not change for a while. Of this machine's processes it is known at once."""
        deadline = time.monotonic() + watch_s
        holder, now = self._look()
        if holder.get("machine") == self._holder["machine"]:
            return False
        while now is not None and now.etag == seen.etag:
            if time.monotonic() > deadline:
                return True
            time.sleep(min(LOOK_S, watch_s / 10))
            now = self._look()[1]
        return False

    def _document(self) -> bytes:
        return orjson.dumps({**self._holder, "beat": self._beat})


_leases: dict[tuple[Bucket, str], _Lease] = {}
"""What this process holds."""


def _machine() -> str:
    """This boot of this machine, as its processes see each other: containers have numbers of their own."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{boot.read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return uuid.uuid4().hex  # not to be recognised: everybody watches


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the boot: numbers of processes are used again; None where there is none."""
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, ValueError, IndexError):
        return None
