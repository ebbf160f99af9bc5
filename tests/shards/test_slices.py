import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.slices import FragmentLoad, ShardSlice, plan_shards
from shards.tar import archive_bytes

MAX_BYTES, MAX_SAMPLES = 51_200, 12
CAPACITY = MAX_BYTES - 1024

Piece = tuple[str, int, int]


def fragment(digest: str, sample_bytes: Sequence[int]) -> FragmentLoad:
    return FragmentLoad(digest, np.array(sample_bytes, dtype=np.int64))


def content(fragments: Sequence[FragmentLoad], slices: Sequence[ShardSlice]) -> list[tuple[Piece, ...]]:
    """The slices with fragments by digest: what they are whatever the fragments' numbers."""
    return [tuple((fragments[p.fragment].digest, p.start, p.stop) for p in piece.parts) for piece in slices]


# Up to 20 kept samples, more than a tar admits, of up to 60 KB, more than a tar holds; usually far less.
SAMPLE_BYTES = st.one_of(st.integers(1, 6).map(lambda k: 1024 * k), st.sampled_from([CAPACITY, CAPACITY + 512, 60_000]))
FRAGMENTS = st.lists(st.lists(SAMPLE_BYTES, max_size=6) | st.lists(st.just(1024), max_size=20), max_size=30).map(
    lambda loads: [fragment(f"fragment {number}", load) for number, load in enumerate(loads)]
)


@given(FRAGMENTS)
@settings(max_examples=200, deadline=None)
def test_every_kept_sample_is_in_one_slice_and_the_order_is_kept(fragments: list[FragmentLoad]) -> None:
    planned = [
        (part.fragment, row)
        for piece in plan_shards(fragments, MAX_BYTES, MAX_SAMPLES)
        for part in piece.parts
        for row in range(part.start, part.stop)
    ]
    assert planned == [(number, row) for number, load in enumerate(fragments) for row in range(len(load.sample_bytes))]


@given(FRAGMENTS)
@settings(max_examples=200, deadline=None)
def test_no_slice_is_above_a_limit_but_a_single_sample_that_is(fragments: list[FragmentLoad]) -> None:
    for piece in plan_shards(fragments, MAX_BYTES, MAX_SAMPLES):
        sizes = [fragments[part.fragment].sample_bytes[part.start : part.stop] for part in piece.parts]
        members = int(sum(size.sum() for size in sizes))
        assert (piece.samples, piece.bytes) == (sum(map(len, sizes)), archive_bytes(members))
        assert 1 <= piece.samples <= MAX_SAMPLES
        assert piece.bytes <= MAX_BYTES or piece.samples == 1


@given(FRAGMENTS)
@settings(max_examples=200, deadline=None)
def test_a_fragment_that_fits_a_tar_is_not_cut_and_a_larger_one_shares_no_tar(
    fragments: list[FragmentLoad],
) -> None:
    for piece in plan_shards(fragments, MAX_BYTES, MAX_SAMPLES):
        for part in piece.parts:
            sizes = fragments[part.fragment].sample_bytes
            fits = len(sizes) <= MAX_SAMPLES and sizes.sum() <= CAPACITY
            assert (part.start, part.stop) == (0, len(sizes)) if fits else len(piece.parts) == 1


@given(FRAGMENTS, st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_a_fragment_without_kept_samples_changes_nothing(fragments: list[FragmentLoad], at: int) -> None:
    more = [*fragments[:at], fragment("all dropped", []), *fragments[at:]]
    assert content(more, plan_shards(more, MAX_BYTES, MAX_SAMPLES)) == content(
        fragments, plan_shards(fragments, MAX_BYTES, MAX_SAMPLES)
    )


@given(FRAGMENTS, st.integers(0, 30), st.integers(0, 10**6))
@settings(max_examples=300, deadline=None)
def test_plans_are_equal_from_their_first_common_cut_after_an_insertion(
    fragments: list[FragmentLoad], at: int, seed: int
) -> None:
    more = [*fragments[:at], fragment(f"new {seed}", [2048] * (seed % 15 + 1)), *fragments[at:]]
    before = content(fragments, plan_shards(fragments, MAX_BYTES, MAX_SAMPLES))
    after = content(more, plan_shards(more, MAX_BYTES, MAX_SAMPLES))
    later = {load.digest for load in fragments[at:]}
    common = {piece[0] for piece in before} & {piece[0] for piece in after if piece[0][0] in later}
    if common:
        first = min(index for index, piece in enumerate(before) if piece[0] in common)
        assert after[-(len(before) - first) :] == before[first:]


def test_plans_of_the_same_fragments_are_equal_and_the_digest_decides_the_cuts() -> None:
    loads = [fragment(f"a{number}", [1024] * 3) for number in range(200)]
    others = [fragment(f"b{number}", [1024] * 3) for number in range(200)]
    plan = plan_shards(loads, MAX_BYTES, MAX_SAMPLES)
    assert plan == plan_shards(list(loads), MAX_BYTES, MAX_SAMPLES)
    assert [piece.samples for piece in plan] != [p.samples for p in plan_shards(others, MAX_BYTES, MAX_SAMPLES)]


def _random_fragment(source: random.Random, mean_samples: float, spread: float) -> FragmentLoad:
    samples = round(mean_samples * source.uniform(1 - spread, 1 + spread))
    return fragment(f"{source.getrandbits(256):064x}", [1024] * max(samples, 1))


# Fragments in a tar, and how much they differ in size. Bounds: measured (see shards/slices.py), and a margin.
@pytest.mark.parametrize(("per_tar", "spread"), [(2, 0.0), (3, 0.3), (5, 0.0), (5, 0.3), (10, 0.5), (50, 0.5)])
def test_one_new_fragment_rewrites_few_tars_and_one_per_cent_about_one(per_tar: int, spread: float) -> None:
    source = random.Random(20)
    max_samples, tars = 1000, 200

    def planned(fragments: list[FragmentLoad]) -> list[tuple[Piece, ...]]:
        return content(fragments, plan_shards(fragments, 2**40, max_samples))

    mean_samples = max_samples / per_tar
    fragments = [_random_fragment(source, mean_samples, spread) for _ in range(tars * per_tar)]
    before = planned(fragments)
    changed = []
    for _ in range(40):
        at = source.randrange(len(fragments) + 1)
        after = planned([*fragments[:at], _random_fragment(source, mean_samples, spread), *fragments[at:]])
        changed.append(len(set(after) - set(before)))
    assert sum(changed) / len(changed) <= 2.5
    assert max(changed) <= 10

    at = source.randrange(len(fragments) + 1)
    new = [_random_fragment(source, mean_samples, spread) for _ in range(len(fragments) // 100)]
    after = planned([*fragments[:at], *new, *fragments[at:]])
    assert len(set(after) - set(before)) / len(after) <= 0.03

    assert 0.6 <= tars / len(before) <= 0.9


def test_removing_a_fragment_rewrites_as_few_tars_as_adding_it() -> None:
    source = random.Random(3)
    fragments = [_random_fragment(source, 200, 0.3) for _ in range(500)]
    fewer = [*fragments[:250], *fragments[251:]]
    all_of_them, without = (content(each, plan_shards(each, 2**40, 1000)) for each in (fragments, fewer))
    assert 1 <= len(set(without) - set(all_of_them)) <= 10


def test_a_fragment_cut_inside_fills_its_tars_to_the_last_byte() -> None:
    plan = plan_shards([fragment("large", [CAPACITY // 2] * 5)], MAX_BYTES, MAX_SAMPLES)
    assert [(piece.samples, piece.bytes) for piece in plan] == [(2, MAX_BYTES), (2, MAX_BYTES), (1, 30_720)]


@pytest.mark.parametrize(("max_bytes", "max_samples"), [(10_239, 1), (10_240, 0), (0, 0)])
def test_limits_that_hold_nothing_are_refused(max_bytes: int, max_samples: int) -> None:
    with pytest.raises(ValueError, match="at least 10240 and 1"):
        plan_shards([], max_bytes, max_samples)
