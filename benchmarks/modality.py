"""Labelling: what each measurer and filter costs on its own, and BiomedCLIP's path against a bare open_clip loop.

`python -m benchmarks.modality --pictures DIR [--biomedclip DIR --sha256 HEX] [--number 200]`: all on the same
pictures in one run, one core each; pictures are decoded first, so that times are of the measurers alone.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from filters.lexicon import said_by
from filters.modality_features import EfficientNetFeatures, PanelCount
from filters.statistics import statistics_of
from filters.text import TextQuality
from sources.pictures import Picture, PictureError, decode
from sources.schema import SAMPLES

TEXT = "Axial contrast-enhanced CT of the abdomen shows a hypodense lesion of 3 cm in the right lobe of the liver. " * 3


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--biomedclip", type=Path)
    parser.add_argument("--sha256", default="")
    parser.add_argument("--batch", type=int, default=16)
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
    network = EfficientNetFeatures()
    network.measure_batch([network.prepare(pictures[0])])
    measured(
        "efficientnet-lite0", len(pictures), lambda: [network.measure_batch([network.prepare(one)]) for one in pictures]
    )
    measured("lexicon (texts)", 2000, lambda: [said_by(TEXT) for _ in range(2000)])
    rows = [text_sample(number) for number in range(2000)]
    table = SAMPLES.empty_table().from_pylist(rows, schema=SAMPLES)
    measured("text quality (texts)", 2000, lambda: TextQuality().measure(table))
    if given.biomedclip is not None:
        against_open_clip(given.biomedclip, given.sha256, given.batch, pictures)


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


def against_open_clip(directory: Path, sha256: str, batch: int, pictures: list[Picture]) -> None:
    """The same pictures through our path and through open_clip's own preparation and model, in turn, three times."""
    import open_clip
    import torch

    from filters.biomedclip import BiomedClip

    measurer = BiomedClip(str(directory), sha256, batch=batch, prompts=True)
    measurer.measure_batch([measurer.prepare(pictures[0])])
    text = json.loads((directory / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    own = {**text, "hf_model_name": str(directory), "hf_model_pretrained": False}
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{directory}", text_cfg=own)
    model.eval()
    images = [Image.fromarray(np.asarray(one.pixels)) for one in pictures if one.pixels.dtype == np.uint8]
    kept = [one for one in pictures if one.pixels.dtype == np.uint8]

    def ours() -> None:
        for start in range(0, len(kept), batch):
            measurer.measure_batch([measurer.prepare(one) for one in kept[start : start + batch]])

    def bare() -> None:
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                model.encode_image(torch.stack([prepare(one) for one in images[start : start + batch]]), normalize=True)

    for _ in range(3):
        measured("biomedclip path", len(kept), ours)
        measured("bare open_clip", len(kept), bare)


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
