"""Corpora, run and shards in a bucket: the same bytes as on a disk, whatever the server does on the way."""

import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import polars as pl
import pytest
import yaml

from tests.end_to_end.runs import CURATE, PUBLISHED, curate, curate_json, published
from tests.object_store.fault_proxy import FaultProxy, fault_proxy
from tests.object_store.server import SETTINGS, S3Server, s3_server
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
        return ["build", "--recipe", str(self.recipe), "--data", data, "--out", out, "--workers", "2",
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
        yield world


@pytest.fixture(autouse=True)
def harmless(world: World) -> None:
    world.proxy.share = world.proxy.delay_s = 0.0
    world.proxy.clear()


def test_a_build_from_bucket_to_bucket_is_the_local_one_and_every_command_reads_it(world: World) -> None:
    environment, run = world.environment(), "s3://corpora/run"
    answer = curate_json(*world.build("s3://corpora/corpora", run), env=environment)
    assert answer["run"] == run
    assert world.published("run") == world.expected
    before = {row["Key"]: row["ETag"] for row in world.server.client().list_objects_v2(Bucket="corpora")["Contents"]}
    world.proxy.clear()
    again = curate_json(*world.build("s3://corpora/corpora", run), env=environment)
    assert again["counts"] == answer["counts"]
    moved = {path for method, path, _ in world.proxy.log if method in ("PUT", "POST", "DELETE")}
    assert {path.rpartition("/")[2] for path in moved} <= {".curate-run", "events.jsonl", "identity.json"}
    assert before["run/run.json"] == world.server.client().head_object(Bucket="corpora", Key="run/run.json")["ETag"]
    for data in world.server.keys("run").values():
        assert SECRET.encode() not in data
        assert world.proxy.url.encode() not in data

    assert curate_json("shards", "verify", f"{run}/shards", env=environment) == {"ok": True, "problems": []}
    assert not any(curate_json("diff", world.local, run, env=environment).values())
    ids = pl.read_parquet(world.local / "tables/samples/*.parquet")["sample_id"]
    here, there = (curate_json("why", place, ids[3], env=environment) for place in (world.local, run))
    assert here == there
    assert curate_json("clean", run, env=environment)["freed_bytes"] > 0
    assert world.server.keys("run/work") == {}
    assert world.published("run") == world.expected
    finished = curate_json(*world.build("s3://corpora/corpora", run), env=environment)
    assert finished["counts"] == answer["counts"]


def test_a_build_through_a_server_that_fails_one_request_in_ten_is_the_same(world: World) -> None:
    world.proxy.share = 0.1
    done = curate(*world.build("s3://corpora/corpora", "s3://corpora/faults"), env=world.environment())
    assert done.returncode == 0, done.stderr
    assert world.proxy.injected.total() >= 20
    assert len(world.proxy.injected) == 4
    assert world.published("faults") == world.expected


def test_a_build_killed_five_times_ends_in_the_same_run(world: World) -> None:
    environment = world.environment()
    chance = random.Random(5)
    killed = 0
    for _ in range(KILLS):
        world.proxy.clear()
        process = subprocess.Popen(
            [*CURATE, *world.build("s3://corpora/corpora", "s3://corpora/killed")],
            env=environment, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        requests = chance.randrange(60, 400)
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


def test_an_inventory_replaces_listing_and_a_changed_object_is_an_error(world: World, tmp_path: Path) -> None:
    client = world.server.client()
    rows = [
        {"path": row["Key"], "size": row["Size"], "etag": row["ETag"].strip('"')}
        for row in client.list_objects_v2(Bucket="corpora", Prefix="corpora/")["Contents"]
    ]
    inventory = tmp_path / "inventory.csv"
    pl.DataFrame(rows).write_csv(inventory)
    arguments = world.build("s3://corpora/corpora", "s3://corpora/by-inventory")
    world.proxy.clear()
    done = curate(*arguments, "--inventory", inventory, env=world.environment())
    assert done.returncode == 0, done.stderr
    assert world.published("by-inventory") == world.expected
    assert not [path for _, path, _ in world.proxy.log if "prefix=corpora%2F" in path]

    for key in ("corpora/notes/notes.parquet", "corpora/scans/CT_small.dcm"):
        original = client.get_object(Bucket="corpora", Key=key)["Body"].read()
        world.server.put(key, original + b"\0")
        try:
            done = curate(
                *world.build("s3://corpora/corpora", f"s3://corpora/changed-{len(key)}"), "--inventory", inventory,
                env=world.environment(),
            )  # fmt: skip
        finally:
            world.server.put(key, original)
        assert done.returncode in (1, 2)
        assert "inventory" in done.stderr or "changed since" in done.stderr
    assert curate(*arguments, "--inventory", tmp_path / "none.csv", env=world.environment()).returncode == 2


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
    started = time.monotonic()
    done = curate(*world.build(data, out), "--json", env={**world.environment(), **settings})
    assert time.monotonic() - started < 60
    assert done.returncode == status, done.stderr
    answer = orjson.loads(done.stdout)
    assert told in answer["error"]
    assert answer["hint"]
    assert SECRET not in done.stdout + done.stderr


def test_wrong_credentials_are_said_to_be_wrong(world: World) -> None:
    world.server.check_signatures()
    try:
        done = curate("shards", "verify", "s3://corpora/corpora", "--json", env=world.environment())
    finally:
        world.server.ignore_signatures()
    assert done.returncode == 1
    answer = orjson.loads(done.stdout)
    assert "access denied (InvalidAccessKeyId)" in answer["error"]
    assert "AWS_" in answer["hint"]
