import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.holdout import Holdout, components
from sources.schema import IMAGES, SAMPLES

BY = ("patient", "study", "article")


def brute_force(links: list[tuple[int, int]]) -> dict[int, int]:
    """Node -> smallest node of its component, by joining sets."""
    groups: list[set[int]] = []
    for link in links:
        touched = [group for group in groups if group & set(link)]
        groups = [group for group in groups if group not in touched] + [set(link).union(*touched)]
    return {node: min(group) for group in groups for node in group}


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60))
def test_components_are_those_of_a_brute_force_search(links: list[tuple[int, int]]) -> None:
    low, high = (np.array([link[end] for link in links], np.uint64) for end in (0, 1))
    nodes, roots = components(low, high)
    assert dict(zip(nodes.tolist(), roots.tolist(), strict=True)) == brute_force(links)
    assert nodes.tolist() == sorted(set(nodes.tolist()))


def test_a_long_chain_is_one_component() -> None:
    ids = np.random.default_rng(0).permutation(200_000).astype(np.uint64) * np.uint64(2**40 + 1)
    _, roots = components(ids[:-1], ids[1:])
    assert set(roots.tolist()) == {0}


@pytest.mark.parametrize("fraction", [0.001, 0.01, 0.3, 0.999])
def test_the_share_of_components_held_out_is_the_fraction(fraction: float) -> None:
    nodes = np.random.default_rng(1).integers(0, 2**64 - 1, 400_000, np.uint64)
    share = Holdout(fraction, BY, 0).is_held(nodes).mean()
    assert abs(share - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / len(nodes))


def test_seeds_are_independent_and_a_larger_fraction_holds_out_the_same_and_more() -> None:
    nodes = np.random.default_rng(2).integers(0, 2**64 - 1, 100_000, np.uint64)
    small, large, other = (Holdout(f, BY, s).is_held(nodes) for f, s in ((0.1, 0), (0.2, 0), (0.1, 1)))
    assert not (small & ~large).any()
    assert abs((small & other).mean() - 0.01) < 0.002


def nodes(rows: list[dict[str, object]], pixels: dict[str, str | None]) -> list[list[int]]:
    blank = dict.fromkeys(SAMPLES.names)
    samples = pa.Table.from_pylist(
        [blank | row for row in rows], schema=pa.schema([f.with_nullable(True) for f in SAMPLES])
    )
    images = [dict.fromkeys(IMAGES.names) | {"image_id": name, "pixel_hash": value} for name, value in pixels.items()]
    table = pa.Table.from_pylist(images, schema=pa.schema([field.with_nullable(True) for field in IMAGES]))
    return Holdout(0.1, BY, 0).nodes_of(samples, table)


def test_samples_meet_in_groups_of_the_named_kinds_in_equal_pixels_and_in_their_parent() -> None:
    def patient(name: str, kind: str = "patient") -> dict[str, str]:
        return {"kind": kind, "id": name}

    def shown(name: str) -> dict[str, object]:
        return {"image_id": name, "uri": name, "frame": None}

    found = nodes(
        [
            {"sample_id": "a", "groups": [patient("1"), patient("x", "slide")]},
            {"sample_id": "b", "groups": [patient("1"), patient("1", "study")]},
            {"sample_id": "c", "groups": [patient("x", "slide")]},
            {"sample_id": "d", "images": [shown("i")]},
            {"sample_id": "e", "images": [shown("j")]},
            {"sample_id": "f", "images": [shown("k")]},
            {"sample_id": "g", "images": [shown("l")], "parent_id": "f"},
            {"sample_id": "h"},
        ],
        {"i": "same", "j": "same", "k": None, "l": None},
    )
    a, b, c, d, e, f, g, h = map(set, found)
    assert a & b
    assert not (a | b) & c
    assert d == e
    assert f & g
    assert len(c) == len(h) == 1
    assert not (a | b) & (c | d | f | h)
