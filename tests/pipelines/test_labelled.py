from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines import labelled
from pipelines.errors import UsageError
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


def manifest_of(place: Path, *rows: str) -> Path:
    (place / "manifest.csv").write_text("\n".join(["path,modality,dataset", *rows]))
    return place


def test_pictures_that_are_not_there_are_counted_before_the_first_is_looked_at(tmp_path: Path) -> None:
    folder_of(tmp_path, 2)
    manifest_of(tmp_path, "ct/9.JPG,ct,a", "ct/0.JPG,ct,a", "mri/1.JPG,mri,a", "../ct/0.JPG,ct,a", "ct/8.JPG,cat,a")
    looked = []

    def look(picture: Any) -> Any:
        looked.append(picture)
        return mean_of(picture)

    found = collected([str(tmp_path)], {}, look, {})
    assert (found.labels, found.left_out) == (["ct", "mri"], {"cat": 1, "missing": 2})
    (tmp_path / "mri" / "1.JPG").unlink()
    looked.clear()
    with pytest.raises(UsageError, match="pictures of ct only"):
        collected([str(tmp_path)], {}, look, {}, least=2)
    assert looked == []
    (tmp_path / "ct" / "0.JPG").unlink()
    with pytest.raises(UsageError, match="4 are missing"):
        collected([str(tmp_path)], {}, look, {})


def test_paths_are_under_the_folder_above_where_none_is_under_the_manifests_own(tmp_path: Path) -> None:
    folder_of(tmp_path, 2)
    (tmp_path / "lists").mkdir()
    manifest_of(tmp_path / "lists", "ct/9.JPG,ct,a", "ct/0.JPG,ct,a")
    found = collected([str(tmp_path / "lists")], {}, mean_of, {})
    assert (found.labels, found.left_out) == (["ct"], {"missing": 1})


def test_a_picture_that_goes_while_others_are_looked_at_is_counted(tmp_path: Path) -> None:
    folder_of(tmp_path, 20)
    last = tmp_path / "mri" / "19.JPG"

    def look(picture: Any) -> Any:
        last.unlink(missing_ok=True)
        return mean_of(picture)

    manifest_of(tmp_path, "ct/0.JPG,ct,a", *(f"mri/{number}.JPG,mri,a" for number in range(20)))
    found = collected([str(tmp_path)], {}, look, {})
    assert (len(found.labels), found.left_out) == (20, {"missing": 1})


@pytest.mark.parametrize(("rows", "line"), [(["xray", "ct,ct/0.JPG"], 2), (["ct,ct/0.JPG", "", "ct,"], 4)])
def test_a_row_without_a_path_is_told_with_its_file_and_line(tmp_path: Path, rows: list[str], line: int) -> None:
    folder_of(tmp_path, 1)
    (tmp_path / "manifest.csv").write_text("\n".join(["modality,path", *rows]))
    with pytest.raises(UsageError, match=rf"manifest\.csv, line {line}: no path"):
        collected([str(tmp_path)], {}, mean_of, {})
