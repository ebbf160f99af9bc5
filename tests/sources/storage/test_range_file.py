"""The oracle of a file that is read in ranges is the same file in memory."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.storage.range_file import FIRST_BYTES, MOST_AHEAD_BYTES, RangeFile

DATA = bytes(range(1, 251)) * 1200  # 300,000 bytes, a line feed every 250


class Server:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def fetch(self, start: int, stop: int) -> bytes:
        self.asked.append((start, stop))
        return self.data[start:stop]

    def open(self) -> RangeFile:
        return RangeFile(self.fetch, self.data[:FIRST_BYTES], len(self.data))


MOVES = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 200_000)),
    st.tuples(st.just("readline"), st.integers(-1, 1000)),
    st.tuples(st.just("seek"), st.integers(0, 320_000)),
    st.tuples(st.just("back"), st.integers(0, 300_000)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(MOVES, max_size=12), st.integers(0, len(DATA)))
def test_any_reading_gives_what_the_file_holds(moves: list[tuple[str, int]], size: int) -> None:
    file, oracle = Server(DATA[:size]).open(), io.BytesIO(DATA[:size])
    for move, number in moves:
        if move == "seek":
            assert file.seek(number) == oracle.seek(number)
        elif move == "back":
            assert file.seek(-min(number, size), io.SEEK_END) == oracle.seek(-min(number, size), io.SEEK_END)
        else:
            assert getattr(file, move)(number) == getattr(oracle, move)(number), (move, number)
        assert file.tell() == oracle.tell()


def test_a_scan_takes_few_requests_and_each_byte_once() -> None:
    server = Server(bytes(100 * 2**20))
    file = server.open()
    while file.read(2**16):
        pass
    assert len(server.asked) <= 32
    assert sum(stop - start for start, stop in server.asked) == len(server.data) - FIRST_BYTES
    assert max(stop - start for start, stop in server.asked) == MOST_AHEAD_BYTES


def test_a_footer_costs_the_footer() -> None:
    server = Server(bytes(100 * 2**20))
    file = server.open()
    file.seek(-8, io.SEEK_END)
    file.read(8)
    file.seek(-(2**16), io.SEEK_END)
    file.read(2**16)
    assert sum(stop - start for start, stop in server.asked) <= 2 * 2**16


def test_a_server_that_gives_too_little_is_an_error() -> None:
    file = RangeFile(lambda start, _: b"x" * min(start, 1), b"", 100)
    with pytest.raises(OSError, match="less than there is"):
        file.read(10)


def test_a_closed_file_is_not_read() -> None:
    file = Server(DATA).open()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
    with pytest.raises(OSError, match="before the beginning"):
        Server(DATA).open().seek(-1)
