"""What is written in a picture, read in a process of its own that is ended if it hangs.

The model is that of PyPI's `rapidocr-onnxruntime` (PP-OCRv4, Apache-2.0, weights in the package).
"""

import atexit
import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from filters.burned_in import Box, Grey

PACKAGE = "rapidocr_onnxruntime"
LINE_PX = 48
"""Height of a line as the reader's network takes it."""
_SCRIPT = Path(__file__).with_name("ocr_worker.py")
_START_S = 120.0
"""To import the libraries and load the models; 1 s on an idle machine."""
_READY = b'"ready"'
_CHUNK_BYTES = 2**20
Answer = TypeVar("Answer")


class OcrError(Exception):
    """The reader died, or did not come back in time. Says nothing of the picture."""


class StartError(ImportError):
    """The reader is installed, and does not start: its libraries or weights are broken, or memory is short."""


@dataclass(frozen=True)
class Line:
    """One line of writing: where, what it says, and how sure the reader is (0 to 1). Held in memory only."""

    box: Box
    text: str
    confidence: float


def is_installed() -> bool:
    """Whether the reader is there; nothing is imported."""
    return find_spec(PACKAGE) is not None and find_spec("onnxruntime") is not None


def read_writing(grey: Grey, timeout_s: float) -> list[Line]:
    """The lines of writing in a picture of H x W grey levels.

    What a busy machine or another picture did to the reader is not this picture's fault: it is asked twice, the second
    time with a reader of its own.

    Raises:
        OcrError: twice it took longer than `timeout_s`, or the reader died: the next picture gets a new one.
        StartError: the reader does not start.
        ImportError: the reader is not installed.
    """
    return _twice(lambda reader: reader.read(grey, timeout_s))


def read_lines(grey: Grey, lines: Sequence[Box], timeout_s: float) -> list[tuple[str, float]]:
    """What each line says and how sure the reader is: it does not look for lines itself.

    Raises:
        OcrError, StartError, ImportError: as `read_writing`.
    """
    return _twice(lambda reader: reader.read_lines(grey, lines, timeout_s))


def _twice(ask: "Callable[[_Reader], Answer]") -> "Answer":
    try:
        return ask(_reader())
    except OcrError:
        end_reader()
    try:
        return ask(_reader())
    except OcrError:
        end_reader()
        raise


def _reader() -> "_Reader":
    """This process's reader, started where there is none."""
    if not _READERS or not _READERS[0].alive:
        if not is_installed():
            raise ImportError(f"{PACKAGE} is not installed")
        end_reader()
        _READERS.append(_Reader())
        try:
            _READERS[0].wait_until_ready(_START_S)
        except OcrError:
            end_reader()
            raise StartError(f"{PACKAGE} is installed and does not start") from None
    return _READERS[0]


class _Reader:
    """A running reader of this process."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a library's last words may quote what it read
            env={**os.environ, "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"},  # it reports to Microsoft
            start_new_session=True,  # an interrupt is for the build: the reader ends when its input does
        )

    @property
    def alive(self) -> bool:
        """Whether it may be asked: it is this process's own (not one from before a fork), and runs."""
        return self.owner == os.getpid() and self._process.poll() is None

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait for its first word, which it says once its models are loaded.

        Raises:
            OcrError: it did not come.
        """
        deadline = time.monotonic() + timeout_s
        length = int.from_bytes(self._receive(8, deadline), "little")
        if length != len(_READY) or self._receive(length, deadline) != _READY:
            raise OcrError("died")

    def read(self, grey: Grey, timeout_s: float) -> list[Line]:
        """Ask, and wait.

        Raises:
            OcrError: the reader is of no further use.
        """
        height, width = grey.shape
        rows = self._answer(grey, {}, timeout_s)
        return [Line(_inside(row, width, height), str(row[4]), float(row[5])) for row in rows]

    def read_lines(self, grey: Grey, lines: Sequence[Box], timeout_s: float) -> list[tuple[str, float]]:
        """Ask about lines whose places are known, and wait.

        Raises:
            OcrError: the reader is of no further use.
        """
        places = [[one.left, one.top, one.right, one.bottom] for one in lines]
        return [(str(text), float(score)) for text, score in self._answer(grey, {"lines": places}, timeout_s)]

    def _answer(self, grey: Grey, asked: dict[str, Any], timeout_s: float) -> list[list[Any]]:
        height, width = grey.shape
        request = json.dumps({"height": height, "width": width, **asked}).encode() + b"\n" + grey.tobytes()
        deadline = time.monotonic() + timeout_s
        try:
            self._send(request, deadline)
            length = int.from_bytes(self._receive(8, deadline), "little")
            rows: list[list[Any]] = json.loads(self._receive(length, deadline))
        except (OSError, ValueError):
            raise OcrError("died") from None
        return rows

    def end(self) -> None:
        """Kill it, if it is ours, and forget its pipes."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _send(self, data: bytes, deadline: float) -> None:
        stdin = self._process.stdin
        assert stdin is not None, "it was opened as a pipe"
        os.set_blocking(stdin.fileno(), False)
        view = memoryview(data)
        while view:
            _wait(stdin.fileno(), select.POLLOUT, deadline)
            view = view[os.write(stdin.fileno(), view[:_CHUNK_BYTES]) :]

    def _receive(self, length: int, deadline: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None, "it was opened as a pipe"
        data = bytearray()
        while len(data) < length:
            _wait(stdout.fileno(), select.POLLIN, deadline)
            piece = os.read(stdout.fileno(), min(_CHUNK_BYTES, length - len(data)))
            if not piece:
                raise OcrError("died")
            data += piece
        return bytes(data)


def _wait(descriptor: int, event: int, deadline: float) -> None:
    waiting = select.poll()
    waiting.register(descriptor, event)
    if not waiting.poll(max(deadline - time.monotonic(), 0.0) * 1000):
        raise OcrError("did not come back in time")


def _inside(row: list[float], width: int, height: int) -> Box:
    left, top = max(math.floor(row[0]), 0), max(math.floor(row[1]), 0)
    return Box(left, top, min(math.ceil(row[2]), width), min(math.ceil(row[3]), height))


_READERS: list[_Reader] = []
"""This process's reader, or none."""


@atexit.register
def end_reader() -> None:
    """End this process's reader, if there is one."""
    while _READERS:
        _READERS.pop().end()
