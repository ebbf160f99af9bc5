"""Published and our own limits of quality, by name."""

from typing import Any

RULE_SETS: dict[str, dict[str, Any]] = {
    # Ours: what no picture or text of the 18 real sets breaks but for the ones that were meant to (docs/quality.md).
    "default": {
        "min_side_px": 1,
        "max_aspect": 10.0,
        "min_entropy": 0.5,
        "max_repeated": 0.5,
        "max_mojibake": 0.02,
        "max_markup": 0,
        "languages": None,
    },
    # Lingshu (2506.07044, section 3): pictures of 64 px and more; its 10 to 1,024 tokens are the defaults of `tokens`.
    "lingshu": {"min_side_px": 64},
    # PubMedVision (2406.19280): pictures of 336 px and more.
    "pubmedvision": {"min_side_px": 336},
}
