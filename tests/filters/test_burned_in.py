import random
from pathlib import Path

import numpy as np
import pytest

from filters import ocr
from filters.burned_in import Box, writing_in
from filters.phi_pictures import Examination, covered
from pipelines.bisect import FATAL_ERRORS
from tests.end_to_end.phi_corpora import Planted, _ground
from tests.filters.planted_writing import identifying, write

needs_reader = pytest.mark.skipif(not ocr.is_installed(), reason="the reader of writing of [phi] is not installed")


def grounds(number: int) -> list[np.ndarray]:
    return [_ground(1001 + 20 * place, {}, Planted()) for place in range(number)]


def test_most_planted_writing_is_nominated_and_plain_pictures_are_not() -> None:
    draw = random.Random(0)
    plain = grounds(60)
    marked = [write(one, *reversed(identifying(draw)), draw) for one in plain]
    assert sum(bool(writing_in(one)) for one in plain) <= 3
    assert sum(bool(writing_in(one.pixels)) for one in marked) >= 56


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


def test_a_cover_hides_every_pixel_of_its_box_and_leaves_what_is_far() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    hidden = covered(pixels, [Box(40, 30, 70, 40)])
    assert len(np.unique(hidden[30:40, 40:70].reshape(-1, 3), axis=0)) == 1
    assert (hidden[:20] == pixels[:20]).all()


@pytest.mark.parametrize("box", [Box(5, 5, 3, 3), Box(30, 10, 10, 20), Box(70, 5, 80, 9)])
def test_a_box_that_would_cover_nothing_is_an_error(box: Box) -> None:
    with pytest.raises(ValueError, match="covers nothing"):
        covered(np.zeros((64, 64), np.uint8), [box])


@needs_reader
def test_writing_is_told_by_kind_place_and_length_and_never_by_what_it_says() -> None:
    ground = grounds(1)[0]
    draw = random.Random(4)
    written = write(ground, "MRN 74362968", "id", draw)
    while written.size < 18 or written.contrast < 100:
        written = write(ground, "MRN 74362968", "id", draw)
    found = Examination(metadata=True, writing=True, reading="rapidocr", timeout_s=60, verify=True)._written(
        written.pixels, said=False
    )
    assert [box["kind"] for box in found["boxes"]].count("id") >= 1
    assert found["left_over"] is False
    assert "7436" not in repr(found)


@needs_reader
def test_a_reader_that_hangs_or_dies_is_ended_and_the_next_picture_gets_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = np.zeros((40, 60), np.uint8)
    ready = "import sys; sys.stdout.buffer.write(bytes([7] + [0] * 7) + b'\"ready\"'); sys.stdout.flush(); "
    for script, word in (("import time; time.sleep(600)", "in time"), ("sys.exit(3)", "died")):
        ocr.end_reader()
        path = tmp_path / "reader.py"
        path.write_text(f"{ready}open({str(tmp_path / word)!r}, 'a').write('x'); {script}")
        monkeypatch.setattr(ocr, "_SCRIPT", path)
        with pytest.raises(ocr.OcrError, match=word):
            ocr.read_writing(ground, 0.5)
        assert (tmp_path / word).read_text() == "xx"  # asked again, with a fresh reader
    monkeypatch.undo()
    assert ocr.read_writing(ground, 60) == []


@needs_reader
@pytest.mark.parametrize(
    "script", ["import time; time.sleep(600)", "raise ImportError('libGL')", "print('hello there!')"]
)
def test_a_reader_that_cannot_start_is_the_machines_fault_and_no_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    path = tmp_path / "reader.py"
    path.write_text(script)
    ocr.end_reader()
    monkeypatch.setattr(ocr, "_SCRIPT", path)
    monkeypatch.setattr(ocr, "_START_S", 2.0)
    with pytest.raises(ocr.StartError, match="does not start"):
        ocr.read_writing(np.zeros((40, 60), np.uint8), 0.5)
    assert issubclass(ocr.StartError, FATAL_ERRORS)
