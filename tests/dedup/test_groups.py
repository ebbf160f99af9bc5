"""Components equal those of a graph library; survivors are kept by direct neighbours only."""

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.groups import components, survivors

NODES = 30
pairs = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=60)


def as_edges(drawn: list[tuple[int, int]]) -> np.ndarray[tuple[int, int], np.dtype[np.uint32]]:
    return np.array([pair for pair in drawn if pair[0] != pair[1]], np.uint32).reshape(-1, 2)


@settings(deadline=None)  # the first call compiles
@given(pairs, st.randoms())
def test_components_are_named_after_their_smallest_node_whatever_the_order(
    drawn: list[tuple[int, int]], chance: object
) -> None:
    graph = nx.Graph(drawn)
    graph.add_nodes_from(range(NODES))
    expected = {node: min(part) for part in nx.connected_components(graph) for node in part}
    assert components(as_edges(drawn), NODES).tolist() == [expected[node] for node in range(NODES)]
    chance.shuffle(drawn)  # type: ignore[attr-defined]
    assert components(as_edges(drawn), NODES).tolist() == [expected[node] for node in range(NODES)]


@settings(deadline=None)  # the first call compiles
@given(pairs, st.permutations(range(NODES)))
def test_whoever_is_dropped_has_an_edge_to_a_better_one_that_is_kept(
    drawn: list[tuple[int, int]], rank: list[int]
) -> None:
    leaders = survivors(as_edges(drawn), np.array(rank, np.uint32))
    neighbours = nx.Graph([pair for pair in drawn if pair[0] != pair[1]])
    neighbours.add_nodes_from(range(NODES))
    for node in sorted(range(NODES), key=lambda node: rank[node]):
        better = [other for other in neighbours[node] if rank[other] < rank[node] and leaders[other] < 0]
        assert leaders[node] == (min(better, key=lambda other: rank[other]) if better else -1)


def test_a_chain_is_not_collapsed() -> None:
    chain = np.array([[0, 1], [1, 2], [2, 3]], np.uint32)
    assert survivors(chain, np.arange(4, dtype=np.uint32)).tolist() == [-1, 0, -1, 2]
