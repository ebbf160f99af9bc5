"""The picture channel: which pictures of eval sets a training picture is a copy of.

Hashes and local features nominate (`picture_index`), pixels decide (`picture_places`). docs/decontamination_images.md
says what was measured.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.decontamination.grades import Grade
from dedup.decontamination.picture_features import PROTECTED, SOUGHT
from dedup.decontamination.picture_index import (
    CODE_RADIUS,
    FEWEST_VOTES,
    MOST_MATCHES,
    RADIUS,
    TOLERANCE,
    Nomination,
    PictureIndex,
)
from dedup.decontamination.picture_places import Part, Place, part_of, placed
from dedup.picture_rules import rule_for
from sources.pictures.panels import Region

__all__ = [
    "PICTURE_HITS",
    "KnownParts",
    "PictureHit",
    "PictureIndex",
    "hits_table",
    "parameters",
    "scan_picture",
]

Grey = npt.NDArray[np.uint8]

PICTURE_HITS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("picture", pa.int32(), nullable=False),
        pa.field("grade", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("transform", pa.string(), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
    ]
)
"""One row per training picture and eval picture of which it is a copy.

`evidence` is JSON: `inliers`, `correlation`, `scale`, `rotation` (degrees), `mirrored`, `inverted`, `overlap`, and
`region` and `eval_region`: left, top, right, bottom in the training and the eval picture as shares of width and height.
"""

MISSES = 4
"""Eval pictures in a row that were no copies, after which the less likely ones are left."""
MOST_TRIED = 4
"""Pairs of parts of the two pictures that are compared, the likeliest first."""
MOST_COPIES = 64
"""Eval pictures that one training picture is reported as a copy of: eval sets hold pictures twice."""
READY = 64
"""Parts of eval pictures kept ready to be compared: 1.5 MB each."""


class PictureHit(NamedTuple):
    """A row of PICTURE_HITS."""

    image_id: str
    picture: int
    grade: Grade
    score: float
    transform: str
    evidence: str


@dataclass
class KnownParts:
    """Eval pictures, opened when they are nominated and kept ready for the next."""

    index: PictureIndex
    open_eval: Callable[[int], Grey | None]
    ready: dict[int, Part | None] = field(default_factory=dict)
    unopened: set[int] = field(default_factory=set)
    """Eval pictures that could not be opened: whether anything is a copy of them is not known."""

    def part(self, number: int) -> Part | None:
        """A part of the index; None where its picture could not be opened."""
        if number in self.ready:
            self.ready[number] = self.ready.pop(number)
            return self.ready[number]
        row = {name: self.index.parts[name][number].as_py() for name in ("picture", *Region._fields)}
        picture = row.pop("picture")
        grey = self.open_eval(picture)
        if grey is None:
            self.unopened.add(picture)
        self.ready[number] = None if grey is None else part_of(grey, Region(**row))
        if len(self.ready) > READY:
            del self.ready[next(iter(self.ready))]
        return self.ready[number]


def scan_picture(
    index: PictureIndex,
    picture: Grey,
    image_id: str,
    pixel_hash: str | None,
    open_eval: Callable[[int], Grey | None] | KnownParts,
    modality: str,
) -> list[PictureHit]:
    """The eval pictures that a grey training picture H x W is a copy of, by their numbers.

    `open_eval` gives an eval picture by its number as it was when indexed (the same size); with `KnownParts` they stay
    ready from one training picture to the next. `modality` is the training picture's and chooses the threshold.
    """
    known = open_eval if isinstance(open_eval, KnownParts) else KnownParts(index, open_eval)
    hits = {hit.picture: hit for hit in _equal(index, image_id, pixel_hash)}
    parts: dict[Region, Part] = {}
    rule, missed = rule_for(modality), 0
    for number, nominations in _by_picture(index, index.nominated(picture), picture.shape):
        if number in hits:
            continue
        if missed == MISSES or len(hits) >= MOST_COPIES:
            break
        place = None
        for one in nominations:
            part = known.part(one.part)
            if part is None:
                continue
            if one.region not in parts:
                parts[one.region] = part_of(picture, one.region)
            place = placed(parts[one.region], part, one, rule)
            if place is not None:
                hits[number] = _hit(image_id, number, place)
                break
        missed = 0 if place is not None else missed + 1
    return [hits[number] for number in sorted(hits)]


def parameters() -> dict[str, object]:
    """Everything that an index and its hits depend on, for fingerprints."""
    return {
        "version": 2, "sought": SOUGHT, "protected": PROTECTED, "radius": RADIUS, "code_radius": CODE_RADIUS,
        "most_matches": MOST_MATCHES, "fewest_votes": FEWEST_VOTES, "tolerance": TOLERANCE, "misses": MISSES,
        "most_tried": MOST_TRIED, "most_copies": MOST_COPIES,
    }  # fmt: skip


def hits_table(hits: Sequence[PictureHit]) -> pa.Table:
    """PICTURE_HITS."""
    columns = zip(*hits, strict=True) if hits else ([] for _ in PICTURE_HITS)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, PICTURE_HITS, strict=True)], PICTURE_HITS)


def _equal(index: PictureIndex, image_id: str, pixel_hash: str | None) -> list[PictureHit]:
    """Hits of equal bytes or pixels, of pictures that say enough for that to mean something."""
    return [
        PictureHit(image_id, number, Grade.EXACT, 1.0, "identity", json.dumps({"equal": equal, **_WHOLE}))
        for number, equal in index.equal(image_id, pixel_hash)
    ]


_WHOLE = {"correlation": 1.0, "region": [0, 0, 1, 1], "eval_region": [0, 0, 1, 1]}


def _by_picture(
    index: PictureIndex, nominations: Sequence[Nomination], shape: tuple[int, ...]
) -> list[tuple[int, list[Nomination]]]:
    """Nominations by eval picture, the likeliest picture first; of each the whole pictures before panels."""
    pictures = index.parts["picture"].to_numpy()
    found: dict[int, list[Nomination]] = {}
    for one in nominations:
        found.setdefault(int(pictures[one.part]), []).append(one)
    whole = Region(0, shape[0], 0, shape[1])
    return [
        (number, sorted(some, key=lambda one: not (one.region == whole and index.is_whole(one.part)))[:MOST_TRIED])
        for number, some in found.items()
    ]


def _hit(image_id: str, number: int, place: Place) -> PictureHit:
    score = min(round(place.match.ncc, 4), 1.0)
    return PictureHit(image_id, number, place.grade, score, place.transform, _evidence(place))


def _evidence(place: Place) -> str:
    match = place.match
    return json.dumps(
        {
            "inliers": match.inliers, "correlation": round(match.ncc, 4), "scale": round(match.scale, 3),
            "rotation": round(match.rotation, 1), "mirrored": match.mirrored, "inverted": match.inverted,
            "overlap": round(match.overlap, 3), "region": place.seen, "eval_region": place.known,
        }
    )  # fmt: skip
