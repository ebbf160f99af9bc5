"""What a header says of whom the picture shows: read to be sought in the texts of the same record, and never stored.

PS3.15 Table E.1-1 (2024b) removes or replaces every element named here.
"""

from typing import TYPE_CHECKING

from sources.records import PhiKind

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IDENTIFYING: dict[str, PhiKind] = {
    **dict.fromkeys(
        (
            "PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ResponsiblePerson",
            "ReferringPhysicianName", "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName",
            "RequestingPhysician", "PhysiciansOfRecord", "ConsultingPhysicianName",
        ), "name",
    ),
    **dict.fromkeys(("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), "date"),
    **dict.fromkeys(
        (
            "PatientID", "OtherPatientIDs", "AccessionNumber", "MedicalRecordLocator", "StationName",
            "DeviceSerialNumber",
        ), "id",
    ),
    "PatientTelephoneNumbers": "phone",
    "PatientAddress": "address",
    "InstitutionAddress": "address",
    "InstitutionName": "institution",
}  # fmt: skip
_MOST_CHARACTERS = 200


def header_identifiers(dataset: "Dataset") -> tuple[tuple[PhiKind, str], ...]:
    """Kind and value of every identifying element that the header has."""
    from sources.dicom.values import header_values

    found: list[tuple[PhiKind, str]] = []
    for keyword, kind in IDENTIFYING.items():
        for value in header_values(dataset, keyword):
            text = str(value).strip(" \0")
            if 1 < len(text) <= _MOST_CHARACTERS:
                found.append((kind, text))
    return tuple(found)
