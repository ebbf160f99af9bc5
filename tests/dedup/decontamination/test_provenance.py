"""The provenance channel."""

from dedup.decontamination.provenance import ancestors, derivations
from dedup.evalsets.registry import registry
from sources.cards import catalogue


def made_from(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: registry()[name].made_from for name in names}


def test_an_eval_set_made_from_a_corpus_of_the_data_is_found() -> None:
    [found] = derivations(made_from("pmc_vqa", "medqa"), ["pmc_oa", "roco", "medquad"])
    assert (found.eval_set, found.source, found.path) == ("pmc_vqa", "pmc_oa", ("pmc_vqa", "pmc_oa"))


def test_the_way_may_be_long_and_names_may_be_written_otherwise() -> None:
    found = derivations(
        made_from("pmc_vqa", "iu_xray_report", "rad_restruct", "slake"), ["PMC", "indiana_reports", "NIH ChestX-ray14"]
    )
    assert [(one.eval_set, one.source, one.path) for one in found] == [
        ("iu_xray_report", "indiana_reports", ("iu_xray_report", "iu_xray")),
        ("pmc_vqa", "PMC", ("pmc_vqa", "pmc_oa", "pmc")),
        ("rad_restruct", "indiana_reports", ("rad_restruct", "iu_xray")),
        ("slake", "NIH ChestX-ray14", ("slake", "chestx_ray8")),
    ]


def test_sets_with_one_parent_are_not_made_from_one_another() -> None:
    """VQA-RAD and VQA-Med are both made from MedPix: that is the group channel's business."""
    assert derivations(made_from("vqa_rad", "vqa_med_2019"), ["vqa_med_2019", "vqa_rad", "medpix_2"]) == []
    assert [one.source for one in derivations(made_from("vqa_rad"), ["medpix"])] == ["medpix"]


def test_a_corpus_that_holds_an_eval_set_is_found() -> None:
    found = derivations(made_from("medqa", "medmcqa", "pubmedqa", "vqa_rad"), ["pmc_llama_instructions", "medquad"])
    assert [(one.eval_set, one.source, one.path) for one in found] == [
        (name, "pmc_llama_instructions", (name, "pmc_llama_instructions")) for name in ("medmcqa", "medqa", "pubmedqa")
    ]


def test_sets_that_collect_others_know_them() -> None:
    assert registry()["omnimedvqa"].made_from == catalogue()["omnimedvqa"].made_from
    assert [one.path for one in derivations(made_from("omnimedvqa"), ["ISIC 2019"])] == [("omnimedvqa", "isic2019")]
    held = derivations(made_from("medxpertqa_text", "mmlu_med", "vqa_rad"), ["medreason"])
    assert [one.eval_set for one in held] == ["medxpertqa_text", "mmlu_med"]


def test_a_corpus_that_holds_what_an_eval_set_was_made_from_is_found() -> None:
    [found] = derivations({"ward_exam": ["medqa"]}, ["medical_o1_sft"])
    assert found.path == ("ward_exam", "medqa", "medical_o1_sft")


def test_a_set_of_ones_own_names_its_corpora() -> None:
    [found] = derivations({"ward_questions": ["ward_notes"]}, ["ward_notes", "other"])
    assert found.path == ("ward_questions", "ward_notes")


def test_a_circle_ends() -> None:
    assert set(ancestors(["pubmedvision"])) == {"pubmedvision", "llavamed", "pmcoa", "pmc15m", "pmc"}
