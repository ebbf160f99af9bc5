"""Reports and cases with their pictures."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.sources.corpora_fixtures.writing import csv_text, picture, put, put_json, put_jsonl, put_pictures
from tests.sources.dicom_files import bytes_of, picture_of

SECTIONED = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old made up.  // made up?

 COMPARISON:  None.

 FINDINGS:

 The made-up lungs are
 clear.

 IMPRESSION:

 No made-up process.
"""
UNSECTIONED = """                                 FINAL REPORT
 CHEST RADIOGRAPH

 COMPARISON:  ___.

 As compared to the previous made-up film, nothing
 has changed.
"""
STUDIES = (
    ("p10000032", "s50414267", SECTIONED, "train"),
    ("p10000032", "s53189527", UNSECTIONED, "train"),
    ("p11000011", "s51029426", SECTIONED, "test"),
)


def _mimic(root: str, suffix: str, film: Callable[[int], bytes]) -> Callable[[Path], None]:
    def make(data: Path) -> None:
        """Folders by the first digits of the patient, a report beside each study's folder, the split in gzip."""
        splits = []
        for n, (patient, study, report, split) in enumerate(STUDIES):
            place = data / root / "files" / patient[:3] / patient
            put(place / f"{study}.txt", report)
            for view in range(2):
                dicom_id = f"02aa804e-bde0afdd-112c0b34-7bc16630-{n:04}{view:04}"
                put(place / study / f"{dicom_id}.{suffix}", film(2 * n + view))
                splits.append({"dicom_id": dicom_id, "study_id": study[1:], "subject_id": patient[1:], "split": split})
        put(data / root / "mimic-cxr-2.0.0-split.csv.gz", gzip.compress(csv_text(splits).encode(), mtime=0))

    return make


def _film(number: int, **elements: str) -> bytes:
    stored = np.random.default_rng(number).integers(0, 4095, (80, 80), np.uint16)
    return bytes_of(picture_of(stored, 12, Modality="DX", **elements))


def _hospital_dicom(data: Path) -> None:
    """Two views of one study, one of another without a report; the table names accession numbers only."""
    folder = data / "hospital_dicom"
    for n, (patient, accession) in enumerate((("MRN1", "A1"), ("MRN1", "A1"), ("MRN2", "A2"))):
        study = f"1.2.826.0.1.3680043.8.498.{accession[1:]}"
        put(
            folder / f"DICOM/{n}/IM{n}",
            _film(
                n,
                PatientID=patient,
                AccessionNumber=accession,
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.{n}",
            ),
        )
    row = {"accession": "A1", "findings": "Made-up lungs.", "impression": "Made up.", "indication": "Cough"}
    put(folder / "reports.csv", csv_text([row]))


def _chexpert_plus(data: Path) -> None:
    """A row a picture, JPEG by its name and PNG on disk; most sections are empty."""
    rows = []
    for n, (path, split) in enumerate(
        (
            ("train/patient00001/study1/view1_frontal.jpg", "train"),
            ("train/patient00001/study1/view2_lateral.jpg", "train"),
            ("valid/patient64541/study1/view1_frontal.jpg", "valid"),
        )
    ):
        rows.append(
            {
                "path_to_image": path,
                "path_to_dcm": path.replace(".jpg", ".dcm"),
                "frontal_lateral": "Frontal",
                "ap_pa": "AP",
                "deid_patient_id": path.split("/")[1],
                "patient_report_date_order": 1,
                "report": "NARRATIVE:\nmade up",
                "section_narrative": "",
                "section_clinical_history": "",
                "section_history": "Cough" if n == 2 else "",
                "section_findings": "" if n == 1 else "Made-up lungs,\nclear.",
                "section_impression": f"Made up {n}.",
                "age": 50,
                "sex": "Female",
                "split": split,
            }
        )
        put(data / "chexpert_plus/PNG" / path.replace(".jpg", ".png"), picture(n, "PNG"))
    put(data / "chexpert_plus/df_chexpert_plus_240401.csv", csv_text(rows))


def _iu_xray(data: Path) -> None:
    """Two views a report, in folders of the report."""
    for split, number in (("train", 1), ("val", 2), ("test", 3)):
        id_ = f"CXR{number}_IM-000{number}-1001"
        names = [f"{id_}/0.png", f"{id_}/1.png"]
        row = {"id": id_, "image": names, "findings": "Made-up heart.", "impression": "Normal made-up chest."}
        put_json(data / f"IU_XRAY/{split}.json", [row])
        put_pictures(data / "IU_XRAY/images", names)


def _medpix_2(data: Path) -> None:
    """Names of pictures without their suffix; its case in a second file, its split by its own file."""
    names = ("MPX1009_synpic46283", "MPX1009_synpic46295", "MPX1011_synpic51216", "MPX1013_synpic60000")
    described = [
        {
            "Type": "CT",
            "U_id": name[:7],
            "image": name,
            "Location": "Bladder",
            "Location Category": "Reproductive",
            "Description": {
                "ACR Codes": "8.-1",
                "Age": "73",
                "Caption": f"Made-up {name}.",
                "Figure Part": None,
                "Modality": "CT",
                "Plane": "Axial",
                "Sex": "male",
            },
        }
        for name in names
    ]
    cases = [
        {
            "U_id": case,
            "TAC": [name for name in names if name.startswith(case)],
            "MRI": [],
            "Case": {"Title": "A made-up case", "History": "Made up.", "Findings": "N/A"},
            "Topic": {"Title": "Made up"},
        }
        for case in ("MPX1009", "MPX1011", "MPX1013")
    ]
    top = data / "MedPix-2.0/MedPix-2-0"
    put_json(top / "Descriptions.json", described)
    put_jsonl(top / "splitted_dataset/descriptions_train.jsonl", described[:3])
    put_jsonl(top / "splitted_dataset/descriptions_train_1.jsonl", described[:1])
    put_jsonl(top / "splitted_dataset/descriptions_test.jsonl", described[3:])
    put_json(top / "Case_topic.json", cases)
    put_pictures(top / "images", [f"{name}.png" for name in names])


MAKERS: dict[str, Callable[[Path], None]] = {
    "mimic_cxr_jpg": _mimic("mimic-cxr-jpg", "jpg", picture),
    "mimic_cxr": _mimic("mimic-cxr", "dcm", _film),
    "hospital_dicom": _hospital_dicom,
    "chexpert_plus": _chexpert_plus,
    "iu_xray": _iu_xray,
    "medpix_2": _medpix_2,
}
