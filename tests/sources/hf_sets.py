"""Data sets as `datasets` itself saves them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sources.readers.hf_library import datasets_library

LABELS = ["normal", "gout"]


def png(seed: int, side: int = 16) -> bytes:
    """A small picture of noise."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side), np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def film(rows: int, first: int = 0, side: int = 16) -> Any:
    """A data set with a picture, a list of pictures, a label and text in each row."""
    library = datasets_library()
    numbers = range(first, first + rows)
    features = library.Features({
        "image": library.Image(),
        "views": library.List(library.Image()),
        "label": library.ClassLabel(names=LABELS),
        "note": library.Value("string"),
        "tags": library.List(library.ClassLabel(names=LABELS)),
    })  # fmt: skip
    return library.Dataset.from_dict(
        {
            "image": [{"bytes": png(number, side), "path": f"{number}.png"} for number in numbers],
            "views": [[{"bytes": png(number + 1000 * view), "path": None} for view in (1, 2)] for number in numbers],
            "label": [number % 2 for number in numbers],
            "note": [f"note {number}" for number in numbers],
            "tags": [[0, number % 2] for number in numbers],
        },
        features=features,
    )


def save(dataset: Any, place: Path, **how: Any) -> None:
    """`save_to_disk`."""
    dataset.save_to_disk(str(place), **how)
