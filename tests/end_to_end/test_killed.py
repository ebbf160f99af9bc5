"""A build that is killed anywhere ends, when it is run again, in the very tree of an undisturbed one."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.end_to_end.runs import CURATE, WITHOUT_CONTRACTS, WITHOUT_READING, curate, published
from workflows.demo_corpus import write_demo_corpus

KILLS, KILLS_OF_ONE_RUN = 6, 3
"""As many as are tried with each change; `benchmarks/killed.py` kills 20 times, on a disk and on object storage."""
BESIDE = ("index.arrow", "plan.arrow", ".nv-meta/index.sqlite", ".nv-meta/split.yaml", "mid-figures-000000.tar.idx")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("killed") / "corpora"
    recipe = write_demo_corpus(root)
    # small tars, so that several are written and kills fall between them
    return ["build", "--stage", "mid", "--recipe", str(recipe), "--data", str(root), "--workers", "2",
            "--set", "shards.max_samples=5", *WITHOUT_CONTRACTS, *WITHOUT_READING]  # fmt: skip


def kill_after(arguments: list[str], run: Path, events: int, pause_s: float, group: bool) -> bool:
    """Start a build and kill it some time after its log has grown by so many lines; False if it had finished."""
    log = run / "events.jsonl"
    before = log.stat().st_size if log.exists() else 0
    process = subprocess.Popen(
        [*CURATE, *arguments, "--out", str(run)], stderr=subprocess.DEVNULL, start_new_session=True
    )
    size = -1
    while process.poll() is None:
        if log.exists() and log.stat().st_size != size:
            size = log.stat().st_size
            if log.read_bytes()[before:].count(b"\n") >= events:
                time.sleep(pause_s)
                break
        time.sleep(0.005)
    if process.poll() is not None:
        return False
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    return True


def test_kills_at_random_moments_leave_the_tree_of_an_undisturbed_run(arguments: list[str], tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    assert curate(*arguments, "--out", undisturbed, near=True).returncode == 0
    events = (undisturbed / "events.jsonl").read_bytes().count(b"\n")
    expected = published(undisturbed)
    assert {f"shards/{name}" for name in BESIDE} < set(expected)
    chance = random.Random(20)
    killed = 0
    for number in range(KILLS):
        run = tmp_path / f"run{number // KILLS_OF_ONE_RUN}"
        killed += kill_after(arguments, run, chance.randrange(events), chance.uniform(0, 0.05), chance.random() < 0.5)
        if number % KILLS_OF_ONE_RUN == KILLS_OF_ONE_RUN - 1:
            done = curate(*arguments, "--out", run, near=True)
            assert done.returncode == 0, done.stderr
            assert published(run) == expected
            assert not list((run / "work" / "tmp").iterdir())
    assert killed >= KILLS // 2
