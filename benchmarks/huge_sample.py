"""One sample of 3 GB from writer to loader: `python -m benchmarks.huge_sample [--gigabytes 3] [--folder DIR]`.

Two samples in one tar; the picture of the second is a PNG followed by zeros, so that it decodes and no disk is filled
by making it. Each step has a process of its own: what it said, its seconds, and what its memory grew by (imports
aside; pages of the file that the writer is given do not count).
"""

import argparse
import dataclasses
import io
import mmap
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.shards import private_bytes, samples_of
from pipelines.replan import replan
from shards.index_file import INDEX_NAME, IndexAbout, write_index
from shards.index_rows import IndexRows
from shards.loader import PlannedRows
from shards.manifest import Manifest, Mixture, ShardEntry, manifest_bytes
from shards.samples import ShardSample
from shards.verify import verify_shards
from shards.writer import write_shard
from sources.storage import LocalFolder

TAR = "mid-demo-000000.tar"
SIDE = 512
HUGE_BYTES = 3 * 10**9


def written(place: Path, size: int) -> str:
    """Write tar, index and manifest."""
    place.mkdir()
    encoded = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), np.uint8)
    Image.fromarray(pixels).save(encoded, "PNG")
    small, large = samples_of(1000, 300, 10_000)[:2]
    with tempfile.NamedTemporaryFile(dir=place.parent) as hole:
        hole.write(encoded.getvalue())
        hole.truncate(size)
        hole.flush()
        with mmap.mmap(hole.fileno(), 0, access=mmap.ACCESS_READ) as data:
            pictures = (encoded.getvalue(), data)
            samples = [_with_png(sample, one) for sample, one in zip((small, large), pictures, strict=True)]  # type: ignore[arg-type]
            rows = IndexRows()
            with (place / TAR).open("wb") as file:
                summary = write_shard(file, samples, lambda sample, *where: rows.add(sample.json, *where))
    manifest = Manifest(
        build="b" * 64, stage="mid", tokenizer="o200k_harmony", context_tokens=4096, index=INDEX_NAME,
        mixture=Mixture(seed=0, epochs=1, weights={}), shards=(ShardEntry(name=TAR, **dataclasses.asdict(summary)),),
    )  # fmt: skip
    (place / "manifest.json").write_bytes(manifest_bytes(manifest))
    with (place / INDEX_NAME).open("wb") as file:
        write_index(file, IndexAbout(build=manifest.build, tokenizer=manifest.tokenizer), [rows.table()])
    return f"{summary.samples} samples, {summary.bytes} bytes"


def _with_png(sample: ShardSample, picture: bytes) -> ShardSample:
    images = [{**sample.json["images"][0], "member": "png"}]
    return ShardSample(sample.key, {**sample.json, "images": images}, (("png", picture),))


def planned(place: Path, _: int) -> str:
    """Write a plan of both samples."""
    about = replan(LocalFolder(place), ["rows_per_step=1"])
    return f"{about.steps} steps, {about.samples} samples"


def verified(place: Path, _: int) -> str:
    """What `curate shards verify` says."""
    problems = verify_shards(LocalFolder(place), 1)
    return "; ".join(f"{problem.shard}: {problem.reason}" for problem in problems) or "ok"


def loaded(place: Path, size: int) -> str:
    """What the loader makes of it where its limit is raised."""
    return _loaded(place, size + 2**20)


def left_out(place: Path, _: int) -> str:
    """What the loader says of it with its limit of 1 GiB."""
    return _loaded(place, 2**30)


def _loaded(place: Path, limit: int) -> str:
    steps = list(PlannedRows(place, max_sample_bytes=limit))
    bad = "".join(f"; left out: {sample}" for step in steps for sample in step.bad)
    return f"{sum(len(row.keys) for step in steps for row in step.rows)} samples{bad}"


def _peak(step: Callable[[Path, int], str], place: Path, size: int) -> tuple[str, float, int]:
    before = most = private_bytes()
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, private_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.perf_counter()
    said = step(place, size)
    seconds = time.perf_counter() - started
    done.set()
    watching.join()
    return said, seconds, most - before


def shown(root: Path, size: int = HUGE_BYTES) -> Iterator[tuple[str, str, float, int]]:
    """Each step's name, what it said, its seconds and the bytes its memory grew by."""
    context = multiprocessing.get_context("spawn")
    for step in (written, planned, verified, left_out, loaded):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            said, seconds, grown = pool.submit(_peak, step, root / "huge", size).result()
        yield step.__name__, said, seconds, grown


def main() -> None:
    """Print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=HUGE_BYTES / 1e9)
    parser.add_argument("--folder", type=Path, help="where to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, said, seconds, grown in shown(Path(folder), int(options.gigabytes * 1e9)):
            print(f"{name}: {said} ({seconds:.1f} s, {grown / 1e6:.0f} MB more memory)", flush=True)


if __name__ == "__main__":
    main()
