"""Nomination of pictures by bands beside a flat search of the same hashes, by how many pictures there are."""

import time
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.bands import proposed_pairs
from dedup.fingerprints import FREQUENCIES, hashes_and_waves
from dedup.images import RADIUS, NearImage, candidate_distances
from dedup.keys import slots_of
from sources.schema import IMAGES

SIZES = (10_000, 30_000, 100_000, 300_000)
PLANTED = 0.1
MOST_NOISE = 0.35
"""Of a copy's transform, as a share of the strength of each frequency: up to 31 wrong bits."""
ASKED = 4_000
"""Queries that faiss is timed on; a flat search costs each the same."""
WITHIN = 31
FRAGMENT, PARTITIONS = 4096, 32


def nomination(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Core-seconds and ratios on one thread, for pictures of random transforms of which a tenth are noisy copies.

    faiss searches upright hashes within 31 bits, raw and canonical; `one side in all orientations` is what finds as
    much as the bands do: 16 canonical queries a picture (8 orientations x 2 polarities) and 2 raw ones.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    known = generated(max(sizes))
    NearImage().picture_keys(known.table.slice(0, 64))
    return {f"nomination of {size:,}": _beside(faiss, known, size) for size in sizes}


class Generated:
    """Pictures that exist as transforms only: their hashes N x 9 x 32 and a table of them."""

    def __init__(self, hashes: npt.NDArray[np.uint8], waves: npt.NDArray[np.int8]) -> None:
        self.hashes = hashes
        self.table = sought_table(hashes, waves)


def generated(count: int) -> Generated:
    """Every tenth picture is a copy of the one before it."""
    rng = np.random.default_rng(7)
    k = np.arange(1, FREQUENCIES + 1)
    strength = 1e12 / np.hypot(k[:, None], k[None])
    hashes, waves = np.empty((count, 9, 32), np.uint8), np.empty((count, 128), np.int8)
    every = round(1 / PLANTED)
    before = np.zeros((2, FREQUENCIES, FREQUENCIES))
    for number in range(count):
        drawn = strength * rng.normal(size=(2, FREQUENCIES, FREQUENCIES))
        if number % every == every - 1:
            drawn = before + rng.uniform(0, MOST_NOISE) * drawn
        before = drawn
        hashes[number], waves[number] = hashes_and_waves(*drawn.astype(np.int64))
    return Generated(hashes, waves)


def sought_table(hashes: npt.NDArray[np.uint8], waves: npt.NDArray[np.int8]) -> pa.Table:
    """An images table of pictures that have these hashes, N x 9 x 32, and waves, N x 128."""
    count = len(hashes)
    columns = {
        "image_id": [f"{number:032x}" for number in range(count)], "width": np.full(count, 512, np.int32),
        "height": np.full(count, 512, np.int32), "modality": ["xray"] * count, "format": ["png"] * count,
        "pdq": pa.array([part.tobytes() for part in hashes[:, 0]], pa.binary(32)),
        "pdq_canonical": pa.array([part.tobytes() for part in hashes[:, 1]], pa.binary(32)),
        "pdq_turned": pa.array([part.tobytes() for part in hashes[:, 2:]], pa.binary(224)),
        "pdq_quality": np.full(count, 100, np.int16),
        "pdq_waves": pa.array([part.tobytes() for part in waves], pa.binary(128)),
    }  # fmt: skip
    return pa.table({
        field.name: pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in IMAGES
    })  # fmt: skip


def _beside(faiss: Any, known: Generated, size: int) -> dict[str, Any]:
    step = NearImage()
    hashes = known.hashes[:size]
    started = time.process_time()
    ranges: dict[int, list[pa.Table]] = defaultdict(list)
    for fragment, start in enumerate(range(0, size, FRAGMENT)):
        keys = step.picture_keys(known.table.slice(start, min(FRAGMENT, size - start)))
        numbered = keys.append_column("fragment", pa.array(np.full(len(keys), fragment, np.int32)))
        for number, part in slots_of(numbered, PARTITIONS):
            ranges[number].append(part)
    keyed = time.process_time()
    proposals = [_items(pa.concat_tables(ranges[number])) for number in sorted(ranges)]
    solved = time.process_time()
    near = np.concatenate([pairs[_near(hashes, pairs)] for pairs in proposals])
    found = {(min(pair), max(pair)) for pair in near.tolist()}
    ours = time.process_time() - started
    raw, within = _flat(faiss, hashes[:, 0])
    canonical, also = _flat(faiss, hashes[:, 1])
    expected = within | also
    return {
        "rows a picture": sum(len(part) for parts in ranges.values() for part in parts) / size,
        "core-seconds": round(ours, 2),
        "of them keys": round(keyed - started, 2),
        "of them buckets": round(solved - keyed, 2),
        "core-ms a picture": round(1e3 * ours / size, 3),
        "proposed a picture": round(sum(len(pairs) for pairs in proposals) / size, 2),
        "found of those within 31": round(len(found & expected) / len(expected), 5),
        "faiss core-seconds, upright": round(raw + canonical, 2),
        "times faiss, upright": round((raw + canonical) / ours, 2),
        "times faiss, all orientations": round((2 * raw + 16 * canonical) / ours, 2),
    }


def _near(hashes: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    apart = [
        candidate_distances(hashes[pairs[start : start + 100_000, 0]], hashes[pairs[start : start + 100_000, 1]])
        for start in range(0, len(pairs), 100_000)
    ]
    near: npt.NDArray[np.bool_] = np.concatenate([np.zeros(0, np.int64), *apart]) <= RADIUS
    return near


def _items(keys: pa.Table) -> npt.NDArray[np.int64]:
    """Numbers of the two pictures of each pair that a partition proposes."""
    pairs = proposed_pairs(keys).pairs
    sides = [
        pairs[f"{side}fragment"].to_numpy().astype(np.int64) * FRAGMENT + pairs[f"{side}row"].to_numpy()
        for side in ("", "other_")
    ]
    return np.stack(sides, axis=1)


def _flat(faiss: Any, known: npt.NDArray[np.uint8]) -> tuple[float, set[tuple[int, int]]]:
    """Core-seconds of a range search of each for all, from those of some, and the pairs that these are in."""
    index = faiss.IndexBinaryFlat(256)
    index.add(np.ascontiguousarray(known))
    asked = np.linspace(0, len(known) - 1, min(ASKED, len(known))).astype(np.int64)
    started = time.process_time()
    limits, _, found = index.range_search(np.ascontiguousarray(known[asked]), WITHIN)
    seconds = (time.process_time() - started) * len(known) / len(asked)
    asking = np.repeat(asked, np.diff(limits.astype(np.int64)))
    pairs = {(min(pair), max(pair)) for pair in zip(asking.tolist(), found.tolist(), strict=True) if pair[0] != pair[1]}
    return seconds, pairs
