import tarfile
from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.places import data_folder


@pytest.mark.parametrize("name", ["notes.jsonl", "notes.jsonl.gz", "notes.jsonl.zst", "notes.tar.zst"])
def test_a_file_that_is_no_archive_is_no_data_root(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=rf"{name}: is neither a folder nor a \.zip, \.tar, \.tar\.gz or \.tgz"):
        data_folder(str(tmp_path / name))


def test_an_archive_and_a_folder_are_data_roots(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.jsonl").write_text("{}")
    with tarfile.open(tmp_path / "packed.tar", "w") as tar:
        tar.add(tmp_path / "notes/a.jsonl", "a.jsonl")
    for name in ("notes", "packed.tar"):
        assert [stat.path for stat in data_folder(str(tmp_path / name)).glob(["*.jsonl"])] == ["a.jsonl"]
