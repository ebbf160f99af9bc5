"""Whether two pictures are one: local features, an affine map, and correlation of what lies on top of each other.

Hashes only nominate. Two chest films of two people agree in hash and embedding; what they do not agree in is where
their edges lie. So features of the one are found in the other (RootSIFT: Arandjelovic and Zisserman, CVPR 2012), an
affine map is fitted by RANSAC, the one is laid on the other and both are correlated after local normalisation.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import blake3
import cv2
import numpy as np
import numpy.typing as npt

from dedup.fingerprints import ORIENTATIONS, content_of, oriented_picture

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[Any]
"""float32, as OpenCV computes."""
Verdict = Literal["duplicate", "related", "different"]

SIDE = 512
"""Pixels of the longer side at which pictures are compared."""
MOST_FEATURES = 1000
CONTRAST = 0.01
"""Of a keypoint. At twice that, smooth films keep 300 features and 75 % of crops of 60 % are found, at this 88 %; the
correlation of different patients (at most 0.24) and of follow-ups (0.51) is the same with both."""
RATIO = 0.8
"""Lowe's ratio: the best match must be this much nearer than the second best."""
REACH = 4.0
"""Pixels that a match may be off the map that RANSAC fits."""
ITERATIONS = 3000
CONFIDENCE = 0.995
FEWEST_MATCHES = 6
SMALLEST_AREA, LARGEST_AREA = 0.02, 50.0
MOST_ANISOTROPY = 1.6
"""Maps beyond these are none: they come from a few chance matches on a line."""
LOCAL = 8.0
"""Pixels: standard deviation of the window of the local normalisation."""
DEVIATION_FLOOR = 3.0
ERODED = 9
SMALLEST_OVERLAP = 0.01
_COARSEST = 4.0
"""Pixels of 512: nothing is compared at fewer than 128 pixels."""
_SEED = 4711
_QUARTERS = (0, 0, 2, 2, 1, -1, 1, -1)
"""Quarter turns counter-clockwise, after a mirroring where there is one, of each of `oriented_picture`'s numbers."""


@dataclass(frozen=True)
class Rule:
    """What counts as a copy, and what as the same subject without being a copy.

    `ncc` with `inliers` is the published rule (`reference`: none of 690 pairs of different patients, none of 400
    follow-ups). From `sure_ncc` on few or no inliers do, where `sure_overlap` is covered: for smooth pictures and
    small crops, and far above what other patients (0.37) and follow-ups (0.60 as JPEG of quality 20) reach.
    """

    inliers: int = 12
    ncc: float = 0.60
    sure_ncc: float = 0.80
    sure_overlap: float = 0.05
    related_inliers: int = 15
    related_ncc: float = 0.35

    def verdict(self, inliers: int, ncc: float, overlap: float) -> Verdict:
        """The verdict on a pair of pictures."""
        if inliers >= self.inliers and ncc >= self.ncc:
            return "duplicate"
        if ncc >= max(self.sure_ncc, self.ncc) and overlap >= self.sure_overlap:
            return "duplicate"
        if inliers >= self.related_inliers and ncc >= self.related_ncc:
            return "related"
        return "different"


@dataclass(frozen=True)
class Match:
    """How the first picture lies on the second.

    `scale` and `rotation` (degrees, counter-clockwise) are of the map between the pictures at equal size (longer side
    512 px without borders), after the first was mirrored left-right where `mirrored` and inverted where `inverted`;
    `overlap` is the share of the second that the first covers, `ncc` the correlation there.
    """

    verdict: Verdict
    ncc: float
    inliers: int
    scale: float = 1.0
    rotation: float = 0.0
    mirrored: bool = False
    inverted: bool = False
    overlap: float = 0.0


@dataclass(frozen=True)
class Prepared:
    """A picture ready to be compared: levels as ranks, features, and the pixels that one of its own makes here."""

    identity: bytes
    """Equal for pictures of equal size and pixels."""
    levels: Floats
    points: Floats
    descriptors: Floats
    pitch: float


@cache
def _sift() -> Any:
    cv2.setNumThreads(1)  # the same answers whatever the machine, and workers share its cores
    return cv2.SIFT.create(nfeatures=MOST_FEATURES, contrastThreshold=CONTRAST)


def prepare(grey: Grey) -> Prepared:
    """Find the features of a grey picture H x W."""
    sift = _sift()
    part = without_borders(grey)
    scale = SIDE / max(part.shape)
    size = (max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1))
    sized = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    ranks = ranked(sized)
    keypoints, found = sift.detectAndCompute(ranks, None)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    descriptors = np.zeros((0, 128), np.float32) if found is None else found
    rooted = np.sqrt(descriptors / (descriptors.sum(axis=1, keepdims=True) + 1e-9)).astype(np.float32)
    return Prepared(_identity(grey), ranks.astype(np.float32), points, rooted, max(scale, 1.0))


def _identity(grey: Grey) -> bytes:
    """Sizes and pixels in few bytes: pictures that wait to be compared are many."""
    return blake3.blake3(np.array(grey.shape, "<u4").tobytes() + np.ascontiguousarray(grey).tobytes()).digest()


def without_borders(grey: Grey) -> Grey:
    """The picture without its near-constant borders, as its canonical fingerprint has it."""
    top, bottom, left, right = content_of(grey)
    return np.ascontiguousarray(grey[top:bottom, left:right])


def ranked(grey: npt.NDArray[Any]) -> Grey:
    """Levels replaced by their middle rank, 0..255: what no window or gamma changes; inverted with the picture."""
    counts = np.bincount(grey.ravel(), minlength=256)
    middle = np.cumsum(counts) - counts / 2
    table = np.rint(middle * (255.0 / grey.size)).astype(np.uint8)
    ranks: Grey = table[grey]
    return ranks


def verify_pictures(a: Grey | Prepared, b: Grey | Prepared, rule: Rule | None = None) -> Match:
    """Whether `a` is a copy of `b`, of the same subject (`related`), or neither; grey pictures H x W.

    The first is tried upright, inverted, mirrored and both, until one is a copy; else the best counts. Where too few
    features agree for a map, both are also compared at equal framing in the orientation in which they are most alike.
    """
    rule = rule or Rule()
    first, second = (one if isinstance(one, Prepared) else prepare(one) for one in (a, b))
    if first.identity == second.identity:
        return Match("duplicate", 1.0, len(first.points), overlap=1.0)
    best = Match("different", 0.0, 0)
    for mirrored, inverted in ((False, False), (False, True), (True, False), (True, True)):
        match = _compared(first, second, rule, mirrored=mirrored, inverted=inverted)
        if (match.ncc, match.inliers) > (best.ncc, best.inliers):
            best = match
        if best.verdict == "duplicate":
            return best
    if best.inliers < rule.inliers:
        framed = _framed(first, second, rule)
        return framed if framed.ncc > best.ncc else best
    return best


def _compared(a: Prepared, b: Prepared, rule: Rule, *, mirrored: bool, inverted: bool) -> Match:
    """The match of one version of `a` with `b`."""
    version = version_of(a, mirrored=mirrored, inverted=inverted)
    map_AB, inliers = fitted(version, b)
    if map_AB is None:
        return Match("different", 0.0, inliers, mirrored=mirrored, inverted=inverted)
    ncc, overlap = correlation(version, b, map_AB)
    scale = math.sqrt(float(np.linalg.det(map_AB[:, :2])))
    rotation = math.degrees(math.atan2(-map_AB[1, 0], map_AB[0, 0]))
    return Match(rule.verdict(inliers, ncc, overlap), ncc, inliers, scale, rotation, mirrored, inverted, overlap)


def version_of(picture: Prepared, *, mirrored: bool, inverted: bool) -> Prepared:
    """The picture mirrored left-right or inverted, without looking for its features again.

    A gradient of the inverted picture points the other way, and so does the keypoint's own: the descriptor's 4 x 4
    grid of places is turned by half. In the mirrored picture its rows and the sense of its 8 directions are reversed.
    """
    levels, points = picture.levels, picture.points
    grid = picture.descriptors.reshape(-1, 4, 4, 8)
    if inverted:
        levels, grid = 255 - levels, grid[:, ::-1, ::-1]
    if mirrored:
        levels = np.ascontiguousarray(levels[:, ::-1])
        points = np.stack([levels.shape[1] - 1 - points[:, 0], points[:, 1]], axis=1)
        grid = grid[:, ::-1, :, -np.arange(8) % 8]
    return Prepared(picture.identity, levels, points, np.ascontiguousarray(grid.reshape(-1, 128)), picture.pitch)


def fitted(a: Prepared, b: Prepared) -> tuple[npt.NDArray[Any] | None, int]:
    """The affine map 2 x 3 from `a` to `b`, or None, and how many matches agree with it."""
    if min(len(a.points), len(b.points)) < 8:
        return None, 0
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a.descriptors, b.descriptors, k=2)
    good = [(one.queryIdx, one.trainIdx) for one, other in pairs if one.distance < RATIO * other.distance]
    if len(good) < FEWEST_MATCHES:
        return None, 0
    index = np.array(good)
    cv2.setRNGSeed(_SEED)
    found, inlier = cv2.estimateAffine2D(
        a.points[index[:, 0]], b.points[index[:, 1]], method=cv2.RANSAC, ransacReprojThreshold=REACH,
        maxIters=ITERATIONS, confidence=CONFIDENCE,
    )  # fmt: skip
    if found is None:
        return None, 0
    area = float(np.linalg.det(found[:, :2]))  # negative: it mirrors, which other versions are tried for
    sane = SMALLEST_AREA <= area <= LARGEST_AREA and _stretch(found[:, :2], a, b) <= MOST_ANISOTROPY
    return (found if sane else None), int(inlier.sum())


def _stretch(linear_22: npt.NDArray[Any], a: Prepared, b: Prepared) -> float:
    """How many times more a map stretches one direction than another, in pixels or in shares of both frames.

    Whichever is less: a wide picture that was squeezed to a square is stretched in pixels and not in shares.
    """
    sides_A, sides_B = (np.diag(side.levels.shape[1::-1]).astype(np.float64) for side in (a, b))
    in_shares = np.linalg.inv(sides_B) @ linear_22 @ sides_A
    stretches = [np.linalg.svd(linear, compute_uv=False) for linear in (linear_22, in_shares)]
    return float(min(stretch[0] / stretch[1] if stretch[1] > 0 else np.inf for stretch in stretches))


def correlation(a: Prepared, b: Prepared, map_AB: npt.NDArray[Any]) -> tuple[float, float]:
    """Correlation of two pictures of which the first is laid on the second by a map 2 x 3, and the share it covers.

    Both are compared at the smaller of their two effective resolutions: the denser one is laid on the coarser one,
    and one that was enlarged to 512 pixels is taken back to its own. What the coarser one never had is then missing in
    neither. The window of the normalisation keeps its size on the subject; at a window of 8 pixels of the smaller
    resolution a JPEG of quality 20 at 256 pixels scores higher still, but so do follow-ups (0.68 for 0.52).
    """
    if abs(np.linalg.det(map_AB[:, :2])) > 1:
        ncc, _ = _laid(b, a, cv2.invertAffineTransform(map_AB))
        return ncc, _covered(a, b, map_AB)
    return _laid(a, b, map_AB)


def _laid(a: Prepared, b: Prepared, map_AB: npt.NDArray[Any]) -> tuple[float, float]:
    """The same where the map does not enlarge."""
    height, width = b.levels.shape
    shrink = math.sqrt(abs(np.linalg.det(map_AB[:, :2])))
    pitch = min(max(a.pitch * shrink, b.pitch), _COARSEST)
    size = (max(round(width / pitch), 1), max(round(height / pitch), 1))
    below = cv2.resize(b.levels, size, interpolation=cv2.INTER_AREA) if pitch > 1 else b.levels
    factors = np.array([size[0] / width, size[1] / height])
    shifted = factors * (map_AB[:, 2] + 0.5) - 0.5
    laid = np.hstack([factors[:, None] * map_AB[:, :2], shifted[:, None]])
    density = abs(np.linalg.det(laid[:, :2]))
    above = a.levels
    if density < 0.95:  # averaged over what becomes one pixel
        above = cv2.GaussianBlur(above, (0, 0), 0.5 * math.sqrt(1 / density - 1))
    above = cv2.warpAffine(above, laid, size)
    mask = _mask(a.levels.shape, laid, size, max(round(ERODED / pitch), 3))
    overlap = float(mask.mean())
    if overlap < SMALLEST_OVERLAP:
        return 0.0, overlap
    x, y = (locally_normalised(levels, LOCAL / pitch)[mask] for levels in (above, below))
    return _pearson(x, y), overlap


def _covered(a: Prepared, b: Prepared, map_AB: npt.NDArray[Any]) -> float:
    return float(_mask(a.levels.shape, map_AB, b.levels.shape[::-1], ERODED).mean())


def _mask(shape: tuple[int, ...], laid: npt.NDArray[Any], size: Any, eroded: int) -> npt.NDArray[np.bool_]:
    """Where a picture of `shape` lies, without its edge."""
    whole = cv2.warpAffine(np.ones(shape, np.float32), laid, size) > 0.99
    inner: npt.NDArray[np.bool_] = cv2.erode(whole.astype(np.uint8), np.ones((eroded, eroded), np.uint8)) > 0
    return inner


def locally_normalised(levels: Floats, sigma: float) -> Floats:
    """Levels less their local mean, over their local deviation (and a floor that keeps noise down)."""
    mean = cv2.GaussianBlur(levels, (0, 0), sigma)
    variance = np.maximum(cv2.GaussianBlur(levels * levels, (0, 0), sigma) - mean * mean, 0)
    normalised: Floats = (levels - mean) / (np.sqrt(variance) + DEVIATION_FLOOR)
    return normalised


def _pearson(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float(np.dot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y) + 1e-9))


def _framed(a: Prepared, b: Prepared, rule: Rule) -> Match:
    """The match of two whole pictures laid edge on edge, in the most alike of eight orientations and two polarities."""
    tile = _tile(b.levels)
    likeness = [_pearson(_tile(oriented_picture(a.levels, number)), tile) for number in range(ORIENTATIONS)]
    number = int(np.argmax(np.abs(likeness)))
    inverted = likeness[number] < 0
    levels = np.ascontiguousarray(oriented_picture(255 - a.levels if inverted else a.levels, number))
    turned = Prepared(a.identity, levels, a.points[:0], a.descriptors[:0], a.pitch)
    stretch = np.array(b.levels.shape[::-1]) / np.array(levels.shape[::-1])
    map_AB = np.hstack([np.diag(stretch), (stretch / 2 - 0.5)[:, None]])
    ncc, overlap = correlation(turned, b, map_AB)
    mirrored = number.bit_count() % 2 == 1
    quarters = _QUARTERS[number]
    scale = math.sqrt(stretch[0] * stretch[1])
    return Match(rule.verdict(0, ncc, overlap), ncc, 0, scale, 90.0 * quarters, mirrored, inverted, overlap)


def _tile(levels: Floats) -> Floats:
    tile: Floats = cv2.resize(np.ascontiguousarray(levels), (64, 64), interpolation=cv2.INTER_AREA).ravel()
    return tile
