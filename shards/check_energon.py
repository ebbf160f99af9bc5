"""Checks `.nv-meta` against the manifest: what Megatron-Energon reads must speak of these shards."""

import sqlite3
from collections.abc import Iterable, Sequence

import blake3

from shards.energon import INDEX, META, energon_files
from shards.energon_index import opened_index
from shards.manifest import Manifest
from sources.storage import Folder

_OURS_ALONE = ("dataset.yaml", "crude.yaml", "sample_loader.py")
"""People may say there how they want to read; what the others say follows from the shards."""


class PlacesDigest:
    """Of where the members of a shard lie, in their order."""

    def __init__(self) -> None:
        self._hash = blake3.blake3()

    def add(self, key: str, suffix: str, offset: int, size: int) -> None:
        """Take the next member: whose it is, where its data begin, how many bytes they are."""
        self._hash.update(f"{key}.{suffix} {offset} {size}\n".encode())

    def digest(self) -> str:
        """32 hex digits."""
        return self._hash.hexdigest(16)


def faults_of_energon(folder: Folder, manifest: Manifest, places: Sequence[str]) -> list[tuple[str, str]]:
    """(file, what is wrong with it); nothing where there is no `.nv-meta`.

    `places` are the `PlacesDigest`s of the shards of the manifest, "" of one that is damaged itself.
    """
    if not folder.has_folder(META):
        return []
    faults = []
    for name, data in energon_files(manifest).items():
        path = f"{META}/{name}"
        if folder.stat(path) is None:
            faults.append((path, "missing: Megatron-Energon needs it"))
        elif name not in _OURS_ALONE and folder.read(path) != data:
            faults.append((path, "not what the manifest says: of other shards, or changed"))
    return faults + [(f"{META}/{INDEX}", fault) for fault in _faults_of_index(folder, manifest, places)]


def _faults_of_index(folder: Folder, manifest: Manifest, places: Sequence[str]) -> list[str]:
    try:
        with opened_index(folder) as index:
            if index is None:
                return ["missing: Megatron-Energon joins and looks up samples by it"]
            if index.samples() != {number: entry.samples for number, entry in enumerate(manifest.every_shard)}:
                return ["has other numbers of samples than the manifest"]
            return [
                f"does not say where the samples of {entry.name} are; build again"
                for number, entry in enumerate(manifest.every_shard)
                if places[number] and places[number] != _digest_of(index.places(number))
            ]
    except sqlite3.DatabaseError:
        return ["damaged: not a database that SQLite reads"]


def _digest_of(members: Iterable[tuple[str, str, int, int]]) -> str:
    digest = PlacesDigest()
    for member in members:
        digest.add(*member)
    return digest.digest()
