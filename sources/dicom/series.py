"""Slices of CT and MR series, and reports of the same studies: what headers say about files that belong together."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sources.dicom.values import header_values

SLICED = frozenset({"CT", "MR", "PT"})
"""Modalities whose series are stacks of slices, a file each."""
KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "SliceLocation",
)  # fmt: skip
"""What tells which file this is and where in its series it lies; none of it leaves this folder."""


@dataclass(frozen=True)
class Slice:
    """A file of a series. `order` sorts by place along the stack, else by number, else by path."""

    path: str
    series: str
    order: tuple[float, float, str]
    instance: str = ""
    """What the file calls itself: of an export that was made twice both files have it."""


@dataclass
class Grouped:
    """Files by what they are: slices of series, and all others in their order."""

    series: dict[str, list[Slice]] = field(default_factory=lambda: defaultdict(list))
    others: list[str] = field(default_factory=list)


def slice_of(path: str, dataset: Any) -> Slice | None:
    """The slice that a header is of; None of what is no single slice of a stack.

    Localizers and files of several frames are none: they have no place in the stack.
    """
    modality = _text(dataset, "Modality")
    series = _text(dataset, "SeriesInstanceUID")
    frames = _numbers(dataset, "NumberOfFrames")
    if modality not in SLICED or not series or "LOCALIZER" in header_values(dataset, "ImageType"):
        return None
    if (frames and frames[0] > 1) or not header_values(dataset, "Rows"):
        return None
    number = _numbers(dataset, "InstanceNumber")
    order = (_place(dataset), number[0] if number else math.inf, path)
    return Slice(path, series, order, _text(dataset, "SOPInstanceUID"))


def picked(slices: Sequence[Slice], policy: str | int) -> list[Slice]:
    """The slices of one series that a policy takes, in the order of the stack; of two copies the first by path.

    `all`; `middle`; or a number of slices, spread evenly: of n those nearest to the middles of equal parts.
    """
    ordered = sorted(_once(slices), key=lambda one: one.order)
    wanted = len(ordered) if policy == "all" else 1 if policy == "middle" else int(policy)
    if wanted >= len(ordered):
        return ordered
    return [ordered[(2 * part + 1) * len(ordered) // (2 * wanted)] for part in range(wanted)]


def _once(slices: Sequence[Slice]) -> list[Slice]:
    """Each instance once. Equal names in other places are no copies: some tools give all files of a series one."""
    first: dict[tuple[object, ...], Slice] = {}
    for one in sorted(slices, key=lambda one: one.path):
        first.setdefault((one.instance, *one.order[:2]) if one.instance else (one.path,), one)
    return list(first.values())


def grouped(slices: Iterable[tuple[str, Slice | None]]) -> Grouped:
    """Slices by series, and the paths of all other files."""
    found = Grouped()
    for path, one in slices:
        if one is None:
            found.others.append(path)
        else:
            found.series[one.series].append(one)
    return found


def _place(dataset: Any) -> float:
    """Where along the normal of its plane a slice lies, in mm; its stated location where that cannot be told."""
    position, orientation = _numbers(dataset, "ImagePositionPatient"), _numbers(dataset, "ImageOrientationPatient")
    if len(position) == 3 and len(orientation) == 6:
        normal = np.cross(orientation[:3], orientation[3:])
        return round(float(np.dot(normal, position)), 3)
    location = _numbers(dataset, "SliceLocation")
    return location[0] if location else math.inf


def _numbers(dataset: Any, keyword: str) -> list[float]:
    try:
        values = [float(value) for value in header_values(dataset, keyword)]
    except (TypeError, ValueError):
        return []
    return values if all(math.isfinite(value) for value in values) else []


def _text(dataset: Any, keyword: str) -> str:
    values = header_values(dataset, keyword)
    return str(values[0]).strip(" \0") if values else ""
