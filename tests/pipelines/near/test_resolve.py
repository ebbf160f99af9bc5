"""Groups of verified pairs: direct neighbours only, and the best of a group is compared with all of it."""

import polars as pl

from pipelines.near.resolve import Groups

Pair = tuple[int, int]
"""Two items, each of which is its own order of survivors, its id and its row."""


def name(item: int) -> bytes:
    return item.to_bytes(16, "big")


def groups(accepted: list[Pair], rejected: list[Pair] = []) -> Groups:  # noqa: B006 - never changed
    edges = pl.DataFrame(
        {
            "row": [one for one, _ in accepted], "id": [name(one) for one, _ in accepted],
            "order": [one for one, _ in accepted], "other": [name(other) for _, other in accepted],
            "other_order": [other for _, other in accepted], "accepted": [True] * len(accepted),
            "score": [0.9] * len(accepted), "cause": [None] * len(accepted), "detail": [None] * len(accepted),
            "fragment": [0] * len(accepted),
        },
        schema_overrides={"order": pl.UInt64, "other_order": pl.UInt64, "row": pl.Int32, "fragment": pl.Int32,
                          "id": pl.Binary, "other": pl.Binary, "detail": pl.String},
    )  # fmt: skip
    apart = pl.DataFrame(
        {"id": [name(one) for one, _ in rejected], "other": [name(other) for _, other in rejected]},
        schema={"id": pl.Binary, "other": pl.Binary},
    )
    items = sorted({item for pair in [*accepted, *rejected] for item in pair})
    places = pl.DataFrame(
        {"id": [name(item) for item in items], "fragment": [0] * len(items), "row": items},
        schema={"id": pl.Binary, "fragment": pl.Int32, "row": pl.Int32},
    )
    return Groups(edges, apart, places)


def followers(found: Groups) -> dict[int, int]:
    return {row: int.from_bytes(leader, "big") for _, row, leader, _, _ in found.answers().iter_rows()}


def test_a_member_that_never_met_the_best_is_to_be_compared_with_it() -> None:
    found = groups([(2, 1), (3, 2)])
    assert [(pair["row"], pair["other_row"]) for pair in found.unverified().to_pylist()] == [(1, 3)]
    assert followers(found) == {2: 1}


def test_one_that_was_found_different_from_the_best_is_not_compared_again_and_stays() -> None:
    found = groups([(2, 1), (3, 2)], [(3, 1)])
    assert not found.unverified().num_rows
    assert followers(found) == {2: 1}


def test_all_that_were_verified_against_the_best_follow_it() -> None:
    found = groups([(2, 1), (3, 1), (3, 2)], [(9, 8)])
    assert not found.unverified().num_rows
    assert followers(found) == {2: 1, 3: 1}
    assert found.facts() == {"groups": 1, "largest": 3}


def further(found: Groups) -> list[Pair]:
    return [(row, int.from_bytes(other, "big")) for _, row, other in found.further().iter_rows()]


def test_followers_of_one_item_have_no_further_one_whether_they_met_or_not() -> None:
    assert not further(groups([(2, 1), (3, 1), (4, 1), (4, 2)]))


def test_one_that_is_like_two_kept_ones_has_the_second_as_a_further_one() -> None:
    found = groups([(3, 1), (3, 2), (4, 2), (4, 1), (4, 3)], [(2, 1)])
    assert followers(found) == {3: 1, 4: 1}
    assert further(found) == [(3, 2), (4, 2)]


def test_of_two_that_are_alike_and_follow_different_ones_the_worse_has_the_others_as_a_further_one() -> None:
    found = groups([(3, 1), (4, 2), (4, 3)], [(4, 1), (2, 1)])
    assert followers(found) == {3: 1, 4: 2}
    assert further(found) == [(4, 1)]


def test_one_that_stays_has_what_a_dropped_one_like_it_follows_as_a_further_one() -> None:
    found = groups([(2, 1), (3, 2)], [(3, 1)])
    assert followers(found) == {2: 1}
    assert further(found) == [(3, 1)]


def test_nothing_joins_nothing() -> None:
    found = groups([], [(2, 1)])
    assert not found.unverified().num_rows
    assert followers(found) == {}
