"""Published and our own limits of quality, by name."""

from typing import Any

RULE_SETS: dict[str, dict[str, Any]] = {
    # Ours: of 4,090 captions of ROCO one breaks a rule ("XXX."); charts and line drawings have 1.1 bits and more.
    "default": {
        "min_side_px": 1,
        "max_aspect": 10.0,
        "min_entropy": 0.5,
        "placeholder_levels": 12,
        "placeholder_marks": 40,
        "max_ruled": None,
        # Finds 80 % of clear marks, and takes three figures of 719 pictures for marked (docs/quality.md).
        "max_watermarked": 0.02,
        "max_repeated": 0.5,
        "max_mojibake": 0.02,
        "max_markup": 0,
        "max_entities": 0.2,
        "scripts": None,
        "languages": None,
        "min_agreement": None,
    },
    # Lingshu (2506.07044, section 3): pictures of 64 px and more; its 10 to 1,024 tokens are the defaults of `tokens`.
    "lingshu": {"min_side_px": 64},
    # PubMedVision (2406.19280): pictures of 336 px and more.
    "pubmedvision": {"min_side_px": 336},
}
