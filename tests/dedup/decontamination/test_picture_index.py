from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.planted import TRANSFORMS
from dedup.decontamination.picture_features import features_of, versions
from dedup.decontamination.picture_index import CODE_RADIUS, PROBES, PictureIndex
from dedup.kernels.local_codes import KEY_BITS, agreeing, in_one_pose, near_hashes
from tests.dedup.test_fingerprints import scene
from tests.sources.test_panels import figure

Grey = npt.NDArray[np.uint8]

CHANGES = (
    "jpeg20_r256", "window25_99", "clahe", "invert", "flipLR", "rot10", "rot90", "crop30%", "crop50%", "pad_white",
    "subfig_2x2", "flip+crop20+win",
)  # fmt: skip


@cache
def film(seed: int) -> Grey:
    return scene(seed, 480, 440)


@cache
def index() -> PictureIndex:
    return PictureIndex.of((seed, film(seed), f"bytes {seed}", f"pixels {seed}") for seed in range(5))


@pytest.mark.parametrize("name", CHANGES)
def test_the_original_of_a_changed_picture_is_nominated_first(name: str) -> None:
    copy = TRANSFORMS[name](film(1), 3, [film(22), film(23), film(24)])
    first = index().nominated(copy)[0]
    assert index().parts["picture"][first.part].as_py() == 1
    assert first.votes >= 5


def test_other_pictures_are_not_nominated() -> None:
    for seed in range(30, 36):
        assert index().nominated(film(seed)) == []


def test_a_nomination_tells_mirror_and_polarity() -> None:
    for copy, mirrored, inverted in ((255 - film(2), False, True), (film(2)[:, ::-1], True, False)):
        first = index().nominated(np.ascontiguousarray(copy))[0]
        assert (first.mirrored, first.inverted) == (mirrored, inverted)


def test_a_blank_picture_nominates_and_is_nominated_by_nothing() -> None:
    blank = np.full((300, 300), 255, np.uint8)
    with_blank = PictureIndex.of([(0, blank, "b", "p"), (1, film(1), "c", "q")])
    assert with_blank.nominated(blank) == []
    assert with_blank.equal("b", "p") == []
    assert with_blank.equal("c", None) == [(1, "bytes")]
    assert with_blank.equal("", "q") == [(1, "pixels")]


def test_an_index_built_in_pieces_is_the_same_as_at_once() -> None:
    pieces = [PictureIndex.of([(seed, film(seed), f"bytes {seed}", f"pixels {seed}")]) for seed in range(5)]
    merged = PictureIndex.merged([PictureIndex.merged(pieces[:2]), PictureIndex.merged(pieces[2:])])
    assert all(merged.tables()[name].equals(table) for name, table in index().tables().items())
    back = PictureIndex.from_tables(merged.tables())
    assert np.array_equal(back.arrays.starts, index().arrays.starts)
    assert back.nominated(film(3)) == index().nominated(film(3))


def test_an_index_of_nothing_finds_nothing() -> None:
    assert PictureIndex.of([]).nominated(film(1)) == []
    assert PictureIndex.merged([]).parts.num_rows == 0


def test_a_compound_figure_of_an_eval_set_is_kept_by_its_panels_too() -> None:
    page, places = figure(2, 2, 10, 255)
    known = PictureIndex.of([(4, page, "", "")])
    assert known.parts.num_rows == 1 + len(places)
    assert [known.is_whole(part) for part in range(5)] == [True, False, False, False, False]
    top, bottom, left, right = places[3]
    panel = np.ascontiguousarray(page[top:bottom, left:right])
    assert known.nominated(panel)[0].part == 4


def test_agreeing_entries_are_those_of_a_search_of_all_of_them() -> None:
    found, masks = features_of(film(1)), versions()
    rows = agreeing(
        found.keys, found.codes, found.weakest, masks.keys, masks.codes, PROBES,
        index().arrays.starts, index().arrays.codes, CODE_RADIUS, 10**6,
    )  # fmt: skip
    keys = index().features["key"].to_numpy()
    expected = set()
    for feature in range(0, len(found.keys), 7):
        for version in range(4):
            for probe in PROBES:
                changed = sum(int(found.weakest[feature, rank]) for rank in range(3) if probe >> rank & 1)
                key = found.keys[feature] ^ masks.keys[version] ^ changed
                apart = np.bitwise_count(index().arrays.codes ^ found.codes[feature] ^ masks.codes[version])
                entries = np.flatnonzero((keys == key) & (apart <= CODE_RADIUS))
                expected |= {(feature, version, int(entry)) for entry in entries}
    assert expected
    assert {tuple(row) for row in rows.tolist() if row[0] % 7 == 0} == expected


def test_a_feature_that_everything_has_keeps_its_nearest_entries_only() -> None:
    codes = np.array([0, 1, 3, 7, 15, 31], np.uint64)
    starts = np.zeros((1 << KEY_BITS) + 1, np.int32)
    starts[1:] = len(codes)
    one, none = np.zeros(1, np.int32), np.zeros((1, 3), np.int32)
    rows = agreeing(one, np.zeros(1, np.uint64), none, one, np.zeros(1, np.uint64), PROBES[:1], starts, codes, 14, 3)
    assert rows[:, 2].tolist() == [0, 1, 2]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.4, 2.5), st.floats(-180, 180))
def test_features_of_one_similarity_agree_and_others_do_not(seed: int, scale: float, turn: float) -> None:
    rng = np.random.default_rng(seed)
    query = np.column_stack([rng.random((20, 2)), rng.uniform(-7, -3, 20), rng.uniform(-180, 180, 20)])
    known = query.copy()
    cosine, sine = scale * np.cos(np.radians(turn)), scale * np.sin(np.radians(turn))
    known[:, 0], known[:, 1] = (
        cosine * query[:, 0] - sine * query[:, 1] + 0.1, sine * query[:, 0] + cosine * query[:, 1] - 0.2,
    )  # fmt: skip
    known[:, 2] += np.log2(scale)
    known[:, 3] += turn
    features = np.arange(20)
    assert in_one_pose(query, known, features, 0.04) == 20
    assert in_one_pose(query, known, features // 4, 0.04) == 5
    known[:, 3] = rng.uniform(-180, 180, 20)
    assert in_one_pose(query, known, features, 0.04) < 12


def test_near_hashes_are_those_of_a_search_of_all_of_them() -> None:
    rng = np.random.default_rng(2)
    known = rng.integers(0, 2**63, (300, 4)).astype(np.uint64)
    queries = known[:3] ^ np.uint64(5)
    queries[1] = ~queries[1]
    found = near_hashes(queries, known, 100)
    apart = np.bitwise_count(known[:, None] ^ queries[None]).sum(axis=2, dtype=int)
    assert len(found) == int((np.minimum(apart, 256 - apart) <= 100).sum())
    assert {(0, 0, 0, 8), (1, 1, 1, 8), (2, 2, 0, 8)} <= {tuple(row) for row in found.tolist()}
