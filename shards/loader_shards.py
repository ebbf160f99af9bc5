"""The tars of a manifest, opened as they are needed and held against it: another file is not read by position."""

import hashlib
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from shards.loader_order import LoaderError
from shards.loader_ranges import OpenShard, ShortReadError, Span, open_shard
from shards.manifest import Manifest, ShardEntry
from shards.names import split_member
from shards.tar import TarError, parse_header
from sources.storage import Folder

OPEN_AT_ONCE = 256
HASHED_BYTES = 4 * 2**20
_RESTORE = "restore it, or build again; `curate shards verify DIR` lists all that is wrong"


def check_sizes(folder: Folder, manifest: Manifest) -> None:
    """See that every training shard is there and as large as the manifest says: one listing, nothing is opened.

    Raises:
        LoaderError: one is not.
        OSError: the folder cannot be listed now.
    """
    sizes = {stat.path: stat.size for stat in folder.glob(["*.tar"])}
    faults = [entry for entry in manifest.shards if sizes.get(entry.name) != entry.bytes]
    if not faults:
        return
    first, size = faults[0], sizes.get(faults[0].name)
    more = f" (and {len(faults) - 1} more shards)" if len(faults) > 1 else ""
    raise LoaderError(f"{folder.place}/{first.name}{more}: {_size_fault(first, size)}; {_RESTORE}")


class Shards:
    """The shards of a manifest by number in `every_shard`; those used last stay open."""

    def __init__(self, folder: Folder, manifest: Manifest, verified: NDArray[np.uint8] | None = None) -> None:
        """`verified`: one number a shard, 1 where its SHA-256 was found right; None verifies nothing.

        Processes that share it read a shard for its hash once together.
        """
        self._folder = folder
        self._entries = manifest.every_shard
        self._verified = verified
        self._open: OrderedDict[int, OpenShard] = OrderedDict()

    def name(self, number: int) -> str:
        """The file name of a shard.

        Raises:
            LoaderError: the manifest has no such shard.
        """
        return self._entry(number).name

    def open(self, number: int) -> OpenShard:
        """A shard whose size and first sample are those of the manifest, and its SHA-256 where that is asked for.

        Raises:
            LoaderError: it is missing, or another file.
            OSError: it cannot be had now.
        """
        shard = self._open.get(number)
        if shard is not None:
            self._open.move_to_end(number)
            return shard
        entry = self._entry(number)
        place = f"{self._folder.place}/{entry.name}"
        try:
            shard = open_shard(self._folder, entry.name)
        except FileNotFoundError:
            raise LoaderError(f"{place}: missing; {_RESTORE}") from None
        fault = _fault(entry, shard) or self._hash_fault(number, entry, shard)
        if fault:
            raise LoaderError(f"{place}: {fault}; {_RESTORE}")
        self._open[number] = shard
        if shard.has_descriptor and len(self._open) > OPEN_AT_ONCE:
            self._open.popitem(last=False)
        return shard

    def close(self) -> None:
        """Close all of them, once nobody reads from them any more."""
        self._open.clear()

    def _entry(self, number: int) -> ShardEntry:
        if not 0 <= number < len(self._entries):
            raise LoaderError(
                f"the plan speaks of shard {number}, the manifest has {len(self._entries)}: it is damaged, or of "
                "other shards; make it again: curate shards plan DIR"
            )
        return self._entries[number]

    def _hash_fault(self, number: int, entry: ShardEntry, shard: OpenShard) -> str | None:
        if self._verified is None or self._verified[number]:
            return None
        digest = hashlib.sha256()
        try:
            for start in range(0, shard.size, HASHED_BYTES):
                digest.update(shard.read(Span(start, min(start + HASHED_BYTES, shard.size))))
        except ShortReadError:
            return "it became shorter while it was read"
        if digest.hexdigest() != entry.sha256:
            return f"its SHA-256 is {digest.hexdigest()}, the manifest says {entry.sha256}: rewritten, or damaged"
        self._verified[number] = 1
        return None


def _fault(entry: ShardEntry, shard: OpenShard) -> str | None:
    """What of a shard's size and first header is not as the manifest says."""
    if shard.size != entry.bytes:
        return _size_fault(entry, shard.size)
    try:
        name, _ = parse_header(shard.head)
    except TarError:
        return "does not begin with a header that curate wrote: damaged, or another file"
    split = split_member(name)
    if split is None or split[0] != entry.first_key:
        return f"begins with another sample than {entry.first_key}: swapped or rewritten after the manifest"
    return None


def _size_fault(entry: ShardEntry, size: int | None) -> str:
    if size is None:
        return "missing"
    how = "truncated, or rewritten after the manifest" if size < entry.bytes else "rewritten after the manifest"
    return f"{size} bytes, the manifest says {entry.bytes}: {how}"
