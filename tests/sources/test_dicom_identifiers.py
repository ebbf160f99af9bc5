from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from sources.dicom.identifiers import IDENTIFYING, NESTED, header_identifiers


def test_every_identifying_element_is_read_on_top_and_in_nested_items() -> None:
    dataset, values = Dataset(), set()
    for number, (keyword, kind) in enumerate(IDENTIFYING.items()):
        value = f"19{number // 10 % 90 + 10:02d}0{number % 9 + 1}14" if kind == "date" else f"VALUE{number}"
        setattr(dataset, keyword, value)
        values.add((kind, value))
    for number, keyword in enumerate(NESTED):
        item = Dataset()
        item.PatientID = f"NESTED{number}"
        deeper = Dataset()
        deeper.StudyID = f"DEEP{number}"
        item.RequestAttributesSequence = Sequence([deeper])
        setattr(dataset, keyword, Sequence([item]))
        values |= {("id", f"NESTED{number}"), ("id", f"DEEP{number}")}
    assert set(header_identifiers(dataset)) == values


def test_items_in_items_without_end_are_left_alone() -> None:
    dataset = Dataset()
    inner = dataset
    for number in range(9):
        item = Dataset()
        item.PatientID = f"DEPTH{number}"
        inner.OtherPatientIDsSequence = Sequence([item])
        inner = item
    assert [value for _, value in header_identifiers(dataset)] == ["DEPTH0", "DEPTH1", "DEPTH2"]


def test_every_name_of_a_person_and_every_date_that_the_standard_knows_is_read() -> None:
    dataset = Dataset()
    dataset.PersonName, dataset.ContentCreatorName, dataset.IssueDateOfImagingServiceRequest = (
        "Okonkwo",
        "Abe",
        "20190814",
    )
    dataset.ScheduledProcedureStepStartDateTime = "20190815101112"
    assert set(header_identifiers(dataset)) == {
        ("name", "Okonkwo"), ("name", "Abe"), ("date", "20190814"), ("date", "20190815101112"),
    }  # fmt: skip
