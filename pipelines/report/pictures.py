"""All distinct pictures of a run in a few bytes each: how large, of which modality, where their thumbnail is."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.report.parts import TableParts, read_columns
from pipelines.write import UNCHANGED_FORMATS
from sources.schema import MODALITIES
from sources.storage import Folder

ROW = np.dtype(
    [("hash", "<u8"), ("part", "<u4"), ("side", "<u4"), ("modality", "u1"), ("told", "u1"), ("png", "?"), ("kept", "?")]
)
COLUMNS = ("image_id", "width", "height", "modality", "modality_from", "format")
TOLD_BY = ("none", "dicom", "card", "model", "text")
"""What may have told a picture's modality; `told` is the place here."""

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""As `map`: what runs a function on every part."""


class Pictures:
    """An index of 20 bytes a picture, looked up by image id.

    Pictures are told apart by 64 bits of hash: of 30 million, two are confused with a probability of 2 in 100,000,
    which would misplace one picture in a chart.
    """

    def __init__(self, run: Folder, parts: Sequence[TableParts], each: Each) -> None:
        def rows(item: tuple[int, TableParts]) -> npt.NDArray[np.void]:
            return _rows(item[0], read_columns(run, item[1].images, COLUMNS))

        found = [np.empty(0, ROW), *each(rows, enumerate(parts))]
        self.rows = np.concatenate(found)
        self.rows.sort(order="hash")

    def places(self, image_ids: pl.Series) -> npt.NDArray[np.int64]:
        """Where in `rows` each picture stands; -1 for null and for one that did not decode."""
        if not len(self.rows) or not len(image_ids):
            return np.full(len(image_ids), -1, np.int64)
        hashes = _hashes(image_ids)
        places = np.minimum(np.searchsorted(self.rows["hash"], hashes), len(self.rows) - 1).astype(np.int64)
        known = (self.rows["hash"][places] == hashes) & image_ids.is_not_null().to_numpy()
        return np.where(known, places, -1)

    def told_by(self) -> dict[str, int]:
        """Of how many pictures which evidence told the modality; what told none is left out."""
        counts = np.bincount(self.rows["told"], minlength=len(TOLD_BY)).tolist()
        return {name: count for name, count in zip(TOLD_BY, counts, strict=True) if count}

    def keep(self, places: npt.NDArray[np.int64]) -> None:
        """Note that a kept sample shows these pictures."""
        self.rows["kept"][places] = True


def _hashes(image_ids: pl.Series) -> npt.NDArray[np.uint64]:
    hashes: npt.NDArray[np.uint64] = image_ids.hash(seed=0).to_numpy()
    return hashes


def _rows(part: int, images: pl.DataFrame) -> npt.NDArray[np.void]:
    rows = np.zeros(len(images), ROW)
    rows["hash"] = _hashes(images["image_id"])
    rows["part"] = part
    rows["side"] = images.select(pl.min_horizontal("width", "height")).to_series().to_numpy()
    codes = images["modality"].replace_strict(
        {name: code for code, name in enumerate(MODALITIES)},
        default=MODALITIES.index("unknown"),
        return_dtype=pl.UInt8,
    )
    rows["modality"] = codes.to_numpy()
    told = {name: place for place, name in enumerate(TOLD_BY)}
    rows["told"] = images["modality_from"].replace_strict(told, default=0, return_dtype=pl.UInt8).to_numpy()
    rows["png"] = images["format"].replace_strict(UNCHANGED_FORMATS, default="png").to_numpy() == "png"
    return rows
