"""The loader with real worker processes, and with shards in a bucket."""

import random
import subprocess
import sys
import tarfile
import time
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

pytest.importorskip("torch", reason="the loader needs torch (the extra `train`)")

from shards.loader import LoaderError, PlannedLoader, PlannedRows, StepRows
from shards.row_reader import IGNORED
from tests.end_to_end.runs import curate
from tests.object_store.fault_proxy import CUT_ANSWER, REFUSED, FaultProxy, fault_proxy
from tests.object_store.server import BUCKET, S3Server, s3_server, use
from tests.shards.planned import mixed_shards, plan_shards, write_shards
from workflows.demo_corpus import write_demo_corpus

STEPS = 16
SOURCES = ("figures", "notes")
STOPS = 12
STATEFUL_STOPS = 8


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen steps of four rows of three samples, in four tars."""
    root = tmp_path_factory.mktemp("loader") / "shards"
    write_shards(root, mixed_shards(192, 4))
    plan_shards(root)
    return root


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> list[list[tuple[str, ...]]]:
    """Keys of every row of every global batch."""
    steps = [keys_of(item) for item in PlannedRows(root)]
    assert len(steps) == STEPS
    return steps


def keys_of(item: StepRows) -> list[tuple[str, ...]]:
    return [row.keys for row in item.rows]


def together(ranks: list[list[list[tuple[str, ...]]]]) -> list[list[tuple[str, ...]]]:
    """The global batches: row n of a step is with rank n % world."""
    world = len(ranks)
    assert len({len(steps) for steps in ranks}) == 1
    return [[rows[n % world][n // world] for n in range(4)] for rows in zip(*ranks, strict=True)]


def test_real_workers_stopped_anywhere_resume_exactly_on_other_ranks_and_workers(
    root: Path, undisturbed: list[list[tuple[str, ...]]]
) -> None:
    chance = random.Random(11)
    for _ in range(STOPS):
        stop = chance.randrange(1, STEPS)
        before, states = [], []
        world, workers = chance.choice([1, 2]), chance.choice([1, 2])
        for rank in range(world):
            loader = PlannedLoader(PlannedRows(root, rank=rank, world=world), workers=workers, prefetch_steps=3)
            before.append([keys_of(item) for item in islice(loader, stop)])
            states.append(orjson.dumps(loader.state_dict()))
        assert len(set(states)) == 1, "the state says nothing of ranks"
        after = []
        world, workers = chance.choice([1, 2, 4]), chance.choice([0, 1, 2])
        for rank in range(world):
            rows = PlannedRows(root, rank=rank, world=world)
            loader = PlannedLoader(rows, workers=workers if rank == 0 else 0)
            loader.load_state_dict(orjson.loads(states[0]))
            after.append([keys_of(item) for item in loader])
        assert together(before) + together(after) == undisturbed


def test_torchdatas_stateful_loader_stopped_anywhere_resumes_exactly(
    root: Path, undisturbed: list[list[tuple[str, ...]]]
) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="needs torchdata").StatefulDataLoader
    chance = random.Random(12)
    for number in range(STATEFUL_STOPS):
        workers = number % 3
        stop = chance.randrange(1, STEPS)

        def made(workers: int = workers) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ahead = workers or None
                return stateful(PlannedRows(root), batch_size=None, num_workers=workers, prefetch_factor=ahead)

        loader = made()
        before = [keys_of(item) for item in islice(loader, stop)]
        state = loader.state_dict()
        del loader
        loader = made()
        loader.load_state_dict(state)
        assert before + [keys_of(item) for item in loader] == undisturbed


def test_the_rows_of_a_build_hold_each_kept_sample_once_with_its_pictures(tmp_path: Path) -> None:
    recipe = write_demo_corpus(tmp_path / "corpora")
    document = yaml.safe_load(recipe.read_text())
    document["sources"] = [source for source in document["sources"] if source["name"] in SOURCES]
    recipe.write_text(yaml.safe_dump(document))
    done = curate("build", "--recipe", recipe, "--data", tmp_path / "corpora", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    rows = PlannedRows(tmp_path / "run" / "shards")
    kept = {path.name.split(".")[0]: path for path in members_of(tmp_path / "run" / "shards")}
    found = [row for step in rows for row in step.rows]
    keys = [key for row in found for key in row.keys]
    assert set(keys) == set(kept)
    assert len(keys) - len(kept) < rows.about.rows_per_step, "only the last step repeats documents"
    assert all(len(row.pictures) == len(row.picture_spans) for row in found)
    assert sum(len(row.ids) for row in found) == rows.about.tokens
    assert all((row.labels[row.position_ids == 0] == IGNORED).all() for row in found)


def members_of(folder: Path) -> list[Path]:
    """Names of everything in the tars of a folder."""
    found = []
    for tar in folder.glob("*.tar"):
        with tarfile.open(tar) as archive:
            found += [Path(name) for name in archive.getnames()]
    return found


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[S3Server]:
    with s3_server() as server:
        for file in root.iterdir():
            server.put(f"run/shards/{file.name}", file.read_bytes())
        yield server


@pytest.fixture
def proxy(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with fault_proxy(server.url, seed=5) as proxy:
        use(monkeypatch, server.environment(proxy.url))
        yield proxy


PLACE = f"s3://{BUCKET}/run/shards"


def test_a_bucket_that_fails_one_request_in_ten_gives_the_same_rows(
    proxy: FaultProxy, undisturbed: list[list[tuple[str, ...]]]
) -> None:
    proxy.share, proxy.faults = 0.1, (REFUSED, CUT_ANSWER)
    assert [keys_of(item) for item in PlannedRows(PLACE)] == undisturbed
    assert proxy.injected.total() > 0


def test_of_a_bucket_only_what_a_step_needs_is_read(proxy: FaultProxy, root: Path) -> None:
    rows = PlannedRows(PLACE, start_step=8)
    proxy.clear()
    assert next(iter(rows)).step == 8
    ranges = [requested for _, path, requested in proxy.log if path.endswith(".tar")]
    assert all(ranges), "no tar is fetched whole"
    assert len(ranges) < 4 + 6 * 4 + 1, "one request for each tar and step, and one to open it"


def test_a_slow_bucket_is_read_ahead_of(proxy: FaultProxy) -> None:
    """Each of about 70 requests takes 50 ms: one after the other they would take 3.5 s."""
    rows = PlannedRows(PLACE)
    proxy.clear()
    proxy.delay_s = 0.05
    started = time.monotonic()
    assert len(list(rows)) == STEPS
    assert time.monotonic() - started < 0.05 * proxy.requests.total() / 2


def test_new_processes_read_a_bucket(proxy: FaultProxy, undisturbed: list[list[tuple[str, ...]]]) -> None:
    loader = PlannedLoader(PlannedRows(PLACE), workers=1)
    first = [keys_of(item) for item in islice(loader, 3)]
    assert first == undisturbed[:3]


def test_an_object_replaced_while_it_is_read_is_told(proxy: FaultProxy, server: S3Server, root: Path) -> None:
    steps = iter(PlannedRows(PLACE))
    next(steps)
    names = [file.name for file in root.glob("*.tar")]
    for name in names:
        server.put(f"run/shards/{name}", (root / name).read_bytes()[:-512] + bytes(511) + b"x")
    try:
        with pytest.raises(LoaderError, match=r"mid-demo-00000\d\.tar: "):
            list(steps)
        with pytest.raises(LoaderError, match=r"mid-demo-00000\d\.tar: its SHA-256 is [0-9a-f]{64}, the manifest says"):
            next(iter(PlannedRows(PLACE, verify=True)))  # as large as before, and the first samples are the same
    finally:
        for name in names:
            server.put(f"run/shards/{name}", (root / name).read_bytes())


MEMORY = """
import sys
from pathlib import Path
from shards.loader_samples import SampleReader
from shards.loader_shards import Shards
from shards.manifest import read_manifest
from shards.plan_file import Place
from sources.storage import LocalFolder
folder = LocalFolder(Path(sys.argv[1]))
reader = SampleReader(Shards(folder, read_manifest(folder)))
print(reader.read([Place(0, 0, 3 * 2**30, 10)])[0])
print(max(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_a_sparse_tar_with_a_sample_of_three_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    write_shards(tmp_path, mixed_shards(4, 1))
    content = orjson.loads((tmp_path / "manifest.json").read_bytes())
    content["shards"][0]["bytes"] = 3 * 2**30 + 10240
    (tmp_path / "manifest.json").write_bytes(orjson.dumps(content))
    with (tmp_path / content["shards"][0]["name"]).open("r+b") as file:
        file.truncate(3 * 2**30 + 10240)
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True)
    said, kilobytes = done.stdout.splitlines()
    assert f"{3 * 2**30} bytes, more than max_sample_bytes" in said
    assert int(kilobytes) < 400_000
