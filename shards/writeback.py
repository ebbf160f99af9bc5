"""Asks the kernel to start writing to disk while a file is still being made, so that its fsync finds little left.

A whole shard otherwise waits in memory until fsync writes it. `sync_file_range` only starts writing: it waits for
nothing, promises nothing, and leaves errors for fsync to report, which a background fsync would swallow.
PostgreSQL flushes its checkpoints so (`pg_flush_data`). Linux has it, Python does not.
"""

import ctypes
import io
from typing import BinaryIO

_START_WRITING = 2  # SYNC_FILE_RANGE_WRITE


class Writeback:
    """Follows a file that is written from its present position on. Does nothing where the system cannot."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._descriptor, self._start = _descriptor_and_position(file)

    def start(self) -> None:
        """Start writing to disk what was written to the file since the last call."""
        if self._descriptor is None or _sync_file_range is None:
            return
        self._file.flush()
        position = self._file.tell()
        _sync_file_range(self._descriptor, self._start, position - self._start, _START_WRITING)
        self._start = position


def _descriptor_and_position(file: BinaryIO) -> tuple[int | None, int]:
    """A buffer in memory or a stream to object storage has neither."""
    try:
        return file.fileno(), file.tell()
    except (AttributeError, io.UnsupportedOperation, OSError):
        return None, 0


def _system_call() -> "ctypes._NamedFuncPointer | None":
    try:
        function = ctypes.CDLL(None).sync_file_range
    except AttributeError:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function


_sync_file_range = _system_call()
