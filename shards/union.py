"""Which shards several builds make together: each once, under names that do not collide, every sample once."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shards.energon_index import EnergonIndex, known_members, opened_index
from shards.manifest import Manifest, ManifestError, Mixture, ShardEntry, read_manifest
from shards.members import MembersError, SampleMembers
from shards.names import ShardName, parse_shard_name, shard_name
from sources.storage import Folder

MUST_AGREE = ("stage", "tokenizer", "context_tokens")
_KEY_BYTES = 16


class MergeError(Exception):
    """These builds do not go together. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Build:
    """One of the builds: its shards, its manifest, and what its shards hold."""

    def __init__(self, folder: Folder, held: ExitStack) -> None:
        """Open it; what that takes is given back when `held` closes.

        Raises:
            MergeError: there is no manifest, or a shard is not there with its size.
        """
        try:
            self.manifest: Manifest = read_manifest(folder)
        except ManifestError as error:
            raise MergeError(str(error), "give finished builds, or their shards/ folders") from None
        self.folder = folder
        self.numbers = {entry.name: number for number, entry in enumerate(self.manifest.every_shard)}
        for entry in self.manifest.every_shard:
            stat = folder.stat(entry.name)
            if stat is None or stat.size != entry.bytes:
                raise MergeError(
                    f"{folder.place}/{entry.name}: missing, or not of {entry.bytes} bytes",
                    "`curate shards verify` says more",
                )
        self._index: EnergonIndex | None = held.enter_context(opened_index(folder))

    def members(self, entry: ShardEntry) -> list[SampleMembers]:
        """The samples of a shard of this build, by the index where it has one, else by the shard's headers."""
        try:
            return known_members(self.folder, entry, self._index, self.numbers[entry.name])
        except MembersError as error:
            raise MergeError(f"{self.folder.place}/{error}", "`curate shards verify` says more") from None


@dataclass(frozen=True)
class Chosen:
    """A shard of the union: whose it is, what it is there, its name here, and keys that it leaves out."""

    build: int
    entry: ShardEntry
    name: str
    held_out: bool
    removed: frozenset[str] = frozenset()


@dataclass
class Union:
    """What the merge will make, and what there is to say about it."""

    builds: Sequence[Build]
    mixture: Mixture
    """The first build's seed and epochs, and every source's weight where it stands first."""
    shards: list[Chosen] = field(default_factory=list)
    same: int = 0
    """Shards that another build has, byte for byte."""
    renamed: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    """Samples that are left out of a shard because another one has them."""
    left_out: int = 0
    """Shards of which nothing would be left."""
    notes: list[str] = field(default_factory=list)


def union_of(builds: Sequence[Build], *, drop_repeated: bool) -> Union:
    """Decide what goes where.

    Raises:
        MergeError: the builds were made for other stages, tokenizers or contexts, two shards cannot both keep a name,
            or, without `drop_repeated`, two shards that are not the same hold one sample.
    """
    first = builds[0]
    for build in builds[1:]:
        for name in MUST_AGREE:
            here, there = getattr(first.manifest, name), getattr(build.manifest, name)
            if here != there:
                raise MergeError(
                    f"{name} is {here} in {first.folder.place} and {there} in {build.folder.place}",
                    "build them with the same stage, tokenizer and context_tokens",
                )
    union = Union(builds, first.manifest.mixture.model_copy(update={"weights": {}}))
    _weigh(union)
    _choose(union)
    _once(union, drop_repeated=drop_repeated)
    if any(chosen.held_out for chosen in union.shards):
        union.notes.append(
            "hold-outs were drawn build by build: a group (a patient, an article) may be held out in one build and "
            "trained on in another"
        )
    return union


def _weigh(union: Union) -> None:
    weights = union.mixture.weights
    for build in union.builds:
        for source, weight in build.manifest.mixture.weights.items():
            if weights.setdefault(source, weight) != weight:
                union.notes.append(
                    f"source {source} has weight {weights[source]} and {weight}: {weights[source]} holds"
                )


def _choose(union: Union) -> None:
    """Every shard of every build, training first, with the name it gets. One that any build holds out is held out."""
    seen: set[str] = set()
    never_trained_on = {entry.sha256 for build in union.builds for entry in build.manifest.validation or ()}
    names: set[str] = set()
    for held_out in (False, True):
        for number, build in enumerate(union.builds):
            entries = (build.manifest.validation or ()) if held_out else build.manifest.shards
            for entry in entries:
                if entry.sha256 in seen or (not held_out and entry.sha256 in never_trained_on):
                    union.same += 1
                    continue
                seen.add(entry.sha256)
                name = _free_name(entry.name, names)
                names.add(name)
                if name != entry.name:
                    union.renamed[f"{build.folder.place}/{entry.name}"] = name
                union.shards.append(Chosen(number, entry, name, held_out))


def _free_name(name: str, taken: set[str]) -> str:
    """The name itself, or the next number after the highest of its source.

    Raises:
        MergeError: it is taken and has no number.
    """
    if name not in taken:
        return name
    parsed = parse_shard_name(name)
    if parsed is None:
        raise MergeError(f"{name}: two builds have a shard of this name", "rename one and its entry in the manifest")
    own = [other for other in map(parse_shard_name, taken) if other is not None and _alike(other, parsed)]
    number = 1 + max(other.number for other in own)
    return shard_name(parsed.stage, parsed.source, number, validation=parsed.validation)


def _alike(one: ShardName, other: ShardName) -> bool:
    return replace(one, number=0) == replace(other, number=0)


def _once(union: Union, *, drop_repeated: bool) -> None:
    """Leave every sample in one shard: in a held-out one, else in the first.

    Raises:
        MergeError: some are in several, and none may be dropped.
    """
    order = sorted(range(len(union.shards)), key=lambda place: not union.shards[place].held_out)
    keys = []
    for place in order:
        chosen = union.shards[place]
        samples = union.builds[chosen.build].members(chosen.entry)
        keys.append(np.frombuffer(bytes.fromhex("".join(sample.key for sample in samples)), f"S{_KEY_BYTES}"))
    shard_n = np.repeat(np.array(order, np.int64), [len(part) for part in keys])
    key_n: Any = np.concatenate(keys) if keys else np.zeros(0, f"S{_KEY_BYTES}")
    sorted_n = np.argsort(key_n, kind="stable")
    later = sorted_n[1:][key_n[sorted_n[1:]] == key_n[sorted_n[:-1]]]
    if not len(later):
        return
    removed: dict[int, set[str]] = {}
    for position in later.tolist():
        raw = bytes(key_n[position]).ljust(_KEY_BYTES, b"\0")  # numpy strips trailing zeros
        removed.setdefault(int(shard_n[position]), set()).add(raw.hex())
    if not drop_repeated:
        place, gone = next(iter(sorted(removed.items())))
        shard = union.shards[place]
        raise MergeError(
            f"{len(later):,} samples are in several shards that differ, {min(gone)} in "
            f"{union.builds[shard.build].folder.place}/{shard.entry.name} and another",
            "--drop-repeated keeps each once (held out if it is held out anywhere, else in the first build)",
        )
    union.repeated = len(later)
    union.left_out = sum(len(keys) == union.shards[place].entry.samples for place, keys in removed.items())
    union.shards = [
        replace(chosen, removed=frozenset(removed.get(place, ())))
        for place, chosen in enumerate(union.shards)
        if len(removed.get(place, ())) < chosen.entry.samples
    ]
