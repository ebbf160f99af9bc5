"""How many tokens a picture takes in the model: fixed, or one tile after another for pictures that are larger.

`fixed` is LLaVA's way: every picture is brought to 336 px a side and takes 576 tokens (CLIP-ViT-L/14@336px: 24 x 24
patches). `tiles` is InternVL's dynamic resolution (Chen et al., arXiv 2404.16821, section 3.3): the picture is cut
into the grid of at most 12 tiles whose shape is nearest to its own, and a thumbnail of the whole is added where
there is more than one. Of two grids of one shape the larger is taken if the picture has more than half as many
pixels as it. A test holds the grids against transformers' `GotOcr2ImageProcessor`, which does the same.
"""

import numpy as np
from numpy.typing import NDArray

from shards.plan_file import ImagePolicy

Pixels = NDArray[np.int64]


FIXED = ImagePolicy()
"""What a plan is made for if nothing is said."""


def tiles_of(policy: ImagePolicy, widths: Pixels, heights: Pixels) -> Pixels:
    """How many tiles, the thumbnail among them, each picture of these sizes becomes: int64[n]."""
    if policy.policy == "fixed":
        return np.ones(len(widths), np.int64)
    columns, rows = grids_of(policy, widths, heights)
    cells = columns * rows
    return np.where(cells > 1, cells + 1, cells)


def tokens_of(policy: ImagePolicy, widths: Pixels, heights: Pixels) -> Pixels:
    """How many tokens each picture of these sizes takes: int64[n]."""
    return tiles_of(policy, widths, heights) * policy.tokens_per_tile


def grids_of(policy: ImagePolicy, widths: Pixels, heights: Pixels) -> tuple[Pixels, Pixels]:
    """Columns and rows of the grid that each picture is cut into."""
    shape_n = widths / np.maximum(heights, 1)
    area_n = widths.astype(np.float64) * heights
    difference_n = np.full(len(widths), np.inf)
    columns_n, rows_n = np.ones(len(widths), np.int64), np.ones(len(widths), np.int64)
    for columns, rows in _grids(policy.max_tiles):
        new_n = np.abs(shape_n - columns / rows)
        large_n = area_n > 0.5 * policy.side * policy.side * columns * rows
        better_n = (new_n < difference_n) | ((new_n == difference_n) & large_n)
        columns_n[better_n], rows_n[better_n] = columns, rows
        np.minimum(difference_n, new_n, out=difference_n)
    return columns_n, rows_n


def _grids(max_tiles: int) -> list[tuple[int, int]]:
    """Every grid (columns, rows) of at most so many tiles, small ones first."""
    sides = range(1, max_tiles + 1)
    grids = [(columns, rows) for columns in sides for rows in sides if columns * rows <= max_tiles]
    return sorted(grids, key=lambda grid: grid[0] * grid[1])
