"""The picture channel over the fragments: an index of the eval sets' pictures, and the hits, verified on pixels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.decontamination.pictures import (
    PICTURE_HITS,
    KnownParts,
    PictureHit,
    PictureIndex,
    hits_table,
    parameters,
    scan_picture,
)
from filters.statistics import grey_of
from pipelines.audit.protect import Protected
from pipelines.bisect import Failure, bisect
from pipelines.flow import Flow
from pipelines.isolation import isolated
from pipelines.session import EvalSide, Located, Session, locate
from pipelines.view import View
from pipelines.work import Commit, Part, Work, key_of
from sources.pictures import Limits, PictureError, thumbnail_only
from sources.storage import TooLargeError, is_absence

Grey = npt.NDArray[np.uint8]

VERSION = 2
AT_ONCE = 32
"""Pictures that one task puts into the index."""
SIDE = 1024
"""Pixels that a reduced decode leaves at least."""


@dataclass(frozen=True)
class PictureParts:
    """The committed index, and where the eval sets' pictures are."""

    tables: tuple[tuple[str, Part], ...]
    pictures: Part
    max_pixels: int
    failed: int = 0
    """Pictures that were measured and could not be opened again for the index."""

    @property
    def digests(self) -> list[str]:
        """What every hit depends on."""
        return [*(part.digest for _, part in self.tables), self.pictures.digest, str(self.max_pixels)]

    def loaded(self, work: Work) -> PictureIndex:
        """The index, read once a process."""
        key = tuple(self.digests)
        if key not in _held:
            _held.clear()
            _held[key] = PictureIndex.from_tables({name: work.read(part) for name, part in self.tables})
        return _held[key]


_held: dict[tuple[str, ...], PictureIndex] = {}


@dataclass(frozen=True)
class IndexPicturesTask:
    """Makes the part of the index for some of the eval sets' pictures. `attempt` counts the workers it has killed."""

    first: int
    stop: int
    pictures: Part
    max_pixels: int
    attempt: int = 0

    @property
    def label(self) -> str:
        """First picture."""
        return f"audit_picture_index {self.first}"

    def run(self, session: Session) -> Commit:
        """Commit the tables; pictures that could not be opened again are the fact `failed`."""
        work, node = session.work, "audit_picture_index"
        key = key_of(node, VERSION, parameters(), self.first, self.stop, self.pictures.digest, self.max_pixels)
        found = work.find(node, key)
        if found is not None:
            return found
        assert session.evals is not None
        make = partial(_index, work, self.pictures, self.max_pixels, session.evals, self.first)
        pieces = list(bisect(isolated(make, self.attempt, self), self.stop - self.first))
        made = [piece.result for piece in pieces if not isinstance(piece.result, Failure)]
        failed = sum(piece.stop - piece.start for piece in pieces if isinstance(piece.result, Failure))
        whole = PictureIndex.merged([PictureIndex.from_tables(tables) for tables, _ in made])
        return work.put(node, key, whole.tables(), {"failed": failed + sum(unopened for _, unopened in made)})

    def again(self) -> "IndexPicturesTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class MergeIndexTask:
    """Puts the parts of the index together."""

    parts: tuple[tuple[tuple[str, Part], ...], ...]

    @property
    def label(self) -> str:
        """What is made."""
        return "picture index"

    def run(self, session: Session) -> Commit:
        """Commit the tables of the whole index."""
        work, node = session.work, "audit_pictures_index"
        key = key_of(node, VERSION, [[part.digest for _, part in one] for one in self.parts])
        found = work.find(node, key)
        if found is not None:
            return found
        several = [PictureIndex.from_tables({name: work.read(part) for name, part in one}) for one in self.parts]
        return work.put(node, key, PictureIndex.merged(several).tables())


@dataclass(frozen=True)
class ScanPicturesTask:
    """Looks the pictures of one fragment up that no fragment before it has. `attempt`: workers it has killed."""

    view: View
    number: int
    index: PictureParts
    attempt: int = 0

    @property
    def label(self) -> str:
        """Fragment."""
        return f"audit_pictures {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `hits` (PICTURE_HITS); pictures that could not be opened again are the fact `failed`.

        Those of the eval sets too, that something here may be a copy of.
        """
        work, node = session.work, "audit_pictures"
        used = [self.view.parts[name].digest for name in ("images", "images_followers", "links")]
        key = key_of(node, VERSION, parameters(), self.index.digests, used)
        found = work.find(node, key)
        if found is not None:
            return found
        images = work.read(self.view.parts["images"], ["image_id", "pixel_hash", "modality"])
        repeated = work.read(self.view.parts["images_followers"])["row"].to_numpy()
        first = np.setdiff1d(np.arange(images.num_rows), repeated)
        images = images.take(pa.array(first, pa.int64()))
        rows = list(_placed(images, work.read(self.view.parts["links"], ["images"])))
        located = locate(session, self.view.corpus, self.view.fragment, self.attempt)
        scan = partial(_scanned, work, self.index, located, session.evals, rows)
        hits, failed = [PICTURE_HITS.empty_table()], 0
        unknown: set[int] = set()
        for piece in bisect(isolated(scan, self.attempt, self), len(rows)):
            if isinstance(piece.result, Failure):
                failed += piece.stop - piece.start
                continue
            table, unopened, of_evals = piece.result
            hits.append(table)
            failed += unopened
            unknown |= of_evals
        return work.put(node, key, {"hits": pa.concat_tables(hits)}, {"failed": failed + len(unknown)})

    def again(self) -> "ScanPicturesTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class MergeHitsTask:
    """Puts the hits of all fragments together."""

    parts: tuple[Part, ...]

    @property
    def label(self) -> str:
        """What is made."""
        return "picture hits"

    def run(self, session: Session) -> Commit:
        """Commit `hits`, by picture of the data and of the eval sets."""
        work, node = session.work, "audit_picture_hits"
        key = key_of(node, VERSION, [part.digest for part in self.parts])
        found = work.find(node, key)
        if found is not None:
            return found
        table = pa.concat_tables([PICTURE_HITS.empty_table(), *(work.read(part) for part in self.parts if part.rows)])
        return work.put(node, key, {"hits": table.sort_by([("image_id", "ascending"), ("picture", "ascending")])})


def picture_parts(flow: Flow, protected: Protected) -> PictureParts:
    """The index of the eval sets' pictures."""
    max_pixels = flow.session.recipe.steps.measure.max_pixels
    count = protected.pictures.rows
    tasks = [
        IndexPicturesTask(first, min(first + AT_ONCE, count), protected.pictures, max_pixels)
        for first in range(0, count, AT_ONCE)
    ]
    made = flow.each("picture index", tasks)
    parts = tuple(tuple(sorted(commit.parts.items())) for commit in made)
    (whole,) = flow.each("picture index", [MergeIndexTask(parts)])
    failed = sum(commit.facts["failed"] for commit in made)
    return PictureParts(tuple(sorted(whole.parts.items())), protected.pictures, max_pixels, failed)


def picture_hits(flow: Flow, index: PictureParts, protected: Protected) -> tuple[Part, int]:
    """PICTURE_HITS of all fragments, and how many pictures could not be opened again."""
    looked_at = flow.views if protected.pictures.rows else []
    scanned = flow.each("pictures", [ScanPicturesTask(view, at, index) for at, view in enumerate(looked_at)])
    parts = tuple(commit.parts["hits"] for commit in scanned)
    (merged,) = flow.each("picture hits", [MergeHitsTask(parts)])
    return merged.parts["hits"], sum(commit.facts["failed"] for commit in scanned)


def _index(
    work: Work, pictures: Part, max_pixels: int, evals: EvalSide, first: int, start: int, stop: int
) -> tuple[dict[str, pa.Table], int]:
    opener = EvalOpener(work, pictures, max_pixels, evals)
    rows = work.read(pictures).slice(first + start, stop - start).to_pylist()
    unopened: list[int] = []

    def greys() -> Iterator[tuple[int, Grey, str, str]]:
        for row in rows:
            grey = opener(row["picture"])
            if grey is None:
                unopened.append(row["picture"])
            else:
                yield row["picture"], grey, row["image_id"], row["pixel_hash"]

    return PictureIndex.of(greys()).tables(), len(unopened)


def _scanned(
    work: Work,
    index: PictureParts,
    located: Located,
    evals: EvalSide | None,
    rows: Sequence[Mapping[str, Any]],
    start: int,
    stop: int,
) -> tuple[pa.Table, int, set[int]]:
    """The hits, how many pictures could not be opened again, and which of the eval sets could not."""
    assert evals is not None
    held, unopened = index.loaded(work), 0
    known = KnownParts(held, EvalOpener(work, index.pictures, index.max_pixels, evals))
    hits: list[PictureHit] = []
    for row in rows[start:stop]:
        grey = opened(located, row["uri"], row["frame"], index.max_pixels)
        if grey is None:
            unopened += 1
            continue
        hits += scan_picture(held, grey, row["image_id"], row["pixel_hash"], known, row["modality"])
    return hits_table(hits), unopened, known.unopened


class EvalOpener:
    """Opens eval pictures by number."""

    def __init__(self, work: Work, pictures: Part, max_pixels: int, evals: EvalSide) -> None:
        """`pictures`: EVAL_PICTURES."""
        self._evals, self._max_pixels = evals, max_pixels
        self._rows = work.read(pictures)
        self._located: dict[int, Located] = {}

    def __call__(self, picture: int) -> Grey | None:
        """The grey picture, or None where it cannot be opened."""
        row = self._rows.slice(picture, 1).to_pylist()[0]
        number = row["fragment"]
        if number not in self._located:
            corpus, fragment = self._evals.fragments[number]
            self._located[number] = locate(self._evals.session, corpus, fragment)
        return opened(self._located[number], row["uri"], row["frame"], self._max_pixels)


def opened(located: Located, uri: str, frame: int | None, max_pixels: int) -> Grey | None:
    """A picture in grey, at least 1,024 pixels wide and high where it has as many; None where it cannot be had.

    Raises:
        OSError: it is there and cannot be read now.
    """
    try:
        return grey_of(thumbnail_only(located.open(uri), frame or 0, Limits(max_pixels=max_pixels), SIDE))
    except (TooLargeError, PictureError):
        return None
    except OSError as error:
        if not is_absence(error):
            raise
        return None


def _placed(images: pa.Table, links: pa.Table) -> Iterator[dict[str, Any]]:
    """Each picture with where one of the samples that show it finds it."""
    places = {
        ref["image_id"]: (ref["uri"], ref["frame"])
        for refs in links["images"].to_pylist()
        for ref in refs or ()
        if ref["image_id"] is not None
    }
    for row in images.to_pylist():
        uri, frame = places[row["image_id"]]
        yield {**row, "uri": uri, "frame": frame}
