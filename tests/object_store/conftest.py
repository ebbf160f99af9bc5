"""A server for all tests of this folder, and a proxy before it that does no harm until it is told to."""

import uuid
from collections.abc import Iterator

import pytest

from sources.storage import BucketFolder, folder_at
from tests.object_store.fault_proxy import FaultProxy, fault_proxy
from tests.object_store.server import S3Server, s3_server, use


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(server.url, seed=7) as proxy:
        yield proxy


@pytest.fixture
def folder(server: S3Server, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> BucketFolder:
    """A new folder of the bucket, seen through the proxy."""
    use(monkeypatch, server.environment(proxy.url))
    folder = folder_at(f"s3://corpora/{uuid.uuid4().hex}")
    assert isinstance(folder, BucketFolder)
    assert not folder.exists()
    proxy.clear()
    return folder
