"""Limits so small that a few rows make many fragments, runs and partitions."""

import pytest

from pipelines import sorted_runs
from pipelines.joins import solve
from pipelines.joins import tables as driven
from sources.readers import ranges


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many fragments, runs and partitions of a few rows each."""
    monkeypatch.setattr(ranges, "FRAGMENT_RECORDS", 3)
    monkeypatch.setattr(sorted_runs, "CUT_EVERY", 3)
    monkeypatch.setattr(sorted_runs, "GROUP_BYTES", 100)
    monkeypatch.setattr(driven, "PARTITION_ROWS", 5)
    monkeypatch.setattr(driven, "PARTITION_BYTES", 200)
    monkeypatch.setattr(driven, "COLLECTED_BYTES", 300)
    monkeypatch.setattr(solve, "PARTITION_BYTES", 200)
