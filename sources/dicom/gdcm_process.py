"""GDCM at arm's length: it aborts the process on some broken frames, so it has a process of its own.

One helper a process, started for the first frame and kept. It costs 0.1 s once and about a millisecond per megabyte
of frame; in exchange no file can kill a worker of the build.
"""

import atexit
import json
import os
import select
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("gdcm_worker.py")
_TIMEOUT_S = 120
"""For one frame; the slowest lossless JPEG within `max_pixels` takes some seconds."""
_CHUNK_BYTES = 2**20


class GdcmError(Exception):
    """GDCM refused the frame, died of it, or did not come back."""


class _Helper:
    """A running helper process of this process."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],  # -P: nothing beside the script is importable
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt is for the build: the helper ends when its input does
        )

    def decode(self, frame: bytes, layout: dict[str, Any]) -> bytes | None:
        """The samples of one frame, or None where GDCM refuses it.

        Raises:
            GdcmError: the helper is of no further use.
        """
        request = json.dumps({**layout, "bytes": len(frame)}).encode() + b"\n"
        stdin = self._process.stdin
        assert stdin is not None, "it was opened as a pipe"
        try:
            stdin.write(request + frame)
            stdin.flush()
            length = int.from_bytes(self._read(8), "little", signed=True)
            return self._read(length) if length >= 0 else None
        except OSError:
            raise GdcmError("died") from None

    def _read(self, length: int) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None, "it was opened as a pipe"
        waiting = select.poll()
        waiting.register(stdout, select.POLLIN)
        data = bytearray()
        while len(data) < length:
            if not waiting.poll(_TIMEOUT_S * 1000):
                raise GdcmError("did not come back")
            piece = os.read(stdout.fileno(), min(_CHUNK_BYTES, length - len(data)))
            if not piece:
                raise GdcmError("died")
            data += piece
        return bytes(data)

    @property
    def alive(self) -> bool:
        """Whether it may be asked: it is this process's own (not one from before a fork), and runs."""
        return self.owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        """Kill it, if it is ours, and forget its pipes."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


_HELPERS: list[_Helper] = []
"""This process's helper, or none."""


@atexit.register
def end_helper() -> None:
    """End this process's helper, if there is one."""
    while _HELPERS:
        _HELPERS.pop().end()


def gdcm_samples(frame: bytes, layout: dict[str, Any]) -> bytes:
    """Decode one frame: `layout` as in pydicom's runner options, and `transfer_syntax`.

    Raises:
        GdcmError: GDCM cannot.
        ImportError: GDCM is not installed.
    """
    if not _HELPERS or not _HELPERS[0].alive:
        if find_spec("gdcm") is None:
            raise ImportError("python-gdcm is not installed")
        end_helper()
        _HELPERS.append(_Helper())
    try:
        samples = _HELPERS[0].decode(frame, layout)
    except GdcmError:
        end_helper()
        raise
    if samples is None:
        raise GdcmError("refused")
    return samples
