"""Labelling and quality: what each measurer and filter costs on its own, and all together.

`python -m benchmarks.modality --pictures DIR [--number 200]`: all on the same pictures in one run, on one core.
Pictures are decoded first, so that times are of the measurers alone; `together` opens them, too, as a build does.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from filters.drawn import DrawnMarks
from filters.gallery import Gallery, Wanted
from filters.lexicon import said_by
from filters.measure import LINKS
from filters.measurer import AnyMeasurer, Measurer
from filters.modality import Labels
from filters.modality_features import EfficientNetFeatures, PanelCount
from filters.modality_head import SHIPPED, load_head
from filters.quality import Quality
from filters.quality_rules import RULE_SETS
from filters.statistics import Statistics, statistics_of
from filters.text import TextQuality
from filters.watermark import Watermark
from sources.pictures import Limits, Picture, PictureError, decode
from sources.schema import IMAGES, SAMPLES

TEXT = "Axial contrast-enhanced CT of the abdomen shows a hypodense lesion of 3 cm in the right lobe of the liver. " * 3


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--number", type=int, default=200)
    given = parser.parse_args()
    files = [path for path in sorted(given.pictures.rglob("*")) if path.suffix in {".png", ".jpg", ".jpeg"}]
    data = [path.read_bytes() for path in files[:: max(len(files) // given.number, 1)][: given.number]]
    began = time.perf_counter()
    pictures = [picture for one in data if (picture := decoded(one)) is not None]
    told("decode", len(pictures), time.perf_counter() - began)
    statistics = [statistics_of(one) for one in pictures]
    measured("statistics", len(pictures), lambda: [statistics_of(one) for one in pictures])
    panels = PanelCount()
    measured("panels", len(pictures), lambda: [panels.measure(one.small, one.grey) for one in statistics])
    junk: tuple[Measurer, ...] = (DrawnMarks(), Watermark())
    for one in junk:
        one.measure(statistics[0].small, statistics[0].grey)
        measured(one.name, len(pictures), partial(_all_measured, one, statistics))
    network = EfficientNetFeatures()
    network.measure_batch([network.prepare(pictures[0])])
    measured(
        "efficientnet-lite0", len(pictures), lambda: [network.measure_batch([network.prepare(one)]) for one in pictures]
    )
    measured("lexicon (texts)", 2000, lambda: [said_by(TEXT) for _ in range(2000)])
    rows = [text_sample(number) for number in range(2000)]
    table = SAMPLES.empty_table().from_pylist(rows, schema=SAMPLES)
    measured("text quality (texts)", 2000, lambda: TextQuality().measure(table))
    facts = TextQuality().measure(table) | {"images": IMAGES.empty_table()}
    facts["links"] = pa.Table.from_pylist([{"images": None}] * 2000, schema=LINKS)
    quality = Quality(RULE_SETS["default"])
    measured("quality, limits (texts)", 2000, lambda: quality.decide(table, facts))
    together(data, (*junk, panels), network)


def _all_measured(measurer: Measurer, statistics: Sequence[Statistics]) -> None:
    for one in statistics:
        measurer.measure(one.small, one.grey)


def together(data: list[bytes], junk: Sequence[AnyMeasurer], network: EfficientNetFeatures) -> None:
    """A fragment's pictures as the step `pictures` opens and measures them, then labelled."""

    def gallery(*measurers: AnyMeasurer) -> pa.Table:
        found = Gallery(Limits(), "unknown", full_size=True, measurers=measurers)
        found.visit([Wanted(str(place), "first") for place in range(len(data))], lambda uri: data[int(uri)])
        return pa.Table.from_pylist(found.images, schema=IMAGES)

    measured("read and measure", len(data), gallery)
    measured("with panels and junk", len(data), lambda: gallery(*junk))
    kept: list[pa.Table] = []
    measured("with these and network", len(data), lambda: kept.append(gallery(*junk, network)))
    labels = Labels(*load_head(SHIPPED))
    measured("labels of what is there", len(kept[0]), lambda: labels.labelled(kept[0], {}))


def decoded(data: bytes) -> Picture | None:
    """The picture, if it is one."""
    try:
        return decode(data, 0)
    except PictureError:
        return None


def text_sample(number: int) -> dict[str, Any]:
    """A caption."""
    turns = [{"role": "user", "text": "Describe."}, {"role": "assistant", "text": f"{TEXT} {number}"}]
    names = {"sample_id": str(number), "source": "s", "source_key": str(number), "license": "unknown"}
    return {**names, "task": "caption", "access": "open", "turns": turns}


def measured(name: str, number: int, work: Callable[[], object]) -> None:
    """Do it and tell how long it took."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    told(name, number, time.perf_counter() - began, time.process_time() - cpu)


def told(name: str, number: int, seconds: float, cpu: float = float("nan")) -> None:
    """One line."""
    print(f"{name:<24} {number:>6}  {number / seconds:>9.1f}/s  {1000 * cpu / number:>8.3f} CPU ms each")


if __name__ == "__main__":
    main()
