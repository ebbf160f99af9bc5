from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sources.cards import Card, catalogue
from sources.columns import mapped_columns
from sources.find import find_corpus
from sources.identity import Identity
from sources.licenses import spdx_license
from sources.mapping import to_sample, unreadable_sample
from sources.readers.registry import READERS, reader_named
from sources.records import Corpus, Record
from sources.storage import LocalFolder
from tests.sources.corpora import PROMPTS

RECORDS = {
    "aci_bench": 67,
    "biomedparse_files": 1,
    "chatdoctor": 5452,
    "cornerstone_files": 20,
    "covid_chestxray": 197,
    "deid_files": 2,
    "highdicom_files": 25,
    "indiana_reports": 3851,
    "medquad": 1961,
    "mts_dialog": 1201,
    "pmc_oa": 17,
    "pubmedqa": 1000,
    "pydicom_files": 177,
    "roco": 4895,
    "slake": 9835,
    "suyashkumar_files": 5,
    "vqa_rad": 3064,
}
"""Records of the training splits in the shared test data, the unreadable ones included."""
UNREADABLE = {"pydicom_files": 1}


def found(name: str, *roots: Path, splits: list[str] | None = None) -> Corpus:
    corpus = find_corpus(catalogue()[name], name, [LocalFolder(root) for root in roots], Identity(name), splits=splits)
    assert corpus is not None
    return corpus


def samples(corpus: Corpus) -> list[dict[str, Any]]:
    reader = reader_named(corpus.card.reader)
    return [
        to_sample(corpus, fragment.path, item, PROMPTS) if isinstance(item, Record) else
        unreadable_sample(corpus, fragment.path, item)
        for fragment in reader.plan(corpus, corpus.files)
        for item in reader.read(corpus, fragment)
    ]  # fmt: skip


def groups(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(kind for row in rows for kind in {group["kind"] for group in row["groups"]})


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_a_card_tells_people_and_programs_what_they_need(name: str) -> None:
    card = catalogue()[name]
    assert card.reader in READERS
    assert card.description
    assert card.home.startswith("https://")
    assert card.fetch
    assert card.identifiers is not None
    assert spdx_license(card.license) == card.license
    assert set(card.groups) <= {*card.fields, "patient", "study", "series"}
    assert set(card.training_splits) <= ({*card.layout.files} if isinstance(card.layout.files, dict) else {"train"})
    assert mapped_columns(card)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_card_reads_its_corpus_in_the_shared_data(shared_data: Path, name: str) -> None:
    rows = samples(found(name, shared_data))
    assert len(rows) == RECORDS[name]
    assert len({row["sample_id"] for row in rows}) == len(rows)
    assert sum(not row["turns"] for row in rows) < 0.7 * len(rows)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_card_finds_its_corpus_where_data_is_the_corpus_itself_or_the_folder_above(
    shared_data: Path, name: str
) -> None:
    corpus = found(name, shared_data)
    for root in (corpus.root.root, corpus.root.root.parent):
        again = found(name, root)
        assert (again.root.root.resolve(), again.files) == (corpus.root.root.resolve(), corpus.files)


def test_no_card_takes_another_corpus_for_its_own(shared_data: Path) -> None:
    for name in RECORDS:
        root = found(name, shared_data).root.root
        for other, card in catalogue().items():
            if other != name:
                assert find_corpus(card, other, [LocalFolder(root)], Identity(other)) is None, (
                    f"{other} found in {name}"
                )


def test_eval_splits_are_read_only_when_asked_for(shared_data: Path) -> None:
    assert {row["split"] for row in samples(found("vqa_rad", shared_data))} == {"train"}
    assert len(samples(found("vqa_rad", shared_data, splits=["test"]))) == 451
    assert len(samples(found("slake", shared_data, splits=["test"]))) == 2094
    assert Counter(row["split"] for row in samples(found("pubmedqa", shared_data))) == {"train": 500, "test": 500}


def test_every_picture_of_vqa_rad_is_found_and_named_by_its_case(shared_data: Path) -> None:
    corpus = found("vqa_rad", shared_data)
    rows = samples(corpus)
    assert all(corpus.root.stat(image["uri"]) for row in rows for image in row["images"])
    assert groups(rows) == {"case": 3064}
    assert all(row["groups"][0]["id"] == Path(row["images"][0]["uri"]).stem for row in rows)


def test_captions_of_roco_have_their_articles_and_licences(shared_data: Path) -> None:
    rows = samples(found("roco", shared_data, splits=["train", "validation", "test"]))
    assert len(rows) == 22_477
    assert groups(rows) == {"article": 22_477, "figure": 22_477}
    licenses = Counter(row["license"] for row in rows)
    assert licenses["LicenseRef-CC-BY"] == 9627
    assert licenses["unknown"] == 2648
    assert all(row["images"][0]["uri"].endswith(".jpg") for row in rows)


def test_reports_without_pictures_are_text_with_findings_and_impression(shared_data: Path) -> None:
    rows = samples(found("indiana_reports", shared_data))
    assert not any(row["images"] for row in rows)
    first = rows[0]
    assert first["question"] == "Positive TB test"
    assert first["turns"][0] == {"role": "user", "text": "Positive TB test"}
    assert first["turns"][1]["text"].startswith("Findings: The cardiac silhouette")
    assert first["turns"][1]["text"].endswith(" Impression: Normal chest x-XXXX.")
    assert first["groups"] == [{"kind": "study", "id": "CXR1"}]


def test_reports_with_pictures_have_one_for_each_projection(shared_data: Path, tmp_path: Path) -> None:
    corpus = found("indiana_reports", shared_data)
    for name in ("indiana_reports.csv", "indiana_projections.csv"):
        (tmp_path / name).write_bytes((corpus.root.root / name).read_bytes())
    (tmp_path / "images/images_normalized").mkdir(parents=True)
    first = samples(found("indiana_reports", tmp_path))[0]
    assert [image["uri"] for image in first["images"]] == [
        "images/images_normalized/1_IM-0001-4001.dcm.png", "images/images_normalized/1_IM-0001-3001.dcm.png",
    ]  # fmt: skip
    assert first["turns"][0]["text"] == "<image>\n<image>\nPositive TB test"


def test_clinical_notes_are_captions_of_the_pictures_they_name(shared_data: Path) -> None:
    corpus = found("covid_chestxray", shared_data)
    rows = samples(corpus)
    there = [row for row in rows if corpus.root.stat(row["images"][0]["uri"])]
    assert len(there) == 107
    assert sum(bool(row["turns"]) for row in there) > 50
    assert groups(rows)["patient"] == 158


def test_dialogues_alternate_between_patient_and_doctor(shared_data: Path) -> None:
    for name, speakers in (("mts_dialog", 2), ("aci_bench", 2)):
        rows = samples(found(name, shared_data))
        roles = [{turn["role"] for turn in row["turns"]} for row in rows if row["turns"]]
        assert sum(len(found) == speakers for found in roles) >= 0.96 * len(
            rows
        )  # some are of clinicians among themselves


def test_a_card_with_an_unknown_field_or_a_bad_pattern_is_refused() -> None:
    good = catalogue()["vqa_rad"].model_dump()
    with pytest.raises(ValidationError, match="did you mean 'question'"):
        Card.model_validate({**good, "fields": {"qestion": "q"}})
    with pytest.raises(ValidationError, match="not a regular expression"):
        Card.model_validate({**good, "fields": {"case": {"field": "f", "pattern": "("}}})
