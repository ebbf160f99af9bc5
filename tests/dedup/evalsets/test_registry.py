"""The cards of eval sets."""

import pytest

from dedup.evalsets.registry import EvalSetError, card_of, expanded, known, registry, suites
from sources.licenses import spdx_license
from sources.readers.registry import expect_options

LINGSHU = {
    "vqa_rad", "slake", "path_vqa", "pmc_vqa", "omnimedvqa", "mmmu_med", "medxpertqa_text", "medxpertqa_mm", "medqa",
    "medmcqa", "pubmedqa", "medbullets_op4", "medbullets_op5", "mmlu_med", "supergpqa_med", "mimic_cxr_report",
    "iu_xray_report", "chexpert_plus_report",
}  # fmt: skip
OTHERS = {
    "mmmu_pro_med_4", "mmmu_pro_med_10", "medframeqa", "cmb", "cmexam", "cmmlu_med", "medqa_mcmle", "healthbench",
    "rad_restruct", "vqa_med_2019", "vqa_med_2020", "vqa_med_2021",
}  # fmt: skip
"""With those, every benchmark that the four papers judge on."""


def test_every_benchmark_of_the_four_papers_has_a_card() -> None:
    assert set(registry()) >= LINGSHU | OTHERS
    assert set(suites()["lingshu"]) >= LINGSHU


def test_every_form_of_every_card_can_be_read_by_a_reader() -> None:
    for evalset in registry().values():
        for form in evalset.forms:
            expect_options(card_of(evalset, form))


def test_the_split_is_the_one_that_is_really_judged() -> None:
    assert known("medmcqa").split == ("validation",)
    assert known("medbullets_op4").split == known("supergpqa_med").split == ("train",)
    assert known("supergpqa_med").forms[0].where == {"discipline": "Medicine"}
    assert known("vqa_rad").split == known("medqa").split == ("test",)


def test_what_a_card_does_not_know_it_leaves_open() -> None:
    """Facts are of the reference documents: nobody has looked at a commit of the hub yet."""
    assert {card.hub.revision for card in registry().values() if card.hub} == {None}
    assert {card.name for card in registry().values() if card.access in ("gated", "credentialed")} == {
        "mimic_cxr_report",
        "chexpert_plus_report",
    }


def test_data_about_people_is_keyed() -> None:
    assert {card.name for card in registry().values() if card.keyed} == {"mimic_cxr_report", "chexpert_plus_report"}


def test_licences_are_spdx_or_unknown() -> None:
    assert [card.name for card in registry().values() if spdx_license(card.license) != card.license] == []


def test_a_suite_stands_for_its_sets_and_each_comes_once() -> None:
    assert expanded(["medqa", "medgemma", "medqa"])[0] == "medqa"
    assert sorted(expanded(["medqa", "medgemma"])) == sorted(suites()["medgemma"])
    assert set(expanded(["all"])) == set(registry())


@pytest.mark.parametrize(("given", "nearest"), [("medmqa", "medmcqa"), ("lingsho", "lingshu"), ("slak", "slake")])
def test_an_unknown_name_is_answered_with_the_nearest(given: str, nearest: str) -> None:
    with pytest.raises(EvalSetError) as refused:
        expanded([given])
    assert nearest in refused.value.hint
