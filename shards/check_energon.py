"""Checks `.nv-meta` against the manifest: what Megatron-Energon reads must speak of these shards."""

import sqlite3

from shards.energon import INDEX, META, energon_files
from shards.energon_index import opened_index
from shards.manifest import Manifest
from sources.storage import Folder

_OURS_ALONE = ("dataset.yaml", "crude.yaml", "sample_loader.py")
"""People may say there how they want to read; what the others say follows from the shards."""


def faults_of_energon(folder: Folder, manifest: Manifest) -> list[tuple[str, str]]:
    """(file, what is wrong with it); nothing where there is no `.nv-meta`."""
    if not folder.has_folder(META):
        return []
    faults = []
    for name, data in energon_files(manifest).items():
        path = f"{META}/{name}"
        if folder.stat(path) is None:
            faults.append((path, "missing: Megatron-Energon needs it"))
        elif name not in _OURS_ALONE and folder.read(path) != data:
            faults.append((path, "not what the manifest says: of other shards, or changed"))
    return faults + [(f"{META}/{INDEX}", fault) for fault in _faults_of_index(folder, manifest)]


def _faults_of_index(folder: Folder, manifest: Manifest) -> list[str]:
    try:
        with opened_index(folder) as index:
            if index is None:
                return ["missing: Megatron-Energon joins and looks up samples by it"]
            found = index.samples()
    except sqlite3.DatabaseError:
        return ["damaged: not a database that SQLite reads"]
    expected = {number: entry.samples for number, entry in enumerate(manifest.every_shard)}
    return [] if found == expected else ["has other numbers of samples than the manifest"]
