"""Checks one shard against its entry in the manifest, in one pass and with the memory of one member."""

from dataclasses import dataclass, field
from typing import BinaryIO

from shards.check_energon import PlacesDigest
from shards.check_index import IndexSlice, Sighted
from shards.check_sample import MAX_LOADED_BYTES, PictureRules, SampleCheck
from shards.manifest import ShardEntry
from shards.names import split_member
from shards.tar import BLOCK_BYTES, TarError, member_bytes
from shards.tar_reader import Member, TarReader
from sources.storage import Folder

KEY_BYTES = 16
MAX_FAULTS = 1000  # of one shard: a list that nobody reads to its end need not be longer


@dataclass(frozen=True)
class ShardJob:
    """A shard to check: the folder it lies in, what the manifest says of it, how its pictures are looked at.

    `index` says which rows of the member index are its own; `for_energon`, that it must have a `.tar.idx`. A picture
    of more than `max_loaded_bytes` is decoded from the file, which is read a second time for it.
    """

    folder: Folder
    entry: ShardEntry
    rules: PictureRules
    index: IndexSlice | None = None
    for_energon: bool = False
    max_loaded_bytes: int = MAX_LOADED_BYTES


@dataclass(frozen=True)
class ShardReport:
    """What was found: the faults, the digest of the file if it could be read, the samples' keys in 16 bytes.

    `of_index` and `of_tar_index` are faults of the files beside a shard that has none itself; only such a one has
    `places`, the digest of where its members lie.
    """

    faults: tuple[str, ...]
    sha256: str | None = None
    keys: bytes = b""
    of_index: tuple[str, ...] = ()
    of_tar_index: tuple[str, ...] = ()
    places: str = ""


@dataclass
class _Contents:
    """What the members of a shard add up to while they pass."""

    file: BinaryIO
    """The archive, of which pictures that are not loaded are read a second time."""
    rules: PictureRules
    max_keys: int
    """How many keys are remembered, so that an archive of nothing but keys does not fill the memory."""
    sighted: Sighted
    start: int = 0
    end: int = 0
    """The bytes of the tar that the present sample takes, as far as it was read."""
    faults: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    places: PlacesDigest = field(default_factory=PlacesDigest)
    sample: SampleCheck | None = None
    samples: int = 0
    first_key: str | None = None
    last_key: str | None = None
    source: str | None = None
    tokens: int | None = 0
    """None once a sample's JSON could not be read."""

    def add(self, member: Member) -> None:
        split = split_member(member.name)
        if split is None:
            name = f"member {member.name!a} at byte {member.offset}"
            self.note(f"{name}: not called <sample id>.json, .jpg, .png or .<n>.<extension>")
            return
        key, suffix = split
        if self.sample is None or self.sample.key != key:
            self.close_sample()
            if key in self.keys:
                self.note(f"sample {key}: again at byte {member.offset}; its members must lie side by side, once")
            elif len(self.keys) < self.max_keys:
                self.keys.add(key)
            self.samples += 1
            self.first_key = self.first_key or key
            self.last_key = key
            self.sample = SampleCheck(key, self.rules)
            self.start = member.offset - BLOCK_BYTES
        self.sample.add(suffix, member, self.file)
        self.places.add(key, suffix, member.offset, member.size)
        self.end = member.offset - BLOCK_BYTES + member_bytes(member.size)

    def close_sample(self) -> None:
        if self.sample is None:
            return
        for fault in self.sample.finish():
            self.note(fault)
        content = self.sample.content
        if content is None:
            self.tokens = None
        else:
            self.tokens = None if self.tokens is None else self.tokens + content.tokens
            self.source = self.source or content.source
            if content.source != self.source:
                self.note(f"sample {self.sample.key}: of another source than the samples before it")
            if not self.faults:
                self.sighted.add(content, self.start, self.end)
        self.sample = None

    def note(self, fault: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)
        elif len(self.faults) == MAX_FAULTS:
            self.faults.append(f"more than {MAX_FAULTS} faults: the others are not listed")


def check_shard(job: ShardJob) -> ShardReport:
    """Read the shard from its first byte to its last, whatever is wrong with it, and report everything found."""
    stat = job.folder.stat(job.entry.name)
    if stat is None:
        return ShardReport(("missing, or not a regular file in this folder",))
    try:
        with job.folder.open(job.entry.name) as file:
            return _check_file(job, file, stat.size)
    except OSError as error:
        return ShardReport((f"cannot be read ({error.strerror})",))


def _check_file(job: ShardJob, file: BinaryIO, file_bytes: int) -> ShardReport:
    reader = TarReader(file, file_bytes, job.max_loaded_bytes)
    contents = _Contents(file, job.rules, job.entry.samples + MAX_FAULTS, Sighted(job.index))
    try:
        for member in reader.members():
            contents.add(member)
            if member.data is None:
                file.seek(reader.position)  # its picture was read again
    except TarError as error:
        contents.note(str(error) if reader.ended else f"{error}; what follows was not checked")
    sha256, _ = reader.drain()
    faults = _faults_of_file(job.entry, sha256, file_bytes)
    if reader.ended:
        contents.close_sample()
        faults += _faults_of_totals(job.entry, contents)
    keys = b"".join(bytes.fromhex(key) for key in sorted(contents.keys))
    faults += [*contents.faults, *contents.sighted.faults]
    if faults:
        return ShardReport(tuple(faults), sha256, keys)
    of_index = contents.sighted.faults_of_index(job.folder)
    of_tar_index = contents.sighted.faults_of_tar_index(job.folder, job.entry.name, expected=job.for_energon)
    return ShardReport((), sha256, keys, tuple(of_index), tuple(of_tar_index), contents.places.digest())


def _faults_of_file(entry: ShardEntry, sha256: str, file_bytes: int) -> list[str]:
    faults = []
    if file_bytes != entry.bytes:
        faults.append(f"{file_bytes} bytes, the manifest says {entry.bytes}")
    if sha256 != entry.sha256:
        faults.append(f"sha256 is {sha256}, the manifest says {entry.sha256}")
    return faults


def _faults_of_totals(entry: ShardEntry, contents: _Contents) -> list[str]:
    found = {
        "samples": contents.samples,
        "tokens": contents.tokens,
        "first_key": contents.first_key,
        "last_key": contents.last_key,
    }
    return [
        f"{name} is {value}, the manifest says {getattr(entry, name)}"
        for name, value in found.items()
        if value is not None and value != getattr(entry, name)
    ]
