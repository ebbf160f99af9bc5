"""How fast shards are written: `python -m benchmarks.shards [--json] [--mebibytes N] [--folder DIR]`.

The same samples, in one run, by three writers: ours (SHA-256 of the file included), `webdataset.ShardWriter`
(none), and the physical limit, `cp` of our finished tar. Every one ends with fsync. The bar is 0.8 of `cp`. Ours
needs a second core for the hash: on a machine that is busy with other things the ratio says little, so the load is
printed with it. Every writer follows every other, since what one leaves in the page
cache the next one finds; the median counts. With `--ray`, Ray
Data's `write_webdataset` writes the pictures too, on one worker, its rows in the object store beforehand.

`--parallel DIR` measures something else: what two engine workers do together. The texts in two tars, and the tars of
a build's `shards/` as they are (their samples in memory; each new tar must have the manifest's SHA-256), written by one
process and by two at a time, against one `cp` and fsync of exactly these tars.
"""

import argparse
import gc
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import webdataset  # type: ignore[import-untyped]

from shards.manifest import ShardEntry, read_manifest
from shards.samples import PictureFacts, ShardSample, json_bytes, sample_json, shard_sample
from shards.tar_reader import TarReader
from shards.writer import write_shard
from sources.storage import LocalFolder

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


def private_bytes() -> int:
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


def samples_in(folder: Path, entry: ShardEntry) -> list[ShardSample]:
    """The samples of a tar, as they were written."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    with (folder / entry.name).open("rb") as file:
        for member in TarReader(file, entry.bytes, 2**30).members():
            key, _, suffix = member.name.partition(".")
            found.setdefault(key, []).append((suffix, member.data or b""))
    return [ShardSample(key, orjson.loads(own[0][1]), tuple(own[1:])) for key, own in found.items()]


def _write_in_turn(
    tars: Sequence[Sequence[ShardSample]], folder: Path, numbers: Any, ready: Any, go: Any, done: Any
) -> None:
    for tar in tars:  # what is forked is copied when it is first touched: not on the clock
        write_shard(io.BytesIO(), tar)
    ready.release()
    go.wait()
    while (number := numbers.get()) is not None:
        write_ours(tars[number], folder / f"ours-{number}.tar")
    done.release()


def write_by_processes(tars: Sequence[Sequence[ShardSample]], folder: Path, workers: int) -> float:
    """Seconds from a word to processes that hold the samples until all tars are on disk; the largest tar is first."""
    context = multiprocessing.get_context("fork")
    numbers, go = context.Queue(), context.Event()
    ready, done = context.Semaphore(0), context.Semaphore(0)
    for number in sorted(range(len(tars)), key=lambda number: -sum(map(_bytes, tars[number]))):
        numbers.put(number)
    for _ in range(workers):
        numbers.put(None)

    given = (tars, folder, numbers, ready, go, done)
    processes = [context.Process(target=_write_in_turn, args=given) for _ in range(workers)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()

    def together() -> None:
        go.set()
        for _ in processes:
            done.acquire()

    seconds = seconds_of(together)
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a writer failed")
    return seconds


def _bytes(sample: ShardSample) -> int:
    return 1000 + sum(len(data) for _, data in sample.members)


def measure_parallel(tars: Sequence[Sequence[ShardSample]], folder: Path) -> dict[str, float]:
    """Bytes, and MB/s of one writer, two writers and `cp`; the tars written are left in the folder."""
    gc.collect()
    gc.freeze()
    write_by_processes(tars, folder, 1)
    places = sorted(folder.glob("ours-*.tar"))
    sources = [place.rename(place.with_name(place.name.replace("ours", "source"))) for place in places]
    size = sum(place.stat().st_size for place in sources)

    def copied() -> None:
        for source in sources:
            copy(source, source.with_name(source.name.replace("source", "cp")))

    ways = {"one": lambda: write_by_processes(tars, folder, 1), "two": lambda: write_by_processes(tars, folder, 2),
            "cp": lambda: seconds_of(copied)}  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for order in itertools.permutations(ways):
        for name in order:
            seconds[name].append(ways[name]())
            for place in (*folder.glob("ours-*.tar"), *folder.glob("cp-*.tar")):
                place.unlink()
    rates = {name: size / statistics.median(times) / 1e6 for name, times in seconds.items()}
    return {
        "bytes": size,
        "samples": sum(map(len, tars)),
        **{f"{name}_mb_per_s": round(rate, 1) for name, rate in rates.items()},
        "one_to_cp": round(rates["one"] / rates["cp"], 2),
        "two_to_cp": round(rates["two"] / rates["cp"], 2),
    }


def show_parallel(shards: Path, total_bytes: int, parent: Path | None) -> None:
    """Print a line for each kind of text in two tars, and for a build's tars."""
    manifest = read_manifest(LocalFolder(shards))
    built = [samples_in(shards, entry) for entry in manifest.every_shard]
    kinds: dict[str, list[list[ShardSample]]] = {f"a build's {len(built)} tars": built}
    for name, (picture_bytes, characters) in WORKLOADS.items():
        samples = samples_of(picture_bytes, characters, total_bytes)
        kinds[name] = [samples[: len(samples) // 2], samples[len(samples) // 2 :]]
    for name, tars in kinds.items():
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            row = measure_parallel(tars, Path(folder))
            if tars is built:
                for number, entry in enumerate(manifest.every_shard):
                    digest = hashlib.sha256((Path(folder) / f"source-{number}.tar").read_bytes()).hexdigest()
                    if digest != entry.sha256:
                        raise SystemExit(f"{entry.name}: was written with other bytes")
        print(
            f"{name}: {row['samples']} samples, {row['bytes'] / 2**20:.0f} MiB: one {row['one_mb_per_s']}, two "
            f"{row['two_mb_per_s']}, cp {row['cp_mb_per_s']} MB/s; {row['one_to_cp']} and {row['two_to_cp']} x cp",
            flush=True,
        )


def main() -> None:
    """Print a table, or with `--json` one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--mebibytes", type=int, default=256, help="size of each tar")
    parser.add_argument("--ray", action="store_true", help="Ray Data, too (of a quarter of the bytes)")
    parser.add_argument("--folder", type=Path, help="where to write: the disk that is measured")
    parser.add_argument("--parallel", type=Path, metavar="SHARDS", help="one writer and two, on texts and on a build")
    options = parser.parse_args()
    if options.parallel:
        show_parallel(options.parallel, options.mebibytes * 2**20, options.folder)
        return
    load = round(os.getloadavg()[0], 2)
    table = dict(results(options.mebibytes * 2**20, options.folder))
    more: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.ray:
            name = next(iter(WORKLOADS))
            samples = samples_of(*WORKLOADS[name], options.mebibytes * 2**18)
            more["ray_data_mb_per_s"] = measure_ray(samples, Path(folder))
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
