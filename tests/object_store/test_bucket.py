"""What is of buckets alone: their keys, their requests, what they say when they cannot be used."""

import errno
import multiprocessing
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.storage import BucketFolder, LocalFolder, OutsideError, StoreError, bucket_requests, folder_at, is_absence
from sources.storage.bucket import stamp_of
from tests.object_store.fault_proxy import FaultProxy
from tests.object_store.server import S3Server, use


def test_marks_that_tools_make_for_folders_are_no_files(folder: BucketFolder, server: S3Server) -> None:
    for key in ("", "a/", "a/b/", "a/b/c.json", "lonely/"):
        server.put(f"{folder.prefix}/{key}", b"x" if key.endswith("json") else b"")
    assert [stat.path for stat in folder.glob(["**/*"])] == ["a/b/c.json"]
    assert [stat.path for stat in folder.files()] == ["a/b/c.json"]
    assert folder.names() == ["a", "lonely"]
    assert folder.stat("a") is None
    with pytest.raises(FileNotFoundError):
        folder.open("lonely")


def test_empty_segments_are_refused_and_not_passed_over(folder: BucketFolder) -> None:
    folder.write("a/b", b"x")
    for path in ("a//b", "/a/b", "a/b/"):
        with pytest.raises(OutsideError):
            folder.open(path)
        assert folder.stat(path) is None


@pytest.mark.parametrize("key", ["a//b", "a/./b", "tab\tin it"])
def test_a_key_that_is_no_path_is_reported_and_not_left_out(folder: BucketFolder, server: S3Server, key: str) -> None:
    server.put(f"{folder.prefix}/fine")
    server.put(f"{folder.prefix}/{key}")
    with pytest.raises(StoreError, match="key is no path") as caught:
        folder.glob(["**/*"])
    assert "rename it" in caught.value.hint
    assert not is_absence(caught.value)


def test_a_glob_lists_its_fixed_beginning_only_and_one_level_where_that_is_enough(
    folder: BucketFolder, proxy: FaultProxy
) -> None:
    for path in ("images/1.png", "images/deep/2.png", "text/1.jsonl"):
        folder.write(path, b"x")
    proxy.clear()
    assert len(folder.glob(["images/**/*.png"])) == 2
    assert len(folder.glob(["images/*.png"])) == 1
    queries = [path.partition("?")[2] for _, path, _ in proxy.log]
    assert all(f"prefix={folder.prefix}%2Fimages%2F" in query for query in queries)
    assert ["delimiter" in query for query in queries] == [False, True]


def test_of_a_parquet_file_only_the_columns_asked_for_are_fetched(folder: BucketFolder, proxy: FaultProxy) -> None:
    rows = 4000
    table = pa.table({"id": range(rows), "blob": [os.urandom(2000) for _ in range(rows)]})
    with folder.writing("t.parquet") as file:
        pq.write_table(table, file, compression="none")
    size = folder.stat("t.parquet").size  # type: ignore[union-attr]
    proxy.clear()
    with folder.open("t.parquet") as file:
        read = pq.ParquetFile(file, buffer_size=2**20, pre_buffer=False).read(["id"], use_threads=False)
    assert read["id"].to_pylist() == list(range(rows))
    fetched = [tuple(map(int, asked.removeprefix("bytes=").split("-"))) for _, _, asked in proxy.log]
    assert sum(stop - start + 1 for start, stop in fetched) < size / 20
    assert len(fetched) <= 6


def test_small_files_cost_one_request_each_way(folder: BucketFolder, proxy: FaultProxy) -> None:
    folder.write("a", b"x" * 1000)
    folder.read("a")
    with folder.open("a") as file:
        file.read()
    folder.stat("a")
    assert proxy.requests == {"PUT": 1, "GET": 2, "HEAD": 1}


def test_a_copy_within_a_bucket_moves_no_bytes_and_is_known_for_one_without_reading(
    folder: BucketFolder, proxy: FaultProxy, server: S3Server
) -> None:
    data = os.urandom(2**20) * 20
    folder.write("large", data)  # in parts: its ETag is not the one of its copy
    proxy.clear()
    folder.take(folder, "large", "copy")
    assert folder.is_same("copy", folder, "large")
    assert proxy.requests == {"HEAD": 3, "PUT": 1}
    server.put(f"{folder.prefix}/copy", data)  # by somebody else, in one piece
    assert folder.is_same("copy", folder, "large")
    assert proxy.requests["GET"] > 2
    assert folder.read("copy") == data


def test_the_stamp_of_an_etag_is_positive_and_the_same_with_and_without_quotes() -> None:
    assert stamp_of('"abc"') == stamp_of("abc") == stamp_of('W/"abc"') != stamp_of("abd")
    assert all(0 < stamp_of(str(number)) < 2**63 for number in range(1000))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/x", "s3"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("s3://bucket/a/../b", "segment"),
        ("gs://bucket/a//b", "segment"),
    ],
)
def test_urls_that_name_no_folder_are_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        folder_at(url)
    assert isinstance(folder_at("a/path"), LocalFolder)
    assert folder_at("s3://bucket/a/").place == "s3://bucket/a"
    assert folder_at("gs://bucket").place == "gs://bucket"


def test_a_bucket_that_is_not_there_is_said_whatever_is_asked(folder: BucketFolder) -> None:
    missing = folder_at("s3://no-such-bucket/x")
    for ask in (missing.exists, missing.names, lambda: missing.read("a"), lambda: missing.write("a", b"x")):
        with pytest.raises(StoreError, match="s3://no-such-bucket: no such bucket") as caught:
            ask()
        assert not is_absence(caught.value)


def test_wrong_credentials_are_told_from_an_empty_folder(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key, secret = server.check_signatures()
    try:
        good = {**server.environment(), "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        use(monkeypatch, good)
        folder = folder_at("s3://corpora/signed")
        folder.write("a b/ü", b"x")  # the server signs the request as it came: odd keys too
        assert folder.read("a b/ü") == b"x"
        for wrong, code in (("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "InvalidAccess")):
            use(monkeypatch, {**good, wrong: "wrong"})
            with pytest.raises(StoreError, match=f"access denied .{code}") as caught:
                folder.exists()
            assert caught.value.errno == errno.EACCES
            assert "credentials" in caught.value.hint
            assert secret not in str(caught.value)
        profile = tmp_path / "credentials"
        profile.write_text(f"[other]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")
        files = {"AWS_SHARED_CREDENTIALS_FILE": str(profile), "AWS_PROFILE": "other"}
        use(monkeypatch, {name: value for name, value in good.items() if "KEY" not in name} | files)
        assert folder.read("a b/ü") == b"x"
        monkeypatch.setenv("AWS_PROFILE", "absent")
        with pytest.raises(StoreError, match="profile cannot be used"):
            folder.exists()
    finally:
        server.ignore_signatures()


def test_a_server_that_is_not_there_is_given_up_soon_when_a_process_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, S3Server("http://127.0.0.1:9").environment())
    monkeypatch.setattr(bucket_requests, "FIRST_PATIENCE_S", 2)  # 10 s, or this test would take them
    started = time.monotonic()
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        folder_at("s3://corpora/x").exists()
    assert time.monotonic() - started < 10
    assert caught.value.errno == errno.EHOSTUNREACH
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    with pytest.raises(StoreError, match="no URL"):
        folder_at("s3://corpora/x").exists()


def test_a_forked_process_is_told_instead_of_hanging(folder: BucketFolder) -> None:
    folder.write("a", b"x")
    parent, child = multiprocessing.Pipe()
    pid = os.fork()
    if pid == 0:
        try:
            folder.read("a")
        except StoreError as error:
            child.send(error.hint)
        finally:
            os._exit(0)
    assert parent.poll(20)
    assert "spawn" in parent.recv()
    os.waitpid(pid, 0)
    assert folder.read("a") == b"x"


def test_what_google_cloud_storage_shares_with_s3_works_alike(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, {"STORAGE_EMULATOR_HOST": server.url})
    folder = folder_at("gs://corpora/google")
    folder.write("a/b", b"hello")
    assert folder.read("a/b") == b"hello"
    assert [stat.path for stat in folder.glob(["**/*"])] == ["a/b"]
    assert folder.names() == ["a"]
    assert folder.stat("a/b").size == 5  # type: ignore[union-attr]
    folder.delete("a/b")
    folder.delete("a/b")
    assert not folder.exists()
