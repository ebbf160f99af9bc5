"""Groups of verified pairs: direct neighbours only, and the best of a group is compared with all of it."""

import pyarrow as pa

from pipelines.near.resolve import HEARD, JOINED, PLACES, Groups
from pipelines.near.verify import EDGES
from pipelines.sorted_runs import in_fragment

Pair = tuple[int, int]
"""Two items, each of which is its own order of survivors, its id and its row."""


def name(item: int) -> bytes:
    return item.to_bytes(16, "big")


def groups(accepted: list[Pair], rejected: list[Pair] = []) -> Groups:  # noqa: B006 - never changed
    pairs = [(*pair, True) for pair in accepted] + [(*pair, False) for pair in rejected]
    edges = pa.Table.from_pylist(
        [{"row": one, "id": name(one), "order": one, "other": name(other), "other_order": other, "accepted": yes,
          "score": 0.9, "cause": None, "detail": None} for one, other, yes in pairs],
        schema=EDGES,
    )  # fmt: skip
    items = sorted({item for *pair, _ in pairs for item in pair})
    places = pa.Table.from_pylist([{"id": name(item), "fragment": 0, "row": item} for item in items], schema=PLACES)
    found = Groups(in_fragment(edges.filter(edges["accepted"]).select(JOINED), 0), [places])
    found.hear(edges.select(HEARD))
    return found


def followers(found: Groups) -> dict[int, int]:
    return {row["row"]: int.from_bytes(row["leader"], "big") for row in found.answers().to_pylist()}


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
    return [(row["row"], int.from_bytes(row["other"], "big")) for row in found.further().to_pylist()]


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
