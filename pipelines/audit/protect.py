"""The eval side: items, their pictures, and the indexes in which training data is looked up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import blake3
import pyarrow as pa

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
from pipelines.plan import plan_fragments
from pipelines.session import Session
from pipelines.view import View
from pipelines.work import Commit, Part, Work, key_of
from sources.identity import Identity
from sources.records import Corpus
from sources.schema import Reason

VERSION = 2
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
    """Of its items and of the pixels of their pictures: whatever the files are called."""
    items: int
    first: int
    """Number of its first item."""
    pictures: int
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
    planned = plan_fragments(flow.engine, session, [_evaluated(found) for found in evals.found], flow.reporter)
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
    sets = tuple(replace(one, inside=tuple(inside)) for one, inside in zip(sets, shared, strict=True))
    return Protected(session, tuple(views), sets, whole.parts["items"], whole.parts["pictures"], articles)


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
        """Commit `items` (ITEMS) and `pictures` (EVAL_PICTURES); hashes of each corpus's pixels and items are facts."""
        work, node = session.work, "audit_evals"
        used = [(part.digest, view.parts["links"].digest, view.parts["images"].digest) for part, view in self.fragments]
        key = key_of(node, VERSION, used, [view.corpus for _, view in self.fragments])
        found = work.find(node, key)
        if found is not None:
            return found
        pictures, first = _Pictures(), 0
        by_set: dict[int, list[ItemsRead]] = {}
        for number, (part, view) in enumerate(self.fragments):
            pictures.add(work, view, number, first)
            by_set.setdefault(view.corpus, []).append(ItemsRead(work.read(part)))
            first += part.rows
        own = {number: gathered(parts).items for number, parts in by_set.items()}
        items = [ITEMS.empty_table(), *own.values()]
        corpora = len(session.corpora)
        facts = {
            "content": [content_hash(own.get(number, ITEMS.empty_table())) for number in range(corpora)],
            "pixels": [
                blake3.blake3("".join(sorted(pixels)).encode()).hexdigest()[:32]
                for pixels in pictures.pixels(corpora, self.fragments)
            ],
        }
        return work.put(node, key, {"items": pa.concat_tables(items), "pictures": pictures.table()}, facts)


class _Pictures:
    """Distinct pictures as they come."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}
        self._by_fragment: dict[int, set[str]] = {}

    def add(self, work: Work, view: View, fragment: int, first: int) -> None:
        """The pictures of a fragment whose first item has this number."""
        images = work.read(view.parts["images"], ["image_id", "pixel_hash"])
        pixels = dict(zip(images["image_id"].to_pylist(), images["pixel_hash"].to_pylist(), strict=True))
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
                self._by_fragment.setdefault(fragment, set()).add(own["pixel_hash"] or ref["image_id"])

    def table(self) -> pa.Table:
        """EVAL_PICTURES."""
        return pa.Table.from_pylist(list(self._rows.values()), schema=EVAL_PICTURES)

    def pixels(self, corpora: int, fragments: Sequence[tuple[Part, View]]) -> list[set[str]]:
        """The pixel hashes of each corpus's pictures."""
        found: list[set[str]] = [set() for _ in range(corpora)]
        for number, (_, view) in enumerate(fragments):
            found[view.corpus] |= self._by_fragment.get(number, set())
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
        digests = sorted(digest for number in own for digest in read[number].facts["digests"])
        digest = key_of(digests, whole.facts["pixels"][corpus])
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
                digest=digest,
                items=items,
                first=first,
                pictures=sum(measured[number].parts["images"].rows for number in own),
                unread=dict(sorted(unread.items())),
                content=whole.facts["content"][corpus],
            )
        )
        first += items
    return tuple(sets)
