"""What fingerprints, nomination and verification of pictures cost, beside imagehash and faiss."""

import io
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from dedup.bands import proposed_pairs
from dedup.fingerprints import Fingerprints, fingerprint_of
from dedup.images import RADIUS, NearImage, candidate_distances
from dedup.keys import slots_of
from dedup.verify_pictures import prepare, verify_pictures
from filters.statistics import MEASURED_SIDE, THUMBNAIL_SIDE, grey_of, statistics_of
from sources.pictures import thumbnail_only
from sources.pictures.memory import keep_freed_memory
from sources.schema import IMAGES

BARS = {"as they are": 1.5, "1024 px and more": 4.0}
PICTURES, LARGE = 200, 40
SOUGHT = 100_000
PLANTED = 10_000
MOST_WRONG = 31
FRAGMENT, PARTITIONS = 4096, 32


def speed(data: Path) -> dict[str, Any]:
    """Ratios and seconds."""
    keep_freed_memory()
    return {**fingerprinting(data), **nomination(), **verification(data)}


def phashed(file: bytes) -> None:
    """As imagehash's documentation shows it."""
    imagehash.phash(Image.open(io.BytesIO(file)))


def fingerprinted(file: bytes) -> None:
    """Reduced decode, thumbnail, both hashes in all orientations: what is held against the bar."""
    grey = Image.fromarray(grey_of(thumbnail_only(file)))
    factor = max(min(grey.size) // MEASURED_SIDE, 1)
    small = grey.reduce(factor) if factor > 1 else grey
    small.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes()
    Fingerprints().measure(np.asarray(small))


def measured(file: bytes) -> None:
    """The same with statistics of all pixels, as a build does it."""
    Fingerprints().measure(statistics_of(thumbnail_only(file)).small)


def fingerprinting(data: Path) -> dict[str, Any]:
    """Against `imagehash.phash` from the same bytes, alternating, medians of five rounds."""
    paths = sorted((data / "images").rglob("*.jp*g"))
    rng = np.random.default_rng(0)
    files = []
    for number in rng.permutation(len(paths)):
        file = paths[number].read_bytes()
        try:
            fingerprinted(file)
        except Exception:  # noqa: BLE001 - one of them is broken on purpose
            continue
        files.append(file)
        if len(files) == PICTURES:
            break
    found = {}
    for name, some in (("as they are", files), ("1024 px and more", [enlarged(file) for file in files[:LARGE]])):
        theirs, ours, whole = alternating(some, (phashed, fingerprinted, measured))
        found[f"fingerprints, {name}"] = {
            "phash_ms": round(theirs, 3), "ours_ms": round(ours, 3), "ratio": round(theirs / ours, 2),
            "with statistics": round(theirs / whole, 2),
            "bar": BARS[name],
        }  # fmt: skip
    return found


def enlarged(file: bytes) -> bytes:
    """The picture with its smaller side at 1024 px or more, as a JPEG of quality 90."""
    image = Image.open(io.BytesIO(file))
    scale = max(1024 / min(image.size), 1)
    sized = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    sized.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def alternating(files: Sequence[bytes], works: Sequence[Callable[[bytes], None]], rounds: int = 5) -> list[float]:
    """Milliseconds a file."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, seconds, strict=True):
            started = time.perf_counter()
            for file in files:
                work(file)
            times.append((time.perf_counter() - started) / len(files) * 1e3)
    return [statistics.median(times) for times in seconds]


def sought_table(hashes: npt.NDArray[np.uint8]) -> pa.Table:
    """An images table of pictures that have these hashes, N x 9 x 32."""
    count = len(hashes)
    columns = {
        "image_id": [f"{number:032x}" for number in range(count)], "width": np.full(count, 512, np.int32),
        "height": np.full(count, 512, np.int32), "modality": ["xray"] * count, "format": ["png"] * count,
        "pdq": pa.array([part.tobytes() for part in hashes[:, 0]], pa.binary(32)),
        "pdq_canonical": pa.array([part.tobytes() for part in hashes[:, 1]], pa.binary(32)),
        "pdq_turned": pa.array([part.tobytes() for part in hashes[:, 2:]], pa.binary(224)),
        "pdq_quality": np.full(count, 100, np.int16),
    }  # fmt: skip
    return pa.table({
        field.name: pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in IMAGES
    })  # fmt: skip


def nomination() -> dict[str, Any]:
    """100,000 random pictures of which 10,000 are copies within 31 bits, against a flat search of the same hashes.

    faiss searches upright hashes within 31 bits, raw and canonical; `one side in all orientations` is what finds as
    much as the bands do: 16 canonical queries a picture (8 orientations x 2 polarities) and 2 raw ones.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(7)
    known = rng.integers(0, 256, (SOUGHT, 9, 32)).astype(np.uint8)
    wrong = rng.integers(0, MOST_WRONG + 1, PLANTED)
    for copy, original, count in zip(range(PLANTED), rng.integers(PLANTED, SOUGHT, PLANTED), wrong, strict=True):
        for part in range(9):
            bits = np.unpackbits(known[original, part])
            bits[rng.choice(256, count, replace=False)] ^= 1
            known[copy, part] = np.packbits(bits)
    table = sought_table(known)
    step = NearImage()
    step.picture_keys(table.slice(0, 64))
    started = time.perf_counter()
    ranges: dict[int, list[pa.Table]] = defaultdict(list)
    for fragment, start in enumerate(range(0, SOUGHT, FRAGMENT)):
        keys = step.picture_keys(table.slice(start, FRAGMENT))
        numbered = keys.append_column("fragment", pa.array(np.full(len(keys), fragment, np.int32)))
        for number, part in slots_of(numbered, PARTITIONS):
            ranges[number].append(part)
    keyed = time.perf_counter()
    items = np.concatenate([_items(pa.concat_tables(ranges[number])) for number in sorted(ranges)])
    pairs = np.unique(items, axis=0)
    solved = time.perf_counter()
    a, b = pairs.T
    near = np.concatenate([
        candidate_distances(known[a[start : start + 100_000]], known[b[start : start + 100_000]]) <= RADIUS
        for start in range(0, len(a), 100_000)
    ])  # fmt: skip
    pruned = time.perf_counter()
    found = set(zip(np.minimum(a, b)[near].tolist(), np.maximum(a, b)[near].tolist(), strict=True))
    flat, flat_pairs = _flat(faiss, known[:, 0], known[:, 0], 32)
    of_canonical, _ = _flat(faiss, known[:, 1], known[:, 1], 32)
    ours = pruned - started
    expected = {(low, high) for low, high in flat_pairs if low < high}
    return {
        "nomination, pictures": SOUGHT,
        "nomination, rows sent a picture": sum(len(part) for parts in ranges.values() for part in parts) / SOUGHT,
        "nomination, seconds": {"keys": round(keyed - started, 1), "buckets": round(solved - keyed, 1),
                                "distances": round(pruned - solved, 1), "all": round(ours, 1)},
        "nomination, core-seconds a picture": round(ours / SOUGHT, 6),
        "nomination, pairs proposed": len(a),
        "nomination, of planted within 31 bits": round(len(found & expected) / len(expected), 5),
        "faiss, seconds": {"raw": round(flat, 1), "canonical": round(of_canonical, 1),
                           "one side in all orientations": round(2 * flat + 16 * of_canonical, 1)},
        "nomination, times faiss (upright)": round((flat + of_canonical) / ours, 2),
        "nomination, times faiss (all orientations)": round((2 * flat + 16 * of_canonical) / ours, 2),
    }  # fmt: skip


def _items(keys: pa.Table) -> npt.NDArray[np.int64]:
    """Numbers of the two pictures of each pair that a partition proposes."""
    pairs = proposed_pairs(keys).pairs
    sides = [
        pairs[f"{side}fragment"].to_numpy().astype(np.int64) * FRAGMENT + pairs[f"{side}row"].to_numpy()
        for side in ("", "other_")
    ]
    return np.stack(sides, axis=1)


def _flat(
    faiss: Any, known: npt.NDArray[np.uint8], queries: npt.NDArray[np.uint8], radius: int
) -> tuple[float, set[tuple[int, int]]]:
    """Seconds of a range search, and the pairs found."""
    index = faiss.IndexBinaryFlat(256)
    index.add(np.ascontiguousarray(known))
    started = time.perf_counter()
    limits, _, found = index.range_search(np.ascontiguousarray(queries), radius)
    seconds = time.perf_counter() - started
    asked = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
    return seconds, set(zip(asked.tolist(), found.tolist(), strict=True))


def verification(data: Path) -> dict[str, Any]:
    """Core-seconds to make a film ready and to compare it with a copy and with another film."""
    films = [
        grey_of(thumbnail_only(path.read_bytes(), side=1024))
        for path in sorted((data / "images" / "nih_films").glob("*.jpg"))[:20]
    ]
    started = time.perf_counter()
    ready = [prepare(film) for film in films]
    prepared = (time.perf_counter() - started) / len(films)
    copies = [prepare(film[10:, 10:]) for film in films]
    started = time.perf_counter()
    for film, copy in zip(ready, copies, strict=True):
        verify_pictures(copy, film)
    copied = (time.perf_counter() - started) / len(films)
    started = time.perf_counter()
    for film, other in zip(ready, [*ready[1:], ready[0]], strict=True):
        verify_pictures(other, film)
    different = (time.perf_counter() - started) / len(films)
    fingerprint = films[0][::2, ::2].copy()
    started = time.perf_counter()
    for _ in range(200):
        fingerprint_of(fingerprint)
    return {
        "fingerprint alone, core-seconds": round((time.perf_counter() - started) / 200, 6),
        "verification, core-seconds": {
            "to make ready": round(prepared, 3), "a copy": round(copied, 3), "no copy": round(different, 3),
        },
    }  # fmt: skip
