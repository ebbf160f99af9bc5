import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.tar import (
    MAX_MEMBER_BYTES,
    TarError,
    TarWriter,
    archive_bytes,
    member_bytes,
    member_header,
    member_headers,
    parse_header,
)
from tests.shards.conftest import key_of

SIZES = [0, 1, 511, 512, 513, 8 * 1024, 10 * 1024, 2**20 + 1]


def written(members: list[tuple[str, bytes]]) -> tuple[bytes, int, str]:
    file = io.BytesIO()
    writer = TarWriter(file)
    for name, data in members:
        writer.add(name, data)
    sha256 = writer.finish()
    return file.getvalue(), writer.bytes, sha256


def members_of_sizes(sizes: list[int]) -> list[tuple[str, bytes]]:
    return [(f"{key_of(number)}.png", os.urandom(size)) for number, size in enumerate(sizes)]


def test_the_archive_is_the_one_gnu_tar_writes_byte_for_byte(tmp_path: Path) -> None:
    members = members_of_sizes(SIZES)
    for name, data in members:
        (tmp_path / name).write_bytes(data)
    plain = ["--format=ustar", "--mode=0644", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]
    names = [name for name, _ in members]
    result = subprocess.run(["tar", *plain, "-cf", "-", *names], cwd=tmp_path, capture_output=True, check=True)
    assert written(members)[0] == result.stdout


def test_gnu_tar_extracts_the_bytes_that_were_added(tmp_path: Path) -> None:
    members = members_of_sizes(SIZES)
    subprocess.run(["tar", "-xf", "-"], cwd=tmp_path, input=written(members)[0], check=True)
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == dict(members)


def test_headers_carry_no_time_no_owner_and_one_mode() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(members_of_sizes([5]))[0])) as archive:
        (info,) = archive.getmembers()
    assert (info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) == (0, 0, 0, "", "", 0o644)
    assert info.isreg()


@given(st.lists(st.integers(0, 2000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_tarfile_reads_back_any_members(sizes: list[int]) -> None:
    members = members_of_sizes(sizes)
    data, size, sha256 = written(members)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        read = [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    assert read == members
    assert size == len(data) == archive_bytes(sum(member_bytes(size) for size in sizes))
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert len(data) % 10_240 == 0


def test_an_offset_is_where_the_data_starts() -> None:
    file = io.BytesIO()
    writer = TarWriter(file)
    members = members_of_sizes(SIZES)
    offsets = [writer.add(name, data) for name, data in members]
    writer.finish()
    archive = file.getvalue()
    assert [archive[at : at + len(data)] for at, (_, data) in zip(offsets, members, strict=True)] == [
        data for _, data in members
    ]


@pytest.mark.parametrize("between", [0, 1, 127, 128, 300])
def test_a_name_is_taken_once(between: int) -> None:
    writer = TarWriter(io.BytesIO())
    for number in range(between + 1):
        writer.add(f"{key_of(number)}.json", b"{}")
    with pytest.raises(TarError, match=f"{key_of(0)}.json: is in the shard already"):
        add_last(writer, f"{key_of(0)}.json", b"{}")


def add_last(writer: TarWriter, name: str, data: bytes) -> None:
    """Whatever is wrong is told before the archive is whole."""
    writer.add(name, data)
    writer.finish()


@pytest.mark.parametrize(
    "name",
    [
        "1.2.840.113619.png",
        "a/b.png",
        f"{key_of(1)}.tiff",
        "x" * 200 + ".json",
        f"{key_of(1)}.json\n{key_of(2)}.json",
        f"{key_of(1)}.json\n",
    ],
)
def test_a_name_outside_the_rule_is_refused_and_writes_nothing(name: str) -> None:
    file = io.BytesIO()
    writer = TarWriter(file)
    with pytest.raises(TarError, match="sample id"):
        add_last(writer, name, b"")
    assert file.getvalue() == b""


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, MAX_MEMBER_BYTES)), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_many_headers_are_those_made_one_by_one(members: list[tuple[int, int]]) -> None:
    names = [f"{key_of(number)}.{'png' if number % 3 else '12.jpg'}" for number, _ in members]
    sizes = [size for _, size in members]
    one_by_one = b"".join(member_header(name, size) for name, size in zip(names, sizes, strict=True))
    assert member_headers(names, sizes).tobytes() == one_by_one


def test_a_header_holds_sizes_up_to_the_limit_of_ustar_and_no_further() -> None:
    header = member_header("a.png", MAX_MEMBER_BYTES)
    assert tarfile.TarInfo.frombuf(header, "ascii", "strict").size == MAX_MEMBER_BYTES == 8 * 2**30 - 1
    with pytest.raises(TarError, match="at most"):
        member_header("a.png", MAX_MEMBER_BYTES + 1)


@pytest.mark.parametrize("name", ["", "x" * 101, "ä.png"])
def test_a_header_holds_up_to_a_hundred_ascii_characters(name: str) -> None:
    assert member_header("x" * 100, 0)[:100] == b"x" * 100
    with pytest.raises(TarError, match="ASCII"):
        member_header(name, 0)
    with pytest.raises(TarError, match="ASCII"):
        member_headers(["a.png", name], [0, 0])


@given(st.integers(0, 511), st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_no_bit_of_a_header_can_flip_unnoticed(at: int, bit: int) -> None:
    header = bytearray(member_header(f"{key_of(1)}.json", 4711))
    header[at] ^= 1 << bit
    with pytest.raises(TarError):
        parse_header(bytes(header))


@pytest.mark.parametrize("size", [0, 1, 511])
def test_a_header_that_the_archive_ends_in_is_told(size: int) -> None:
    with pytest.raises(TarError, match=f"ends after {size} of its 512 bytes"):
        parse_header(member_header(f"{key_of(1)}.json", 4711)[:size])


def test_a_header_of_another_program_is_told_from_a_damaged_one() -> None:
    with pytest.raises(TarError, match="another program"):
        parse_header(tarfile.TarInfo("a.png").tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(TarError, match="checksum"):
        parse_header(os.urandom(512))
