"""What a header says of whom the picture shows: read to be sought in the texts of the same record, and never stored.

PS3.15 Table E.1-1 (2024b) removes or replaces every element named here, and nearly all names and dates.
"""

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from sources.dicom.values import header_values
from sources.records import Identifiers, PhiKind

_BY_TYPE: dict[str, PhiKind] = {"PN": "name", "DA": "date", "DT": "date"}
"""Every name of a person and every date that the standard has."""
IDENTIFYING: dict[str, PhiKind] = {
    **{entry[4]: _BY_TYPE[entry[0]] for entry in DicomDictionary.values() if entry[0] in _BY_TYPE and entry[4]},
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
    "OperatorIdentificationSequence", "PhysiciansOfRecordIdentificationSequence", "AuthorObserverSequence",
    "PhysiciansReadingStudyIdentificationSequence", "ParticipantSequence", "ScheduledProcedureStepSequence",
)  # fmt: skip
"""Sequences whose items are looked at in the same way."""
_MOST_CHARACTERS = 200
_DEEPEST, _MOST_ITEMS = 3, 50


def header_identifiers(dataset: Dataset) -> Identifiers:
    """Kind and value of every identifying element that the header has, on top and in the items of NESTED."""
    return tuple(dict.fromkeys(_identifiers(dataset, 0)))


def _identifiers(dataset: Dataset, depth: int) -> list[tuple[PhiKind, str]]:
    found: list[tuple[PhiKind, str]] = []
    for tag in sorted(dataset.keys()):
        keyword = keyword_for_tag(tag)
        if (kind := IDENTIFYING.get(keyword)) is not None:
            texts = [str(value).strip(" \0") for value in header_values(dataset, keyword)]
            found += [(kind, text) for text in texts if 1 < len(text) <= _MOST_CHARACTERS]
        elif keyword in NESTED and depth < _DEEPEST:
            for item in header_values(dataset, keyword)[:_MOST_ITEMS]:
                found += _identifiers(item, depth + 1)
    return found
