import ast
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shards.image_tokens import FIXED, grids_of, tiles_of, tokens_of
from shards.plan_file import ImagePolicy

TILES = ImagePolicy(policy="tiles", tokens_per_tile=576, side=336, max_tiles=12)


def sizes(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    widths, heights = zip(*pairs, strict=True)
    return np.array(widths), np.array(heights)


def tiling_of_transformers() -> Callable[..., tuple[int, int]]:
    """The function alone, compiled from its file: importing transformers for it takes ten seconds."""
    package = find_spec("transformers")
    if package is None or package.origin is None:
        pytest.skip("the oracle transformers is an extra (train)")
    place = Path(package.origin).parent / "models" / "got_ocr2" / "image_processing_pil_got_ocr2.py"
    names = {"get_all_supported_aspect_ratios", "get_optimal_tiled_canvas"}
    functions = [part for part in ast.parse(place.read_text()).body if getattr(part, "name", "") in names]
    found: dict[str, Any] = {"lru_cache": lru_cache}
    exec(compile(ast.Module(functions, []), str(place), "exec"), found)
    tiling: Callable[..., tuple[int, int]] = found["get_optimal_tiled_canvas"]
    return tiling


def test_every_picture_takes_576_tokens_under_the_fixed_policy() -> None:
    assert tokens_of(FIXED, *sizes((1, 1), (336, 336), (9000, 100))).tolist() == [576] * 3


def test_a_large_square_is_nine_tiles_and_a_thumbnail_and_a_small_one_is_itself() -> None:
    assert tiles_of(TILES, *sizes((1024, 1024), (200, 200))).tolist() == [10, 1]
    assert tokens_of(TILES, *sizes((1024, 1024), (200, 200))).tolist() == [5760, 576]


def test_grids_are_those_of_transformers() -> None:
    """The same choice as transformers' tiles for InternVL, on random sizes and on ties between grids of one shape."""
    theirs = tiling_of_transformers()
    random = np.random.default_rng(0)
    widths, heights = random.integers(1, 5000, (2, 500))
    ties = [
        (side * columns, side * rows) for side in (100, 250, 336, 500, 900) for columns in (1, 2, 3) for rows in (1, 2)
    ]
    widths = np.concatenate([widths, [width for width, _ in ties]])
    heights = np.concatenate([heights, [height for _, height in ties]])
    columns, rows = grids_of(TILES, widths, heights)
    for width, height, *ours in zip(widths.tolist(), heights.tolist(), columns.tolist(), rows.tolist(), strict=True):
        assert tuple(ours) == theirs((height, width), (336, 336), 1, 12), (width, height)


def test_no_pictures_take_no_tokens() -> None:
    assert tokens_of(TILES, np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
