import gc
import hashlib
import io
import os
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.hashed_output import BUFFER_BYTES, BUFFERS, HashedOutput


@given(
    st.lists(st.sampled_from([0, 1, 511, 70_000, BUFFER_BYTES - 1, BUFFER_BYTES, 3 * BUFFER_BYTES + 7]), max_size=12)
)
@settings(max_examples=40, deadline=None)
def test_file_and_digest_are_those_of_the_pieces_joined(sizes: list[int]) -> None:
    pieces = [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]
    file = io.BytesIO()
    output = HashedOutput(file)
    for number, piece in enumerate(pieces):
        if number % 3 == 2 and len(piece) <= BUFFER_BYTES:
            output.room(len(piece))[:] = piece
        else:
            output.write(piece if number % 3 else memoryview(piece))
    digest = output.finish()
    whole = b"".join(pieces)
    assert file.getvalue() == whole
    assert digest == hashlib.sha256(whole).hexdigest()


def test_a_piece_may_change_once_it_is_written() -> None:
    file = io.BytesIO()
    output = HashedOutput(file)
    piece = bytearray(b"first")
    output.write(memoryview(piece))
    piece[:] = b"later"
    assert output.finish() == hashlib.sha256(b"first").hexdigest()
    assert file.getvalue() == b"first"


class _FullDisk(io.RawIOBase):
    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_the_callers_error_and_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    output = HashedOutput(_FullDisk())  # type: ignore[arg-type]
    with pytest.raises(OSError, match="No space left"):
        output.write(os.urandom(BUFFERS * BUFFER_BYTES))
    del output
    gc.collect()
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(timeout=10)
    assert threading.active_count() == before
