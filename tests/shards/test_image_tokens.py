import numpy as np
import pytest

from shards.image_tokens import FIXED, grids_of, tiles_of, tokens_of
from shards.plan_file import ImagePolicy

TILES = ImagePolicy(policy="tiles", tokens_per_tile=576, side=336, max_tiles=12)


def sizes(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    widths, heights = zip(*pairs, strict=True)
    return np.array(widths), np.array(heights)


def test_every_picture_takes_576_tokens_under_the_fixed_policy() -> None:
    assert tokens_of(FIXED, *sizes((1, 1), (336, 336), (9000, 100))).tolist() == [576] * 3


def test_a_large_square_is_nine_tiles_and_a_thumbnail_and_a_small_one_is_itself() -> None:
    assert tiles_of(TILES, *sizes((1024, 1024), (200, 200))).tolist() == [10, 1]
    assert tokens_of(TILES, *sizes((1024, 1024), (200, 200))).tolist() == [5760, 576]


def test_grids_are_those_of_transformers() -> None:
    """The same choice as transformers' tiles for InternVL, on random sizes and on ties between grids of one shape."""
    theirs = pytest.importorskip(
        "transformers.models.got_ocr2.image_processing_pil_got_ocr2",
        reason="the oracle transformers is an extra (train)",
    )
    random = np.random.default_rng(0)
    widths, heights = random.integers(1, 5000, (2, 500))
    ties = [
        (side * columns, side * rows) for side in (100, 250, 336, 500, 900) for columns in (1, 2, 3) for rows in (1, 2)
    ]
    widths = np.concatenate([widths, [width for width, _ in ties]])
    heights = np.concatenate([heights, [height for _, height in ties]])
    columns, rows = grids_of(TILES, widths, heights)
    for width, height, *ours in zip(widths.tolist(), heights.tolist(), columns.tolist(), rows.tolist(), strict=True):
        assert tuple(ours) == theirs.get_optimal_tiled_canvas((height, width), (336, 336), 1, 12), (width, height)


def test_no_pictures_take_no_tokens() -> None:
    assert tokens_of(TILES, np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
