"""How fast shards are written: `python -m benchmarks.shards [--json] [--mebibytes N] [--folder DIR]`.

The same samples, in one run, by three writers: ours (SHA-256 of the file included), `webdataset.ShardWriter`
(none), and the physical limit, `cp` of our finished tar. Every one ends with fsync. The bar is 0.8 of `cp`
(DESIGN.md section 11). Ours needs a second core for the hash: on a machine that is busy with other things the ratio
says little, so the load is printed with it. Every writer follows every other, since what one leaves in the page
cache the next one finds; the median counts. Short texts are bound by the 5 microseconds that Python takes for a
sample, not by bytes. With `--ray`, Ray Data's `write_webdataset` writes the pictures too, on one worker, its rows in
the object store beforehand; `--large` writes one sample of 3 GB.
"""

import argparse
import gc
import hashlib
import itertools
import json
import mmap
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import webdataset  # type: ignore[import-untyped]

from shards.samples import PictureFacts, ShardSample, json_bytes, sample_json, shard_sample
from shards.writer import write_shard

BAR = 0.8
WORKLOADS = {"pictures of 200 KB": (200_000, 300), "texts of 4 KB": (0, 4_000), "texts of 1 KB": (0, 1_000)}
"""Workload -> bytes of the picture of each sample (0: none), characters of its answer."""


def samples_of(picture_bytes: int, characters: int, total_bytes: int) -> list[ShardSample]:
    """Make samples of random bytes that fill about `total_bytes` of a tar; pictures repeat to save memory."""
    pictures = [os.urandom(picture_bytes) for _ in range(32)] if picture_bytes else []
    facts = [PictureFacts("0" * 64, 512, 512, "xray", "jpg")] if picture_bytes else []
    answer = "Small pleural effusion. " * (characters // 24)
    row = {
        "source": "demo", "source_key": "train.jsonl#1", "task": "vqa", "license": "CC-BY-4.0", "access": "open",
        "language": "en", "question": None, "options": None, "answer": None, "groups": [], "parent_id": None,
        "turns": [{"role": "user", "text": "<image>\n" * len(facts) + "?"}, {"role": "assistant", "text": answer}],
        "images": [{"image_id": fact.image_id} for fact in facts],
    }  # fmt: skip
    samples = []
    for number in range(total_bytes // (picture_bytes + characters + 1500)):
        key = hashlib.sha256(str(number).encode()).hexdigest()[:32]
        content = sample_json({**row, "sample_id": key}, 200, facts)
        samples.append(shard_sample(content, [pictures[number % len(pictures)]] if pictures else []))
    return samples


def write_ours(samples: list[ShardSample], place: Path) -> None:
    """Write one shard as the build does, without the rename."""
    with place.open("w+b") as file:
        write_shard(file, samples)
        file.flush()
        os.fsync(file.fileno())


def write_webdataset(samples: list[ShardSample], place: Path) -> None:
    """Write the same members with the reference writer, which encodes nothing here."""
    unlimited = 10**12
    with webdataset.ShardWriter(
        str(place.with_name("out-%06d.tar")), maxcount=unlimited, maxsize=unlimited, encoder=False, verbose=0
    ) as writer:
        for sample in samples:
            writer.write({"__key__": sample.key, "json": json_bytes(sample.json), **dict(sample.members)})
    _sync(place)


def copy(source: Path, place: Path) -> None:
    """Copy a file that is in the page cache."""
    subprocess.run(["cp", source, place], check=True)
    _sync(place)


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def seconds_of(work: Callable[[], None]) -> float:
    """Time the work from a disk that has nothing else to write."""
    os.sync()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(samples: list[ShardSample], folder: Path) -> dict[str, float]:
    """Return bytes, samples, the MB/s of each writer, and the ratios of ours to the others."""
    gc.collect()
    gc.freeze()  # a build streams its samples; the collector need not walk those held here
    source, place = folder / "source.tar", folder / "out-000000.tar"
    write_ours(samples, source)
    size = source.stat().st_size
    writers: dict[str, Callable[[], None]] = {
        "ours": lambda: write_ours(samples, place),
        "cp": lambda: copy(source, place),
        "webdataset": lambda: write_webdataset(samples, place),
    }
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    for order in itertools.permutations(writers):
        for name in order:
            seconds[name].append(seconds_of(writers[name]))
            place.unlink()
    rates = {name: size / statistics.median(times) / 1e6 for name, times in seconds.items()}
    return {
        "bytes": size,
        "samples": len(samples),
        **{f"{name}_mb_per_s": round(rate, 1) for name, rate in rates.items()},
        "ratio_to_cp": round(rates["ours"] / rates["cp"], 2),
        "ratio_to_webdataset": round(rates["ours"] / rates["webdataset"], 2),
    }


def measure_ray(samples: list[ShardSample], folder: Path) -> float:
    """Return the MB/s of Ray Data, whose rows are in its object store before the clock starts."""
    import ray

    members = [{"json": json_bytes(sample.json), **dict(sample.members)} for sample in samples]
    rows = [{"__key__": sample.key, **own} for sample, own in zip(samples, members, strict=True)]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        data = ray.data.from_items(rows, override_num_blocks=1).materialize()
        out = folder / "ray"
        seconds = seconds_of(lambda: (data.write_webdataset(str(out), encoder=None), os.sync())[1])
    finally:
        ray.shutdown()
    size = sum(place.stat().st_size for place in out.rglob("*.tar"))
    return round(size / seconds / 1e6, 1)


def measure_large(folder: Path, size: int = 3 * 10**9) -> dict[str, float]:
    """Write one sample with a picture of 3 GB, a file with holes; return seconds and what memory grew by, in MB."""
    hole, place = folder / "hole", folder / "large.tar"
    with hole.open("wb") as file:
        file.truncate(size)
    (small,) = samples_of(1000, 300, 3000)[:1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with hole.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        private_before = _private_bytes()
        seconds = seconds_of(lambda: write_ours([ShardSample(small.key, small.json, (("jpg", data),))], place))  # type: ignore[arg-type]
        grown = _private_bytes() - private_before
    written = place.stat().st_size
    place.unlink()
    return {
        "bytes": written,
        "seconds": round(seconds, 1),
        "mb_per_s": round(written / seconds / 1e6, 1),
        "private_mb": round(grown / 1e6, 1),
        "peak_rss_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3, 1),
    }


def _private_bytes() -> int:
    """Memory of this process alone: what it maps of files does not count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024


def results(total_bytes: int, parent: Path | None) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure one workload after the other, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        for name, (picture_bytes, characters) in WORKLOADS.items():
            yield name, measure(samples_of(picture_bytes, characters, total_bytes), Path(folder))
            for place in Path(folder).iterdir():
                place.unlink()


def main() -> None:
    """Print a table, or with `--json` one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--mebibytes", type=int, default=256, help="size of each tar")
    parser.add_argument("--ray", action="store_true", help="Ray Data, too (of a quarter of the bytes)")
    parser.add_argument("--large", action="store_true", help="a sample of 3 GB, too")
    parser.add_argument("--folder", type=Path, help="where to write: the disk that is measured")
    options = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    table = dict(results(options.mebibytes * 2**20, options.folder))
    more: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.ray:
            name = next(iter(WORKLOADS))
            samples = samples_of(*WORKLOADS[name], options.mebibytes * 2**18)
            more["ray_data_mb_per_s"] = measure_ray(samples, Path(folder))
        if options.large:
            more["large"] = measure_large(Path(folder))
    if options.json:
        print(json.dumps({"bar": BAR, "load": load, "workloads": table, **more}))
        return
    for name, value in more.items():
        print(f"{name}: {value}")
    print(f"{os.cpu_count()} cores, load {load} before the first round")
    for name, row in table.items():
        verdict = "met" if row["ratio_to_cp"] >= BAR else "MISSED"
        print(
            f"{name}: {row['samples']} samples, {row['bytes'] / 2**20:.0f} MiB: ours {row['ours_mb_per_s']} MB/s, "
            f"cp {row['cp_mb_per_s']} MB/s, ShardWriter {row['webdataset_mb_per_s']} MB/s; "
            f"{row['ratio_to_cp']} x cp (bar {BAR}: {verdict}), {row['ratio_to_webdataset']} x ShardWriter"
        )


if __name__ == "__main__":
    main()
