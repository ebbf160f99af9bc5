"""What fingerprints, nomination and verification of pictures cost, beside imagehash and faiss."""

import io
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from PIL import Image

from benchmarks.near_image_nomination import nomination
from dedup.fingerprints import Fingerprints, fingerprint_of
from dedup.verify_pictures import prepare, verify_pictures
from filters.statistics import MEASURED_SIDE, THUMBNAIL_SIDE, grey_of, statistics_of
from sources.pictures import thumbnail_only
from sources.pictures.memory import keep_freed_memory

BARS = {"as they are": 1.5, "1024 px and more": 4.0}
PICTURES, LARGE = 200, 40


def speed(data: Path) -> dict[str, Any]:
    """Ratios and seconds."""
    keep_freed_memory()
    return {**fingerprinting(data), **nomination(), **verification(data)}


def phashed(file: bytes) -> None:
    """As imagehash's documentation shows it."""
    imagehash.phash(Image.open(io.BytesIO(file)))


def fingerprinted(file: bytes) -> None:
    """Reduced decode, thumbnail, both hashes in all orientations: what is held against the bar."""
    decoded = thumbnail_only(file)
    grey = decoded.image or Image.fromarray(grey_of(decoded))
    grey = grey if grey.mode == "L" else grey.convert("L")
    factor = max(min(grey.size) // MEASURED_SIDE, 1)
    small = grey.reduce(factor) if factor > 1 else grey
    small.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes()
    Fingerprints().measure(np.asarray(small))


def measured(file: bytes) -> None:
    """The same with statistics of all pixels, as a build does it."""
    Fingerprints().measure(statistics_of(thumbnail_only(file)).small)


def fingerprinting(data: Path) -> dict[str, Any]:
    """Against `imagehash.phash` from the same bytes, alternating, core time, medians of five rounds."""
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
    """Core-milliseconds a file."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, seconds, strict=True):
            started = time.process_time()
            for file in files:
                work(file)
            times.append((time.process_time() - started) / len(files) * 1e3)
    return [statistics.median(times) for times in seconds]


def verification(data: Path) -> dict[str, Any]:
    """Core-seconds to make a film ready and to compare it with a copy and with another film."""
    films = [
        grey_of(thumbnail_only(path.read_bytes(), side=1024))
        for path in sorted((data / "images" / "nih_films").glob("*.jpg"))[:20]
    ]
    started = time.process_time()
    ready = [prepare(film) for film in films]
    prepared = (time.process_time() - started) / len(films)
    copies = [prepare(film[10:, 10:]) for film in films]
    started = time.process_time()
    for film, copy in zip(ready, copies, strict=True):
        verify_pictures(copy, film)
    copied = (time.process_time() - started) / len(films)
    started = time.process_time()
    for film, other in zip(ready, [*ready[1:], ready[0]], strict=True):
        verify_pictures(other, film)
    different = (time.process_time() - started) / len(films)
    fingerprint = films[0][::2, ::2].copy()
    started = time.process_time()
    for _ in range(200):
        fingerprint_of(fingerprint)
    return {
        "fingerprint alone, core-seconds": round((time.process_time() - started) / 200, 6),
        "verification, core-seconds": {
            "to make ready": round(prepared, 3), "a copy": round(copied, 3), "no copy": round(different, 3),
        },
    }  # fmt: skip
