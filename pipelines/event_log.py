"""`events.jsonl`: what happened and how long it took, a line an event, also of builds that were killed."""

import time
from contextlib import suppress
from typing import Any, BinaryIO

import orjson

from sources.storage import Folder, LocalFolder, StoreError

PUT_EVERY_S = 30.0


class EventLog:
    """Appends events to a file of a folder; in a bucket, where nothing can be appended, it is put anew at times."""

    def __init__(self, folder: Folder, path: str) -> None:
        self._folder, self._path = folder, path
        self._file: BinaryIO | None = None
        self._lines = bytearray()
        self._put = time.monotonic()
        if isinstance(folder, LocalFolder):
            self._file = _appended(folder, path)
        elif folder.stat(path) is not None:
            self._lines += folder.read(path)

    def add(self, kind: str, facts: dict[str, Any]) -> None:
        """Write one event. Facts hold counts and names of steps and sources, never names of records."""
        line = orjson.dumps({"time": round(time.time(), 3), "event": kind, **facts}) + b"\n"
        if self._file is not None:
            self._file.write(line)
            return
        self._lines += line
        if time.monotonic() - self._put > PUT_EVERY_S:
            with suppress(StoreError):  # a log is no reason to stop; what matters will say that the bucket is away
                self._upload()

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()
        else:
            self._upload()

    def _upload(self) -> None:
        self._folder.write(self._path, bytes(self._lines))
        self._put = time.monotonic()


def _appended(folder: LocalFolder, path: str) -> BinaryIO:
    """The file, opened at its end; a line that a killed run left unfinished is ended first."""
    place = folder.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    torn = place.exists() and place.stat().st_size > 0 and _last_byte(folder, path) != b"\n"
    file = place.open("ab", buffering=0)
    if torn:
        file.write(b"\n")
    return file


def _last_byte(folder: LocalFolder, path: str) -> bytes:
    with folder.open(path) as file:
        file.seek(-1, 2)
        return file.read(1)
