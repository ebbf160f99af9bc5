from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.planted import TRANSFORMS
from dedup.verify_pictures import Prepared, Rule, prepare, ranked, verify_pictures, version_of
from tests.dedup.test_fingerprints import scene

Grey = npt.NDArray[np.uint8]

COPIES = ("jpeg20_r256", "window10_90", "invert", "flip+jpeg50", "rot10", "rot90", "crop50%", "pad_white", "subfig_2x2")


@cache
def film(seed: int) -> Grey:
    return scene(seed, 480, 440)


@cache
def ready(seed: int) -> Prepared:
    return prepare(film(seed))


@pytest.mark.parametrize("name", COPIES)
def test_a_changed_copy_is_a_duplicate(name: str) -> None:
    copy = TRANSFORMS[name](film(1), 3, [film(2), film(3), film(4)])
    match = verify_pictures(copy, ready(1))
    assert match.verdict == "duplicate", match
    assert match.ncc >= 0.6


def test_other_pictures_are_different_in_either_order() -> None:
    for one, other in ((1, 2), (2, 1), (3, 4)):
        match = verify_pictures(ready(one), ready(other))
        assert match.verdict == "different"
        assert match.ncc < 0.35


def test_the_transform_is_told() -> None:
    grey = film(1)
    assert verify_pictures(255 - grey, ready(1)).inverted
    flipped = verify_pictures(np.ascontiguousarray(grey[:, ::-1]), ready(1))
    assert flipped.mirrored
    assert not flipped.inverted
    quarter = verify_pictures(np.ascontiguousarray(np.rot90(grey, -1)), ready(1))
    assert quarter.rotation == pytest.approx(90, abs=1)
    assert not quarter.mirrored
    half = verify_pictures(grey[:240, :220], ready(1))
    assert half.scale == pytest.approx(0.5, abs=0.02)
    assert half.overlap == pytest.approx(0.25, abs=0.03)
    assert verify_pictures(ready(1), grey[:240, :220]).overlap > 0.9


def test_equal_pixels_need_no_features() -> None:
    ramp = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    match = verify_pictures(ramp, ramp.copy())
    assert (match.verdict, match.ncc, match.overlap) == ("duplicate", 1.0, 1.0)


def test_a_smooth_picture_without_features_is_compared_at_equal_framing() -> None:
    rows, columns = np.mgrid[0:300, 0:300] / 300
    smooth = (127 + 60 * np.sin(9 * rows + 4 * columns**2) + 50 * np.cos(13 * columns * rows)).astype(np.uint8)
    other = (127 + 60 * np.sin(7 * columns + 5 * rows**2) + 50 * np.cos(11 * rows)).astype(np.uint8)
    copy = np.ascontiguousarray(np.rot90(255 - cv2.resize(smooth, (280, 280), interpolation=cv2.INTER_AREA)))
    one, another = prepare(copy), prepare(smooth)
    blind = [
        Prepared(p.identity, p.levels, p.points[:0], p.descriptors[:0], p.pitch) for p in (one, another, prepare(other))
    ]
    match = verify_pictures(blind[0], blind[1])
    assert (match.verdict, match.inliers, match.inverted) == ("duplicate", 0, True)
    assert match.rotation in {90.0, -90.0}
    assert verify_pictures(blind[0], blind[2]).verdict == "different"


@pytest.mark.parametrize(("mirrored", "inverted"), [(False, True), (True, False), (True, True)])
def test_features_of_a_version_are_those_found_in_the_changed_picture(mirrored: bool, inverted: bool) -> None:
    grey = film(5)
    changed = grey[:, ::-1] if mirrored else grey
    found = prepare(np.ascontiguousarray(255 - changed if inverted else changed))
    derived = version_of(prepare(grey), mirrored=mirrored, inverted=inverted)
    assert np.abs(derived.levels - found.levels).max() <= 4
    near = np.hypot(*(derived.points[:, None] - found.points[None]).transpose(2, 0, 1)) < 1
    likeness = np.where(near, derived.descriptors @ found.descriptors.T, 0).max(axis=1)
    assert (likeness > 0.98).mean() > 0.85


def test_a_picture_that_was_squeezed_out_of_its_proportions_is_a_copy() -> None:
    grey = film(2)
    squeezed = cv2.resize(grey, (grey.shape[1], int(grey.shape[0] / 1.8)), interpolation=cv2.INTER_AREA)
    assert verify_pictures(squeezed, grey).verdict == "duplicate"
    assert verify_pictures(squeezed, film(3)).verdict == "different"


def test_no_window_changes_the_levels_that_are_compared() -> None:
    grey = film(6) // 2
    assert np.array_equal(ranked(grey), ranked((grey.astype(int) ** 2 // 256).astype(np.uint8) + grey))
    assert np.abs(ranked(255 - grey).astype(int) - (255 - ranked(grey).astype(int))).max() <= 1


def test_the_answer_is_the_same_each_time() -> None:
    copy = TRANSFORMS["flip+crop20+win"](film(1), 5, [])
    assert verify_pictures(copy, film(1)) == verify_pictures(copy, film(1))


def test_the_rule_tells_copies_from_the_same_subject() -> None:
    rule = Rule()
    assert [rule.verdict(*case) for case in ((12, 0.6, 0.3), (11, 0.79, 0.9), (15, 0.59, 1), (14, 0.59, 1))] == [
        "duplicate", "different", "related", "different",
    ]  # fmt: skip
    assert rule.verdict(0, 0.85, 0.9) == "duplicate"
    assert rule.verdict(0, 0.85, 0.01) == "different"
    assert Rule(ncc=0.9).verdict(20, 0.85, 1) == "related"
