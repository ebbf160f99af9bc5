import numpy as np
import pytest

from dedup.decontamination.picture_features import features_of, packed, posed, protected_features, unpacked, versions
from tests.dedup.test_fingerprints import scene


@pytest.mark.parametrize(("version", "least"), [(1, 0.8), (2, 0.6), (3, 0.6)])
def test_the_codes_of_an_inverted_or_mirrored_picture_are_its_codes_with_a_mask(version: int, least: float) -> None:
    grey = scene(5, 400, 380)
    changed = 255 - grey if version & 1 else grey
    found = features_of(np.ascontiguousarray(changed[:, ::-1] if version & 2 else changed))
    expected, masks = features_of(grey), versions()
    places = posed(expected, version)
    agreed = 0
    for number in range(len(found.keys)):
        near = np.hypot(*(places[:, :2] - found.poses[number, :2]).T) < 0.006
        turned = np.abs((places[:, 3] - found.poses[number, 3] + 180) % 360 - 180) < 15
        apart = np.bitwise_count((expected.codes ^ masks.codes[version])[near & turned] ^ found.codes[number])
        agreed += bool(len(apart)) and int(apart.min()) <= 8
    assert agreed >= least * len(found.keys)


def test_masks_undo_themselves_and_both_is_one_after_the_other() -> None:
    masks = versions()
    assert masks.keys[0] == masks.codes[0] == 0
    assert masks.keys[3] == masks.keys[1] ^ masks.keys[2]
    assert masks.codes[3] == masks.codes[1] ^ masks.codes[2]
    assert len({int(code) for code in masks.codes}) == 4


def test_half_of_the_bits_are_set() -> None:
    codes = np.concatenate([features_of(scene(seed, 400, 400)).codes for seed in range(6)])
    shares = [(codes >> np.uint64(bit) & np.uint64(1)).mean() for bit in range(64)]
    assert 0.35 < min(shares) <= max(shares) < 0.65


def test_no_window_changes_the_codes() -> None:
    grey = scene(3, 256, 256) // 2
    brighter = (grey.astype(int) ** 2 // 256).astype(np.uint8) + grey
    assert np.array_equal(features_of(grey).codes, features_of(brighter).codes)


def test_poses_come_back_from_their_bytes() -> None:
    poses = protected_features(scene(2, 500, 300)).poses
    back = unpacked(packed(poses))
    assert np.abs(back[:, :2] - poses[:, :2]).max() < 0.003
    assert np.abs(back[:, 2] - poses[:, 2]).max() < 0.03
    assert np.abs((back[:, 3] - poses[:, 3] + 180) % 360 - 180).max() < 0.8


def test_a_blank_picture_has_no_features() -> None:
    assert len(features_of(np.full((200, 200), 7, np.uint8)).keys) == 0
