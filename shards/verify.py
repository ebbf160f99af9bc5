"""`curate shards verify`: whether a folder of shards is, byte for byte and sample for sample, what it says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shards.check_energon import faults_of_energon
from shards.check_index import IndexSlice
from shards.check_plan import faults_of_index_file, faults_of_plan
from shards.check_sample import PictureRules
from shards.check_shard import KEY_BYTES, ShardJob, ShardReport, check_shard
from shards.energon import META, tar_index_name
from shards.manifest import MANIFEST_NAME, Manifest, ManifestError, read_manifest
from shards.plan_file import PLAN_ENDING
from shards.processes import run_in_processes
from sources.storage import Folder

MAX_PIXELS = 200_000_000  # what a recipe admits by default (`steps.measure.max_pixels`)
COMPANIONS = ("README.md", "croissant.json")
"""Files that may stand beside the shards without a word in the manifest: the data card, for people and machines."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the file it is wrong with, and what, with the sample's key where there is one."""

    shard: str
    reason: str


def verify_shards(
    folder: Folder,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
    *,
    decode: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> list[Problem]:
    """Check every shard of a folder against its manifest, and the folder for what the manifest does not list.

    So are the member index and `.tar.idx` against the samples of each shard that is right itself, the plan against
    the index, and `.nv-meta` against the manifest. Nothing found ends the check; problems come in the manifest's
    order. Without `decode`, pictures are opened and their pixels are not decoded. `progress` is told (shards done,
    shards in all). Memory is one member of a tar for each worker, and 80 bytes for each sample of the folder.
    """
    try:
        manifest = read_manifest(folder)
    except (ManifestError, OSError) as error:
        return [Problem(MANIFEST_NAME, str(error))]
    names = [entry.name for entry in manifest.every_shard]
    rules = PictureRules(decode, max_pixels)
    reports = [ShardReport(("the process that checked it died: out of memory, or a crash in a decoder",))] * len(names)
    of_index = faults_of_index_file(folder, manifest)
    slices = [None] * len(names) if of_index else _slices(folder, manifest)
    for_energon = folder.has_folder(META)
    jobs = [
        ShardJob(folder, entry, rules, part, for_energon)
        for entry, part in zip(manifest.every_shard, slices, strict=True)
    ]
    for done, (number, report) in enumerate(run_in_processes(check_shard, jobs, workers), start=1):
        reports[number] = report or reports[number]
        if progress is not None:
            progress(done, len(names))
    problems = [Problem(name, fault) for name, report in zip(names, reports, strict=True) for fault in report.faults]
    return [
        *problems,
        *_misplaced(manifest, reports),
        *_repeated_keys(names, reports),
        *_beside(manifest, reports, of_index),
        *(
            Problem(plan, fault)
            for plan in _plans(folder, manifest)
            for fault in faults_of_plan(folder, manifest, plan)
        ),
        *(
            Problem(name, fault)
            for name, fault in faults_of_energon(folder, manifest, [report.places for report in reports])
        ),
        *_files_amiss(folder, manifest),
    ]


def _slices(folder: Folder, manifest: Manifest) -> list[IndexSlice | None]:
    """Which rows of the index each shard is to be compared with; None where there is no index."""
    if manifest.index is None or folder.stat(manifest.index) is None:
        return [None] * len(manifest.every_shard)
    slices: list[IndexSlice | None] = []
    start = 0
    for number, entry in enumerate(manifest.every_shard):
        slices.append(IndexSlice(manifest.index, number, start, entry.samples, manifest.tokenizer))
        start += entry.samples
    return slices


def _plans(folder: Folder, manifest: Manifest) -> list[str]:
    """The plan that the manifest names, and others that `curate shards plan --out` wrote beside it."""
    return [name for name in folder.names() if name.endswith(PLAN_ENDING) and name != manifest.index]


def _beside(manifest: Manifest, reports: Sequence[ShardReport], of_index: Sequence[str]) -> list[Problem]:
    """What is wrong with the files that speak of the shards' samples."""
    problems = [Problem(str(manifest.index), fault) for fault in of_index]
    for entry, report in zip(manifest.every_shard, reports, strict=True):
        problems += [Problem(str(manifest.index), f"{entry.name}: {fault}") for fault in report.of_index]
        problems += [Problem(tar_index_name(entry.name), fault) for fault in report.of_tar_index]
    return problems


def _misplaced(manifest: Manifest, reports: Sequence[ShardReport]) -> list[Problem]:
    """Say which shard it is that lies under another one's name."""
    by_digest = {entry.sha256: entry.name for entry in manifest.every_shard}
    problems = []
    for entry, report in zip(manifest.every_shard, reports, strict=True):
        if report.sha256 is not None and report.sha256 != entry.sha256 and report.sha256 in by_digest:
            problems.append(Problem(entry.name, f"holds the bytes of {by_digest[report.sha256]}"))
    return problems


def _repeated_keys(names: Sequence[str], reports: Sequence[ShardReport]) -> list[Problem]:
    """Find keys that two shards hold, by sorting all of them: one problem for each such pair of shards."""
    halves = np.dtype([("high", ">u8"), ("low", ">u8")])
    keys_n = np.frombuffer(b"".join(report.keys for report in reports), dtype=halves)
    shard_n = np.repeat(np.arange(len(reports)), [len(report.keys) // KEY_BYTES for report in reports])
    order_n = np.lexsort((keys_n["low"], keys_n["high"]))
    sorted_n = keys_n[order_n]
    pairs: dict[tuple[int, int], list[str]] = {}
    for position in np.flatnonzero(sorted_n[1:] == sorted_n[:-1]):
        earlier, later = sorted((int(shard_n[order_n[position]]), int(shard_n[order_n[position + 1]])))
        pairs.setdefault((earlier, later), []).append(sorted_n[position].tobytes().hex())
    return [
        Problem(names[later], f"sample {keys[0]}{_and_more(len(keys) - 1)} also in {names[earlier]}")
        for (earlier, later), keys in sorted(pairs.items())
    ]


def _and_more(count: int) -> str:
    return f" and {count} more are" if count else " is"


def _files_amiss(folder: Folder, manifest: Manifest) -> list[Problem]:
    """Find companions that the manifest names and that are missing, and files that nothing names."""
    companions = [name for name in (manifest.index, manifest.plan, manifest.audit) if name is not None]
    problems = [Problem(name, "named by the manifest and missing") for name in companions if folder.stat(name) is None]
    shards = [entry.name for entry in manifest.every_shard]
    known = {MANIFEST_NAME, *COMPANIONS, *companions, *shards, *map(tar_index_name, shards), *_plans(folder, manifest)}
    names = [name for name in folder.names() if not name.startswith(".") and not _is_made_here(folder, name)]
    return problems + [
        Problem(name, "not listed in the manifest: readers ignore it; move it away")
        for name in names
        if name not in known
    ]


def _is_made_here(folder: Folder, name: str) -> bool:
    """Whether it is the empty folder in which files of a folder on a disk are made, until they have their names."""
    return name == "work" and next(iter(folder.files(name)), None) is None
