"""Fixtures of every room."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CURATE_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real corpora that tests are made on (`CURATE_SHARED_DATA`, default `../shared/data`)."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared test data at {SHARED}")
    return SHARED
