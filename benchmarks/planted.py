"""The planted pictures of the benchmarks, and what was published on finding them."""

from dedup.decontamination.calibration.picture_variants import TRANSFORMS, Grey, cropped, jpeg, longest, mirrored

__all__ = ["PUBLISHED_HASH", "TRANSFORMS", "Grey", "cropped", "jpeg", "longest", "mirrored", "published_verified"]

PUBLISHED_HASH: dict[str, int] = {
    "resize224": 100, "jpeg50": 100, "window25_99": 94, "histeq": 95, "clahe": 94, "pad_letterbox": 95, "pad_white": 88,
    "rot3": 62, "crop5%": 42, "crop10%": 2, "crop20%": 0, "crop30%": 0, "crop40%": 0, "crop50%": 0, "crop60%": 0,
    "rot10": 0, "rot90": 0, "flipLR": 0, "invert": 0, "subfig_1x2": 0, "subfig_2x2": 0,
}  # fmt: skip
"""Percent of 1,000 NIH films that the canonical PDQ hash alone finds, at a distance at which no two patients meet."""


def published_verified(transform: str) -> int:
    """Percent of films that verification finds at least: 92 of 29 of the 30 transforms, 87 of one."""
    return 87 if transform == "jpeg20_r256" else 92
