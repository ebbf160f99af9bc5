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
            "RequestingPhysician", "PhysiciansOfRecord", "ConsultingPhysicianName", "VerifyingObserverName",
            "ScheduledPerformingPhysicianName", "PersonName", "InterpretationRecorder", "InterpretationTranscriber",
            "InterpretationAuthor", "ReviewerName", "ContentCreatorName",
        ), "name",
    ),
    **dict.fromkeys(("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate",
                     "AcquisitionDateTime", "AdmittingDate", "PerformedProcedureStepStartDate",
                     "ScheduledProcedureStepStartDate", "VerificationDateTime", "StudyVerifiedDate"), "date"),
    **dict.fromkeys(
        (
            "PatientID", "OtherPatientIDs", "AccessionNumber", "MedicalRecordLocator", "StationName",
            "DeviceSerialNumber", "StudyID", "AdmissionID", "RequestedProcedureID", "ScheduledProcedureStepID",
            "PerformedProcedureStepID", "PlacerOrderNumberImagingServiceRequest",
            "FillerOrderNumberImagingServiceRequest", "IssuerOfPatientID",
        ), "id",
    ),
    "PatientTelephoneNumbers": "phone",
    "PatientAddress": "address",
    "InstitutionAddress": "address",
    "InstitutionName": "institution",
    "InstitutionalDepartmentName": "institution",
    "PatientInstitutionResidence": "institution",
}  # fmt: skip
NESTED = (
    "OtherPatientIDsSequence", "RequestAttributesSequence", "ReferencedRequestSequence", "VerifyingObserverSequence",
    "ReferringPhysicianIdentificationSequence", "PerformingPhysicianIdentificationSequence",
)  # fmt: skip
"""Sequences whose items are looked at in the same way."""
_MOST_CHARACTERS = 200
_DEEPEST, _MOST_ITEMS = 2, 50


def header_identifiers(dataset: "Dataset") -> tuple[tuple[PhiKind, str], ...]:
    """Kind and value of every identifying element that the header has, on top and in the items of NESTED."""
    return tuple(dict.fromkeys(_identifiers(dataset, 0)))


def _identifiers(dataset: "Dataset", depth: int) -> list[tuple[PhiKind, str]]:
    from sources.dicom.values import header_values

    found: list[tuple[PhiKind, str]] = []
    for keyword, kind in IDENTIFYING.items():
        for value in header_values(dataset, keyword):
            text = str(value).strip(" \0")
            if 1 < len(text) <= _MOST_CHARACTERS:
                found.append((kind, text))
    for keyword in NESTED if depth < _DEEPEST else ():
        for item in header_values(dataset, keyword)[:_MOST_ITEMS]:
            found += _identifiers(item, depth + 1)
    return found
