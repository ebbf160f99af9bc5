import random

import cv2
import numpy as np
import pytest

from filters.burned_in import writing_in
from tests.end_to_end.phi_corpora import Planted, noise_ground
from tests.filters.planted_writing import identifying, write


def grounds(number: int) -> list[np.ndarray]:
    return [noise_ground(1001 + 20 * place, {}, Planted()) for place in range(number)]


def test_most_planted_writing_is_nominated_and_plain_pictures_are_not() -> None:
    draw = random.Random(0)
    plain = grounds(30)
    marked = [write(one, *reversed(identifying(draw)), draw) for one in plain]
    assert sum(bool(writing_in(one)) for one in plain) <= 2
    assert sum(bool(writing_in(one.pixels)) for one in marked) >= 29


def test_boxes_lie_on_the_writing_whatever_the_size_of_the_picture() -> None:
    draw = random.Random(1)
    for side in (128, 400, 2400):
        ground = np.full((side, side), 60, np.uint8)
        written = write(ground, "DOE 1956", "name", draw)
        left, _, right, _ = written.box
        for box in writing_in(written.pixels):
            assert box.left >= left - 8 and box.right <= right + 8, side  # noqa: PT018
            assert 0 <= box.top < box.bottom <= side


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (64, 64), (1700, 20)])
def test_pictures_of_any_shape_pass(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    assert all(box.right <= shape[1] and box.bottom <= shape[0] for box in writing_in(noise))


@pytest.mark.parametrize(
    ("side", "scale", "thickness", "text"),
    [(1024, 4, 12, "OKONKWO"), (2000, 5, 14, "OKONKWO"), (2000, 8, 22, "OKONKWO"), (512, 1, 2, "LEE")],
)
@pytest.mark.parametrize("turns", range(4))
def test_large_short_and_turned_writing_is_nominated(
    side: int, scale: int, thickness: int, text: str, turns: int
) -> None:
    ground = cv2.resize(grounds(1)[0], (side, side), interpolation=cv2.INTER_CUBIC)
    cv2.putText(ground, text, (10, side // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    turned = np.rot90(ground, turns)
    where = np.rot90(
        np.pad(np.ones((height, width)), ((side // 2 - height, side - side // 2), (10, side - width - 10))), turns
    )
    boxes = writing_in(np.ascontiguousarray(turned))
    assert any(where[box.top : box.bottom, box.left : box.right].mean() > 0.6 for box in boxes)
