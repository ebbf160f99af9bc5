"""The hold-out: a validation split by group, never by sample.

Samples that share a group of the named kinds, or a picture, are in one component, also through others; a component
is on one side as a whole. Its side is a function of the seed and of the smallest hash among its groups and pictures,
so that new data moves a component only where it joins two, or brings a smaller hash to one (and then seldom).

Each fragment sends the links between the groups of its samples (`LinksTask`). One task finds the components of all
links (`SolveTask`) and keeps what no fragment can tell by itself: the nodes of held-out components, and those whose
own hash would be held out though their component is not, some 2 x `fraction` of the nodes. With these each fragment
tells the sides of its samples (`HoldoutTask`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from filters.verdicts import decided
from pipelines.counts import tally
from pipelines.errors import CurateError
from pipelines.session import Session
from pipelines.steps import own_fingerprint
from pipelines.view import View, alive_rows, numbered, read_samples, rows_table
from pipelines.work import Commit, Part, Work, key_of
from sources.schema import Verdict
from sources.storage import Folder

STEP = "holdout"
SIDE = "validation"
MAX_LINKS = 100_000_000
"""Links solved at once: 11 GB in one worker. 10 million took 110 bytes each and 17 s of one core."""
LINKS = pa.schema([pa.field("low", pa.uint64(), nullable=False), pa.field("high", pa.uint64(), nullable=False)])
ROOTS = pa.schema([pa.field("node", pa.uint64(), nullable=False), pa.field("root", pa.uint64(), nullable=False)])
"""A node (a group, a picture, or a sample that frames were made from) and the smallest node of its component."""

Nodes = npt.NDArray[np.uint64]


class Holdout:
    """The step's settings. It keeps every sample; the evidence says which ones are for validation."""

    name = STEP
    version = 1
    columns = ("sample_id", "groups", "images", "parent_id")

    def __init__(self, fraction: float, by: Sequence[str], seed: int) -> None:
        """`fraction` of the components, about; `by`: kinds of group; `seed` picks another split."""
        self.fraction = fraction
        self.by = tuple(sorted(by))
        self.seed = seed

    def parameters(self) -> dict[str, Any]:
        """Everything that the split depends on."""
        return {"fraction": self.fraction, "by": self.by, "seed": self.seed}

    def is_held(self, nodes: Nodes) -> npt.NDArray[np.bool_]:
        """Whether a component with this smallest node is held out."""
        salt = int.from_bytes(blake3.blake3(f"holdout {self.seed}".encode()).digest()[:8], "little")
        below: npt.NDArray[np.bool_] = _mixed(nodes ^ np.uint64(salt)) < np.uint64(self.fraction * 2.0**64)
        return below

    def nodes_of(self, samples: pa.Table, images: pa.Table) -> list[list[int]]:
        """The nodes of each sample, ascending; of one without groups and pictures its own.

        Pictures with the same pixels are one node. A sample that frames were made from has a node with them.
        """
        kinds = frozenset(self.by)
        pixels = dict(zip(images["image_id"].to_pylist(), images["pixel_hash"].to_pylist(), strict=True))
        parents = set(samples["parent_id"].to_pylist()) - {None}
        found = []
        for sample_id, groups, shown, parent in zip(*(samples[name].to_pylist() for name in self.columns), strict=True):
            names = [(group["kind"], group["id"]) for group in groups or () if group["kind"] in kinds]
            names += [("image", pixels.get(image["image_id"]) or image["image_id"]) for image in shown or ()]
            if parent is not None or sample_id in parents or not names:
                names.append(("sample", parent or sample_id))
            found.append(sorted({_node(kind, value) for kind, value in names}))
        return found


@dataclass(frozen=True)
class LinksTask:
    """Finds what the samples of one fragment link."""

    step: Holdout
    view: View
    number: int

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{STEP} links {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `links`: LINKS, each once, from the smallest node of a sample to its others."""
        work, node = session.work, f"{STEP}_links"
        key = key_of(own_fingerprint(self.step), self.view.digests(self.step.columns, "images"))
        found = work.find(node, key)
        if found is not None:
            return found
        links = {(nodes[0], other) for _, nodes in _nodes(session, self.step, self.view) for other in nodes[1:]}
        low, high = zip(*sorted(links), strict=True) if links else ((), ())
        return work.put(node, key, {"links": pa.table([pa.array(low, pa.uint64()), pa.array(high, pa.uint64())],
                                                      schema=LINKS)})  # fmt: skip


@dataclass(frozen=True)
class SolveTask:
    """Finds the components of all links."""

    step: Holdout
    links: tuple[Part, ...]

    @property
    def label(self) -> str:
        """What is solved."""
        return f"{STEP} components"

    def run(self, session: Session) -> Commit:
        """Commit `roots`: ROOTS of the nodes whose side is not that of their own hash, and of all held-out ones.

        Raises:
            CurateError: there are more links than one worker's memory is meant for.
        """
        work, node = session.work, f"{STEP}_solve"
        key = key_of(own_fingerprint(self.step), sorted({part.digest for part in self.links}))
        found = work.find(node, key)
        if found is not None:
            return found
        count = sum(part.rows for part in self.links)
        if count > MAX_LINKS:
            raise CurateError(
                f"holdout: {count:,} links between groups, at most {MAX_LINKS:,} are solved at once",
                "name fewer kinds in holdout.by (study or patient is enough where one implies the other)",
            )
        low = _joined(work, self.links, "low")
        nodes, roots = components(low, _joined(work, self.links, "high"))
        held = self.step.is_held(roots)
        told = held | self.step.is_held(nodes)
        return work.put(node, key, {"roots": pa.table([nodes[told], roots[told]], schema=ROOTS)})


@dataclass(frozen=True)
class HoldoutTask:
    """Says on which side each kept sample of one fragment is."""

    step: Holdout
    view: View
    number: int
    roots: Part

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{STEP} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `verdicts`, `alive` (all of them) and `held` (row numbers and components of the held-out ones)."""
        work = session.work
        key = key_of(own_fingerprint(self.step), self.view.digests(self.step.columns, "images"), self.roots.digest)
        found = work.find(STEP, key)
        if found is not None:
            return found
        pairs = list(_nodes(session, self.step, self.view))
        rows = np.array([row for row, _ in pairs], np.int32)
        first = np.array([nodes[0] for _, nodes in pairs], np.uint64)
        roots = self._roots(session.work.folder, first)
        held = self.step.is_held(roots)
        evidence = [
            orjson.dumps({"side": SIDE, "component": f"{int(root):016x}"}).decode() if out else None
            for root, out in zip(roots, held, strict=True)
        ]
        count = len(rows)
        verdicts = decided(np.full(count, Verdict.KEEP, object), np.full(count, None, object), evidence=evidence)
        tables = {
            "verdicts": numbered(rows, verdicts),
            "alive": rows_table(rows),
            "held": rows_table(rows[held]).append_column("root", pa.array(roots[held], pa.uint64())),
        }
        return work.put(STEP, key, tables, {"counts": tally(count, 0, verdicts)})

    def _roots(self, folder: Folder, nodes: Nodes) -> Nodes:
        """The smallest node of each one's component, wherever that decides; elsewhere the node itself."""
        known, roots = _known(folder, self.roots)
        if not len(known) or not len(nodes):
            return nodes
        places = np.minimum(np.searchsorted(known, nodes), len(known) - 1)
        chosen: Nodes = np.where(known[places] == nodes, roots[places], nodes)
        return chosen


def components(low: Nodes, high: Nodes) -> tuple[Nodes, Nodes]:
    """The nodes of these links, ascending, and for each the smallest node of its connected component.

    Every round hooks the larger of two linked roots to the smaller one and then flattens all trees (after Shiloach
    and Vishkin, J. Algorithms 3, 1982): a smallest node is never hooked, so it ends as the root.
    """
    nodes, places = np.unique(np.concatenate([low, high]), return_inverse=True)
    one, other = places[: len(low)], places[len(low) :]
    root = np.arange(len(nodes))
    while len(one):
        np.minimum.at(root, np.maximum(root[one], root[other]), np.minimum(root[one], root[other]))
        while not np.array_equal(flat := root[root], root):
            root = flat
        apart = root[one] != root[other]
        one, other = one[apart], other[apart]
    return nodes, nodes[root]


def _nodes(session: Session, step: Holdout, view: View) -> Iterator[tuple[int, list[int]]]:
    """Row and nodes of every kept sample of a fragment."""
    rows = alive_rows(session.work, view)
    samples = read_samples(session.work, view, rows, step.columns)
    images = session.work.read(view.parts["images"], ["image_id", "pixel_hash"])
    return zip(rows.tolist(), step.nodes_of(samples, images), strict=True)


def _joined(work: Work, parts: Sequence[Part], column: str) -> Nodes:
    pieces = [work.read(part, [column])[column].to_numpy() for part in parts if part.rows]
    return np.concatenate([np.empty(0, np.uint64), *pieces])


@lru_cache(maxsize=2)
def _known(folder: Folder, part: Part) -> tuple[Nodes, Nodes]:
    table = Work(folder).read(part)
    return table["node"].to_numpy(), table["root"].to_numpy()


def _node(kind: str, value: str) -> int:
    digest = blake3.blake3(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little")


def _mixed(values: Nodes) -> Nodes:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): every bit depends on every bit."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Nodes = values ^ (values >> np.uint64(31))
    return mixed
