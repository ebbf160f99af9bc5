"""Burned-in writing: what is found of what was planted, and what is found on real pictures as they are.

    python -m benchmarks.burned_in [planted] [turned] [real] [--pictures N] [--of SET]

Pictures are those of CURATE_SHARED_DATA (default /work/shared/data). What is written on real pictures is not printed.
"""

import argparse
import csv
import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.phi import grey_of_file, share, small_enough
from filters.burned_in import writing_in
from filters.phi_pictures import ANNOTATION, Examination, written_on
from sources.pictures import Limits, PictureError
from tests.filters.planted_writing import Written, harmless, identifying, write

IMAGES = Path(os.environ.get("CURATE_SHARED_DATA", "/work/shared/data")) / "images"
GROUNDS = (
    "brain_mri_sartaj", "covid_chestxray_copy", "cvc612_polyp", "busi", "ph2_dermoscopy", "biomedparse_demo", "bccd",
)  # fmt: skip
LARGE = (64, 96, 128)
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif")


def main() -> None:
    """Run what is asked for, or all."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("parts", nargs="*", default=["planted", "turned", "real"])
    arguments.add_argument("--pictures", type=int, default=300, help="planted, and at most so many real ones a set")
    arguments.add_argument("--of", default=None, help="one set of real pictures")
    given = arguments.parse_args()
    for part in given.parts:
        found = real(given.pictures, given.of) if part == "real" else _PLANTED[part](given.pictures)
        print(json.dumps({part: found}, indent=1), flush=True)


def planted(pictures: int) -> dict[str, Any]:
    """Names, dates and ids on real pictures in 6 fonts, 5 sizes, 3 contrasts, and annotations on a third as many."""
    draw, places = random.Random(7), grounds()
    tally: dict[str, Counter[str]] = {name: Counter() for name in ("planted", "nominated", "found")}
    for _ in range(pictures):
        kind, text = identifying(draw)
        written = write(grey_of_file(draw.choice(places)), text, kind, draw)
        keys = (kind, f"{written.size} px", f"contrast {written.contrast}", written.font, "all")
        _count(tally, written, keys)
    alarms, others = 0, pictures // 3
    for _ in range(others):
        written = write(grey_of_file(draw.choice(places)), harmless(draw), "annotation", draw)
        alarms += _identifies(written)
    return {"recall": _recall(tally), "annotations that were taken for identifiers": share(alarms, others)}


def turned(pictures: int) -> dict[str, Any]:
    """Names, dates and ids of 64 to 128 px, and such as stand upright or on their heads."""
    draw, places = random.Random(8), grounds()
    tally: dict[str, Counter[str]] = {name: Counter() for name in ("planted", "nominated", "found")}
    for number in range(pictures // 3):
        kind, text = identifying(draw)
        turns = number % 4
        ground = grey_of_file(draw.choice(places))
        if turns:
            written = write(ground, text, kind, draw, turns=turns)
        else:
            ground = np.asarray(Image.fromarray(ground).resize((1600, 1600)))
            written = write(ground, text, kind, draw, LARGE)
        _count(tally, written, (f"turned by {90 * turns}" if turns else "large", "all"))
    return _recall(tally)


def real(most: int, only: str | None) -> dict[str, Any]:
    """Pictures of every set as they are: how many are read, and how many are taken to identify.

    Some do: VQA-RAD and the chest radiographs have true dates and names of those who uploaded them.
    """
    look = Examination(writing=True, reading="rapidocr", timeout_s=120, verify=False)
    sets = [only] if only else sorted(path.name for path in IMAGES.iterdir() if path.is_dir())
    found = {name: _as_they_are(look, name, most) for name in sets}
    every = {key: sum(one[key] for one in found.values()) for key in ("pictures", "with writing", "identifying")}
    return {**found, "all": {**every, "share identifying": share(every["identifying"], every["pictures"])}}


def _as_they_are(look: Examination, name: str, most: int) -> dict[str, Any]:
    listed = csv.DictReader((IMAGES / "manifest.csv").open(encoding="utf-8"))
    paths = [IMAGES.parent / row["path"] for row in listed if row["dataset"] == name]
    paths = paths or sorted(path for path in (IMAGES / name).rglob("*") if path.suffix.lower() in SUFFIXES)
    seen = written = identifying_ = 0
    kinds, started = Counter[str](), time.perf_counter()
    for path in random.Random(3).sample(paths, min(most, len(paths))):
        try:
            row = look.examine("0" * 32, path.read_bytes(), 0, Limits())
        except PictureError:
            continue
        told = {box["kind"] for box in row["boxes"]}
        seen, written = seen + 1, written + bool(told)
        identifying_ += bool(told - {ANNOTATION})
        kinds.update(told)
    return {
        "pictures": seen, "with writing": written, "identifying": identifying_, "by kind": dict(sorted(kinds.items())),
        "share identifying": share(identifying_, seen),
        "seconds a picture": round((time.perf_counter() - started) / max(seen, 1), 2),
    }  # fmt: skip


def _count(tally: dict[str, Counter[str]], written: Written, keys: tuple[str, ...]) -> None:
    nominated = bool(writing_in(written.pixels))
    found = nominated and _identifies(written)
    for key in keys:
        tally["planted"][key] += 1
        tally["nominated"][key] += nominated
        tally["found"][key] += found


def _identifies(written: Written) -> bool:
    """Whether what was written there is taken to identify: the pictures have writing of their own elsewhere."""
    left, top, right, bottom = written.box
    nominated = writing_in(written.pixels)
    return bool(nominated) and any(
        one.kind and one.box.left < right and left < one.box.right and one.box.top < bottom and top < one.box.bottom
        for one in written_on(written.pixels, nominated, 120)
    )


def _recall(tally: dict[str, Counter[str]]) -> dict[str, Any]:
    return {
        key: {"nominated": tally["nominated"][key], **share(tally["found"][key], number)}
        for key, number in sorted(tally["planted"].items())
    }


def grounds() -> list[Path]:
    """Real pictures on which writing is planted."""
    return [path for name in GROUNDS for path in small_enough(IMAGES / name)]


_PLANTED = {"planted": planted, "turned": turned}

if __name__ == "__main__":
    main()
