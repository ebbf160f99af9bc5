from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from dedup.bands import BAND_KEYS, items_of, proposed_pairs
from dedup.fingerprints import Fingerprints, oriented_picture
from dedup.images import RADIUS, NearImage, Pair, candidate_distance, candidate_distances
from dedup.keys import words_of
from dedup.picture_bands import BANDS, TURNED_BANDS, bands_of
from dedup.picture_phash import PerceptualHash
from dedup.verify_pictures import prepare
from sources.schema import IMAGES
from tests.dedup.test_fingerprints import scene


def row_of(grey: npt.NDArray[np.uint8], number: int, **changed: Any) -> dict[str, Any]:
    tile = np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize((64, 64), Image.Resampling.BOX))
    return {
        "image_id": f"{number:06x}" + "0" * 26, "pixel_hash": None, "width": grey.shape[1], "height": grey.shape[0],
        "bit_depth": 8, "channels": 1, "format": "png", "frames": 1, "bytes": 1, "modality": "xray",
        "modality_from": "card", "thumbnail": tile.tobytes(),
        **Fingerprints().measure(np.ascontiguousarray(grey)),
        **PerceptualHash().measure(grey, Image.fromarray(np.ascontiguousarray(grey))), **changed,
    }  # fmt: skip


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in IMAGES.names} for row in rows], schema=IMAGES)


def proposals(images: pa.Table, step: NearImage | None = None, repeated: tuple[int, ...] = ()) -> set[tuple[int, int]]:
    keys = (step or NearImage()).picture_keys(images, np.array(repeated, np.int32))
    pairs = proposed_pairs(keys.append_column("fragment", pa.array(np.zeros(len(keys), np.int32)))).pairs
    return set(zip(items_of(pairs).tolist(), items_of(pairs, "other_").tolist(), strict=True))


def test_keys_have_their_schema_are_sorted_and_depend_on_the_picture_alone() -> None:
    images = table(*(row_of(scene(seed), seed) for seed in range(4)))
    keys = NearImage().picture_keys(images)
    assert keys.schema == BAND_KEYS
    words = words_of(keys)
    assert (np.lexsort((keys["row"].to_numpy(), words[:, 1], words[:, 0])) == np.arange(len(words))).all()
    assert len(keys) == 4 * (1 + 2 * BANDS + TURNED_BANDS)
    alone = NearImage().picture_keys(images.slice(2, 1))
    assert alone["key"].to_pylist() == keys.filter(pc.equal(keys["row"], 2))["key"].to_pylist()
    assert NearImage().picture_keys(images.slice(0, 0)).schema == BAND_KEYS


@pytest.mark.parametrize("orientation", range(8))
@pytest.mark.parametrize("inverted", [False, True])
def test_a_turned_or_inverted_copy_is_proposed(orientation: int, inverted: bool) -> None:
    grey = scene(1)
    turned = oriented_picture(255 - grey if inverted else grey, orientation)
    rows = [row_of(scene(9), 9), row_of(grey, 1), row_of(np.ascontiguousarray(turned), 2)]
    assert proposals(table(*rows)) == {(1, 2)}
    assert candidate_distance(rows[1], rows[2]) == 0
    assert candidate_distance(rows[0], rows[1]) > RADIUS


def test_phash_is_of_the_picture_not_of_the_thumbnail() -> None:
    for seed in range(6):
        grey = scene(seed, 700, 500)
        row = row_of(grey, seed)
        assert np.packbits(imagehash.phash(Image.fromarray(grey)).hash).tobytes() == row["phash"]


def test_the_distance_is_the_least_over_orientation_and_polarity() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(0, 256, (50, 9, 32)).astype(np.uint8) for _ in range(2))
    found = candidate_distances(a, b)
    for number in range(50):
        apart = []
        for mine, theirs in ((a[number, 0], b[number, 0]), *((a[number, 1], other) for other in b[number, 1:])):
            wrong = (int.from_bytes(mine.tobytes(), "big") ^ int.from_bytes(theirs.tobytes(), "big")).bit_count()
            apart += [wrong, 256 - wrong]
        assert found[number] == min(apart)


def test_low_information_matches_nothing_not_even_itself() -> None:
    blank = np.full((128, 128), 7, np.uint8)
    rows = [row_of(blank, 1, pixel_hash="p"), row_of(blank, 2, pixel_hash="p")]
    assert proposals(table(*rows)) == set()
    assert NearImage().compared(*rows).cause == "low_information"
    unmeasured = [row_of(scene(1), 1, pdq=None, pdq_quality=None), row_of(scene(1), 2)]
    assert proposals(table(*unmeasured)) == set()


def test_equal_pixels_are_copies_without_being_opened() -> None:
    rows = [row_of(scene(1), 1, pixel_hash="p"), row_of(scene(1), 2, pixel_hash="p", modality="ct")]
    pair = NearImage().compared(*rows)
    assert (pair.verdict, pair.score, pair.modality) == ("duplicate", 1.0, "unknown")
    assert proposals(table(*rows), repeated=(0, 1)) == {(0, 1)}
    others = [row_of(scene(1), 1, pixel_hash="p"), row_of(scene(1), 2, pixel_hash="q")]
    assert proposals(table(*others), repeated=(1,)) == set()


@pytest.mark.parametrize("modality", ["ct", "mri"])
def test_slices_of_dicom_series_are_the_same_by_pixels_only(modality: str) -> None:
    neighbours = [row_of(scene(1), n, modality=modality, format="dicom", pixel_hash=f"p{n}") for n in (1, 2)]
    assert proposals(table(*neighbours)) == set()
    assert NearImage().compared(*neighbours).cause == "series"
    same = [{**row, "pixel_hash": "p"} for row in neighbours]
    assert proposals(table(*same)) == {(0, 1)}
    exported = [{**row, "format": "png"} for row in neighbours]
    assert NearImage().compared(*exported) == Pair(None, 0.0, None, {"distance": 0}, modality)


@pytest.mark.parametrize("modality", ["ct", "mri"])
def test_slices_in_other_formats_are_the_same_by_pixels_only_where_their_series_is_known(modality: str) -> None:
    neighbours = [row_of(scene(1), n, modality=modality, pixel_hash=f"p{n}") for n in (1, 2)]
    for serial, proposed in ((True, set()), (False, {(0, 1)})):
        told = table(*neighbours).append_column("serial", pa.array([serial, False]))
        assert proposals(told) == proposed
        cause = NearImage().compared({**neighbours[0], "serial": serial}, neighbours[1]).cause
        assert cause == ("series" if serial else None)
    films = [{**row, "modality": "xray", "serial": True} for row in neighbours]
    assert NearImage().compared(*films).verdict is None


def test_pixels_decide_what_fingerprints_nominate() -> None:
    step = NearImage()
    grey = scene(1, 480, 440)
    nominated = step.compared(row_of(grey, 1), row_of(grey[:, ::-1], 2))
    assert nominated.verdict is None
    found = step.verified(nominated, prepare(grey), prepare(np.ascontiguousarray(grey[:, ::-1])))
    assert (found.verdict, found.cause) == ("duplicate", None)
    assert found.score > 0.9
    assert found.detail is not None
    assert found.detail["mirrored"]
    refused = step.verified(nominated, prepare(grey), prepare(scene(2, 480, 440)))
    assert (refused.verdict, refused.cause) == ("different", "different")
    assert step.compared(row_of(grey, 1), row_of(scene(2), 2)).cause == "distance"


def test_the_larger_picture_survives_then_the_smaller_id() -> None:
    images = table(row_of(scene(1, 100, 100), 1), row_of(scene(1, 200, 90), 5), row_of(scene(1, 100, 100), 0))
    assert np.argsort(NearImage().picture_order(images).to_numpy()).tolist() == [1, 2, 0]
    assert NearImage().picture_ids(images)[1].as_py() == bytes.fromhex("000005" + "0" * 26)


@pytest.mark.parametrize("distance", [0, 4, 10])
def test_phash_proposes_every_pair_within_the_distance_and_decides_by_it(distance: int) -> None:
    step = NearImage(method="phash", distance=distance)
    rng = np.random.default_rng(5)
    base = rng.integers(0, 256, (30, 8)).astype(np.uint8)
    bits = np.unpackbits(base, axis=1)
    for number, row in enumerate(bits):
        row[rng.choice(64, number % (distance + 1), replace=False)] ^= 1
    digests, _ = bands_of({"phash": np.concatenate([base, np.packbits(bits, axis=1)])}, distance)
    assert (digests[:30] == digests[30:]).any(axis=1).all()
    one, same, other = row_of(scene(1), 1), row_of(scene(1), 2), row_of(scene(2), 3)
    assert step.compared(one, same).verdict == "duplicate"
    assert step.compared(one, other).verdict == "different"
    assert proposals(table(one, same, other), step) >= {(0, 1)}


@pytest.mark.parametrize(("method", "distance"), [("nothing", 0), ("verified", 3), ("phash", 11), ("phash", -1)])
def test_settings_that_make_no_sense_are_refused(method: str, distance: int) -> None:
    with pytest.raises(ValueError, match="near_image"):
        NearImage(method=method, distance=distance)
