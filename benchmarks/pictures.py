"""What measuring a picture costs: `python -m benchmarks.pictures [--json] [--rounds N]`.

Against a bare full decode of the same files by Pillow (`Image.open(...).load()`: no array, no hash), in one run, one
after the other in every round; the median counts. The bar is 1.5 for `pixel_hash`: decode to
displayed pixels and their BLAKE3. `measured` is everything: ids, thumbnail and statistics too. `reduced` is the
same without `pixel_hash`, from a reduced decode: below 1 it is cheaper than a decode alone. For DICOM the bare
decode is pydicom's `pixel_array` with its modality and VOI functions.
"""

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from filters.gallery import Gallery, Wanted
from filters.statistics import pixel_hash
from sources.pictures import Limits, decode
from sources.pictures.memory import keep_freed_memory

BAR = 1.5
SIDES = (512, 1024, 2048)
PICTURES_EACH = 4
DICOM_FILES = ("CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "examples_palette.dcm")


def film(side: int, seed: int) -> npt.NDArray[np.uint8]:
    """Slow waves with the noise of a film: JPEG of quality 90 takes about 3 bits a pixel."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side] / side * 6
    waves = 128 + 60 * np.sin(rows + rng.random()) * np.cos(columns * 1.7 + rng.random())
    return (waves + rng.normal(0, 6, (side, side))).clip(0, 255).astype(np.uint8)


def encoded(pixels: npt.NDArray[np.uint8], form: str) -> bytes:
    """A JPEG of quality 90, or a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **({"quality": 90} if form == "JPEG" else {}))
    return buffer.getvalue()


def workloads() -> dict[str, list[bytes]]:
    """Files by what they are."""
    made = {}
    for side in SIDES:
        grey = [film(side, seed) for seed in range(PICTURES_EACH)]
        colour = [np.stack([pixels, pixels[::-1], pixels[:, ::-1]], axis=-1) for pixels in grey]
        repeated = [np.stack([pixels] * 3, axis=-1) for pixels in grey]
        for form in ("JPEG", "PNG"):
            for name, pictures in (("grey", grey), ("colour", colour), ("grey as colour", repeated)):
                made[f"{form} {name} {side}"] = [encoded(picture, form) for picture in pictures]
    return made


def dicom_files() -> dict[str, list[bytes]]:
    """Files of pydicom's wheel."""
    folder = Path(pydicom.__path__[0]) / "data" / "test_files"
    return {name: [(folder / name).read_bytes()] for name in DICOM_FILES}


def bare(data: bytes) -> None:
    """Decode and do nothing with it."""
    Image.open(io.BytesIO(data)).load()


def bare_dicom(data: bytes) -> None:
    """Decode and apply the display functions of pydicom."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    pixels = pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        apply_color_lut(pixels, dataset)
    elif pixels.ndim == 2:
        apply_voi_lut(apply_modality_lut(pixels, dataset), dataset)


def hashed(data: bytes) -> None:
    """Decode to displayed pixels and hash them."""
    pixel_hash(decode(data))


def measured(data: bytes, *, full_size: bool = True) -> None:
    """What a build does with a picture."""
    gallery = Gallery(Limits(), "unknown", full_size=full_size)
    gallery.visit([Wanted("x", "first")], lambda _uri: data)


def reduced(data: bytes) -> None:
    """What a build does with a picture without `pixel_hash`."""
    measured(data, full_size=False)


def timed(files: Sequence[bytes], works: Sequence[Callable[[bytes], None]], rounds: int) -> dict[str, float]:
    """Milliseconds a picture of the first, and ratios to it of the others."""
    seconds: dict[str, list[float]] = {work.__name__: [] for work in works}
    for _ in range(rounds + 1):
        for work in works:
            started = time.perf_counter()
            for data in files:
                work(data)
            seconds[work.__name__].append((time.perf_counter() - started) / len(files))
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}  # the first one warms up
    first = medians.pop(works[0].__name__)
    return {"bare_ms": round(first * 1e3, 3), **{name: round(median / first, 2) for name, median in medians.items()}}


def main() -> None:
    """Print a table, or with `--json` one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    keep_freed_memory()
    table = {
        name: timed(files, (bare, hashed, measured, reduced), options.rounds) for name, files in workloads().items()
    }
    for name, files in dicom_files().items():
        table[name] = timed(files, (bare_dicom, hashed, measured), options.rounds)
    if options.json:
        print(json.dumps({"bar": BAR, "load": load, "workloads": table}))
        return
    print(
        f"{os.cpu_count()} cores, load {load} before the first round; ratios to the bare decode, pixel_hash bar {BAR}"
    )
    for name, row in table.items():
        ratios = ", ".join(f"{key} {value}" for key, value in row.items() if key != "bare_ms")
        print(f"{name:<30} {row['bare_ms']:8.2f} ms   {ratios}")


if __name__ == "__main__":
    main()
