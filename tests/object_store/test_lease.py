"""One holder at a time, and none that is dead for long."""

import os
import subprocess
import sys
import threading
import time

import orjson
import pytest

from pipelines.errors import CurateError
from pipelines.run_directory import LOCK, clean_work, locked, opened, publish
from sources.storage import BucketFolder, InUseError, lease
from sources.storage.lease import held
from tests.object_store.fault_proxy import LOST, FaultProxy
from tests.object_store.server import S3Server


def holder(folder: BucketFolder, server: S3Server) -> dict[str, object]:
    document: dict[str, object] = orjson.loads(server.keys(f"{folder.prefix}/lock")[f"{folder.prefix}/lock"])
    return document


def test_a_holder_on_another_machine_that_shows_itself_is_left_alone(folder: BucketFolder) -> None:
    key = folder.key("lock")
    with held(folder.bucket, key, refresh_s=0.3, machine="other"):
        started = time.monotonic()
        with pytest.raises(InUseError, match=f"process {os.getpid()}"), held(folder.bucket, key, watch_s=10):
            pass
        assert time.monotonic() - started < 8
    with held(folder.bucket, key):
        pass


def test_a_holder_on_another_machine_that_no_longer_shows_itself_is_replaced_and_learns_it(
    folder: BucketFolder, server: S3Server
) -> None:
    key = folder.key("lock")
    with pytest.raises(InUseError, match="took it over"), held(folder.bucket, key, refresh_s=2, machine="other"):  # noqa: PT012
        with held(folder.bucket, key, watch_s=0.6):
            time.sleep(2.5)
            assert holder(folder, server)["machine"] != "other"
        assert holder(folder, server)["token"] is None


def test_a_dead_process_of_this_machine_is_replaced_at_once(folder: BucketFolder, server: S3Server) -> None:
    script = (
        "import os, sys\nfrom sources.storage import folder_at\n"
        "lock = folder_at(sys.argv[1]).lock('lock')\nlock.__enter__()\nos.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, folder.place], check=False).returncode == -9
    assert holder(folder, server)["token"] is not None
    started = time.monotonic()
    with folder.lock("lock"):
        assert time.monotonic() - started < 2
        assert holder(folder, server)["pid"] == os.getpid()


def test_a_mark_that_says_nothing_is_free(folder: BucketFolder) -> None:
    for content in (b"", b"what a local run left", b"[]"):
        folder.write("lock", content)
        with folder.lock("lock"), pytest.raises(InUseError), folder.lock("lock"):
            pass


def test_of_many_who_want_it_at_once_one_gets_it(folder: BucketFolder) -> None:
    folder.write("lock", b"")
    outcomes: list[str] = []
    together = threading.Barrier(6)

    def want() -> None:
        together.wait()
        try:
            with folder.lock("lock"):
                outcomes.append("held")
                time.sleep(1.5)
        except InUseError:
            outcomes.append("in use")

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] + ["in use"] * 5


def test_an_answer_that_is_lost_costs_neither_the_lock_nor_its_refreshing(
    folder: BucketFolder, proxy: FaultProxy
) -> None:
    proxy.faults, proxy.share = (LOST,), 0.5
    proxy.only = lambda method, _: method == "PUT"
    with held(folder.bucket, folder.key("lock"), refresh_s=0.1):
        time.sleep(2)
    assert proxy.injected[LOST] >= 3


IDENTITY = {"recipe": {"stage": "mid"}, "limit": None, "site_key": None}
TAKEN_OVER = b'{"token": "of another build", "host": "elsewhere", "machine": "other", "pid": 1}'


def take_over(folder: BucketFolder, server: S3Server, how: str) -> None:
    if how == "taken over":
        server.put(folder.key(LOCK), TAKEN_OVER)
    else:
        server.client().delete_object(Bucket="corpora", Key=folder.key(LOCK))


@pytest.mark.parametrize("how", ["taken over", "deleted"])
def test_nothing_is_published_or_deleted_once_the_lock_is_lost(
    folder: BucketFolder, server: S3Server, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    part = "tables/samples/part-000000.parquet"
    run = {"format": 1, "identity": IDENTITY, "fingerprint": "f"}
    with opened(folder, IDENTITY):
        folder.write("work/a", b"1")
        publish(folder, {part: "work/a"}, b"{}", run)
    before = {key: data for key, data in server.keys(folder.prefix).items() if not key.endswith(LOCK)}
    with (  # noqa: PT012
        pytest.raises(CurateError, match=r"another build is running here \(another build took it over") as lost,
        opened(folder, IDENTITY),
    ):
        take_over(folder, server, how)
        publish(folder, {}, b"{ }", {**run, "fingerprint": "g"})
    assert (lost.value.status, lost.value.hint) == (1, "wait for it, or use another --out; the same command resumes")
    assert {key: data for key, data in server.keys(folder.prefix).items() if not key.endswith(LOCK)} == before
    folder.delete(LOCK)

    def slow(_: BucketFolder) -> int:
        take_over(folder, server, how)
        return 0

    monkeypatch.setattr(BucketFolder, "bytes_used", slow)
    with pytest.raises(CurateError, match="another build took it over"):
        clean_work(folder)
    assert {key: data for key, data in server.keys(folder.prefix).items() if not key.endswith(LOCK)} == before
    assert server.keys(folder.key(LOCK)) == ({folder.key(LOCK): TAKEN_OVER} if how == "taken over" else {})


@pytest.mark.parametrize("how", ["taken over", "deleted"])
def test_a_lock_that_is_lost_while_nothing_is_published_is_said_in_the_end(
    folder: BucketFolder, server: S3Server, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(lease.held.__wrapped__, "__defaults__", (0.1, 45.0, None))  # type: ignore[attr-defined]
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    with pytest.raises(CurateError, match="another build took it over") as lost, locked(folder):  # noqa: PT012
        take_over(folder, server, how)
        time.sleep(1)
    assert "the same command resumes" in lost.value.hint
    assert died == []
