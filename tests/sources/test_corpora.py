"""Every corpus of the catalogue that is not in the shared data, in the layout in which its owners publish it."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines.session import Located
from sources.cards import catalogue
from sources.find import find_corpus
from sources.identity import Identity
from sources.mapping import image_uris, to_sample
from sources.readers.registry import reader_named
from sources.records import Corpus, CorpusError, Record
from sources.storage import LocalFolder
from tests.sources import corpora
from tests.sources.corpora import KEY, PROMPTS
from tests.sources.corpora_fixtures import MAKERS
from tests.sources.corpora_fixtures.writing import csv_text, put, put_json, put_pictures

PUBLISHED_IN_SHARED_DATA = {
    "aci_bench",
    "biomedparse_files",
    "chatdoctor",
    "cornerstone_files",
    "covid_chestxray",
    "deid_files",
    "highdicom_files",
    "indiana_reports",
    "medquad",
    "mts_dialog",
    "pydicom_files",
    "roco",
    "suyashkumar_files",
}
TRAINED_ON = {
    "pmc_oa": 1,
    "pmc_oa_jsonl": 3,
    "pmc_oa_beta": 3,
    "rocov2": 2,
    "quilt_1m": 3,
    "medicat": 3,
    "llava_med_alignment": 2,
    "llava_med_instruct": 3,
    "pubmedvision_alignment": 2,
    "pubmedvision_instruct": 2,
    "biomedica": 3,
    "pmc_vqa": 2,
    "pmc_vqa_v2": 2,
    "slake": 2,
    "vqa_rad": 2,
    "path_vqa": 2,
    "vqa_med_2019": 2,
    "vqa_med_2020": 1,
    "vqa_med_2021": 1,
    "omnimedvqa": 2,
    "kvasir_vqa": 4,
    "ubench": 3,
    "mimic_cxr_vqa": 3,
    "mimic_cxr_jpg": 3,
    "mimic_cxr": 3,
    "hospital_dicom": 3,
    "chexpert_plus": 3,
    "iu_xray": 1,
    "medpix_2": 3,
    "medqa": 2,
    "medmcqa": 2,
    "pubmedqa": 2,
    "healthcaremagic": 2,
    "icliniq": 2,
    "medical_o1_sft": 2,
    "medical_o1_verifiable": 2,
    "medreason": 2,
    "pmc_llama_instructions": 2,
    "alpacare": 2,
    "guidelines": 2,
    "llava_instruct": 3,
    "allava": 2,
    "pixmo_cap": 2,
    "openhermes": 2,
}
"""Records of the training splits' files."""
WITHOUT_WORDS = {"biomedica": 1, "hospital_dicom": 1}
"""Records that have nothing to learn: an empty answer, no caption."""


class Read:
    """The samples of a fixture, and whether its pictures are there."""

    def __init__(self, data: Path, name: str, *splits: str) -> None:
        card = catalogue()[name]
        MAKERS[name](data)
        identity = Identity(name, KEY if card.keyed else None)
        corpus = find_corpus(card, name, [LocalFolder(data)], identity, splits=splits or None)
        assert corpus is not None
        self.corpus: Corpus = corpus
        self.samples: list[dict[str, Any]] = []
        self.missing = 0
        reader = reader_named(corpus.card.reader)
        for fragment in reader.plan(corpus, corpus.files):
            located = Located(corpus, fragment, reader)
            for item in reader.read(corpus, fragment):
                assert isinstance(item, Record), item
                self.samples.append(to_sample(corpus, fragment.path, item, PROMPTS))
                self.missing += sum(not located.is_there(uri) for uri in image_uris(corpus, fragment.path, item))

    def groups(self, kind: str) -> list[set[str]]:
        return [{group["id"] for group in sample["groups"] if group["kind"] == kind} for sample in self.samples]

    def said(self) -> list[str]:
        return [sample["turns"][-1]["text"] for sample in self.samples if sample["turns"]]


def test_every_card_has_a_fixture_or_its_corpus_in_the_shared_data() -> None:
    assert {*MAKERS, *PUBLISHED_IN_SHARED_DATA} == set(catalogue())
    assert set(TRAINED_ON) == set(MAKERS)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_corpus_is_read_as_its_owners_publish_it(name: str, tmp_path: Path) -> None:
    read = Read(tmp_path, name)
    assert len(read.samples) == TRAINED_ON[name]
    assert len({sample["sample_id"] for sample in read.samples}) == len(read.samples)
    assert len({sample["source_key"] for sample in read.samples}) == len(read.samples)
    assert sum(not sample["turns"] for sample in read.samples) == WITHOUT_WORDS.get(name, 0)
    assert read.missing == 0
    for kind in read.corpus.card.groups:
        assert all(read.groups(kind)), kind
    if read.corpus.card.task in ("caption", "vqa"):
        assert all(sample["images"] for sample in read.samples)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_no_card_finds_the_fixture_of_another_corpus(name: str, tmp_path: Path) -> None:
    beside = {"pmc_vqa": {"pmc_vqa_v2"}, "mimic_cxr_vqa": set()}
    MAKERS[name](tmp_path)
    found = {
        other
        for other, card in catalogue().items()
        if find_corpus(card, other, [LocalFolder(tmp_path)], Identity(other))
    }
    assert found - beside.get(name, set()) == {name}


def test_a_question_that_nothing_answers_is_answered_none(tmp_path: Path) -> None:
    assert Read(tmp_path, "mimic_cxr_vqa").said() == ["yes", "left lung, right lung", "none"]


def test_panels_of_one_figure_share_its_figure_and_its_article(tmp_path: Path) -> None:
    read = Read(tmp_path, "pmc_oa_jsonl")
    assert read.groups("figure") == [{"PMC1000001_Fig1"}, {"PMC1000001_Fig1"}, {"PMC1000002_Fig3"}]
    assert read.groups("panel")[0] == {"PMC1000001_Fig1_1"}
    assert read.groups("article")[1] == {"PMC1000001"}


def test_an_article_of_the_cloud_of_2026_has_its_figure_licence_and_both_names(tmp_path: Path) -> None:
    read = Read(tmp_path, "pmc_oa")
    [sample] = read.samples
    assert sample["license"] == "CC-BY-4.0"
    assert read.groups("article") == [{"PMC1000009", "PMID30000009"}]
    assert sample["images"][0]["uri"] == "PMC1000009.1/made-up-g001.jpg"


def test_conversations_are_read_in_both_spellings_with_their_pubmed_ids(tmp_path: Path) -> None:
    read = Read(tmp_path, "llava_med_instruct")
    assert read.said() == ["Made-up film 0.", "Made-up film 1.", "Made-up film 2."]
    assert read.groups("article")[2] == {"PMID17506892"}
    assert {sample["license"] for sample in read.samples} == {"CC-BY-NC-4.0"}


def test_a_conversation_about_three_pictures_has_three_placeholders(tmp_path: Path) -> None:
    counts = [len(sample["images"]) for sample in Read(tmp_path, "pubmedvision_alignment").samples]
    assert counts == [1, 3]


def test_letters_in_front_of_choices_are_no_part_of_them_in_either_spelling_of_the_answer(tmp_path: Path) -> None:
    for split in ("train", "test"):
        sample = Read(tmp_path / split, "pmc_vqa", split).samples[0]
        assert sample["options"] == ["A made-up lung", "A liver", "A heart", "A bone"]
        assert sample["answer"] == "A made-up lung"
        assert sample["turns"][1]["text"] == "A. A made-up lung"


def test_questions_with_two_options_and_with_four_are_read_from_one_folder(tmp_path: Path) -> None:
    samples = Read(tmp_path, "omnimedvqa").samples
    assert sorted(len(sample["options"]) for sample in samples) == [2, 4]
    assert {sample["turns"][1]["text"] for sample in samples} == {"B. Yes", "B. MR"}


def test_every_question_of_a_picture_is_a_sample_with_the_licence_of_its_row(tmp_path: Path) -> None:
    read = Read(tmp_path, "ubench")
    assert Counter(sample["images"][0]["uri"] for sample in read.samples).most_common(1)[0][1] == 2
    assert {sample["license"] for sample in read.samples} == {"CC-BY-4.0"}
    assert {sample["split"] for sample in read.samples} == {"train"}
    assert read.groups("article")[0] == set(), "the paper of a data set is no article of its pictures"
    assert read.samples[0]["options"] == ["light", "electron", "none of the above"]


def test_studies_have_all_views_their_sections_and_their_patient_only_keyed(tmp_path: Path) -> None:
    for name in ("mimic_cxr_jpg", "mimic_cxr"):
        read = Read(tmp_path, name)
        assert [len(sample["images"]) for sample in read.samples] == [2, 2, 2]
        assert read.said()[0] == "Findings: The made-up lungs are clear. Impression: No made-up process."
        assert read.said()[1] == "As compared to the previous made-up film, nothing has changed."
        assert [sample["split"] for sample in read.samples] == ["train", "train", "test"]
        assert read.groups("patient")[0] == read.groups("patient")[1] != read.groups("patient")[2]
        assert "10000032" not in str(read.samples)


def test_questions_about_mimic_have_the_patient_and_study_of_its_reports(tmp_path: Path) -> None:
    questions, reports = Read(tmp_path / "a", "mimic_cxr_vqa"), Read(tmp_path / "b", "mimic_cxr_jpg")
    assert questions.groups("patient")[0] == reports.groups("patient")[0]
    assert questions.groups("study")[0] == reports.groups("study")[0]


def test_films_of_a_hospital_have_the_report_of_their_accession_number(tmp_path: Path) -> None:
    read = Read(tmp_path, "hospital_dicom")
    assert read.said()[:2] == ["Findings: Made-up lungs. Impression: Made up."] * 2
    assert "A1" not in str(read.samples)
    assert read.groups("study")[0] == read.groups("study")[1] != read.groups("study")[2]


def test_cases_of_medpix_are_named_as_in_the_other_corpora_of_its_pictures(tmp_path: Path) -> None:
    assert Read(tmp_path, "medpix_2").groups("case")[0] == {"MPX1009", "synpic46283"}


def test_test_cases_of_medpix_are_not_trained_on(tmp_path: Path) -> None:
    assert "Made-up MPX1013_synpic60000." not in Read(tmp_path / "a", "medpix_2").said()
    assert Read(tmp_path / "b", "medpix_2", "test").said() == ["Made-up MPX1013_synpic60000."]


def test_labelled_questions_of_pubmedqa_from_the_hub_are_split_by_the_list_of_the_test_half(tmp_path: Path) -> None:
    assert [sample["split"] for sample in Read(tmp_path, "pubmedqa").samples] == ["train", "test"]


def test_labelled_questions_of_pubmedqa_without_the_list_of_the_test_half_are_refused(tmp_path: Path) -> None:
    MAKERS["pubmedqa"](tmp_path)
    (tmp_path / "PubMedQA/test_ground_truth.json").unlink()
    card = catalogue()["pubmedqa"]
    corpus = find_corpus(card, card.name, [LocalFolder(tmp_path)], Identity(card.name))
    assert corpus is not None
    with pytest.raises(CorpusError, match=r"test_ground_truth\.json"):
        corpora.samples(corpus)


@pytest.mark.parametrize("name", ["path_vqa", "pubmedvision_alignment", "pubmedvision_instruct", "deid_files", "slake"])
def test_a_licence_that_is_not_the_pictures_own_is_not_told(name: str) -> None:
    card = catalogue()[name]
    assert card.license == "unknown"
    assert card.note


def test_both_cards_of_the_indiana_reports_have_the_same_terms() -> None:
    terms = {(catalogue()[name].license, catalogue()[name].access) for name in ("iu_xray", "indiana_reports")}
    assert terms == {("unknown", "noncommercial")}


def test_figures_of_medicat_have_the_licence_of_their_article_or_none(tmp_path: Path) -> None:
    licenses = [sample["license"] for sample in Read(tmp_path, "medicat").samples]
    assert licenses == ["LicenseRef-CC-BY", "unknown", "LicenseRef-CC-BY-NC-ND"]


def test_records_of_biomedica_under_a_non_commercial_licence_are_not_open(tmp_path: Path) -> None:
    read = Read(tmp_path, "biomedica")
    assert [sample["license"] for sample in read.samples] == ["LicenseRef-CC-BY", "LicenseRef-CC-BY-NC", "CC0-1.0"]
    assert [bool(sample["turns"]) for sample in read.samples] == [True, True, False]


def test_a_split_called_test_that_is_training_data_is_trained_on(tmp_path: Path) -> None:
    assert {sample["split"] for sample in Read(tmp_path, "icliniq").samples} == {"train"}


def test_answers_of_medmcqa_count_from_0_on_the_hub_and_from_1_in_its_own_files(tmp_path: Path) -> None:
    assert [sample["answer"] for sample in Read(tmp_path, "medmcqa").samples] == ["One", "Four"]


def test_options_in_one_text_are_options_and_rows_without_any_are_open_questions(tmp_path: Path) -> None:
    options = [sample["options"] for sample in Read(tmp_path, "medreason").samples]
    assert options == [["One", "Two", "Three", "Four"], None]


def test_a_picture_of_the_validation_split_is_in_its_own_folder(tmp_path: Path) -> None:
    assert Read(tmp_path / "a", "vqa_med_2019", "validation").missing == 0
    assert Read(tmp_path / "b", "vqa_med_2019", "test").samples[0]["answer"] == "axial"
    assert Read(tmp_path / "c", "vqa_med_2020", "validation").missing == 0


def test_training_and_validation_of_vqa_med_are_read_together_and_the_test_apart(tmp_path: Path) -> None:
    read = Read(tmp_path, "vqa_med_2019", "train", "validation")
    assert Counter(sample["split"] for sample in read.samples) == {"train": 2, "validation": 2}
    assert read.missing == 0
    with pytest.raises(CorpusError, match="train, test are published in different forms"):
        Read(tmp_path, "vqa_med_2019", "train", "test")


def test_vqa_rad_is_read_as_on_osf_with_its_splits_and_cases(tmp_path: Path) -> None:
    row = {"image_organ": "HEAD", "answer_type": "CLOSED", "question_type": "PRES", "question": "Made up?"}
    phrases = ("freeform", "para", "test_freeform", "test_para")
    rows = [
        {**row, "qid": n, "image_name": "synpic1.jpg", "answer": "Yes", "phrase_type": phrase}
        for n, phrase in enumerate(phrases)
    ]
    put_json(tmp_path / "VQA_RAD/VQA_RAD Dataset Public.json", rows)
    put_pictures(tmp_path / "VQA_RAD/VQA_RAD Image Folder", ["synpic1.jpg"])
    corpus = find_corpus(catalogue()["vqa_rad"], "vqa_rad", [LocalFolder(tmp_path)], Identity("vqa_rad"))
    assert corpus is not None
    samples = corpora.samples(corpus)
    assert [sample["split"] for sample in samples] == ["train", "train", "test", "test"]
    assert {sample["images"][0]["uri"] for sample in samples} == {"VQA_RAD Image Folder/synpic1.jpg"}
    assert {group["id"] for sample in samples for group in sample["groups"]} == {"synpic1"}


def test_rows_of_quilt_that_share_a_picture_have_keys_of_their_own_and_frames_their_video(tmp_path: Path) -> None:
    frame = "_b_M_sOb4ZI_image_0760643c-923b-4f1e-a5e4-8b2f9b3f2849.jpg"
    rows = [
        {"Unnamed: 0": n, "caption": f"Made up {n}.", "image_path": name, "split": "train"}
        for n, name in enumerate((frame, frame, "PMC1_image_made_up.jpg"))
    ]
    put(tmp_path / "quilt_1m/quilt_1M_lookup.csv", csv_text(rows))
    corpus = find_corpus(catalogue()["quilt_1m"], "quilt_1m", [LocalFolder(tmp_path)], Identity("quilt_1m"))
    assert corpus is not None
    samples = corpora.samples(corpus)
    assert len({sample["source_key"] for sample in samples}) == 3
    video = [{"kind": "video", "id": "youtube-_b_M_sOb4ZI"}]
    assert [sample["groups"] for sample in samples] == [video, video, []]


@pytest.mark.parametrize("name", ["mimic_cxr", "mimic_cxr_jpg", "mimic_cxr_vqa"])
def test_what_wget_writes_of_physionet_is_found(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path / "made")
    [made] = (tmp_path / "made").iterdir()
    place = tmp_path / "physionet.org/files" / ("mimic-cxr" if name == "mimic_cxr" else "mimic-cxr-jpg")
    place.mkdir(parents=True)
    made.rename(place / "2.1.0")
    if name == "mimic_cxr_vqa":
        own = tmp_path / "physionet.org/files/mimic-ext-mimic-cxr-vqa/1.0.0"
        own.mkdir(parents=True)
        (place / "2.1.0/MIMIC-Ext-MIMIC-CXR-VQA").rename(own / "MIMIC-Ext-MIMIC-CXR-VQA")
    corpus = find_corpus(catalogue()[name], name, [LocalFolder(tmp_path)], Identity(name, KEY))
    assert corpus is not None
    reader = reader_named(corpus.card.reader)
    for fragment in reader.plan(corpus, corpus.files):
        located = Located(corpus, fragment, reader)
        for item in reader.read(corpus, fragment):
            assert isinstance(item, Record)
            assert all(located.is_there(uri) for uri in image_uris(corpus, fragment.path, item))


@pytest.mark.parametrize("name", sorted(name for name in MAKERS))
def test_a_clone_of_a_home_is_a_folder_that_the_card_looks_in(name: str) -> None:
    card = catalogue()[name]
    home = re.match(r"https://(?:huggingface\.co/datasets|github\.com)/[^/]+/([^/]+)", card.home)
    roots = {part for form in card.all_forms for root in form.layout.roots for part in root.split("/")}
    assert home is None or home[1] in roots
