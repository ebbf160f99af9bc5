from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from filters.measure import Pictures
from filters.phi_pictures import Examination
from pipelines.phi.pictures import FOUND, LookTask
from pipelines.work import Work
from sources.pictures import Limits
from sources.storage import LocalFolder
from tests.pipelines.phi.wards import Ward

LOOKED_AT: list[str] = []


@dataclass(frozen=True)
class Counted(Examination):
    """Tells which pictures it looks at; one that is 13 pixels wide is not read in time at first."""

    def examine(self, image_id: str, data: bytes, frame: int, limits: Limits) -> dict[str, Any]:
        row = super().examine(image_id, data, frame, limits)
        first = image_id not in LOOKED_AT
        LOOKED_AT.append(image_id)
        return row | {"problem": "timeout"} if row["width"] == 13 and first else row


LOOK = Counted(writing=True, reading="none", timeout_s=60, verify=True)


@pytest.fixture(autouse=True)
def _nothing_looked_at() -> Iterator[None]:
    LOOKED_AT.clear()
    yield
    LOOKED_AT.clear()


def looked(ward: Ward, alive: list[int], look: Examination = LOOK) -> list[dict[str, Any]]:
    """What the step commits where these samples are still kept."""
    session, view = ward.measured(alive)
    commit = LookTask(look, view, 0).run(session)
    rows: list[dict[str, Any]] = ward.work.read(commit.parts[FOUND]).to_pylist()
    return rows


def test_no_picture_is_read_again_where_other_samples_are_kept(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [20, 21, 22, 23])
    every = looked(ward, [0, 1, 2, 3])
    assert len(LOOKED_AT) == 4
    assert looked(ward, [1, 2]) == every[1:3]
    assert looked(ward, [3]) == every[3:]
    assert looked(ward, [0, 2, 3], replace(LOOK, timeout_s=5)) == [every[0], *every[2:]]
    assert len(LOOKED_AT) == 4
    for one in every:
        assert one["width"] is not None


def test_what_was_not_kept_at_first_is_read_once_it_is(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [20, 21, 22])
    looked(ward, [0])
    both = looked(ward, [0, 1])
    looked(ward, [2])
    assert looked(ward, [0, 1, 2])[:2] == both
    assert len(LOOKED_AT) == len(set(LOOKED_AT)) == 3


def test_only_what_is_new_in_a_file_or_a_folder_is_read(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [20, 21])
    first = looked(ward, [0, 1])
    ward.add(22)
    assert looked(ward, [0, 1, 2])[:2] == first
    assert len(LOOKED_AT) == 3
    ward.picture("0.png", 30)
    assert [row["width"] for row in looked(ward, [0, 1, 2])] == [30, 21, 22]
    assert len(LOOKED_AT) == 4


@pytest.mark.parametrize("other", [{"writing": False}, {"verify": False}])
def test_another_way_of_looking_reads_all_again(tmp_path: Path, other: dict[str, bool]) -> None:
    ward = Ward(tmp_path, [20, 21])
    looked(ward, [0, 1])
    looked(ward, [0, 1], replace(LOOK, **other))  # type: ignore[arg-type]
    assert len(LOOKED_AT) == 4


def test_pictures_that_are_decoded_anew_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ward = Ward(tmp_path, [20, 21])
    first = looked(ward, [0, 1])
    monkeypatch.setattr(Pictures, "version", Pictures.version + 1)
    assert looked(ward, [0, 1]) == first
    assert len(LOOKED_AT) == 4


def test_a_picture_that_could_not_be_read_in_time_is_asked_again(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [20, 13])
    assert [row["problem"] for row in looked(ward, [0, 1])] == [None, "timeout"]
    assert [row["problem"] for row in looked(ward, [1])] == [None]
    assert len(LOOKED_AT) == 3


def test_a_run_starts_from_what_another_has_read(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [20, 21])
    every = looked(ward, [0, 1])
    ward.work = Work(LocalFolder(tmp_path / "next"), (LocalFolder(tmp_path / "run"),))
    assert looked(ward, [1]) == every[1:]
    assert len(LOOKED_AT) == 2


def test_what_is_no_longer_in_a_fragment_is_forgotten(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [20, 21])
    looked(ward, [0, 1])
    ward.picture("0.png", 30)
    looked(ward, [0, 1])
    (kept,) = (tmp_path / "run" / "work" / "phi_seen").rglob("*.parquet")
    assert sorted(pq.read_table(kept)["width"].to_pylist()) == [21, 30]
