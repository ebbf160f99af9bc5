"""Fixtures of every room."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# The first example of a kernel waits for its compilation, however long that takes.
hypothesis.settings.register_profile("curate", deadline=None)
hypothesis.settings.load_profile("curate")

SHARED = Path(os.environ.get("CURATE_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real corpora that tests are made on (`CURATE_SHARED_DATA`, default `../shared/data`)."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared test data at {SHARED}")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    """End the workers that builds in this process have shared."""
    yield
    if "tests.end_to_end.warm_workers" in sys.modules:
        sys.modules["tests.end_to_end.warm_workers"].end_workers()
