"""A server that fails one request in four, is slow, or loses the connection: everything is right, or clearly failed."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from sources.storage import BucketFolder, StoreError, is_absence
from sources.storage import bucket_requests as requests
from tests.object_store.fault_proxy import CUT_ANSWER, CUT_REQUEST, FAULTS, LOST, REFUSED, FaultProxy
from tests.object_store.server import S3Server

LARGE = os.urandom(2**20) * 35


def once(chosen: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
    """The first request that is chosen, and no other."""
    left = [1]

    def choose(method: str, path: str) -> bool:
        if left[0] and chosen(method, path):
            left[0] -= 1
            return True
        return False

    return choose


@pytest.mark.parametrize("fault", FAULTS)
def test_every_operation_gets_through_a_server_that_fails_one_request_in_four(
    folder: BucketFolder, proxy: FaultProxy, fault: str
) -> None:
    proxy.faults, proxy.share = (fault,), 0.25
    for number in range(8):
        folder.write(f"small/{number}", str(number).encode() * 9)
    with folder.writing("large") as file:
        for start in range(0, len(LARGE), 2**20):
            file.write(LARGE[start : start + 2**20])
    assert folder.read("large") == LARGE
    with folder.open("large") as file:
        assert b"".join(iter(lambda: file.read(2**20), b"")) == LARGE
    folder.take(folder, "large", "copy")
    assert folder.is_same("copy", folder, "large")
    assert [folder.read(f"small/{number}") for number in range(8)] == [str(n).encode() * 9 for n in range(8)]
    assert [stat.size for stat in folder.glob(["small/*"])] == [9] * 8
    assert folder.names() == ["copy", "large", "small"]
    folder.delete_tree("small")
    assert folder.names() == ["copy", "large"]
    for _ in range(3):
        with folder.lock("lock"):
            pass
    assert proxy.injected[fault] >= 5


WHERE: dict[str, Callable[[str, str], bool]] = {
    "beginning": lambda method, path: method == "POST" and "uploads" in path,
    "a part": lambda method, path: method == "PUT" and "partNumber" in path,
    "completing": lambda method, path: method == "POST" and "uploadId" in path,
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_upload_survives_one_fault_wherever_it_strikes(
    folder: BucketFolder, proxy: FaultProxy, fault: str, where: str
) -> None:
    proxy.faults, proxy.share, proxy.only = (fault,), 1.0, once(WHERE[where])
    with folder.writing("large") as file:
        file.write(LARGE)
    assert proxy.injected[fault] == 1
    assert folder.stat("large").size == len(LARGE)  # type: ignore[union-attr]


def test_a_listing_goes_on_where_its_page_broke_off(
    folder: BucketFolder, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "LISTED_AT_ONCE", 5)
    for number in range(23):
        folder.write(f"{number:02d}", b"x")
    proxy.clear()
    second_page = once(lambda _, path: "continuation-token" in path)
    proxy.page_keys, proxy.faults, proxy.share, proxy.only = 5, (CUT_ANSWER,), 1.0, second_page
    assert [stat.path for stat in folder.files()] == [f"{number:02d}" for number in range(23)]
    assert proxy.injected[CUT_ANSWER] == 1
    assert proxy.requests["GET"] == 6
    folder.delete_tree("")
    assert not folder.exists()


def test_a_write_that_never_gets_through_leaves_what_was_there(
    folder: BucketFolder, proxy: FaultProxy, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    folder.write("old", b"old")
    proxy.share, proxy.faults = 1.0, (REFUSED,)
    proxy.only = lambda method, path: "partNumber" in path or method == "PUT"
    for data in (b"small", LARGE):
        with pytest.raises(StoreError, match="status 50") as caught, folder.writing("old") as file:
            file.write(data)
        assert not is_absence(caught.value)
    assert folder.read("old") == b"old"
    assert not [key for key in server.unfinished() if key.startswith(folder.prefix)]


@pytest.mark.parametrize("fault", [LOST, CUT_REQUEST])
def test_a_connection_that_always_breaks_off_is_given_up_in_time(
    folder: BucketFolder, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    impatient(monkeypatch)
    proxy.share, proxy.faults = 1.0, (fault,)
    started = time.monotonic()
    with pytest.raises(StoreError) as caught:
        folder.write("a", b"x" * 1000)
    assert time.monotonic() - started < 20
    assert not is_absence(caught.value)
    assert caught.value.errno in (errno.EIO, errno.EHOSTUNREACH)
    assert folder.place.rpartition("/")[2] not in str(caught.value)


def test_who_tidies_up_after_a_server_went_away_does_not_wait_as_long_again(
    folder: BucketFolder, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    store_of = requests.store_of

    def counted(scheme: str, name: str, patience_s: int) -> object:
        asked.append(patience_s)
        return store_of(scheme, name, min(patience_s, 1))

    monkeypatch.setattr(requests, "store_of", counted)
    proxy.share, proxy.faults = 1.0, (REFUSED,)
    for _ in range(2):
        with pytest.raises(StoreError):
            folder.write("a", b"x")
    proxy.share = 0.0
    folder.write("a", b"x")
    folder.write("a", b"x")
    patience = [seconds for number, seconds in enumerate(asked) if number == 0 or asked[number - 1] != seconds]
    assert patience[0] == requests.PATIENCE_S
    assert requests.FIRST_PATIENCE_S in patience
    assert patience[-1] == requests.PATIENCE_S


def test_a_slow_server_is_waited_for(folder: BucketFolder, proxy: FaultProxy) -> None:
    proxy.delay_s = 1.0
    folder.write("a", b"x")
    assert folder.read("a") == b"x"


def test_what_changes_while_it_is_read_is_not_mixed(folder: BucketFolder) -> None:
    folder.write("a", b"1" * 2**20)
    with folder.open("a") as file:
        assert file.read(10) == b"1" * 10
        folder.write("a", b"2" * 2**20)
        file.seek(2**19)
        with pytest.raises(StoreError) as caught:
            file.read(10)
    assert caught.value.errno == errno.ESTALE
    assert not is_absence(caught.value)


def test_a_killed_writer_leaves_nothing_under_the_name(
    folder: BucketFolder, proxy: FaultProxy, server: S3Server
) -> None:
    script = (
        "import sys, time\n"
        "from sources.storage import folder_at\n"
        "with folder_at(sys.argv[1]).writing('large') as file:\n"
        "    while True:\n"
        "        file.write(bytes(2**20)); time.sleep(0.01)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, folder.place])
    deadline = time.monotonic() + 60
    while sum("partNumber" in path for _, path, _ in list(proxy.log)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert sum("partNumber" in path for _, path, _ in proxy.log) >= 2
    assert not folder.exists()
    assert f"{folder.prefix}/large" in server.unfinished()  # for a lifecycle rule: docs/object_storage.md


def impatient(patch: pytest.MonkeyPatch) -> None:
    """Give up after two seconds."""
    store_of = requests.store_of
    patch.setattr(requests, "store_of", lambda scheme, name, patience_s=2: store_of(scheme, name, min(patience_s, 2)))
    patch.setattr(requests, "PATIENCE_S", 2)
