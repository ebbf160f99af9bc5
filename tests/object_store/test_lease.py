"""One holder at a time, and none that is dead for long."""

import os
import subprocess
import sys
import threading
import time

import orjson
import pytest

from sources.storage import BucketFolder, InUseError
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
