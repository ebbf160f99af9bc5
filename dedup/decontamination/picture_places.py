"""Whether a picture is a copy of a nominated one, decided on pixels, and where each lies in the other."""

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dedup.decontamination.grades import Grade
from dedup.decontamination.picture_index import Nomination, cut
from dedup.fingerprints import content_of, fingerprint_of
from dedup.verify_pictures import Match, Prepared, Rule, correlation, fitted, prepare, verify_pictures, version_of
from sources.pictures.panels import Region

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Shares = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of a whole picture's width and height."""

WHOLE = 0.85
"""Share of both pictures' contents that must lie on each other, or it is a part: a twelfth of each side may be cut
off, or the corners by a turn of ten degrees."""
UPRIGHT = 1.5
"""Degrees from a quarter turn up to which a turn is called one."""
_NEVER = 2.0


@dataclass(frozen=True)
class Part:
    """A region of a picture ready to be compared.

    `content` is the region without its borders, in pixels of the whole picture of `size` (height, width); `plain` says
    that it has too little information to be known by anything but its features.
    """

    ready: Prepared
    content: Region
    size: tuple[int, int]
    panel: bool
    plain: bool


@dataclass(frozen=True)
class Place:
    """That one picture is a copy of another: `seen` is where in the training picture, `known` where in the eval one."""

    grade: Grade
    match: Match
    transform: str
    seen: Shares
    known: Shares


def part_of(grey: Grey, region: Region) -> Part:
    """That region of a grey picture H x W."""
    pixels = cut(grey, region)
    top, bottom, left, right = content_of(pixels)
    content = Region(region.top + top, region.top + bottom, region.left + left, region.left + right)
    panel = (region.bottom - region.top, region.right - region.left) != grey.shape
    return Part(prepare(pixels), content, (grey.shape[0], grey.shape[1]), panel, not fingerprint_of(pixels).usable)


def placed(seen: Part, known: Part, nomination: Nomination, rule: Rule) -> Place | None:
    """How `seen`, of a training picture, lies on `known`, of an eval one; None where pixels say it is no copy.

    The nomination knows the polarity and whether it is mirrored, so one of four versions is compared; all are where a
    hash nominated and that one is no copy.
    """
    if seen.plain or known.plain:
        rule = dataclasses.replace(rule, sure_ncc=_NEVER)
    if seen.ready.identity == known.ready.identity:
        return _place(seen, known, Match("duplicate", 1.0, len(seen.ready.points), overlap=1.0), None)
    match, map_AB = _in_version(seen, known, rule, mirrored=nomination.mirrored, inverted=nomination.inverted)
    if match.verdict != "duplicate" and nomination.bits is not None:
        match = verify_pictures(seen.ready, known.ready, rule)
        map_AB = None
        if match.verdict == "duplicate" and match.inliers:
            again, map_AB = _in_version(seen, known, rule, mirrored=match.mirrored, inverted=match.inverted)
            match = again if again.verdict == "duplicate" else match
    return _place(seen, known, match, map_AB) if match.verdict == "duplicate" else None


def _in_version(seen: Part, known: Part, rule: Rule, *, mirrored: bool, inverted: bool) -> tuple[Match, Floats | None]:
    version = version_of(seen.ready, mirrored=mirrored, inverted=inverted)
    map_AB, inliers = fitted(version, known.ready)
    if map_AB is None:
        return Match("different", 0.0, inliers, mirrored=mirrored, inverted=inverted), None
    ncc, overlap = correlation(version, known.ready, map_AB)
    scale = float(np.sqrt(abs(np.linalg.det(map_AB[:, :2]))))
    rotation = float(np.degrees(np.arctan2(-map_AB[1, 0], map_AB[0, 0])))
    verdict = rule.verdict(inliers, ncc, overlap)
    return Match(verdict, ncc, inliers, scale, rotation, mirrored, inverted, overlap), map_AB


def _place(seen: Part, known: Part, match: Match, map_AB: Floats | None) -> Place:
    """The regions of both, and what that makes of the match; without a map they lie edge on edge."""
    (height, width), (rows, columns) = seen.ready.levels.shape, known.ready.levels.shape
    of_seen = of_known = np.array([0.0, 0.0, 1.0, 1.0])
    share_seen = share_known = 1.0
    if map_AB is not None:
        frame_seen, frame_known = _frame(width, height), _frame(columns, rows)
        share_known, of_known = _common(frame_seen @ map_AB[:, :2].T + map_AB[:, 2], frame_known)
        back = cv2.invertAffineTransform(map_AB)
        share_seen, of_seen = _common(frame_known @ back[:, :2].T + back[:, 2], frame_seen)
        if match.mirrored:
            of_seen = np.array([1 - of_seen[2], of_seen[1], 1 - of_seen[0], of_seen[3]])
    partial = seen.panel or known.panel or min(share_seen, share_known) < WHOLE
    return Place(
        Grade.PARTIAL if partial else Grade.REENCODED, match, _name(seen, known, match, share_seen, share_known),
        _shares(of_seen, seen), _shares(of_known, known),
    )  # fmt: skip


def _frame(width: int, height: int) -> Floats:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _common(laid: Floats, frame: Floats) -> tuple[float, Floats]:
    """Share of a frame that another covers, and the box of what they share in shares of the frame."""
    area, corners = cv2.intersectConvexConvex(laid.astype(np.float32), frame.astype(np.float32))
    size = frame[2]
    if corners is None or area <= 0:
        return 0.0, np.zeros(4)
    points = np.clip(corners.reshape(-1, 2) / size, 0, 1)
    return float(area / size.prod()), np.concatenate([points.min(axis=0), points.max(axis=0)])


def _shares(box: Floats, part: Part) -> Shares:
    """A box in shares of a part's content as shares of the whole picture."""
    content, (height, width) = part.content, part.size
    tall, wide = content.bottom - content.top, content.right - content.left
    left, top, right, bottom = box.tolist()
    found = (
        (content.left + left * wide) / width, (content.top + top * tall) / height,
        (content.left + right * wide) / width, (content.top + bottom * tall) / height,
    )  # fmt: skip
    return round(found[0], 4), round(found[1], 4), round(found[2], 4), round(found[3], 4)


def _name(seen: Part, known: Part, match: Match, share_seen: float, share_known: float) -> str:
    """What was done to the eval picture, as `panel+mirror`."""
    names = []
    if seen.panel:
        names.append("panel")
    elif share_seen < WHOLE:
        names.append("within")
    if known.panel:
        names.append("of_panel")
    if share_known < WHOLE:
        names.append("crop")
    if match.mirrored:
        names.append("mirror")
    angle = -match.rotation % 360  # of the training picture, seen from the eval picture
    quarter = 90 * round(angle / 90)
    turn = round(quarter if abs(angle - quarter) <= UPRIGHT else angle) % 360
    if turn:
        names.append(f"rotate{turn}")
    if match.inverted:
        names.append("inverted")
    return "+".join(names) or "identity"
