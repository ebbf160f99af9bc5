"""From which correlation on two pictures are copies, by modality, each with its evidence.

A copy is the same exposure. The danger is another one of the same subject: a follow-up film, the next frame or slice,
the same field of a slide photographed again. Figures are of `python -m benchmarks.near_image` and docs/near_image.md.
"""

from dedup.verify_pictures import Rule

STRICTEST = Rule(ncc=0.75)
"""Of a modality that is not known, and where nothing was measured. Highest of all that is no copy: two photographs of
one field of a blood smear, moved by a tenth, 0.64; next frames of a colonoscopy 0.58. Lowest of copies as people
publish them: an MRI slice through strong JPEG 0.79, an ultrasound picture squeezed by a fifth 0.80."""

RULES: dict[str, Rule] = {
    # Follow-ups of chest films reach 0.52 (102 here, 400 published), 1,093 pairs of other patients 0.37.
    "xray": Rule(ncc=0.60),
    # Other views of one lesion reach 0.51; copies in two collections start at 0.80.
    "ultrasound": Rule(ncc=0.70),
    # Other slices of one head reach 0.43, copies start at 0.79.
    "mri": Rule(ncc=0.70),
}


def rule_for(modality: str) -> Rule:
    """The rule of a modality; the strictest where it is not known."""
    return RULES.get(modality, STRICTEST)
