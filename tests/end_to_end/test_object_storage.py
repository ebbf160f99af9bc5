"""Corpora, run and shards in a bucket: the same bytes as on a disk, whatever the server does on the way."""

import hashlib
import io
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from sources.storage import bucket_requests
from tests.end_to_end.runs import CURATE, PUBLISHED, curate, curate_json, published
from tests.end_to_end.warm_workers import warm_workers
from tests.object_store.fault_proxy import FaultProxy, fault_proxy
from tests.object_store.server import SETTINGS, S3Server, s3_server, use
from workflows.cli import run
from workflows.demo_corpus import write_demo_corpus

SECRET = "the-secret-key-of-these-tests"
SOURCES = ("figures", "notes", "scans")  # lines with pictures, ranges of Parquet, a folder of DICOM
KILLS = 5


@dataclass
class World:
    """A corpus on this disk and in a bucket, and what a build of it must leave."""

    server: S3Server
    proxy: FaultProxy
    corpora: Path
    recipe: Path
    local: Path
    expected: dict[str, str]

    def environment(self) -> dict[str, str]:
        """Of a process that goes through the proxy."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        return {**plain, **self.server.environment(self.proxy.url), "AWS_SECRET_ACCESS_KEY": SECRET}

    def build(self, data: str, out: str) -> list[str]:
        """The arguments of the build."""
        return ["build", "--recipe", str(self.recipe), "--data", data, "--out", out, "--workers", "1",
                "--set", "shards.max_samples=5"]  # fmt: skip

    def published(self, run: str) -> dict[str, str]:
        """As `runs.published`, of a run in the bucket."""
        objects = self.server.keys(f"{run}/")
        inside = {key.removeprefix(f"{run}/"): data for key, data in objects.items()}
        return {
            path: hashlib.sha256(data).hexdigest()
            for path, data in inside.items()
            if path.partition("/")[0] in PUBLISHED
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("object-storage")
    corpora, local = root / "corpora", root / "local"
    recipe = write_demo_corpus(corpora)
    document = yaml.safe_load(recipe.read_text())
    document["sources"] = [source for source in document["sources"] if source["name"] in SOURCES]
    document["contracts"] = {"enabled": False}  # they take seconds to import, and know nothing of storage
    document["steps"] |= {name: {"enabled": False} for name in ("near_text", "near_image")}
    document["steps"]["phi"] = {"ocr": "none"}  # it takes seconds, and knows nothing of storage either
    recipe.write_text(yaml.safe_dump(document))
    with s3_server() as server, fault_proxy(server.url) as proxy:
        for file in corpora.rglob("*"):
            if file.is_file():
                server.put(f"corpora/{file.relative_to(corpora).as_posix()}", file.read_bytes())
        world = World(server, proxy, corpora, recipe, local, {})
        done = curate(*world.build(str(corpora), str(local)))
        assert done.returncode == 0, done.stderr
        world.expected = published(local)
        assert sum(path.endswith(".tar") for path in world.expected) >= 4
        assert {"shards/index.arrow", "shards/plan.arrow", "shards/.nv-meta/index.sqlite"} < set(world.expected)
        yield world


@pytest.fixture(autouse=True)
def harmless(world: World) -> None:
    world.proxy.share = world.proxy.delay_s = 0.0
    world.proxy.clear()


def test_a_build_from_bucket_to_bucket_is_the_local_one_and_every_command_reads_it(world: World) -> None:
    environment, place = world.environment(), "s3://corpora/run"
    answer = curate_json(*world.build("s3://corpora/corpora", place), env=environment)
    assert answer["run"] == place
    assert world.published("run") == world.expected
    before = {row["Key"]: row["ETag"] for row in world.server.client().list_objects_v2(Bucket="corpora")["Contents"]}
    world.proxy.clear()
    status, again = ask(world, *world.build("s3://corpora/corpora", place))
    assert status == 0, again
    assert again["counts"] == answer["counts"]
    moved = {path for method, path, _ in world.proxy.log if method in ("PUT", "POST", "DELETE")}
    assert not [path for path in moved if "/run/tables/" in path or "/run/shards/" in path]
    assert before["run/run.json"] == world.server.client().head_object(Bucket="corpora", Key="run/run.json")["ETag"]
    for data in world.server.keys("run").values():
        assert SECRET.encode() not in data
        assert world.proxy.url.encode() not in data

    assert ask(world, "shards", "verify", f"{place}/shards") == (0, {"ok": True, "problems": []})
    difference = ask(world, "diff", world.local, place)[1]
    counts = difference.pop("counts")
    assert counts["a"] == counts["b"]
    assert not any(difference.values())
    ids = pl.read_parquet(world.local / "tables/samples/*.parquet")["sample_id"]
    assert ask(world, "why", world.local, ids[3]) == ask(world, "why", place, ids[3])
    assert ask(world, "clean", place)[1]["freed_bytes"] > 0
    assert world.server.keys("run/work") == {}
    assert world.published("run") == world.expected


def test_a_build_that_is_killed_five_times_before_a_server_that_fails_one_request_in_ten_is_the_same(
    world: World,
) -> None:
    environment = world.environment()
    chance = random.Random(5)
    world.proxy.share = 0.1
    killed = 0
    for _ in range(KILLS):
        before = world.proxy.requests.total()
        process = subprocess.Popen(
            [*CURATE, *world.build("s3://corpora/corpora", "s3://corpora/killed")],
            env=environment, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        requests = before + chance.randrange(40, 250)
        while process.poll() is None and world.proxy.requests.total() < requests:
            time.sleep(0.002)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= 3
    done = curate(*world.build("s3://corpora/corpora", "s3://corpora/killed"), env=environment)
    assert done.returncode == 0, done.stderr
    assert world.published("killed") == world.expected
    assert len(world.proxy.injected) == 4
    assert world.proxy.injected.total() >= 20


def test_an_inventory_replaces_listing(world: World, tmp_path: Path) -> None:
    found = world.server.client().list_objects_v2(Bucket="corpora", Prefix="corpora/")["Contents"]
    rows = [{"path": row["Key"], "size": row["Size"], "etag": row["ETag"].strip('"')} for row in found]
    inventory = tmp_path / "inventory.csv"
    pl.DataFrame(rows).write_csv(inventory)
    arguments = world.build("s3://corpora/corpora", "s3://corpora/by-inventory")
    status, answer = ask(world, *arguments, "--inventory", inventory)
    assert status == 0, answer
    assert world.published("by-inventory") == world.expected
    assert not [path for _, path, _ in world.proxy.log if "prefix=corpora%2F" in path]
    status, answer = ask(world, *arguments, "--inventory", tmp_path / "none.csv")
    assert status == 2
    assert "none.csv: cannot be read" in answer["error"]


def ask(world: World, *arguments: object, **settings: str) -> tuple[int, Any]:
    """Run a command in this process, which is much faster: its exit status and its JSON."""
    out = io.TextIOWrapper(io.BytesIO())
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), warm_workers():
        use(patch, {**world.environment(), **settings})
        patch.setattr(bucket_requests, "FIRST_PATIENCE_S", 2)  # 10 s, or these tests would take them
        try:
            status = run([*map(str, arguments), "--json"])
        except SystemExit as end:
            status = int(end.code or 0)
    return status, orjson.loads(out.buffer.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "out", "settings", "status", "told"),
    [
        ("s3://no-such-bucket/x", "s3://corpora/o", {}, 1, "s3://no-such-bucket: no such bucket"),
        ("DISK", "s3://no-such-bucket/x", {}, 1, "s3://no-such-bucket: no such bucket"),
        ("s3://corpora/nothing-here", "s3://corpora/o", {}, 2, "--data s3://corpora/nothing-here: no such folder"),
        ("s3://corpora/corpora", "DISK", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 1, "cannot be reached"),
        ("s3://corpora/corpora", "DISK", {"AWS_PROFILE": "none", "AWS_ACCESS_KEY_ID": ""}, 1, "profile"),
        ("s3:/corpora", "s3://corpora/o", {}, 2, "s3:/corpora"),
        ("s3://corpora/../x", "s3://corpora/o", {}, 2, "segment"),
    ],
)
def test_what_cannot_be_used_is_said_clearly_and_soon(
    world: World, tmp_path: Path, data: str, out: str, settings: dict[str, str], status: int, told: str
) -> None:
    data = data.replace("DISK", str(world.corpora))
    out = out.replace("DISK", str(tmp_path / "run"))
    got, answer = ask(world, *world.build(data, out), **settings)
    assert got == status
    assert told in answer["error"]
    assert answer["hint"]
    assert SECRET not in str(answer)


def test_wrong_credentials_are_said_to_be_wrong(world: World) -> None:
    world.server.check_signatures()
    try:
        status, answer = ask(world, "shards", "verify", "s3://corpora/corpora")
    finally:
        world.server.ignore_signatures()
    assert status == 1
    assert "access denied (InvalidAccessKeyId)" in answer["error"]
    assert "AWS_" in answer["hint"]
