from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines import labelled
from pipelines.labelled import AHEAD, collected


def folder_of(place: Path, count: int, suffix: str = "JPG") -> Path:
    for label in ("ct", "mri"):
        (place / label).mkdir()
        for number in range(count):
            Image.new("L", (8, 8), number).save(place / label / f"{number}.{suffix}")
    return place


def mean_of(picture: Any) -> Any:
    return np.array([picture.pixels.mean()])


@pytest.mark.parametrize("suffix", ["JPG", "png"])
def test_pictures_are_found_whatever_the_case_of_their_suffix(tmp_path: Path, suffix: str) -> None:
    found = collected([str(folder_of(tmp_path, 2, suffix))], {}, mean_of, {})
    assert found.labels == ["ct", "ct", "mri", "mri"]


def test_few_files_are_read_before_they_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, looked, most = [], [], []
    real = labelled._read

    def watched_read(one: Any) -> bytes:
        read.append(one)
        return real(one)

    def watched_look(picture: Any) -> Any:
        most.append(len(read) - len(looked))
        looked.append(picture)
        return mean_of(picture)

    monkeypatch.setattr(labelled, "_read", watched_read)
    found = collected([str(folder_of(tmp_path, 20))], {}, watched_look, {})
    assert len(found.labels) == len(read) == 40
    assert max(most) <= AHEAD + 1
