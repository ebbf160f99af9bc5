"""Local features of a picture as short codes: what finds crops, turns, mirror images and panels.

SIFT (Lowe, IJCV 2004) on levels as ranks, each descriptor as 86 bits (`dedup/kernels/local_codes.py`): 22 say in which
bucket of an index it lies, 64 how near it is there. docs/decontamination_images.md has what was measured.
"""

from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dedup.fingerprints import content_of
from dedup.kernels.local_codes import CODE_BITS, KEY_BITS, VERSIONS, codes_of
from dedup.verify_pictures import CONTRAST, ranked

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SOUGHT = (256, 300, 1)
"""Longer side in pixels, most features, and parts of a side from each of which the strongest come first, of a picture
that is looked up. SIFT doubles it first: at 512 px it costs four times as much."""
PROTECTED = ((256, 160, 1), (512, 340, 8), (128, 40, 1))
"""The same of a picture in the index: as it is looked up, finer for crops of it (from everywhere: by strength alone,
57 for 75 % of crops of 60 % are nominated), and coarser for what is part of a larger picture."""
MOST_DETECTED = 2000
_COMPONENTS = (
    "002 031 011 102 012 013 104 322 014 004 231 122 101 202 010 103 111 022 212 121 015 113 "
    "211 100 124 302 016 106 024 123 006 204 033 105 222 324 213 110 304 034 214 032 131 224 126 232 115 026 120 210 "
    "017 206 125 035 233 303 215 130 306 216 030 301 323 321 107 133 311 234 326 331 226 313 036 300 235 230 117 135 "
    "037 305 127 330 320 310 236 315"
)
"""Row, column and direction of the transform's components of odd parity, those first whose sign agreed most often
between 236,000 matching features of 50 pictures and their 30 variants (96 to 87 %)."""
_PLACES = np.array([[1, 1, 1, 1], [2, 1, -1, -2], [1, -1, -1, 1], [1, -2, 2, -1]])
"""Cosines over four places, in whole numbers of the same parity: 1 and 3 are odd."""
_DIRECTIONS = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1, 1], [7, 5, 0, -5, -7, -5, 0, 5], [0, 5, 7, 5, 0, -5, -7, -5], [1, 0, -1, 0, 1, 0, -1, 0],
        [0, 1, 0, -1, 0, 1, 0, -1], [7, -5, 0, 5, -7, 5, 0, -5], [0, 5, -7, 5, 0, -5, 7, -5],
        [1, -1, 1, -1, 1, -1, 1, -1],
    ]
)  # fmt: skip
"""Cosines, and sines (2, 4 and 6, which are odd), over eight directions."""
_SINES = frozenset({2, 4, 6})
_ROOTS = np.rint(16 * np.sqrt(np.arange(256))).astype(np.int32)
_OCTAVE, _SMALLEST = 25, 9


class Features(NamedTuple):
    """N features.

    `poses` N x 4 are x and y in lengths of the picture's longer side, log2 of the size in the same, and degrees;
    `weakest` N x 3 the key bits that are least sure; `width` the picture's width in longer sides.
    """

    keys: npt.NDArray[np.int32]
    codes: npt.NDArray[np.uint64]
    weakest: npt.NDArray[np.int32]
    poses: Floats
    width: float


class Versions(NamedTuple):
    """How keys and codes differ of the picture as it is, inverted, mirrored, both."""

    keys: npt.NDArray[np.int32]
    codes: npt.NDArray[np.uint64]


def features_of(grey: Grey, scale: tuple[int, int, int] = SOUGHT) -> Features:
    """The features of a grey picture H x W, without its borders."""
    side, most, cells = scale
    top, bottom, left, right = content_of(grey)
    part = np.ascontiguousarray(grey[top:bottom, left:right])
    factor = side / max(part.shape)
    size = (max(round(part.shape[1] * factor), 1), max(round(part.shape[0] * factor), 1))
    sized = cv2.resize(part, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    keypoints, found = _sift(most if cells == 1 else MOST_DETECTED).detectAndCompute(ranked(sized), None)
    chosen = _strongest(keypoints, size, cells)[:most]
    poses = [
        (*(value / side for value in keypoints[k].pt), np.log2(keypoints[k].size / side), keypoints[k].angle)
        for k in chosen
    ]
    descriptors = found[chosen].astype(np.uint8) if chosen else np.zeros((0, 128), np.uint8)
    keys, codes, weakest = codes_of(descriptors, _ROOTS, _basis())
    return Features(keys, codes, weakest, np.array(poses, np.float32).reshape(-1, 4), size[0] / side)


def protected_features(grey: Grey) -> Features:
    """The features of a picture for the index."""
    parts = [features_of(grey, scale) for scale in PROTECTED]
    keys, codes, weakest, poses = (np.concatenate([part[column] for part in parts]) for column in range(4))
    return Features(keys, codes, weakest, poses, parts[0].width)


def posed(features: Features, version: int) -> Floats:
    """Poses of the features in the picture inverted (bit 0 of the version) and mirrored left-right (bit 1)."""
    changed = features.poses.copy()
    if version & 2:
        changed[:, 0] = features.width - changed[:, 0]
        changed[:, 3] = 180 - changed[:, 3]
    if version & 1:
        changed[:, 3] += 180
    return changed


def packed(poses: Floats) -> npt.NDArray[np.uint8]:
    """Poses N x 4 in a byte each: places to 1/255, sizes to 1/25 octave, angles to 1.4 degrees."""
    factors = np.array([255, 255, _OCTAVE, 256 / 360], np.float32)
    shifted = poses + np.array([0, 0, _SMALLEST, 0], np.float32)
    scaled = np.rint(shifted * factors).astype(np.int64)
    scaled[:, 3] %= 256
    bytes_N4: npt.NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return bytes_N4


def unpacked(poses: npt.NDArray[np.uint8]) -> Floats:
    """Poses from their bytes."""
    factors = np.array([255, 255, _OCTAVE, 256 / 360], np.float32)
    found: Floats = (poses / factors - np.array([0, 0, _SMALLEST, 0], np.float32)).astype(np.float32)
    return found


@cache
def versions() -> Versions:
    """The masks of the four versions."""
    masks = np.zeros((VERSIONS, KEY_BITS + CODE_BITS), bool)
    for bit, name in enumerate(_COMPONENTS.split()):
        row, column, direction = map(int, name)
        inverted, mirrored = (row + column) % 2, (row + (direction in _SINES)) % 2
        masks[:, bit] = [(version & 1 & inverted) ^ (version >> 1 & mirrored) for version in range(VERSIONS)]
    keys = masks[:, :KEY_BITS] @ (1 << np.arange(KEY_BITS))
    codes = (masks[:, KEY_BITS:] * (np.uint64(1) << np.arange(CODE_BITS, dtype=np.uint64))).sum(axis=1, dtype=np.uint64)
    return Versions(keys.astype(np.int32), codes)


def _strongest(keypoints: Any, size: tuple[int, int], cells: int) -> list[int]:
    """Numbers of keypoints: the strongest of each of `cells` x `cells` parts of the picture, then the next of each."""
    order = sorted(range(len(keypoints)), key=lambda k: (-keypoints[k].response, keypoints[k].pt, keypoints[k].angle))
    rank: dict[int, int] = {}
    seen: dict[tuple[int, int], int] = {}
    for k in order:
        x, y = keypoints[k].pt
        cell = int(x * cells / size[0]), int(y * cells / size[1])
        rank[k] = seen[cell] = seen.get(cell, -1) + 1
    return sorted(order, key=lambda k: rank[k]) if cells > 1 else order


@cache
def _basis() -> npt.NDArray[np.int32]:
    """86 x 128: the transform's components, in the order of bits."""
    rows = [
        np.einsum("r,c,o->rco", _PLACES[int(name[0])], _PLACES[int(name[1])], _DIRECTIONS[int(name[2])]).ravel()
        for name in _COMPONENTS.split()
    ]
    return np.array(rows, np.int32)


@cache
def _sift(most: int) -> Any:
    cv2.setNumThreads(1)  # the same answers whatever the machine, and workers share its cores
    return cv2.SIFT.create(nfeatures=most, contrastThreshold=CONTRAST)
