"""Thirty ways in which a picture comes back: variants of grey pictures, each a function of a seed.

Also how each is saved as a file again.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]

GUTTER = 10


def jpeg(grey: Grey, quality: int) -> Grey:
    """Through a JPEG."""
    data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def resized(grey: Grey, width: int, height: int) -> Grey:
    """Area-averaged."""
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def longest(grey: Grey, side: int) -> Grey:
    """Scaled so that the longer side is `side` pixels."""
    scale = side / max(grey.shape)
    return resized(grey, max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1))


def windowed(grey: Grey, low: float, high: float) -> Grey:
    """Black below one percentile, white above another."""
    dark, bright = np.percentile(grey, [low, high])
    levels = (grey.astype(np.float32) - dark) * 255 / (bright - dark + 1e-6)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def gamma(grey: Grey, exponent: float) -> Grey:
    """A power of the level."""
    return np.asarray(255 * (grey / 255.0) ** exponent).astype(np.uint8)


def cropped(grey: Grey, share: float, seed: int) -> Grey:
    """A window of `1 - share` of both sides at a random place."""
    height, width = (int(side * (1 - share)) for side in grey.shape)
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, grey.shape[0] - height + 1), rng.integers(0, grey.shape[1] - width + 1)
    return np.array(grey[top : top + height, left : left + width])


def turned(grey: Grey, degrees: float) -> Grey:
    """About the middle, black outside."""
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(grey, turn, (width, height)), np.uint8)


def mirrored(grey: Grey) -> Grey:
    """Left-right."""
    return np.ascontiguousarray(grey[:, ::-1])


def padded(grey: Grey, rows: int, columns: int, level: int) -> Grey:
    """A frame of one level."""
    framed = cv2.copyMakeBorder(grey, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=level)
    return np.asarray(framed, np.uint8)


def marked(grey: Grey) -> Grey:
    """A burned-in label and an arrow."""
    shown, (height, width) = grey.copy(), grey.shape
    scale = width / 768
    cv2.putText(shown, "L  PORTABLE 12:30", (width // 19, height // 10), cv2.FONT_HERSHEY_SIMPLEX, 1.6 * scale, 255, 4)
    cv2.arrowedLine(shown, (width // 2, height // 3), (width // 2 - width // 6, height // 2), 255, 6)
    return shown


def beside(grey: Grey, other: Grey) -> Grey:
    """The left half of a figure of two panels."""
    right = cv2.resize(other, grey.shape[::-1], interpolation=cv2.INTER_AREA)
    gutter = np.full((grey.shape[0], GUTTER), 255, np.uint8)
    return np.hstack([grey, gutter, right])


def panel(grey: Grey, others: Sequence[Grey]) -> Grey:
    """The upper right of a figure of four panels of 380 x 380."""
    tiles = [resized(picture, 380, 380) for picture in (others[0], grey, others[1], others[2])]
    figure = np.full((780, 780), 255, np.uint8)
    for place, tile in zip(((5, 5), (5, 395), (395, 5), (395, 395)), tiles, strict=True):
        figure[place[0] : place[0] + 380, place[1] : place[1] + 380] = tile
    return figure


def _sixth(grey: Grey) -> Grey:
    return padded(grey, 0, grey.shape[1] // 6, 0)


def _framed(grey: Grey) -> Grey:
    return padded(grey, 60 * grey.shape[0] // 768, 60 * grey.shape[1] // 768, 255)


def _compound(grey: Grey, seed: int) -> Grey:
    return jpeg(gamma(longest(cropped(grey, 0.2, seed), 300), 0.7), 40)


TRANSFORMS: dict[str, Callable[[Grey, int, Sequence[Grey]], Grey]] = {
    "resize224": lambda grey, _, __: resized(grey, 224, 224),
    "jpeg50": lambda grey, _, __: jpeg(grey, 50),
    "jpeg20_r256": lambda grey, _, __: jpeg(longest(grey, 256), 20),
    "gamma0.6": lambda grey, _, __: gamma(grey, 0.6),
    "gamma1.8": lambda grey, _, __: gamma(grey, 1.8),
    "window10_90": lambda grey, _, __: windowed(grey, 10, 90),
    "window25_99": lambda grey, _, __: windowed(grey, 25, 99),
    "histeq": lambda grey, _, __: np.asarray(cv2.equalizeHist(grey), np.uint8),
    "clahe": lambda grey, _, __: np.asarray(cv2.createCLAHE(3.0, (8, 8)).apply(grey), np.uint8),
    "invert": lambda grey, _, __: 255 - grey,
    "flipLR": lambda grey, _, __: mirrored(grey),
    "flip+jpeg50": lambda grey, _, __: jpeg(mirrored(grey), 50),
    "rot3": lambda grey, _, __: turned(grey, 3),
    "rot10": lambda grey, _, __: turned(grey, 10),
    "rot90": lambda grey, _, __: np.ascontiguousarray(np.rot90(grey)),
    "crop5%": lambda grey, seed, _: cropped(grey, 0.05, seed),
    "crop10%": lambda grey, seed, _: cropped(grey, 0.10, seed),
    "crop20%": lambda grey, seed, _: cropped(grey, 0.20, seed),
    "crop30%": lambda grey, seed, _: cropped(grey, 0.30, seed),
    "crop40%": lambda grey, seed, _: cropped(grey, 0.40, seed + 7),
    "crop50%": lambda grey, seed, _: cropped(grey, 0.50, seed + 7),
    "crop60%": lambda grey, seed, _: cropped(grey, 0.60, seed + 7),
    "pad_letterbox": lambda grey, _, __: _sixth(grey),
    "pad_white": lambda grey, _, __: _framed(grey),
    "text+arrow": lambda grey, _, __: marked(grey),
    "squash4:3": lambda grey, _, __: resized(grey, grey.shape[1], 3 * grey.shape[0] // 4),
    "subfig_1x2": lambda grey, _, others: beside(grey, others[0]),
    "subfig_2x2": lambda grey, _, others: panel(grey, others),
    "crop20+r300+jpeg40+gamma": lambda grey, seed, _: _compound(grey, seed),
    "flip+crop20+win": lambda grey, seed, _: windowed(cropped(mirrored(grey), 0.2, seed), 15, 90),
}
"""Names as in the published table; a picture, a seed and three other pictures -> the variant."""
FIGURES = frozenset({"subfig_1x2", "subfig_2x2"})
"""Transforms whose variants show other pictures too."""

LEAST_SIDE = 64
"""Pixels: a variant with a smaller side is none, pictures of that size are dropped from every build."""
_QUALITY = 90


def saved(variant: Grey, *, lossless: bool) -> bytes:
    """The file of a variant: PNG, or JPEG of quality 90."""
    form, options = (".png", []) if lossless else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(cv2.imencode(form, variant, options)[1])


def large_enough(variant: Grey) -> bool:
    """Whether a variant could be in a data set."""
    return bool(min(variant.shape) >= LEAST_SIDE)
