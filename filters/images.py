"""What is wrong with a picture as training data, from what was measured of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sources.schema import Reason


class Fault(NamedTuple):
    """A broken rule, the value that breaks it, and the limit."""

    reason: Reason
    value: float
    limit: float


COLUMNS = ("image_id", "width", "height", "entropy", "levels", "marks", "ruled", "watermarked")


def fault_of(picture: Mapping[str, Any], limits: Mapping[str, Any]) -> Fault | None:
    """The first rule that a row of IMAGES (COLUMNS) breaks, of `filters.quality_rules`.

    Size first, then shape, then information: bits of the histogram of grey levels, which are few where a picture is
    one colour with a logo or a line of text on it, however wide its range. Then what a program drew: few levels on
    the ground and in the marks, and few marks ("No image available"), long even edges (windows and their bars), or
    half-transparent marks over the picture.
    """
    sides = sorted((picture["width"], picture["height"]))
    if sides[0] < limits["min_side_px"]:
        return Fault(Reason.QUALITY_SMALL, sides[0], limits["min_side_px"])
    aspect = round(sides[1] / sides[0], 4)
    if aspect > limits["max_aspect"]:
        return Fault(Reason.QUALITY_ASPECT, aspect, limits["max_aspect"])
    entropy = None if picture["entropy"] is None else round(picture["entropy"], 4)  # tables have 32 bits of it
    if entropy is not None and entropy < limits["min_entropy"]:
        return Fault(Reason.QUALITY_LOW_INFORMATION, entropy, limits["min_entropy"])
    return _drawn_fault(picture, limits)


def _drawn_fault(picture: Mapping[str, Any], limits: Mapping[str, Any]) -> Fault | None:
    levels, marks = picture["levels"], picture["marks"]
    if levels is not None and levels <= limits["placeholder_levels"] and marks <= limits["placeholder_marks"]:
        return Fault(Reason.QUALITY_PLACEHOLDER, marks, limits["placeholder_marks"])
    told = (
        (picture["ruled"], limits["max_ruled"], Reason.QUALITY_SCREENSHOT),
        (picture["watermarked"], limits["max_watermarked"], Reason.QUALITY_WATERMARK),
    )
    for value, limit, reason in told:
        if value is not None and limit is not None and round(value, 4) > limit:
            return Fault(reason, round(value, 4), limit)
    return None
