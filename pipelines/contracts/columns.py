"""The flat columns that contracts speak of, gate by gate. `docs/contracts.md` lists them for users."""

from enum import StrEnum
from typing import Literal

from sources.cards import GROUP_KINDS

Kind = Literal["text", "number"]


class Gate(StrEnum):
    """Where a build stops to check; also the keys of `contracts` in a recipe."""

    SAMPLES = "samples"
    IMAGES = "images"
    KEPT = "kept"
    MANIFEST = "manifest"


_TEXT = ("id_form", "source", "split", "task", "license", "access", "language")
_GROUPS = tuple(f"group_{kind}" for kind in GROUP_KINDS)
_COUNTS = ("turns", "images", "turns_and_images", *_GROUPS)


def _columns(text: tuple[str, ...], numbers: tuple[str, ...]) -> dict[str, Kind]:
    return {**dict.fromkeys(text, "text"), **dict.fromkeys(numbers, "number")}


COLUMNS: dict[Gate, dict[str, Kind]] = {
    Gate.SAMPLES: _columns((*_TEXT, "verdict", "reason"), _COUNTS),
    Gate.IMAGES: _columns(
        ("id_form", "source", "pixel_hash", "format", "modality", "modality_from", "flags"),
        ("width", "height", "pixels", "bit_depth", "channels", "frames", "bytes", "mean", "std", "minimum", "maximum",
         "entropy"),
    ),
    Gate.KEPT: _columns(_TEXT, (*_COUNTS, "images_without_id", "tokens", "tokens_min", "tokens_max")),
    Gate.MANIFEST: _columns(("name", "sha256", "first_key", "last_key"), ("bytes", "samples", "tokens")),
}  # fmt: skip
"""Gate -> column -> what it holds. None holds text of a record, a path or an id that a corpus gave.

`id_form` is `hex32` where the row's own id is 32 hex digits, else `other`.
"""

IDS = {Gate.SAMPLES: "sample_id", Gate.IMAGES: "image_id", Gate.KEPT: "sample_id", Gate.MANIFEST: "name"}
"""What names a row to people, and no two rows of a run share."""
