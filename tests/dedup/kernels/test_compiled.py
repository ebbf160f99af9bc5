import os
import runpy
from pathlib import Path

import pytest

from dedup.kernels import compiled

ADDING = """
from dedup.kernels.compiled import kernel

@kernel
def added(a, b):
    return a + b
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_cache_place", lambda: tmp_path / "kept")


def calls_without_compiling(file: Path) -> int:
    added = runpy.run_path(str(file))["added"]
    assert added(2, 3) == added.py_func(2, 3)
    return sum(added.stats.cache_hits.values())


def written(folder: Path, text: str, time_s: int) -> Path:
    file = folder / "room" / "adding.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (time_s, time_s))
    compiled._digest.cache_clear()
    return file


def test_a_copy_of_the_sources_elsewhere_finds_the_machine_code(tmp_path: Path) -> None:
    assert calls_without_compiling(written(tmp_path / "here", ADDING, 1)) == 0
    assert calls_without_compiling(written(tmp_path / "there", ADDING, 2)) == 1


def test_an_edited_kernel_is_compiled_anew_however_old_its_file(tmp_path: Path) -> None:
    assert calls_without_compiling(written(tmp_path, ADDING, 1)) == 0
    assert calls_without_compiling(written(tmp_path, ADDING.replace("a + b", "a - b"), 1)) == 0
