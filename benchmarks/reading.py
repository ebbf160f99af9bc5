"""How fast shards are read: `python -m benchmarks.reading [--json] [--samples N] [--energon PYTHON] [--folder DIR]`.

The same tars, in one run, one process a reader, no workers: our reader in the shuffled order of a packing plan (and
as packed rows, which are rendered too), `webdataset`, Hugging Face `datasets` streaming, and Megatron-Energon where
`--energon` names the Python of an environment that has it, tar after tar. With and without decoding; with the tars
in the page cache (warm) and dropped from it (cold). Bars: 1.2 x the best of them without decoding, as fast with it.
The bare decoder is the limit then. Rounds follow one another reader by reader, and the median counts. On a machine
that is busy with other things, samples per second of processor time say more than those per second.

Then, in processes of their own: seconds from the constructor to the first step (and from step 0 to the middle of a
plan of a million documents), and the memory of a rank that reads plans of 10,000 and of a million.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.planned_shards import write_plans, write_shards

BAR_OFF, BAR_ON, BAR_START_S = 1.2, 1.0, 1.0
READERS = ("ours", "ours as rows", "webdataset", "datasets")
SHORT, LONG = 10_000, 1_000_000
FIRST_STEP = """
import sys, time
from shards.loader import PlannedRows
folder, plan, place = sys.argv[1:]
started, used = time.perf_counter(), time.process_time()
rows = PlannedRows(folder, plan=plan)
rows = PlannedRows(folder, plan=plan, start_step=rows.steps // 2) if place == "middle" else rows
item = next(iter(rows))
print(time.perf_counter() - started, time.process_time() - used)
"""
MEMORY = """
import sys
from shards.loader import PlannedRows
folder, plan = sys.argv[1:]
imported = int(open("/proc/self/statm").read().split()[1]) * 4 / 1024
for part in range(4):
    rows = PlannedRows(folder, plan=plan)
    start = rows.steps * part // 4
    for step in PlannedRows(folder, plan=plan, start_step=start):
        if step.step >= start + 12: break
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(imported, int(status["VmHWM"].split()[0]) / 1024)
"""


def drop(folder: Path) -> None:
    """Take the tars out of the page cache."""
    for tar in folder.glob("*.tar"):
        descriptor = os.open(tar, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def rates(command: list[str]) -> tuple[float, float]:
    """Samples per second, and per second of processor time, of a process that prints samples and both."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    count, seconds, used = done.stdout.split()[-3:]
    return int(count) / float(seconds), int(count) / float(used)


def command_of(reader: str, folder: Path, decode: str, energon: str | None) -> list[str]:
    """How a reader is run."""
    if reader == "energon":
        script = Path(__file__).with_name("reading_energon.py")
        return [str(energon), str(script), str(folder / "energon"), decode]
    return [sys.executable, "-m", "benchmarks.reading_readers", reader, str(folder), decode]


def speeds(folder: Path, rounds: int, energon: str | None) -> dict[str, dict[str, tuple[float, float]]]:
    """Median samples per second, and per second of processor time, by condition and reader."""
    readers = [*READERS, *(["energon"] if energon else [])]
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for decode in ("off", "on"):
        for cache in ("warm", "cold"):
            names = [*readers, "bare decoder"] if decode == "on" and cache == "warm" else readers
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
            for _ in range(rounds):
                for name in names:
                    if cache == "cold":
                        drop(folder)
                    found[name].append(rates(command_of(name, folder, decode, energon)))
            table[f"decode {decode}, {cache}"] = {name: _medians(pairs) for name, pairs in found.items()}
    return table


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    wall, used = zip(*pairs, strict=True)
    return round(statistics.median(wall), 1), round(statistics.median(used), 1)


def prepared_for_energon(folder: Path, energon: str) -> None:
    """Energon wants its own files beside the tars: the same tars, linked, with what `energon prepare` writes."""
    there = folder / "energon"
    there.mkdir()
    for tar in folder.glob("*.tar"):
        os.link(tar, there / tar.name)
    tool = Path(energon).with_name("energon")
    options = ["--non-interactive", "--split-parts", "train:.*", "--sample-type", "CrudeWebdataset"]
    subprocess.run([tool, "prepare", *options, there], check=True, capture_output=True)


def numbers_of(script: str, *arguments: object) -> list[float]:
    """What a script prints."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return [round(float(number), 3) for number in done.stdout.split()]


def results(folder: Path, samples: int, side: int, rounds: int, energon: str | None) -> dict[str, object]:
    """Everything that is measured."""
    write_shards(folder, samples, side)
    for name, count in (("short.arrow", SHORT), ("long.arrow", LONG)):
        write_plans(folder, count, name)
    if energon:
        prepared_for_energon(folder, energon)
    table = speeds(folder, rounds, energon)
    peers = [name for name in table["decode on, cold"] if name not in {"ours", "ours as rows"}]
    ratios = {
        condition: [round(found["ours"][kind] / max(found[name][kind] for name in peers), 2) for kind in (0, 1)]
        for condition, found in table.items()
    }
    warm = table["decode on, warm"]
    return {
        "load": round(os.getloadavg()[0], 2),
        "samples": samples,
        "samples_per_s": table,
        "ratio_to_the_best": ratios,
        "ratio_to_the_bare_decoder": round(warm["ours"][1] / warm["bare decoder"][1], 2),
        "first_step_s": numbers_of(FIRST_STEP, folder, "long.arrow", "start"),
        "resume_in_the_middle_s": numbers_of(FIRST_STEP, folder, "long.arrow", "middle"),
        "memory_mb": {
            str(count): numbers_of(MEMORY, folder, name)
            for name, count in (("short.arrow", SHORT), ("long.arrow", LONG))
        },
    }


def main() -> None:
    """Print a table, or with `--json` one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--side", type=int, default=512, help="pixels of a picture's side")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--energon", help="the Python of an environment that has megatron-energon")
    parser.add_argument("--folder", type=Path, help="where to write: the disk that is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = results(Path(folder) / "shards", options.samples, options.side, options.rounds, options.energon)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{os.cpu_count()} cores, load {found['load']}; {found['samples']} samples of {options.side} px")
    for condition, by_reader in found["samples_per_s"].items():  # type: ignore[attr-defined]
        bar = BAR_ON if "on" in condition else BAR_OFF
        wall, used = found["ratio_to_the_best"][condition]  # type: ignore[index]
        listed = ", ".join(f"{name} {pair[0]:.0f} ({pair[1]:.0f})" for name, pair in by_reader.items())
        verdict = "met" if wall >= bar else "MISSED"
        print(f"{condition}: {listed} samples per second (of processor time)")
        print(f"    {wall} x the best, {used} x by processor time (bar {bar}: {verdict})")
    print(f"with decoding, {found['ratio_to_the_bare_decoder']} x the bare decoder, by processor time")
    for name in ("first_step_s", "resume_in_the_middle_s"):
        wall, used = found[name]  # type: ignore[misc]
        verdict = "met" if wall < BAR_START_S else "MISSED"
        print(f"{name} of {LONG} documents: {wall}, of processor time {used} (bar {BAR_START_S}: {verdict})")
    print(f"memory in MB, after imports and at most, by documents of the plan: {found['memory_mb']}")


if __name__ == "__main__":
    main()
