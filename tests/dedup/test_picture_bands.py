import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.fingerprints import WAVES, fingerprint_of, oriented_picture
from dedup.images import RADIUS
from dedup.picture_bands import BANDS, TURNED_BANDS, bands_of
from tests.dedup.test_fingerprints import scene


def waves_of(*pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    return np.stack([np.frombuffer(fingerprint_of(np.ascontiguousarray(one)).waves, np.int8) for one in pictures])


def drawn(count: int, seed: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, 2 * WAVES * WAVES))


def as_waves(strengths: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    return np.rint(127 * strengths / np.abs(strengths).max(axis=1, keepdims=True)).astype(np.int8)


def test_the_number_of_bands_and_their_mates_is_as_promised() -> None:
    digests, mates = bands_of({"waves": as_waves(drawn(130, 1))}, RADIUS)
    assert digests.shape == mates.shape == (130, 2 * BANDS + TURNED_BANDS)
    assert mates.min() >= 0
    assert len(np.unique(mates)) > 500
    assert mates.max() < 1024


def test_a_picture_has_its_bands_whatever_pictures_are_beside_it() -> None:
    waves = as_waves(drawn(130, 2))
    digests, mates = bands_of({"waves": waves}, RADIUS)
    for number in (0, 63, 64, 129):
        alone, its_mates = bands_of({"waves": waves[number : number + 1]}, RADIUS)
        assert (alone == digests[number]).all()
        assert (its_mates == mates[number]).all()
    assert bands_of({"waves": waves[:0]}, RADIUS)[0].shape == (0, digests.shape[1])


@pytest.mark.parametrize("orientation", range(1, 8))
@pytest.mark.parametrize("inverted", [False, True])
def test_mirrored_and_inverted_pictures_share_all_bands_and_quarter_turns_those_meant_for_them(
    orientation: int, inverted: bool
) -> None:
    grey = scene(2)
    turned = oriented_picture(255 - grey if inverted else grey, orientation)
    digests, mates = bands_of({"waves": waves_of(grey, turned)}, RADIUS)
    if orientation & 4:
        upright, transposed = digests[:, BANDS : BANDS + TURNED_BANDS], digests[:, 2 * BANDS :]
        assert (upright[0] == transposed[1]).all()
        assert (upright[1] == transposed[0]).all()
        assert (mates[0, BANDS : BANDS + TURNED_BANDS] == mates[1, 2 * BANDS :]).all()
    else:
        assert (digests[0] == digests[1]).all()
        assert (mates[0] == mates[1]).all()


def test_raw_and_canonical_bands_of_the_same_strengths_do_not_meet() -> None:
    one = as_waves(drawn(1, 3))[:, : WAVES * WAVES]
    digests, _ = bands_of({"waves": np.hstack([one, one])}, RADIUS)
    assert len(np.unique(digests[:, : 2 * BANDS])) == 2 * BANDS


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.2))
def test_pictures_whose_strengths_differ_by_a_fifth_share_a_band(seed: int, noise: float) -> None:
    one = drawn(1, seed)
    other = one + noise * drawn(1, seed + 1)
    digests, _ = bands_of({"waves": as_waves(np.vstack([one, other]))}, RADIUS)
    assert (digests[0] == digests[1]).any()


def test_different_strengths_share_a_band_as_seldom_as_chance_says() -> None:
    digests, _ = bands_of({"waves": as_waves(drawn(4000, 4))}, RADIUS)
    shared = sum(len(column) - len(np.unique(column)) for column in digests[:, : 2 * BANDS].T)
    assert shared == pytest.approx(2 * BANDS * 4000**2 / 2 / 2**19, rel=0.15)


def test_a_copy_through_a_window_and_a_jpeg_shares_more_bands_than_another_picture() -> None:
    grey = scene(5)
    window = np.clip((grey.astype(np.float32) - 50) * 1.5, 0, 255).astype(np.uint8)
    copy = cv2.imdecode(cv2.imencode(".jpg", window, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE)
    digests, _ = bands_of({"waves": waves_of(grey, copy, scene(6))}, RADIUS)
    assert (digests[0] == digests[1]).sum() > BANDS // 2
    assert (digests[0] == digests[2]).sum() == 0
