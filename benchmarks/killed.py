"""The writer of shards, killed at random moments: `python -m benchmarks.killed [--kills 20] [--places local s3]`.

A build of films and notes (without the search for near-duplicates: this is about writing) is finished, then files are
added to the corpus, and the build that takes them in is killed (the process group, SIGKILL), started again, and
killed again; three of four kills come once some of the new tars are there. After every fourth it is let go, and
`run.json`, `tables/` and `shards/` are compared with those of a run that nobody killed, and `shards/` with those of a
build that had all files from the beginning. The bucket is that of a real S3 server of this machine (moto_server);
uploads that were neither finished nor given up are counted. Exit status 1 where a byte differs.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import yaml
from PIL import Image

from pipelines.places import folder_of
from tests.object_store.server import S3Server, s3_server

PARTS, NEW_PARTS, PER_PART = 1, 3, 16
SHARD_SAMPLES = 3
POLL_S = 0.05
KILLS_A_RUN = 4
WORDS = ("opacity", "nodule", "margin", "lobe", "hilum", "base", "apex", "septum", "chamber", "valve", "density")
OFF = [f"--set={name}.enabled=false" for name in ("contracts", "steps.near_text", "steps.near_image")]
IDENTITY = ("run.json", "tables", "shards")


def add_part(root: Path, number: int) -> None:
    """Add a file of films and one of notes, like nothing that is there."""
    chance = np.random.default_rng(number)
    (root / "films").mkdir(parents=True, exist_ok=True)
    (root / "notes").mkdir(exist_ok=True)
    films, notes = [], []
    for place in range(PER_PART):
        name = f"1.2.840.113619.2.55.{number}.{place}"  # as DICOM files are called
        pixels = chance.integers(0, 255, (160, 160), np.uint8)
        Image.fromarray(pixels).save(root / "films" / f"{name}.png", compress_level=1)
        films.append({"id": name, "image": f"{name}.png", "text": _words(chance, 20)})
        notes.append({"id": name, "q": f"What is said of {_words(chance, 12)}?", "a": _words(chance, 60)})
    (root / "films" / f"{number}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, films)))
    (root / "notes" / f"{number}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, notes)))


def _words(chance: np.random.Generator, count: int) -> str:
    return " ".join(f"{word}{chance.integers(1000)}" for word in chance.choice(WORDS, count))


def write_recipe(place: Path) -> None:
    """The recipe of both sources."""
    entry = {"reader": "jsonl", "access": "open", "identifiers": "public", "license": "CC0-1.0"}
    films = {"name": "films", "path": "films/*.jsonl", "images": "films", "task": "caption",
             "fields": {"id": "id", "image": "image", "text": "text"}}  # fmt: skip
    notes = {"name": "notes", "path": "notes/*.jsonl", "task": "text_qa",
             "fields": {"id": "id", "question": "q", "answer": "a"}}  # fmt: skip
    recipe = {"stage": "mid", "sources": [{**entry, **films}, {**entry, **notes}],
              "steps": {"tokens": {"min": 1}}, "shards": {"max_samples": SHARD_SAMPLES}}  # fmt: skip
    place.write_text(yaml.safe_dump(recipe))


@dataclass
class World:
    """Where runs go, and how they are made."""

    root: Path
    runs: str
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, run: str, corpus: str = "corpus") -> list[str]:
        """A build of a corpus."""
        recipe, data = self.root / "recipe.yaml", self.root / corpus
        return [sys.executable, "-m", "workflows.cli", "build", "--recipe", str(recipe), "--data", str(data),
                "--out", f"{self.runs}/{run}", "--workers", "2", *OFF]  # fmt: skip

    def started(self, run: str) -> "subprocess.Popen[bytes]":
        """A build that has begun, with its workers in a group of their own."""
        return subprocess.Popen(
            self.command(run), stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **self.environment}
        )

    def build(self, run: str, corpus: str = "corpus") -> float:
        """A whole build; its seconds."""
        started = time.perf_counter()
        environment = {**os.environ, **self.environment}
        done = subprocess.run(self.command(run, corpus), capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise SystemExit(f"{run}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return time.perf_counter() - started

    def tree(self, run: str) -> dict[str, str]:
        """SHA-256 of every file of the run's identity."""
        folder = folder_of(f"{self.runs}/{run}")
        names = ["run.json", *(stat.path for name in IDENTITY[1:] for stat in folder.files(name))]
        return {name: hashlib.sha256(folder.read(name)).hexdigest() for name in names}

    def copy(self, run: str, other: str) -> None:
        """The same run again."""
        source, target = (folder_of(f"{self.runs}/{name}") for name in (run, other))
        for stat in source.files(""):
            target.write(stat.path, source.read(stat.path))

    def tars(self, run: str) -> int:
        """Tars that are committed or published."""
        folder = folder_of(f"{self.runs}/{run}")
        return sum(stat.path.endswith(".tar") for stat in folder.files("work"))


def kill(world: World, run: str, pause_s: float, more_tars: int) -> bool:
    """Start a build, and kill it a moment after so many more tars are there.

    False if it had finished.
    """
    before = world.tars(run)
    process = world.started(run)
    while process.poll() is None and world.tars(run) - before < more_tars:
        time.sleep(POLL_S)
    time.sleep(pause_s)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def show(world: World, kills: int, label: str) -> int:
    """Kill, compare, tell; returns how many files differed."""
    chance = random.Random(7)
    corpus = world.root / "corpus"
    for number in range(PARTS):
        add_part(corpus, number)
    runs = [f"killed-{number}" for number in range(-(-kills // KILLS_A_RUN))]
    world.build("undisturbed")
    for run in runs:
        world.copy("undisturbed", run)
    for number in range(PARTS, PARTS + NEW_PARTS):
        add_part(corpus, number)
    seconds = world.build("undisturbed")
    world.build("fresh")
    expected, fresh = world.tree("undisturbed"), world.tree("fresh")
    shards = {name for name in fresh if name.startswith("shards/")}
    differ = sum(expected.get(name) != fresh[name] for name in shards)
    tars = sum(name.endswith(".tar") for name in expected)
    print(f"{label}: {len(expected)} files, {tars} tars, {seconds:.1f} s undisturbed")
    print(f"  new files in a finished run: {differ} files of shards/ differ from a fresh build's")
    killed, places = 0, []
    for number in range(kills):
        run = runs[number // KILLS_A_RUN]
        more = number % KILLS_A_RUN and chance.randrange(1, 8)  # 0: anywhere in the beginning
        if kill(world, run, chance.uniform(0, 0.2 if more else 5), more):
            killed += 1
            places.append(world.tars(run))
        if number % KILLS_A_RUN == KILLS_A_RUN - 1 or number == kills - 1:
            world.build(run)
            found = world.tree(run)
            wrong = [name for name in {*expected, *found} if expected.get(name) != found.get(name)]
            differ += len(wrong)
            print(f"  {run}: {len(wrong)} of {len(expected)} files differ {sorted(wrong)[:3] or ''}", flush=True)
    print(f"  {killed} of {kills} kills found it running, with so many tars committed: {sorted(places)}")
    return differ


@contextmanager
def worlds(names: list[str]) -> Iterator[Iterator[tuple[str, World, S3Server | None]]]:
    """One world after the other, in folders that go afterwards."""
    with tempfile.TemporaryDirectory() as place:
        yield _worlds(Path(place), names)


def _worlds(place: Path, names: list[str]) -> Iterator[tuple[str, World, S3Server | None]]:
    for name in names:
        root = place / name
        root.mkdir()
        write_recipe(root / "recipe.yaml")
        if name == "local":
            yield name, World(root, str(root)), None
            continue
        with s3_server() as server:
            environment = server.environment()
            os.environ.update(environment)
            yield name, World(root, "s3://corpora", environment), server


def main() -> None:
    """Print what was killed and what differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="in each place")
    parser.add_argument("--places", nargs="+", choices=("local", "s3"), default=["local", "s3"])
    options = parser.parse_args()
    differ = 0
    with worlds(options.places) as places:
        for name, world, server in places:
            differ += show(world, options.kills, name)
            if server is not None:
                print(f"  uploads that were neither finished nor given up: {len(server.unfinished())}")
    print("every tree is that of an undisturbed run" if not differ else f"{differ} files differ")
    raise SystemExit(1 if differ else 0)


if __name__ == "__main__":
    main()
