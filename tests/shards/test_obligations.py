import pytest

from shards.obligations import Obligation, Terms, combined, contradictions, license_obligations, obligations

O = Obligation  # noqa: E741 - short, for the table below


@pytest.mark.parametrize(
    ("license_id", "asks"),
    [
        ("CC0-1.0", set()),
        ("PDDL-1.0", set()),
        ("MIT", {O.NOTICE}),
        ("Apache-2.0", {O.NOTICE}),
        ("CC-BY-4.0", {O.ATTRIBUTION}),
        ("CC-BY-SA-3.0", {O.ATTRIBUTION, O.SHARE_ALIKE}),
        ("CC-BY-NC-ND-4.0", {O.ATTRIBUTION, O.NONCOMMERCIAL, O.NO_DERIVATIVES}),
        ("CC-BY-NC-SA-4.0", {O.ATTRIBUTION, O.NONCOMMERCIAL, O.SHARE_ALIKE}),
        ("ODbL-1.0", {O.ATTRIBUTION, O.SHARE_ALIKE}),
        ("GPL-3.0-only", {O.NOTICE, O.SHARE_ALIKE}),
        ("LicenseRef-CC-BY-NC", {O.ATTRIBUTION, O.NONCOMMERCIAL, O.OWN_TERMS}),
        ("LicenseRef-PhysioNet-1.5", {O.OWN_TERMS}),
        ("unknown", {O.UNKNOWN}),
    ],
)
def test_a_licence_asks_for_what_its_text_says(license_id: str, asks: set[Obligation]) -> None:
    assert license_obligations(license_id) == asks


def test_access_adds_to_what_the_licence_asks() -> None:
    assert obligations(Terms("a", "CC0-1.0", "credentialed", 1)) == {O.CREDENTIALED}
    assert obligations(Terms("a", "CC-BY-4.0", "noncommercial", 1)) == {O.ATTRIBUTION, O.NONCOMMERCIAL}
    assert obligations(Terms("a", "CC-BY-4.0", "open", 1)) == {O.ATTRIBUTION}


def test_a_mix_carries_every_obligation_of_its_parts_the_strictest_first() -> None:
    mix = [
        Terms("a", "CC-BY-4.0", "open", 5),
        Terms("b", "CC-BY-NC-4.0", "open", 2),
        Terms("c", "CC0-1.0", "gated", 1),
        Terms("d", "unknown", "credentialed", 0),
    ]
    found = combined(mix)
    assert list(found) == [O.GATED, O.NONCOMMERCIAL, O.ATTRIBUTION]
    assert [terms.source for terms in found[O.ATTRIBUTION]] == ["a", "b"]


@pytest.mark.parametrize(
    ("licenses", "count"),
    [
        (("CC-BY-SA-4.0", "CC-BY-4.0"), 0),
        (("CC-BY-SA-4.0", "CC-BY-SA-3.0"), 0),
        (("CC-BY-SA-4.0", "CC-BY-NC-4.0"), 1),
        (("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0"), 0),
        (("CC-BY-SA-4.0", "ODbL-1.0"), 1),
        (("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"), 2),
    ],
)
def test_licences_that_cannot_be_kept_in_one_adaptation_are_named(licenses: tuple[str, ...], count: int) -> None:
    found = contradictions(Terms("a", name, "open", 1) for name in licenses)
    assert len(found) == count
