import io

import cv2
import numpy as np
import numpy.typing as npt
import pdqhash
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dedup.fingerprints import (
    HASH_BYTES,
    ORIENTATIONS,
    Fingerprint,
    Fingerprints,
    distances,
    fingerprint_of,
    oriented_picture,
)
from filters.gallery import Gallery, Wanted
from filters.measure import Pictures
from sources.pictures import Limits
from sources.schema import IMAGES

Grey = npt.NDArray[np.uint8]


def scene(seed: int, height: int = 300, width: int = 260) -> Grey:
    """Blobs of several sizes with fine noise: like a film, it has energy at every frequency of the hash."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(height, width))
    layers = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma * weight for sigma, weight in ((24, 3), (8, 2), (3, 1)))
    return cv2.normalize(layers, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def bits(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def apart(a: bytes, b: bytes) -> int:
    return int(distances(bits(a), bits(b)))


@pytest.mark.parametrize("seed", range(12))
def test_hash_and_quality_are_those_of_pdqhash_on_a_picture_of_64_pixels(seed: int) -> None:
    small = cv2.resize(scene(seed), (64, 64), interpolation=cv2.INTER_AREA) // (1 + seed)
    theirs, quality = pdqhash.compute(cv2.cvtColor(small, cv2.COLOR_GRAY2RGB))
    found = fingerprint_of(small)
    assert found.pdq == np.packbits(theirs).tobytes()
    assert found.quality == quality


@pytest.mark.parametrize("shape", [(300, 260), (128, 128), (97, 211), (64, 640), (31, 17), (1, 1)])
def test_cells_are_the_area_average_whatever_the_shape(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    spread = [np.kron(np.eye(side), np.ones(64)).astype(np.float64) for side in shape]  # each pixel as 64 parts
    rows, columns = (part.reshape(side, 64, side).mean(axis=2) / side for part, side in zip(spread, shape, strict=True))
    exact = rows.T @ grey @ columns
    waves = np.array([[np.cos(np.pi / 128 * k * (2 * n + 1)) for n in range(64)] for k in range(1, 17)])
    spectrum = (waves @ exact @ waves.T).ravel()
    found = np.unpackbits(bits(fingerprint_of(grey).pdq)[::-1], bitorder="little")
    expected = spectrum > np.sort(spectrum)[127]
    if shape != (1, 1):
        assert (found != expected).sum() <= 2  # near the median, 1/256 of a level may decide


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_turned_hashes_are_those_of_the_turned_picture(orientation: int) -> None:
    grey = scene(3)
    found = fingerprint_of(grey)
    turned = fingerprint_of(np.ascontiguousarray(oriented_picture(grey, orientation)))
    assert turned.canonical == found.oriented[orientation * HASH_BYTES : (orientation + 1) * HASH_BYTES]


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
@pytest.mark.parametrize("inverted", [False, True])
def test_waves_of_a_turned_picture_are_moved_and_change_their_sign(orientation: int, inverted: bool) -> None:
    grey = scene(3)
    turned = np.ascontiguousarray(oriented_picture(255 - grey if inverted else grey, orientation))
    found, moved = (waves(fingerprint_of(picture))[1] for picture in (grey, turned))
    expected = found.T if orientation & 4 else found
    odd = np.where(np.arange(8) % 2 == 0, -1, 1)  # the first is frequency 1, which mirroring inverts
    expected = expected * (odd[:, None] if orientation & 2 else 1) * (odd if orientation & 1 else 1)
    assert (moved == (-expected if inverted else expected)).all()


def test_waves_are_the_weighted_transform() -> None:
    small = cv2.resize(scene(4), (64, 64), interpolation=cv2.INTER_AREA)
    k = np.arange(1, 9)
    cosines = np.cos(np.pi / 128 * k[:, None] * (2 * np.arange(64) + 1))
    exact = cosines @ small @ cosines.T * np.hypot(k[:, None], k) ** 0.7
    assert np.abs(waves(fingerprint_of(small))[0] - 127 * exact / np.abs(exact).max()).max() < 1


def waves(found: Fingerprint) -> npt.NDArray[np.int64]:
    return np.frombuffer(found.waves, np.int8).reshape(2, 8, 8).astype(np.int64)


def test_the_orientations_are_the_four_turns_and_their_mirrors() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = {oriented_picture(grey, number).tobytes() for number in range(ORIENTATIONS)}
    assert found == {np.rot90(face, turns).tobytes() for face in (grey, grey[:, ::-1]) for turns in range(4)}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(32, 200), width=st.integers(32, 200))
def test_the_inverted_picture_has_the_complement_and_mirrors_the_mirrored_hash(
    seed: int, height: int, width: int
) -> None:
    grey = scene(seed, height, width)
    found, inverted = fingerprint_of(grey), fingerprint_of(255 - grey)
    assert (bits(inverted.pdq) == ~bits(found.pdq)).all()
    assert (bits(inverted.oriented) == ~bits(found.oriented)).all()
    assert inverted.quality == found.quality
    mirrored = fingerprint_of(np.ascontiguousarray(grey[:, ::-1]))
    assert mirrored.canonical == found.oriented[HASH_BYTES : 2 * HASH_BYTES]


def test_no_window_changes_the_canonical_hash() -> None:
    grey = scene(5, 128, 128)
    doubled = np.kron(grey, np.ones((2, 2), np.uint8))  # every cell is one level, so that ranks are those of pixels
    few = doubled // 4 * 4
    table = np.sort(np.random.default_rng(0).choice(256, 256, replace=False))[: few.max() + 1].astype(np.uint8)
    table[::4] = np.sort(np.random.default_rng(1).choice(256, len(table[::4]), replace=False))
    found, windowed = fingerprint_of(few), fingerprint_of(table[few])
    assert windowed.canonical == found.canonical
    assert windowed.pdq != found.pdq


def test_borders_within_borders_are_cropped() -> None:
    inner = scene(6)
    letterbox = cv2.copyMakeBorder(inner, 0, 0, 50, 50, cv2.BORDER_CONSTANT, value=0)
    page = cv2.copyMakeBorder(letterbox, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=255)
    assert fingerprint_of(page).canonical == fingerprint_of(inner).canonical
    assert apart(fingerprint_of(page).pdq, fingerprint_of(inner).pdq) > 64


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_blank_picture_has_no_usable_fingerprint(level: int) -> None:
    assert not fingerprint_of(np.full((90, 120), level, np.uint8)).usable
    assert fingerprint_of(scene(1)).usable


def test_a_jpeg_decoded_at_reduced_scale_has_nearly_the_hash_of_the_whole() -> None:
    for seed in range(4):
        buffer = io.BytesIO()
        Image.fromarray(cv2.resize(scene(seed), (1100, 1300), interpolation=cv2.INTER_CUBIC)).save(buffer, "JPEG")
        rows = []
        files = {"x": buffer.getvalue()}
        for full_size in (True, False):
            gallery = Gallery(Limits(), "unknown", full_size=full_size, measurers=[Fingerprints()])
            gallery.visit([Wanted("x", "first")], files.__getitem__)
            rows += gallery.images
        assert apart(rows[0]["pdq"], rows[1]["pdq"]) <= 16
        assert apart(rows[0]["pdq_canonical"], rows[1]["pdq_canonical"]) <= 16


def test_the_images_table_has_fingerprints_only_where_they_are_asked_for() -> None:
    import pyarrow as pa

    from tests.filters.test_measure import encoded, sample, table

    data = encoded(scene(2))
    for measurers in ((), (Fingerprints(),)):
        step = Pictures(10**8, "first", True, measurers)
        images = step.measure(table(sample(1, "a.png")), lambda _uri: data, "unknown")["images"]
        assert images.schema == IMAGES
        (row,) = images.to_pylist()
        found = fingerprint_of(scene(2))
        expected = (
            (found.pdq, found.canonical, found.oriented[HASH_BYTES:], found.quality, found.waves)
            if measurers
            else (None,) * 5
        )
        assert tuple(row[name] for name in Fingerprints.fields) == expected
        assert ("measurers" in step.parameters()) == bool(measurers)
    assert isinstance(images, pa.Table)
