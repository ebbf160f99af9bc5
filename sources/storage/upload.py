"""Writing into a bucket: a file is one put, or parts that count only once all of them are there."""

import io
import threading
from collections.abc import Iterator
from queue import Full, Queue

from sources.storage.bucket_requests import PART_BYTES, Bucket, new_content

LOOK_S = 0.2
"""How often a waiting side looks whether the other one is still there."""


class GivenUpError(Exception):
    """The writer stopped: what was sent so far is to be thrown away."""


class Upload(io.RawIOBase):
    """A file that is written from beginning to end. Nothing is under its name before `finish`.

    Up to 16 MiB wait for `finish` and are put at once; more is sent in parts by a thread. Memory: about five parts,
    80 MiB.
    """

    def __init__(self, bucket: Bucket, key: str, content: str | None = None) -> None:
        super().__init__()
        self._bucket, self._key, self._content = bucket, key, content or new_content()
        self._held = bytearray()
        self._size = 0
        self._parts: Queue[bytes | GivenUpError | None] = Queue(1)
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The bytes written so far."""
        return self._size

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """Take the next bytes.

        Raises:
            OSError: an earlier part could not be sent.
        """
        view = memoryview(data).cast("B")
        for start in range(0, len(view), PART_BYTES):
            self._held += view[start : start + PART_BYTES]
            if len(self._held) >= PART_BYTES:
                self._send(bytes(self._held))
                self._held.clear()
        self._size += len(view)
        return len(view)

    def finish(self) -> None:
        """Make the file appear under its name.

        Raises:
            OSError: it could not be written; there is what was there before.
        """
        if self._thread is None:
            self._bucket.put(self._key, bytes(self._held), self._content)
        else:
            if self._held:
                self._send(bytes(self._held))
            self._send(None)
            self._thread.join()
            self._raise()
        self._held.clear()

    def give_up(self) -> None:
        """Leave nothing behind."""
        self._held.clear()
        thread = self._thread
        if thread is None:
            return
        while thread.is_alive():
            try:
                self._parts.put(GivenUpError(), timeout=LOOK_S)
                break
            except Full:
                continue
        thread.join()

    def _send(self, part: bytes | None) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
            self._thread.start()
        while True:
            self._raise()
            try:
                self._parts.put(part, timeout=LOOK_S)
            except Full:
                continue
            return

    def _run(self) -> None:
        try:
            self._bucket.put_parts(self._key, self._taken(), self._content)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that writes
            self._failure = error

    def _taken(self) -> Iterator[bytes]:
        while True:
            part = self._parts.get()
            if part is None:
                return
            if isinstance(part, GivenUpError):
                raise part
            yield part

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure
