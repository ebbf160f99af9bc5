import pytest

from dedup.picture_rules import RULES, STRICTEST, rule_for
from sources.schema import MODALITIES


def test_an_unknown_modality_has_the_strictest_rule() -> None:
    for rule in (rule_for(modality) for modality in MODALITIES):
        assert rule.ncc <= STRICTEST.ncc
        assert rule.inliers <= STRICTEST.inliers
    assert rule_for("unknown") == STRICTEST


def test_rules_are_of_modalities_that_exist() -> None:
    assert set(RULES) <= set(MODALITIES)


@pytest.mark.parametrize(
    ("modality", "ncc"),
    [("xray", 0.524), ("microscopy", 0.635), ("endoscopy", 0.575), ("ultrasound", 0.507), ("unknown", 0.635)],
)
def test_what_was_measured_on_pairs_that_are_no_copies_is_not_merged(modality: str, ncc: float) -> None:
    assert rule_for(modality).verdict(200, ncc, 1.0) == "related"


@pytest.mark.parametrize(("modality", "ncc"), [("mri", 0.79), ("ultrasound", 0.796), ("fundus", 0.843)])
def test_what_was_measured_on_copies_is_merged(modality: str, ncc: float) -> None:
    assert rule_for(modality).verdict(77, ncc, 0.9) == "duplicate"
