"""What the user sees of bad shards: `python -m benchmarks.bad_shards`. Every line is what was said when it was done.

A small build (the corpus of `benchmarks.killed`) is copied for each kind of damage, damaged, and given to
`curate shards verify` and to the loader; then the plan, the ranks, the bucket and the disk are what is bad. Prints the
table of docs/shards_tools.md. The bucket is that of a real S3 server of this machine behind a proxy that fails or
waits; the full disk is a small tmpfs, which needs root.
"""

import argparse
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from tokenizers import Tokenizer, models

from benchmarks.huge_sample import shown
from benchmarks.killed import World, add_part, write_recipe
from pipelines.places import folder_of
from pipelines.replan import replan
from shards.loader import LoaderError, PlannedRows
from shards.manifest import ManifestError, read_manifest
from shards.plan_file import PlanError
from shards.rewrite import rewrite_shard
from shards.verify import verify_shards
from sources.storage import Folder, LocalFolder
from tests.object_store.fault_proxy import fault_proxy
from tests.object_store.server import BUCKET, s3_server

PARTS = 2
REFUSALS = (LoaderError, ManifestError, PlanError)
_log = logging.getLogger("curate.loader")


def loaded(given: Folder | Path, **options: Any) -> str:
    """What the loader says of all its steps."""
    try:
        rows = PlannedRows(given, **options)
        steps = list(rows)
    except REFUSALS as error:
        return f"`{type(error).__name__}`: {error}"
    bad = [str(sample) for step in steps for sample in step.bad]
    told = f"{len(steps)} steps, {sum(len(row.keys) for step in steps for row in step.rows)} samples"
    return f"{told}; {len(bad)} left out: {bad[0]}" if bad else told


def verified(place: Path) -> str:
    """What `curate shards verify` says, of its first problem."""
    found = verify_shards(LocalFolder(place), 1)
    if not found:
        return "ok"
    told = "; ".join(f"{problem.shard}: {problem.reason}" for problem in found[:2])
    return f"{told} (and {len(found) - 2} more)" if len(found) > 2 else told


def flip(place: Path, at: int) -> None:
    """Flip one bit of a file."""
    data = bytearray(place.read_bytes())
    data[at] ^= 1
    place.unlink()
    place.write_bytes(data)


def _swap(shards: Path, one: str, other: str) -> None:
    (shards / one).rename(shards / "aside")
    (shards / other).rename(shards / one)
    (shards / "aside").rename(shards / other)


def _rewrite(shards: Path, name: str) -> None:
    """The same shard without its first sample."""
    folder = LocalFolder(shards)
    entry = next(entry for entry in read_manifest(folder).shards if entry.name == name)
    with (shards / "aside").open("wb") as file:
        rewrite_shard(folder, entry, file, frozenset({entry.first_key}))
    (shards / "aside").replace(shards / name)


def _reformat(shards: Path) -> None:
    content = orjson.loads((shards / "manifest.json").read_bytes())
    (shards / "manifest.json").unlink()
    (shards / "manifest.json").write_bytes(orjson.dumps({**content, "format": content["format"] + 1}))


def damages(shards: Path) -> list[tuple[str, Callable[[Path], Any]]]:
    """Each kind of damage, and what does it to a folder of shards."""
    names = sorted(path.name for path in shards.glob("*films*.tar"))
    first, second = names[:2]
    data = (shards / first).read_bytes()
    picture, text = data.index(b"IDAT") + 5000, data.index(b'"turns"') + 30
    header = data.index(b"ustar", 600) - 257 + 130
    return [
        ("a shard is missing", lambda place: (place / first).unlink()),
        ("two are swapped", lambda place: _swap(place, first, second)),
        ("one is truncated", lambda place: os.truncate(place / first, len(data) // 2)),
        ("a flipped bit in a picture", lambda place: flip(place / first, picture)),
        ("a flipped bit in a text", lambda place: flip(place / first, text)),
        ("a flipped bit in a header", lambda place: flip(place / first, header)),
        ("rewritten after the manifest", lambda place: _rewrite(place, first)),
        ("a manifest of another version", _reformat),
        ("a flipped bit in the plan", lambda place: flip(place / "plan.arrow", _in_rows(place / "plan.arrow"))),
        ("a flipped bit in the index", lambda place: flip(place / "index.arrow", _in_rows(place / "index.arrow"))),
    ]


def _in_rows(place: Path) -> int:
    """A place among the numbers of an Arrow file: past the schema, before the footer."""
    data = place.read_bytes()
    return len(data) - int.from_bytes(data[-10:-6], "little") - 10 - 600


def of_shards(shards: Path, root: Path) -> Iterator[tuple[str, str, str]]:
    """Bad bytes: kind, what verify says, what the loader says."""
    for kind, damage in damages(shards):
        place = root / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(shards, place)
        damage(place)
        told = loaded(place)
        if not told.startswith("`"):
            told += f"<br>with `verify=True`: {loaded(place, verify=True)}"
        yield kind, verified(place), told


def of_size(root: Path) -> Iterator[tuple[str, str, str]]:
    """A sample with a picture of 3 GB."""
    said = {name: told for name, told, _, _ in shown(root)}
    yield "a sample of 3 GB, and the limit of 1 GiB", said["verified"], said["left_out"]
    yield "the same, the limit raised", "", said["loaded"]


def of_settings(shards: Path, root: Path) -> Iterator[tuple[str, str, str]]:
    """Plans and ranks that do not fit."""
    other = root / "tokenizer.json"
    Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(other))
    yield "a plan for another tokenizer", "ok", loaded(shards, tokenizer=str(other))
    yield "a world size that does not divide", "", loaded(shards, rank=0, world=3)
    tars = len(read_manifest(LocalFolder(shards)).shards)
    replan(LocalFolder(shards), ["context=1024", "rows_per_step=32"], "plan-32.arrow")
    each = {loaded(shards, plan="plan-32.arrow", rank=rank, world=32).partition(",")[0] for rank in range(32)}
    yield f"32 ranks for {tars} shards", "", f"every rank has {' / '.join(sorted(each))}"


def of_bucket(shards: Path) -> Iterator[tuple[str, str, str]]:
    """Object storage that fails and waits; what it answers is the same."""
    with s3_server() as server:
        for path in sorted(shards.rglob("*")):
            if path.is_file():
                server.put(f"shards/{path.relative_to(shards).as_posix()}", path.read_bytes())
        faults = [("S3 as it is", 0.0, 0.0), ("S3 fails 1 request in 10", 0.1, 0.0), ("S3 waits 0.2 s", 0.0, 0.2)]
        for kind, share, delay_s in faults:
            with fault_proxy(server.url, share, 1, delay_s) as proxy:
                os.environ.update(server.environment(proxy.url))
                started = time.perf_counter()
                told = loaded(folder_of(f"s3://{BUCKET}/shards"))
                yield kind, "", f"{told}; {time.perf_counter() - started:.1f} s"


def of_disk(world: World) -> Iterator[tuple[str, str, str]]:
    """A disk that is full in the middle of a shard, then larger."""
    disk = world.root / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "curate", str(disk)], check=False)
    if mounted.returncode:
        yield "the disk is full in the middle of a shard", "", "not done: no disk may be mounted here"
        return
    try:
        small = World(world.root, str(disk))
        done = subprocess.run(small.command("run"), capture_output=True, text=True, check=False)
        tars = small.tars("run")
        said = " / ".join(line.strip() for line in done.stderr.splitlines()[-2:])
        yield "the disk is full in the middle of a shard", "", f"exit {done.returncode}, {tars} tars finished: {said}"
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        small.build("run")
        same = {name: digest for name, digest in small.tree("run").items() if name.endswith(".tar")}
        whole = {name: digest for name, digest in world.tree("run").items() if name.endswith(".tar")}
        yield "the same command, with room", "", "the tars of an undisturbed build" if same == whole else "OTHER TARS"
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def of_keys(shards: Path) -> Iterator[tuple[str, str, str]]:
    """Files that are called by DICOM UIDs."""
    import webdataset  # type: ignore[import-untyped]

    names = [str(shards / entry.name) for entry in read_manifest(LocalFolder(shards)).shards]
    samples = list(webdataset.WebDataset(names, shardshuffle=False))
    suffixes = sorted({name for sample in samples for name in sample if not name.startswith("__")})
    dotted = sum("." in sample["__key__"].rpartition("/")[2] for sample in samples)
    source_key = orjson.loads(samples[0]["json"])["source_key"]
    yield (
        "files called by DICOM UIDs",
        "ok",
        (
            f"{len(samples)} samples of {', '.join(suffixes)} by webdataset, {dotted} keys with a dot "
            f"({samples[0]['__key__'].rpartition('/')[2]} is {source_key})"
        ),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    _log.addHandler(logging.NullHandler())
    _log.propagate = False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_recipe(root / "recipe.yaml")
        for number in range(PARTS):
            add_part(root / "corpus", number)
        world = World(root, folder)
        world.build("run")
        shards = root / "run" / "shards"
        replan(LocalFolder(shards), ["context=1024", "rows_per_step=4"])
        print("| what is bad | `curate shards verify` | the loader, or the command |\n|---|---|---|")
        for kinds in (
            of_keys(shards), of_shards(shards, root), of_size(root), of_settings(shards, root), of_bucket(shards),
            of_disk(world),
        ):  # fmt: skip
            for row in kinds:
                print(f"| {' | '.join(_short(cell, root) for cell in row)} |", flush=True)


def _short(text: str, root: Path) -> str:
    """Without the names of this run's folders, and hashes at a length that people read."""
    for name in ("damaged", "run/shards", "disk/run"):
        text = text.replace(str(root / name), "RUN/shards")
    words = text.replace(str(root), "DIR").replace("|", "/").replace("\n", " ").split(" ")
    return " ".join(_cut(word) for word in words)


def _cut(word: str) -> str:
    bare = word.rstrip(":;,.)")
    is_hash = len(bare) == len(hashlib.sha256().hexdigest()) and set(bare) <= set("0123456789abcdef")
    return f"{bare[:8]}...{word[len(bare) :]}" if is_hash else word


if __name__ == "__main__":
    main()
