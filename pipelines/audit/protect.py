"""The eval side: items, their pictures, and the indexes in which training data is looked up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dedup.decontamination.items import ITEMS
from dedup.evalsets.locating import FoundSet
from dedup.evalsets.reading import ItemsRead, content_hash, gathered
from filters.measure import Pictures
from pipelines.audit.articles import articles_part
from pipelines.audit.evals import Evals
from pipelines.audit.inside import shared_inside_sets
from pipelines.audit.reading import ItemsTask
from pipelines.facts import PictureTask
from pipelines.flow import Flow
from pipelines.plan import PlanIfReadableTask, Planned, plan_fragments
from pipelines.session import Session
from pipelines.view import View
from pipelines.work import Commit, Part, Work, key_of
from sources.identity import Identity
from sources.records import Corpus
from sources.schema import Reason

VERSION = 4
EVAL_PICTURES = pa.schema(
    [
        pa.field("picture", pa.int32(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("pixel_hash", pa.string()),
        pa.field("items", pa.list_(pa.int32()), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("fragment", pa.int32(), nullable=False),
    ]
)
"""The distinct pictures of all items, by number; `fragment` counts the fragments of the eval sets."""


@dataclass(frozen=True)
class ProtectedSet:
    """One eval set as an audit tells of it."""

    name: str
    version: str | None
    revision: str | None
    license: str
    access: str
    split: tuple[str, ...]
    made_from: tuple[str, ...]
    digest: str
    """Of its items with their ids and groups, and of the pixels of each item's pictures."""
    items: int
    first: int
    """Number of its first item."""
    pictures: int
    frames: int
    """Pictures with more frames than one."""
    unread: Mapping[str, int]
    """Why items or pictures could not be read -> how many."""
    content: str
    """`reading.content_hash` of its items, as a fetch writes it down."""
    inside: tuple[Mapping[str, Any], ...] = ()
    """What it shares with each of its own other splits that is there (`checking.shared_splits`)."""


@dataclass(frozen=True)
class Protected:
    """Everything that is protected."""

    session: Session
    """Of the eval sets: their corpora by number."""
    views: tuple[View, ...]
    sets: tuple[ProtectedSet, ...]
    items: Part
    pictures: Part
    articles: Part | None = None
    """Pairs of names of the items' articles."""

    @property
    def digest(self) -> str:
        """Of all items, their order and their pictures."""
        return key_of(self.items.digest, self.pictures.digest)

    @property
    def about_pictures(self) -> tuple[str, ...]:
        """The sets whose pictures are not all there: any of their questions may be about one."""
        return tuple(one.name for one in self.sets if one.unread.get(Reason.IMAGE_MISSING))

    @property
    def identity(self) -> list[dict[str, Any]]:
        """What a build or an audit depends on."""
        return [{"name": one.name, "version": one.version, "digest": one.digest} for one in self.sets]


def protect(flow: Flow, evals: Evals, pictures: Pictures) -> Protected:
    """Read the eval sets and measure their pictures; `flow` is one of a session in which they are the corpora."""
    session = flow.session
    evaluated = [_evaluated(found) for found in evals.found]
    planned = plan_fragments(flow.engine, session, evaluated, flow.reporter, PlanIfReadableTask)
    fragments = [(plan.corpus, fragment) for plan in planned for fragment in plan.fragments]
    tasks = [
        ItemsTask(_plain(evals.found[corpus]), corpus, fragment, number)
        for number, (corpus, fragment) in enumerate(fragments)
    ]
    read = flow.aside("eval items", tasks)
    views = [
        View(task.corpus, task.fragment, (commit.parts["samples"],), {"alive": commit.parts["alive"]})
        for task, commit in zip(tasks, read, strict=True)
    ]
    measured = flow.aside("eval pictures", [PictureTask(pictures, view, at) for at, view in enumerate(views)])
    views = [
        view.with_parts(images=commit.parts["images"], links=commit.parts["links"])
        for view, commit in zip(views, measured, strict=True)
    ]
    task = GatherTask(tuple((commit.parts["items"], view) for commit, view in zip(read, views, strict=True)))
    (whole,) = flow.aside("eval sets", [task])
    articles = articles_part(session.work, whole.parts["items"], evals.articles)
    sets = _sets(evals, tasks, read, measured, whole)
    shared = shared_inside_sets(flow, evals.found, [_plain(found) for found in evals.found])
    sets = tuple(
        _without_refused(replace(one, inside=tuple(inside)), corpus, plan)
        for one, inside, corpus, plan in zip(sets, shared, evaluated, planned, strict=True)
    )
    return Protected(session, tuple(views), sets, whole.parts["items"], whole.parts["pictures"], articles)


def _without_refused(one: ProtectedSet, corpus: Corpus, planned: Planned) -> ProtectedSet:
    """The set, which also tells of its files that cannot be cut; what they hold counts as what its items say does."""
    if not planned.refused:
        return one
    first = planned.refused[0].why or corpus.identity.name("path", planned.refused[0].path)
    unread = {**one.unread, f"file that cannot be read (the first: {first})": len(planned.refused)}
    digest = key_of(one.digest, [[corpus.identity.name("path", file.path), file.digest] for file in planned.refused])
    return replace(one, unread=unread, digest=digest)


def eval_session(session: Session, evals: Evals) -> Session:
    """The session in which the eval sets are the corpora."""
    corpora = tuple(_evaluated(found) for found in evals.found)
    return Session(session.recipe, corpora, session.work, (None,) * len(corpora))


def _evaluated(found: FoundSet) -> Corpus:
    return replace(found.corpus, files=found.files)


def _plain(found: FoundSet) -> FoundSet:
    """The set as tasks carry it: small, and without the site key."""
    corpus = replace(found.corpus, files=(), identity=Identity(found.evalset.name), splits={}, repository=None)
    return replace(found, corpus=corpus)


@dataclass(frozen=True)
class GatherTask:
    """Numbers all items, and their distinct pictures."""

    fragments: tuple[tuple[Part, View], ...]

    @property
    def label(self) -> str:
        """What is gathered."""
        return "eval sets"

    def run(self, session: Session) -> Commit:
        """Commit `items` (ITEMS) and `pictures` (EVAL_PICTURES); two hashes of each corpus are facts."""
        work, node = session.work, "audit_evals"
        used = [(part.digest, view.parts["links"].digest, view.parts["images"].digest) for part, view in self.fragments]
        key = key_of(node, VERSION, used, [view.corpus for _, view in self.fragments], len(session.corpora))
        found = work.find(node, key)
        if found is not None:
            return found
        pictures, first = _Pictures(), 0
        by_set: dict[int, list[ItemsRead]] = {}
        for number, (part, view) in enumerate(self.fragments):
            pictures.add(work, view, number, first)
            by_set.setdefault(view.corpus, []).append(ItemsRead(work.read(part)))
            first += part.rows
        sets = {corpus: gathered(parts).items for corpus, parts in by_set.items()}
        corpora = range(len(session.corpora))
        facts = {
            "digests": digests(sets, pictures.pixels(), len(corpora)),
            "content": [content_hash(sets.get(corpus, ITEMS.empty_table())) for corpus in corpora],
            "frames": [len(pictures.with_frames.get(corpus, ())) for corpus in corpora],
        }
        items = pa.concat_tables([ITEMS.empty_table(), *sets.values()])
        return work.put(node, key, {"items": items, "pictures": pictures.table()}, facts)


def digests(sets: Mapping[int, pa.Table], pixels: Mapping[int, Sequence[str]], corpora: int) -> list[str]:
    """A hash of each corpus: of its items, in any order, by id, groups, what they say and what their pictures show.

    `sets`: corpus -> ITEMS, in the order in which items are numbered; `pixels`: item -> hashes of its pictures.
    """
    found, first = [key_of([])] * corpora, 0
    for corpus, items in sets.items():
        rows = items.select(["eval_id", "groups", "digest"]).to_pylist()
        said = [
            [row["eval_id"], sorted([group["kind"], group["id"]] for group in row["groups"] or ()), row["digest"],
             sorted(pixels.get(first + number, ()))]
            for number, row in enumerate(rows)
        ]  # fmt: skip
        found[corpus] = key_of(sorted(said, key=lambda one: str(one[0])))
        first += items.num_rows
    return found


class _Pictures:
    """Distinct pictures as they come."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}
        self.with_frames: dict[int, set[str]] = {}
        """Corpus -> its pictures with more frames than one."""

    def add(self, work: Work, view: View, fragment: int, first: int) -> None:
        """The pictures of a fragment whose first item has this number."""
        images = work.read(view.parts["images"], ["image_id", "pixel_hash", "frames"])
        pixels = dict(zip(images["image_id"].to_pylist(), images["pixel_hash"].to_pylist(), strict=True))
        several = images.filter(pc.greater(images["frames"], 1))["image_id"].to_pylist()
        self.with_frames.setdefault(view.corpus, set()).update(several)
        links = work.read(view.parts["links"], ["row", "images"])
        for row, refs in zip(links["row"].to_pylist(), links["images"].to_pylist(), strict=True):
            for ref in refs or ():
                if ref["image_id"] is None:
                    continue
                own = self._rows.setdefault(
                    ref["image_id"],
                    {"picture": len(self._rows), "image_id": ref["image_id"], "pixel_hash": pixels[ref["image_id"]],
                     "items": [], "uri": ref["uri"], "frame": ref["frame"], "fragment": fragment},
                )  # fmt: skip
                if first + row not in own["items"]:
                    own["items"].append(first + row)

    def table(self) -> pa.Table:
        """EVAL_PICTURES."""
        return pa.Table.from_pylist(list(self._rows.values()), schema=EVAL_PICTURES)

    def pixels(self) -> dict[int, list[str]]:
        """Item -> the pixel hashes of its pictures, of those without one the hashes of their files."""
        found: dict[int, list[str]] = {}
        for row in self._rows.values():
            for item in row["items"]:
                found.setdefault(item, []).append(row["pixel_hash"] or row["image_id"])
        return found


def _sets(
    evals: Evals, tasks: Sequence[ItemsTask], read: Sequence[Commit], measured: Sequence[Commit], whole: Commit
) -> tuple[ProtectedSet, ...]:
    sets, first = [], 0
    for corpus, found in enumerate(evals.found):
        own = [number for number, task in enumerate(tasks) if task.corpus == corpus]
        items = sum(read[number].parts["items"].rows for number in own)
        unread: dict[str, int] = {}
        for number in own:
            for reason, count in read[number].facts["unread"].items():
                unread[reason] = unread.get(reason, 0) + count
        said = found.evalset
        sets.append(
            ProtectedSet(
                name=said.name,
                version=said.version,
                revision=said.revision,
                license=said.license,
                access=said.access,
                split=said.split,
                made_from=said.made_from,
                digest=whole.facts["digests"][corpus],
                items=items,
                first=first,
                pictures=sum(measured[number].parts["images"].rows for number in own),
                frames=whole.facts["frames"][corpus],
                unread=dict(sorted(unread.items())),
                content=whole.facts["content"][corpus],
            )
        )
        first += items
    return tuple(sets)
