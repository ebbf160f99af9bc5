"""`curate sources check`: what is told of corpora as published, and of ones that are not as their card says."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pydicom
import pytest

from pipelines.check_source import check_lines, check_source
from pipelines.errors import UsageError
from sources.cards import catalogue
from sources.storage import LocalFolder
from tests.sources.corpora_fixtures import MAKERS
from tests.sources.corpora_fixtures.writing import picture, put, put_jsonl, put_pictures
from tests.sources.packed_files import write_zip

NO_WORDS = "a record has no text to learn from"
EXPECTED = {
    "biomedica": [NO_WORDS],
    "hospital_dicom": [
        "1 of 3 records match no row of reports.csv: AccessionNumber is written like A9, accession like A9",
        NO_WORDS,
    ],
}
"""What is odd about a corpus as it is published, too."""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    put(tmp_path / "site.key", "a site key of a test")
    return tmp_path / "site.key"


def checked(data: Path, name: str, key: Path | None = None) -> dict[str, Any]:
    return check_source(name, [LocalFolder(data)], key)


def problems(data: Path, name: str, key: Path | None = None) -> list[str]:
    return [problem["what"] for problem in checked(data, name, key)["problems"]]


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_corpus_as_published_has_no_mismatch_with_its_card(name: str, tmp_path: Path, key: Path) -> None:
    MAKERS[name](tmp_path / "data")
    found = checked(tmp_path / "data", name, key)
    assert [problem["what"] for problem in found["problems"]] == EXPECTED.get(name, [])
    assert 0 < len(found["samples"]) <= 3
    assert found["group_coverage"] == dict.fromkeys(catalogue()[name].groups if found["group_coverage"] else (), 1.0)
    assert check_lines(found)


TOLD_OF_SHARED_DATA = {
    "aci_bench": set(),
    "biomedparse_files": set(),
    "chatdoctor": set(),
    "cornerstone_files": set(),
    "deid_files": set(),
    "covid_chestxray": {NO_WORDS, "image.missing", "a picture has no row", "a record has no group 'patient'"},
    "highdicom_files": {NO_WORDS},
    "indiana_reports": set(),
    "medicat": set(),
    "medquad": set(),
    "mts_dialog": set(),
    "pmc_oa": {"image.missing"},
    "pubmedqa": set(),
    "roco": {"image.missing"},
    "slake": {"image.missing"},
    "vqa_rad": set(),
    "pydicom_files": {NO_WORDS, "record.malformed"},
    "suyashkumar_files": {NO_WORDS},
}
"""The pictures of some are not in the copies; films of covid_chestxray are without rows, and rows without films."""


def test_what_is_told_of_the_shared_data_is_what_its_catalogue_says(shared_data: Path) -> None:
    for name, expected in TOLD_OF_SHARED_DATA.items():
        told = problems(shared_data, name)
        assert {next((one for one in expected if what.startswith(one)), what) for what in told} == expected, name


def test_what_a_keyed_corpus_says_is_never_shown(tmp_path: Path, key: Path) -> None:
    for name in ("mimic_cxr_jpg", "mimic_cxr_vqa", "hospital_dicom", "chexpert_plus"):
        MAKERS[name](tmp_path / name)
        answer = json.dumps(checked(tmp_path / name, name, key)) + "\n".join(
            check_lines(checked(tmp_path / name, name, key))
        )
        for secret in ("ade-up", "10000032", "50414267", "MRN1", "A1", "patient00001"):
            assert secret not in answer, name
    with pytest.raises(UsageError, match="keyed"):
        checked(tmp_path / "mimic_cxr_jpg", "mimic_cxr_jpg")


def test_pictures_behind_a_link_to_another_disk_say_so_and_what_to_do(tmp_path: Path) -> None:
    put_jsonl(tmp_path / "data/PMC-OA/pmc_oa.jsonl", [{"image": "a.jpg", "caption": "Made up.", "pmcid": "PMC1"}])
    put(tmp_path / "disk/a.jpg", picture(1))
    (tmp_path / "data/PMC-OA/images").symlink_to(tmp_path / "disk")
    [told] = [what for what in problems(tmp_path / "data", "pmc_oa_jsonl") if what.startswith("image.missing")]
    assert "such as images/a.jpg; images is a link that leads out" in told
    assert "--data" in told


def test_a_picture_of_another_corpus_is_missing_with_the_reason(tmp_path: Path) -> None:
    film = "../../mimic-cxr-jpg/files/a.jpg"
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", [{"image": film, "caption": "Made up.", "pmcid": "PMC1"}])
    put(tmp_path / "PMC-OA/images/x.jpg", picture(1))
    put(tmp_path / "mimic-cxr-jpg/files/a.jpg", picture(2))
    [told] = [what for what in problems(tmp_path, "pmc_oa_jsonl") if what.startswith("image.missing")]
    assert "leads out of the corpus's folder" in told


def test_a_join_that_matches_nothing_says_how_both_sides_are_written_and_makes_no_report(
    tmp_path: Path, key: Path
) -> None:
    MAKERS["hospital_dicom"](tmp_path)
    header = "accession,findings,impression,indication\n"
    for path in (tmp_path / "hospital_dicom/DICOM").rglob("IM*"):
        dataset = pydicom.dcmread(path)
        dataset.AccessionNumber = "000120"
        dataset.save_as(path)
    put(tmp_path / "hospital_dicom/reports.csv", header + "120,Made-up lungs.,Made up.,Cough\n")
    found = checked(tmp_path, "hospital_dicom", key)
    told = {problem["what"]: problem["count"] for problem in found["problems"]}
    assert told == {
        "3 of 3 records match no row of reports.csv: AccessionNumber is written like 000999, accession like 999;"
        " 3 match without their leading zeros: save that column as text": 3,
        NO_WORDS: 3,
    }
    assert [sample["turns"] for sample in found["samples"]] == [[], [], []]
    assert "120" not in json.dumps(found["problems"])


def test_an_addendum_that_is_left_out_is_told(tmp_path: Path, key: Path) -> None:
    MAKERS["hospital_dicom"](tmp_path)
    rows = "A1,Made-up lungs.,Made up.,Cough\nA1,An addendum.,Made up.,Cough\nA2,Clear.,Clear.,\n"
    put(tmp_path / "hospital_dicom/reports.csv", f"accession,findings,impression,indication\n{rows}")
    [told] = problems(tmp_path, "hospital_dicom", key)
    assert told.startswith("2 of 3 records match several rows of reports.csv that differ: the first is taken")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", [{"image": "PMC1_Fig1.jpg", "capshun": "Made up."}])
    [told] = problems(tmp_path, "pmc_oa_jsonl")
    assert told.startswith(
        "pmc_oa_jsonl: pmc_oa.jsonl: no column 'caption'; did you mean 'capshun'? Or this is perhaps"
    )
    assert told.endswith("another version of the corpus: name its columns in `fields`")


def test_a_column_that_only_some_records_have_is_counted(tmp_path: Path) -> None:
    MAKERS["guidelines"](tmp_path)
    rows = [
        {"id": "g", "source": "who", "title": "t", "clean_text": "Wash.", "url": None},
        {"id": "h", "source": "who"},
    ]
    put_jsonl(tmp_path / "guidelines/open_guidelines.jsonl", rows)
    found = checked(tmp_path, "guidelines")["problems"]
    assert {"what": "column 'clean_text', which the card reads, is absent", "count": 1} in found


def test_columns_of_a_newer_version_are_named_in_text_and_in_parquet(tmp_path: Path) -> None:
    told = "not on the card: 'grade': perhaps a newer version of the corpus"
    put_jsonl(tmp_path / "guidelines/open_guidelines.jsonl", [{"clean_text": "Wash.", "grade": "A"}])
    assert told in problems(tmp_path, "guidelines")
    MAKERS["path_vqa"](tmp_path)
    for path in (tmp_path / "path-vqa/data").iterdir():
        table = pq.read_table(path)
        pq.write_table(table.append_column("grade", table["answer"]), path)
    assert told in problems(tmp_path, "path_vqa")


def test_pictures_that_are_elsewhere_are_counted_and_found_by_name(tmp_path: Path) -> None:
    rows = [{"image": f"PMC1_Fig{n}.jpg", "caption": f"Made up {n}.", "pmcid": "PMC1"} for n in range(10)]
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", rows)
    for n in range(10):
        put(tmp_path / "PMC-OA" / ("images" if n < 7 else "other") / f"PMC1_Fig{n}.jpg", picture(n))
    [problem] = checked(tmp_path, "pmc_oa_jsonl")["problems"]
    assert problem["count"] == 3
    assert problem["what"].startswith("image.missing: 30% of the 10 pictures that records name")
    assert problem["what"].endswith("(such as images/PMC1_Fig7.jpg; one of that name is at other/PMC1_Fig7.jpg)")


def test_pictures_that_two_archives_have_and_that_differ_are_missing_with_both_names(tmp_path: Path) -> None:
    MAKERS["pubmedvision_alignment"](tmp_path)
    pictures = sorted((tmp_path / "PubMedVision/images").iterdir())
    for number in (0, 1):
        members = [(f"images/{path.name}", picture(50 + number)) for path in pictures]
        write_zip(tmp_path / f"PubMedVision/images_{number}.zip", members)
    for path in pictures:
        path.unlink()
    [told] = [what for what in problems(tmp_path, "pubmedvision_alignment") if what.startswith("image.missing")]
    assert "; images_0.zip and images_1.zip each hold one of that name, not surely the same" in told


def test_an_archive_that_is_not_looked_into_is_named_where_pictures_are_missing(tmp_path: Path) -> None:
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", [{"image": "a.jpg", "caption": "Made up.", "pmcid": "PMC1"}])
    write_zip(tmp_path / "PMC-OA/figures.zip", [("a.jpg", picture(0))])
    [told] = [what for what in problems(tmp_path, "pmc_oa_jsonl") if what.startswith("image.missing")]
    assert told.endswith(
        "(such as images/a.jpg; figures.zip is not looked into, since the card does not name it: unpack it if they are"
        " in it)"
    )


def test_columns_of_a_version_that_the_card_does_not_know_say_what_to_do(tmp_path: Path) -> None:
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", [{"picture_file": "a.jpg", "t3": "Made up."}])
    [told] = problems(tmp_path, "pmc_oa_jsonl")
    assert told.endswith(
        "it has picture_file, t3; this is perhaps another version of the corpus: name its columns in `fields`"
    )


def test_of_a_large_file_the_beginning_alone_is_read_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.readers.ranges.FRAGMENT_RECORDS", 4)
    row = {"question": "Made up?", "options": "A. One\nB. Two", "answer": "Two", "reasoning": "Since."}
    put_jsonl(tmp_path / "MedReason/a.jsonl", [*({**row, "dataset_name": "x", "id_in_dataset": n} for n in range(20))])
    put(tmp_path / "MedReason/a.jsonl", (tmp_path / "MedReason/a.jsonl").read_text() + "broken\n")
    whole = checked(tmp_path, "medreason")
    assert (whole["files_begun"], whole["records_read"], len(whole["problems"])) == (0, 21, 1)
    monkeypatch.setattr("pipelines.check_source.PLANNED_BYTES", 600)
    begun = checked(tmp_path, "medreason")
    assert (begun["files_begun"], begun["records_read"], begun["problems"]) == (1, 8, [])
    assert "the first records alone" in "\n".join(check_lines(begun))


def test_records_are_from_all_parts_of_a_single_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.check_source.RECORDS", 20)
    rows = [{"image": f"PMC{n}_Fig1.jpg", "caption": f"Made up {n}."} for n in range(100)]
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", rows)
    put_pictures(tmp_path / "PMC-OA/images", [f"PMC{n}_Fig1.jpg" for n in range(70)])
    for fragment_records in (100, 7):
        monkeypatch.setattr("sources.readers.ranges.FRAGMENT_RECORDS", fragment_records)
        found = checked(tmp_path, "pmc_oa_jsonl")
        assert found["records_read"] <= 30
        assert 0.2 < found["pictures"]["missing"] / found["pictures"]["named"] < 0.4
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", [*rows[:70], "no record"])
    assert problems(tmp_path, "pmc_oa_jsonl") == ["record.malformed: not a JSON object"]


@pytest.mark.parametrize("content", ["", "\n"])
def test_a_corpus_without_one_record_is_told(tmp_path: Path, content: str) -> None:
    put(tmp_path / "PMC-OA/pmc_oa.jsonl", content)
    assert problems(tmp_path, "pmc_oa_jsonl") == ["no record in all its files: empty, or cut off in download"]


def test_an_array_cut_off_in_download_is_told(tmp_path: Path) -> None:
    MAKERS["pubmedvision_alignment"](tmp_path)
    path = tmp_path / "PubMedVision/PubMedVision_Alignment_VQA.json"
    put(path, path.read_text().rstrip().removesuffix("]"))
    assert (
        "ends before its JSON array or object is closed: download it again"
        in problems(tmp_path, "pubmedvision_alignment")[0]
    )


def test_repeated_ids_of_conversations_are_counted(tmp_path: Path) -> None:
    MAKERS["llava_med_instruct"](tmp_path)
    [path] = tmp_path.rglob("llava_med_instruct_60k_inline_mention.json")
    rows = json.loads(path.read_text())
    put(path, json.dumps([*rows, rows[0]]))
    found = checked(tmp_path, "llava_med_instruct")["problems"]
    assert {"what": "an id is that of another record, too", "count": 1} in found


def test_what_may_be_so_as_published_is_noted_and_is_no_problem(tmp_path: Path) -> None:
    rows = [{"image": f"PMC1_Fig{n}.jpg", "caption": f"Made up {n}." if n else "", "pmcid": "PMC1"} for n in range(20)]
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", rows)
    put_pictures(tmp_path / "PMC-OA/images", [row["image"] for row in rows])
    found = checked(tmp_path, "pmc_oa_jsonl")
    assert (found["problems"], found["notes"]) == ([], [{"what": NO_WORDS, "count": 1}])
    assert f"  note: {NO_WORDS} (1 times)" in check_lines(found)
    put_jsonl(tmp_path / "PMC-OA/pmc_oa.jsonl", rows[:10])
    assert problems(tmp_path, "pmc_oa_jsonl") == [NO_WORDS]


def test_files_of_a_series_that_are_absent_are_counted(tmp_path: Path) -> None:
    MAKERS["healthcaremagic"](tmp_path)
    [path] = tmp_path.rglob("train-00000-of-00001-*.parquet")
    path.rename(path.with_name("train-00000-of-00004.parquet"))
    [problem] = checked(tmp_path, "healthcaremagic")["problems"]
    assert problem["count"] == 3
    assert problem["what"].endswith("3 of 4 are not there (00001, 00002, 00003): perhaps an interrupted download")


@pytest.mark.parametrize("name", ["kvasir_vqa", "omnimedvqa", "pmc_llama_instructions"])
def test_a_mixed_corpus_names_its_origins_beside_those_of_its_card(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    found = checked(tmp_path, name)
    [column] = found["origins"]["columns"]
    assert column["column"] == ("dataset" if name == "omnimedvqa" else "source")
    assert sum(column["values"].values()) == found["records_read"]
    assert found["origins"]["holds"] == list(catalogue()[name].holds)
    assert sum(line.startswith("  column 'source' names ") for line in check_lines(found)) == (name != "omnimedvqa")


def test_ids_that_repeat_across_files_are_counted(tmp_path: Path) -> None:
    MAKERS["slake"](tmp_path)
    rows = json.loads((tmp_path / "Slake1.0/train.json").read_text())
    put(tmp_path / "Slake1.0/train.json", json.dumps([*rows, *rows]))
    assert {"what": "an id is that of another record, too", "count": 2} in checked(tmp_path, "slake")["problems"]


def test_a_corpus_in_the_same_folder_is_told(tmp_path: Path, key: Path) -> None:
    MAKERS["pmc_vqa"](tmp_path)
    MAKERS["pmc_vqa_v2"](tmp_path)
    assert checked(tmp_path, "pmc_vqa")["also_here"] == ["pmc_vqa_v2"]


def test_a_report_without_its_groups_is_counted(tmp_path: Path) -> None:
    MAKERS["iu_xray"](tmp_path)
    text = (tmp_path / "IU_XRAY/train.json").read_text().replace("CXR1_IM", "XYZ_IM")
    put(tmp_path / "IU_XRAY/train.json", text)
    assert "a record has no group 'study', which the card promises" in problems(tmp_path, "iu_xray")


def test_an_absent_corpus_is_told_with_what_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not found") as raised:
        checked(tmp_path, "quilt_1m")
    assert "quilt_1M_lookup.csv in a folder called quilt_1m" in raised.value.hint
    assert "Ask for access at Zenodo" in raised.value.hint


def test_a_corpus_of_another_card_in_the_folder_that_was_looked_in_is_named(tmp_path: Path) -> None:
    put_jsonl(tmp_path / "pmc_oa/pmc_oa.jsonl", [{"image": "PMC1_Fig1.jpg", "caption": "Made up."}])
    with pytest.raises(UsageError, match="not found") as raised:
        checked(tmp_path, "pmc_oa")
    assert "There is pmc_oa_jsonl in a folder of that name: `curate sources check pmc_oa_jsonl`." in raised.value.hint
