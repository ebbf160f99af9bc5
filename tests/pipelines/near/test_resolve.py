"""Groups of verified pairs: direct neighbours only, and the best of a group is compared with all of it."""

import numpy as np
import pyarrow as pa

from pipelines.near.resolve import HEARD, JOINED, PLACES, Groups, Nodes
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


def test_of_a_pair_that_was_measured_twice_the_better_outcome_counts_in_whichever_order_it_is_heard() -> None:
    edges = pa.Table.from_pylist(
        [{"row": row, "id": name(2), "order": 2, "other": name(1), "other_order": 1, "accepted": score > 0.8,
          "score": score, "cause": None, "detail": detail}
         for row, score, detail in ((2, 0.85, "b"), (3, 0.95, "d"), (4, 0.95, "c"), (5, 0.1, "a"))],
        schema=EDGES,
    )  # fmt: skip
    places = pa.Table.from_pylist([{"id": name(1), "fragment": 0, "row": 1}], schema=PLACES)
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        some = edges.take(order)
        found = Groups(in_fragment(some.filter(some["accepted"]).select(JOINED), 7), [places, places])
        for row in range(len(some)):
            found.hear(some.slice(row, 1).select(HEARD))
        told = found.answers().to_pylist()
        assert [(row["fragment"], row["row"], row["score"], row["detail"]) for row in told] == [
            (7, row, 0.95, "c") for row in (2, 3, 4)
        ]


def test_ids_that_begin_alike_are_told_apart_and_others_are_no_nodes() -> None:
    begun = bytes(range(8))
    ids = [begun + bytes([0] * 7 + [last]) for last in (9, 0, 200)] + [bytes(15) + b"\x01"]
    column = pa.chunked_array([pa.array(ids, pa.binary(16))])
    nodes = Nodes([column, column], [pa.chunked_array([pa.array([3, 2, 1, 2], pa.uint64())])] * 2)
    assert nodes.count == 4
    assert nodes.numbers_of(column).tolist() == [3, 2, 0, 1]
    assert nodes.ids_of(np.array([3, 2, 0, 1], np.uint32)).to_pylist() == ids
    strangers = [begun + bytes(7) + b"\x05", bytes(16), b"\xff" * 16]
    assert nodes.numbers_of(pa.chunked_array([pa.array(strangers, pa.binary(16))])).tolist() == [-1] * 3
