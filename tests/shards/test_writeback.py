import io
from pathlib import Path

import pytest

from shards import writeback
from shards.writeback import Writeback


def test_each_call_covers_what_was_written_since_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int, int]] = []
    monkeypatch.setattr(writeback, "_sync_file_range", lambda _, start, size, flags: calls.append((start, size, flags)))
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"before")
        follower = Writeback(file)
        file.write(bytes(10))
        follower.start()
        file.write(bytes(7))
        follower.start()
    assert calls == [(6, 10, 2), (16, 7, 2)]


def test_the_kernel_accepts_the_call_and_the_file_is_what_was_written(tmp_path: Path) -> None:
    assert writeback._sync_file_range is not None
    data = bytes(range(256)) * 10_000
    with (tmp_path / "file").open("w+b") as file:
        follower = Writeback(file)
        file.write(data)
        follower.start()
        assert writeback._sync_file_range(file.fileno(), 0, len(data), 2) == 0
    assert (tmp_path / "file").read_bytes() == data


def test_a_file_without_a_descriptor_is_left_alone() -> None:
    file = io.BytesIO()
    follower = Writeback(file)
    file.write(b"data")
    follower.start()
    assert file.getvalue() == b"data"


def test_a_system_without_the_call_writes_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writeback, "_sync_file_range", None)
    with (tmp_path / "file").open("wb") as file:
        Writeback(file).start()
        file.write(b"data")
    assert (tmp_path / "file").read_bytes() == b"data"
