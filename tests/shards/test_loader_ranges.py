import gc
import os
import zipfile
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.loader_ranges import MOST_RANGE_BYTES, Fetching, ShortReadError, Span, joined, open_shard
from sources.storage import LocalFolder

DATA = bytes(range(256)) * 40


class ZippedFolder(LocalFolder):
    """A folder whose files have no descriptor to read from."""

    def open(self, path: str) -> BinaryIO:
        return cast("BinaryIO", zipfile.ZipFile(self.root / "all.zip").open(path))


@pytest.fixture(params=["local", "zipped"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> LocalFolder:
    (tmp_path / "a.tar").write_bytes(DATA)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a.tar", DATA)
    return LocalFolder(tmp_path) if request.param == "local" else ZippedFolder(tmp_path)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 10**8), st.integers(1, 2 * MOST_RANGE_BYTES)), max_size=30),
    st.integers(0, 10**6),
)
def test_every_piece_lies_whole_in_a_span_and_no_gap_is_too_large(pieces: list[tuple[int, int]], gap: int) -> None:
    spans = joined(pieces, gap)
    for offset, size in pieces:
        assert any(span.start <= offset and offset + size <= span.stop for span in spans)
    for span in spans:
        inside = sorted((o, s) for o, s in pieces if span.start <= o and o + s <= span.stop)
        end = span.start
        for offset, size in inside:
            assert offset - end <= gap
            end = max(end, offset + size)
        assert end == span.stop
        assert span.stop - span.start <= MOST_RANGE_BYTES or (span.start, span.stop - span.start) in inside


def test_neighbours_are_one_read() -> None:
    assert joined([(1000, 24), (0, 1000), (1100, 10)], gap=100) == [Span(0, 1110)]
    assert joined([(0, 1000), (1101, 10)], gap=100) == [Span(0, 1000), Span(1101, 1111)]


def test_a_span_is_read_from_its_place(folder: LocalFolder) -> None:
    shard = open_shard(folder, "a.tar")
    assert (shard.size, shard.head) == (len(DATA), DATA[:512])
    spans = [Span(5000, 5100), Span(7, 9)]
    fetching = Fetching()
    assert fetching.begin(shard, spans) is None
    assert [fetching.finish(shard, span, None) for span in spans] == [DATA[5000:5100], DATA[7:9]]


def test_a_span_beyond_the_end_is_an_error(folder: LocalFolder) -> None:
    shard = open_shard(folder, "a.tar")
    with pytest.raises(ShortReadError):
        shard.read(Span(len(DATA) - 10, len(DATA) + 1))


def test_a_file_that_is_replaced_stays_the_one_that_was_opened(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(DATA)
    shard = open_shard(LocalFolder(tmp_path), "a.tar")
    (tmp_path / "b").write_bytes(bytes(len(DATA)))
    (tmp_path / "b").replace(tmp_path / "a.tar")
    assert shard.read(Span(1, 5)) == DATA[1:5]


def test_a_file_is_closed_when_nobody_holds_it_and_not_before(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(DATA)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    shard = open_shard(LocalFolder(tmp_path), "a.tar")
    read = shard.read
    del shard
    assert read(Span(0, 4)) == DATA[:4]
    del read
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
