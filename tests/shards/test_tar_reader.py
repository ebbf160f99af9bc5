import hashlib
import io
import os
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.tar import TarError, member_header
from shards.tar_reader import Member, MemberFile, TarReader
from tests.shards.conftest import key_of, raw_tar

MEMBERS = [(f"{key_of(number)}.png", os.urandom(size)) for number, size in enumerate([0, 700, 512, 3])]
ARCHIVE = raw_tar(MEMBERS)


def read(data: bytes, max_loaded_bytes: int = 2**20) -> list[Member]:
    return list(TarReader(io.BytesIO(data), len(data), max_loaded_bytes).members())


def test_members_come_back_in_order_with_their_places() -> None:
    members = read(ARCHIVE)
    assert [(member.name, member.data) for member in members] == MEMBERS
    assert all(ARCHIVE[m.offset : m.offset + m.size] == m.data for m in members)


def test_an_archive_without_members_is_whole() -> None:
    assert read(raw_tar([])) == []


@given(st.integers(0, len(ARCHIVE) - 1), st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_is_an_error_or_in_the_data(at: int, bit: int) -> None:
    damaged = bytearray(ARCHIVE)
    damaged[at] ^= 1 << bit
    try:
        members = read(bytes(damaged))
    except TarError:
        return
    assert any(member.offset <= at < member.offset + member.size for member in members)


@given(st.integers(0, len(ARCHIVE) - 1))
@settings(max_examples=100, deadline=None)
def test_an_archive_cut_anywhere_is_called_truncated(length: int) -> None:
    with pytest.raises(TarError, match="truncated"):
        read(ARCHIVE[:length])


@pytest.mark.parametrize("garbage", [b"x", bytes(512), bytes(10_240), raw_tar(MEMBERS)])
def test_bytes_after_the_end_are_an_error(garbage: bytes) -> None:
    with pytest.raises(TarError, match=rf"{len(garbage)} bytes follow the end of archive at byte {len(ARCHIVE)}"):
        read(ARCHIVE + garbage)


def test_the_digest_covers_the_whole_file_even_after_an_error() -> None:
    damaged = ARCHIVE[:100] + b"\xff" + ARCHIVE[101:] + b"garbage"
    reader = TarReader(io.BytesIO(damaged), len(damaged), 2**20)
    with pytest.raises(TarError, match="header at byte 0"):
        list(reader.members())
    assert reader.drain() == (hashlib.sha256(damaged).hexdigest(), len(damaged))


def test_a_size_beyond_the_file_is_neither_allocated_nor_read() -> None:
    liar = member_header("a.png", 8 * 2**30 - 1) + bytes(1024)
    tracemalloc.start()
    with pytest.raises(TarError, match="needs 8589934591 bytes, the file has 1024 more"):
        read(liar, max_loaded_bytes=2**40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_member_above_the_limit_is_passed_over_without_its_data() -> None:
    small, large = read(raw_tar([("a.png", b"1234"), ("b.png", bytes(3 * 2**20))]), max_loaded_bytes=4)
    assert small.data == b"1234"
    assert (large.data, large.size) == (None, 3 * 2**20)


def test_a_file_that_shrinks_while_it_is_read_is_an_error() -> None:
    with pytest.raises(TarError, match="became shorter"):
        list(TarReader(io.BytesIO(ARCHIVE[:700]), len(ARCHIVE), 2**20).members())


def test_a_member_is_a_file_of_its_own_from_its_first_byte_to_its_last() -> None:
    data = bytes(range(256)) * 8
    (small, member) = read(raw_tar([("a.png", b"1234"), ("b.png", data)]), max_loaded_bytes=4)
    assert small.data == b"1234"
    archive = io.BytesIO(raw_tar([("a.png", b"1234"), ("b.png", data)]))
    file = MemberFile(archive, member, 3000)
    assert file.readall() == data
    assert (file.seek(-6, io.SEEK_END), file.read(100)) == (2042, data[-6:])
    assert (file.seek(5000), file.read(1)) == (5000, b"")
    file.seek(0)
    with pytest.raises(OSError, match="more is read than a picture can have"):
        file.readall()
