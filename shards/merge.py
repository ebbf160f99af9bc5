"""`curate shards merge`: several builds as one folder of shards, with one manifest and everything that goes beside it.

No byte of a shard is moved where that can be helped: hard links on one disk, copies by the server in a bucket. The
manifest comes last: a merge that was killed is done again by the same command.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import blake3
import pyarrow as pa
import pyarrow.compute as pc

from shards.card import CARD_NAME, CardFacts, SourceFacts, card_text
from shards.croissant import CROISSANT_NAME, croissant_bytes
from shards.energon import INDEX, META, energon_files, tar_index, tar_index_name
from shards.energon_index import write_index as write_energon_index
from shards.index_file import INDEX_NAME, IndexAbout, IndexFileError, open_index, part_without, parts_of, write_index
from shards.manifest import MANIFEST_NAME, Manifest, ManifestError, ShardEntry, manifest_bytes, read_manifest
from shards.members import SampleMembers, placed
from shards.mixture import Kind, PlanSettings
from shards.names import JSON_SUFFIX
from shards.obligations import Terms
from shards.plan import make_plan
from shards.plan_file import PLAN_NAME, PlanError, open_plan
from shards.plan_settings import settings_of_manifest, settings_of_plan
from shards.rewrite import RewriteError, rewrite_shard
from shards.union import Build, Chosen, MergeError, Union, union_of
from sources.storage import Folder, LocalFolder

NO_PICTURE = "no picture"
UNFINISHED = "work"
"""Where a folder on a disk makes its files."""


@dataclass(frozen=True)
class Merged:
    """What was made: the manifest, and what there is to say about it."""

    manifest: Manifest
    union: Union
    steps: int
    fill: float


def merge_shards(sources: Sequence[Folder], out: Folder, *, drop_repeated: bool = False) -> Merged:
    """Make `out` the union of these folders of shards.

    The same tar (by sha256) is taken once. Of samples that several tars hold, each stays once with `drop_repeated`:
    the tars it leaves are rewritten. The member index is put together from the builds', the plan is made anew with
    the first build's settings, the data card and `.nv-meta` speak of the whole. No audit speaks of it yet.

    Memory is that of the plan: about 300 bytes for each sample.

    Raises:
        MergeError: the builds do not go together, or `out` holds something else. No tar of theirs is ever changed.
    """
    if any(_is_same_folder(out, source) for source in sources):
        raise MergeError(f"{out.place}: is one of the builds", "name another folder for the union")
    with ExitStack() as held:
        builds = [Build(folder, held) for folder in sources]
        union = union_of(builds, drop_repeated=drop_repeated)
        return _Merge(union, out).run()


def _is_same_folder(one: Folder, other: Folder) -> bool:
    """Whether two folders are one place, however each was named."""
    if isinstance(one, LocalFolder) and isinstance(other, LocalFolder) and one.exists() and other.exists():
        return one.root.samefile(other.root)
    return one.place == other.place


class _Merge:
    """One merge."""

    def __init__(self, union: Union, out: Folder) -> None:
        self._union = union
        self._out = out
        self._gone: dict[str, list[int]] = {}
        """Name of a rewritten shard -> the places in it of the samples it left out."""

    def run(self) -> Merged:
        union, out = self._union, self._out
        expected = {chosen.name for chosen in union.shards}
        self._check_out(expected)
        out.delete(MANIFEST_NAME)
        entries = [self._take(chosen) for chosen in union.shards]
        manifest = self._manifest(entries)
        rows = self._rows()
        with out.writing(INDEX_NAME, last=False) as file:
            write_index(file, IndexAbout(build=manifest.build, tokenizer=manifest.tokenizer), rows)
        suffixes = self._write_energon(manifest)
        self._write_card(manifest, rows, suffixes)
        about = self._plan(manifest)
        out.write(MANIFEST_NAME, manifest_bytes(manifest))
        out.delete_tree(UNFINISHED)
        return Merged(manifest, union, *about)

    def _check_out(self, tars: set[str]) -> None:
        """Refuse a folder in which anything lies that this very merge would not write, or another build's manifest."""
        ours = {MANIFEST_NAME, INDEX_NAME, PLAN_NAME, CARD_NAME, CROISSANT_NAME, META, UNFINISHED}
        known = ours | tars | {tar_index_name(name) for name in tars}
        names = self._out.names()
        again = MANIFEST_NAME in names and self._made_before()
        others = [name for name in names if name not in known and not (again and self._is_plan(name))]
        if others:
            raise MergeError(f"{self._out.place}: holds {others[0]}, which is none of the union", "name a new folder")
        if MANIFEST_NAME in names and not again:
            raise MergeError(f"{self._out.place}: is a build of its own, not this union", "name a new folder")

    def _is_plan(self, name: str) -> bool:
        """Whether a file in the folder is another plan, which `curate shards plan --out` made of the union."""
        try:
            open_plan(self._out, name)
        except (PlanError, OSError):
            return False
        return True

    def _made_before(self) -> bool:
        """Whether the manifest in the folder is that of this union."""
        try:
            found = read_manifest(self._out)
        except ManifestError:
            return False
        return found.build == self._identity(found.every_shard)

    def _identity(self, entries: Sequence[ShardEntry]) -> str:
        """The `build` of a union of these builds that has these shards."""
        builds = (build.manifest.build for build in self._union.builds)
        told = " ".join((*builds, *(f"{entry.name}:{entry.sha256}" for entry in entries)))
        return blake3.blake3(told.encode()).hexdigest()[:32]

    def _take(self, chosen: Chosen) -> ShardEntry:
        """Put one shard into the folder; what the manifest says of it there."""
        source, out = self._union.builds[chosen.build].folder, self._out
        if not chosen.removed:
            if not out.is_same(chosen.name, source, chosen.entry.name):
                out.take(source, chosen.entry.name, chosen.name)
            return chosen.entry.model_copy(update={"name": chosen.name})
        places = self._gone.setdefault(chosen.name, [])
        try:
            with out.writing(chosen.name, last=False) as file:
                summary = rewrite_shard(source, chosen.entry, file, chosen.removed, places)
        except RewriteError as error:
            raise MergeError(f"{source.place}/{error}", "`curate shards verify` says more") from None
        return ShardEntry(name=chosen.name, **asdict(summary))

    def _manifest(self, entries: Sequence[ShardEntry]) -> Manifest:
        builds = self._union.builds
        first = builds[0].manifest
        held = [entry for entry, chosen in zip(entries, self._union.shards, strict=True) if chosen.held_out]
        training = [entry for entry, chosen in zip(entries, self._union.shards, strict=True) if not chosen.held_out]
        return Manifest(
            build=self._identity((*training, *held)),
            stage=first.stage,
            tokenizer=first.tokenizer,
            context_tokens=first.context_tokens,
            mixture=self._union.mixture,
            shards=tuple(training),
            validation=tuple(held) if any(build.manifest.validation is not None for build in builds) else None,
            index=INDEX_NAME,
            plan=PLAN_NAME,
            audit=None,
        )

    def _rows(self) -> list[pa.Table]:
        """The index rows of each shard, in order."""
        parts = []
        for build in self._union.builds:
            try:
                index = open_index(build.folder, build.manifest.index or INDEX_NAME)
                parts.append(parts_of(index, build.manifest))
            except IndexFileError as error:
                raise MergeError(str(error), "build it again with this version") from None
        rows = []
        for chosen in self._union.shards:
            part = parts[chosen.build][self._union.builds[chosen.build].numbers[chosen.entry.name]]
            gone = self._gone.get(chosen.name)
            rows.append(part if gone is None else part_without(part, gone))
        return rows

    def _write_energon(self, manifest: Manifest) -> set[str]:
        """Write what Energon reads; returns how pictures end."""
        out, suffixes = self._out, set[str]()
        for name, data in energon_files(manifest).items():
            out.write(f"{META}/{name}", data, last=False)
        with out.writing(f"{META}/{INDEX}", last=False) as file:
            write_energon_index(file, (self._members(chosen, suffixes) for chosen in self._union.shards))
        return suffixes

    def _members(self, chosen: Chosen, suffixes: set[str]) -> list[SampleMembers]:
        """The samples of a shard of the union, whose `.tar.idx` is written: seeing a tar once is dear enough."""
        known = self._union.builds[chosen.build].members(chosen.entry)
        members = [sample for sample in known if sample.key not in chosen.removed]
        self._out.write(tar_index_name(chosen.name), tar_index(placed(members)), last=False)
        suffixes.update(suffix for sample in members for suffix, _ in sample.members if suffix != JSON_SUFFIX)
        return members

    def _write_card(self, manifest: Manifest, rows: Sequence[pa.Table], suffixes: set[str]) -> None:
        facts = _facts(manifest, rows, suffixes, [build.manifest.build for build in self._union.builds])
        self._out.write(CARD_NAME, card_text(facts).encode(), last=False)
        self._out.write(CROISSANT_NAME, croissant_bytes(facts), last=False)

    def _plan(self, manifest: Manifest) -> tuple[int, float]:
        """Write the plan; its steps and how full its rows are."""
        sha256 = hashlib.sha256(manifest_bytes(manifest)).hexdigest()
        plan = make_plan(open_index(self._out), manifest, sha256, self._settings(manifest))
        with self._out.writing(PLAN_NAME, last=False) as file:
            plan.write(file)
        return plan.about.steps, plan.about.fill

    def _settings(self, manifest: Manifest) -> PlanSettings:
        """Those of the first plan that a build has, with the union's weights of sources."""
        settings = settings_of_manifest(manifest)
        for build in self._union.builds:
            try:
                settings = settings_of_plan(open_plan(build.folder, build.manifest.plan or PLAN_NAME).about)
            except PlanError:
                continue
            break
        weights: dict[Kind, dict[str, float]] = {**settings.weights, "source": manifest.mixture.weights}
        return settings.model_copy(update={"weights": weights})


def _facts(manifest: Manifest, rows: Sequence[pa.Table], suffixes: set[str], builds: Sequence[str]) -> CardFacts:
    """What the card says of the whole, from the index."""
    tokens: Counter[str] = Counter()
    for entry, part in zip(manifest.every_shard, rows, strict=True):
        tokens[part["source"][0].as_py()] += entry.tokens
    return CardFacts(
        manifest=manifest,
        sources=tuple(SourceFacts(name, count, tokens[name]) for name, count in _counted(rows, "source").items()),
        terms=tuple(Terms(*row) for row in _terms(rows)),
        tasks=_counted(rows, "task"),
        modalities={name or NO_PICTURE: count for name, count in _counted(rows, "modality").items()},
        languages={},
        members=tuple(sorted(suffixes)),
        steps=(),
        settings={},
        builds=tuple(builds),
    )


def _counted(rows: Sequence[pa.Table], name: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for part in rows:
        counts.update({row["values"]: row["counts"] for row in pc.value_counts(part[name]).to_pylist()})
    return dict(sorted(counts.items()))


def _terms(rows: Sequence[pa.Table]) -> Iterator[tuple[str, str, str, int]]:
    names = ["source", "license", "access"]
    counts: Counter[tuple[str, str, str]] = Counter()
    for part in rows:
        for row in part.group_by(names).aggregate([([], "count_all")]).to_pylist():
            counts[row["source"], row["license"], row["access"]] += row["count_all"]
    return ((*key, count) for key, count in sorted(counts.items()))
