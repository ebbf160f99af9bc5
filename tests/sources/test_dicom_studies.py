"""Series of slices, and reports in DICOM beside the pictures of their study."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.sequence import Sequence

from sources.dicom.documents import Document, is_document, read_document
from sources.pictures import PictureError
from sources.records import CorpusError, Record
from tests.sources.corpora import corpus_in, read, samples
from tests.sources.dicom_files import bytes_of, header_of, item, picture_of

STUDY = "1.2.826.0.1.3680043.8.498.77"
AXIAL = [1, 0, 0, 0, 1, 0]


def put(path: Path, dataset: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes_of(dataset))


def stack(folder: Path, series: int, count: int, **elements: Any) -> None:
    """A series whose files are named and numbered against the order of its places."""
    for n in range(count):
        stored = np.full((8, 8), 100 * series + n, np.uint16)
        place = {
            "ImagePositionPatient": [0, 0, float(n)],
            "ImageOrientationPatient": AXIAL,
            "InstanceNumber": count - n,
        }
        ids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.{series}", "Modality": "CT", "PatientID": "P"}
        put(folder / f"{series}/{count - n:03}.dcm", picture_of(stored, **{**ids, **place, **elements}))


def structured_report(*texts: tuple[str, str], study: str = STUDY) -> Any:
    """A report with a section a text, a person's name, and a number."""

    def named(meaning: str) -> Sequence:
        return Sequence([item(CodeValue="1", CodingSchemeDesignator="99", CodeMeaning=meaning)])

    parts = [item(ValueType="PNAME", ConceptNameCodeSequence=named("Observer"), PersonName="Roe^Richard")]
    for name, text in texts:
        inside = item(ValueType="TEXT", ConceptNameCodeSequence=named("Text"), TextValue=text)
        parts.append(
            item(ValueType="CONTAINER", ConceptNameCodeSequence=named(name), ContentSequence=Sequence([inside]))
        )
    return header_of(Modality="SR", StudyInstanceUID=study, SeriesInstanceUID=f"{study}.9", ValueType="CONTAINER",
                     PatientName="Doe^Jane", ContentSequence=Sequence(parts))  # fmt: skip


def document(kind: str, content: bytes, study: str = STUDY) -> Any:
    return header_of(
        Modality="DOC", StudyInstanceUID=study, MIMETypeOfEncapsulatedDocument=kind, EncapsulatedDocument=content
    )


def pictures(tmp_path: Path, **options: Any) -> list[list[str]]:
    found = samples(corpus_in(tmp_path, "dicom", task="caption", identifiers="public", options=options))
    return [[image["uri"] for image in sample["images"]] for sample in found]


def test_slices_are_spread_evenly_over_the_places_of_a_series_whatever_their_names_and_numbers(tmp_path: Path) -> None:
    stack(tmp_path, 1, 10)
    assert pictures(tmp_path, slices="middle") == [["1/005.dcm"]]  # place 5
    assert pictures(tmp_path, slices=2, record="series") == [["1/008.dcm", "1/003.dcm"]]  # places 2 and 7
    assert len(pictures(tmp_path, slices=20)) == 10


def test_a_series_is_one_sample_with_its_slices_in_the_order_of_the_stack(tmp_path: Path) -> None:
    stack(tmp_path, 1, 3)
    stack(tmp_path, 2, 2)
    assert pictures(tmp_path, record="series") == [["1/003.dcm", "1/002.dcm", "1/001.dcm"], ["2/002.dcm", "2/001.dcm"]]


def test_localizers_films_and_broken_files_are_no_slices(tmp_path: Path) -> None:
    stack(tmp_path, 1, 3)
    stack(tmp_path, 2, 1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    stack(tmp_path, 3, 1, Modality="DX")
    (tmp_path / "broken.dcm").write_bytes(b"not DICOM")
    items = read(corpus_in(tmp_path, "dicom", task="caption", identifiers="public", options={"slices": "middle"}))
    assert sorted(item.key for item in items) == ["1/002.dcm", "2/001.dcm", "3/001.dcm", "broken.dcm"]


def test_pictures_of_a_study_have_the_text_of_its_report_and_no_name_in_it(tmp_path: Path) -> None:
    stack(tmp_path, 1, 1)
    put(tmp_path / "sr/1.dcm", structured_report(("Findings", "Made-up lungs."), ("Impressions", "Made up.")))
    fields = {"findings": "findings", "impression": "impression"}
    card = {"task": "report", "identifiers": "keyed", "fields": fields, "options": {"reports": True}}
    [sample] = samples(corpus_in(tmp_path, "dicom", **card))
    assert sample["turns"][-1]["text"] == "Findings: Made-up lungs. Impression: Made up."
    assert "Roe" not in str(sample)
    assert "Doe" not in str(sample)


def test_a_report_without_pictures_and_a_pdf_stay_records_that_say_what_they_are(tmp_path: Path) -> None:
    stack(tmp_path, 1, 1)
    put(tmp_path / "other/sr.dcm", structured_report(("Findings", "Made up."), study=f"{STUDY}.5"))
    put(tmp_path / "pdf.dcm", document("application/pdf", b"%PDF-1.4 "))
    found = read(corpus_in(tmp_path, "dicom", task="report", identifiers="public", options={"reports": True}))
    assert [one.key for one in found if isinstance(one, Record)] == ["1/001.dcm", "other/sr.dcm", "pdf.dcm"]
    assert not any("report" in one.row or "findings" in one.row for one in found if isinstance(one, Record))


def test_a_clinical_document_in_xml_gives_the_words_of_its_body(tmp_path: Path) -> None:
    body = b"<structuredBody><text>Made-up <b>lungs</b>.</text></structuredBody>"
    xml = b"<ClinicalDocument><title>Doe</title>" + body + b"</ClinicalDocument>"
    assert read_document(even(xml)).text == {"text": "Made-up lungs."}


def even(xml: bytes) -> bytes:
    return bytes_of(document("text/xml", xml + b" " * (len(xml) % 2)))


def test_a_clinical_document_is_read_by_its_sections_whatever_its_prefixes_entities_and_encoding() -> None:
    head = (
        "<h:recordTarget><h:patientRole><h:id extension='MRN7788'/><h:patient><h:name><h:given>Jane</h:given>"
        "<h:family>Doe</h:family></h:name><h:birthTime value='19800201'/></h:patient></h:patientRole></h:recordTarget>"
    )
    sections = "".join(
        f"<h:component><h:section><h:title>{title}</h:title><h:text>{text}</h:text>"
        "<h:author><h:name>Roe</h:name></h:author></h:section></h:component>"
        for title, text in (
            ("Findings", "Ergu\xdf &lt; 3 mm<h:br/>left"),
            ("<h:content>Imp<h:b>ression</h:b></h:content> of today", "Made <h:content>up</h:content>."),
        )
    )
    xml = (
        '<?xml version="1.0" encoding="windows-1252"?><h:ClinicalDocument xmlns:h="urn:hl7-org:v3">'
        f"{head}<h:component><h:structuredBody>{sections}</h:structuredBody></h:component></h:ClinicalDocument>"
    )
    found = read_document(even(xml.encode("cp1252")))
    assert found.text == {"findings": "Ergu\xdf < 3 mm left", "impression": "Made up."}
    assert found.identifiers == (("id", "MRN7788"), ("name", "Jane Doe"), ("date", "19800201"))


def test_a_clinical_document_that_holds_a_file_gives_no_text_and_a_broken_one_says_so() -> None:
    held = b'<c><nonXMLBody><text mediaType="application/pdf" representation="B64">JVBERi0x</text></nonXMLBody></c>'
    assert read_document(even(held)) == Document({})
    with pytest.raises(PictureError, match="a clinical document: XML that is cut off"):
        read_document(even(b"<c><structuredBody>"))


def test_what_a_report_says_of_whom_and_by_whom_is_sought_and_is_no_text_of_it() -> None:
    def code(value: str, scheme: str = "DCM") -> Sequence:
        return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="Made up")])

    def text(words: str, relationship: str | None, value: str = "1", scheme: str = "99", **more: Any) -> Any:
        related = {} if relationship is None else {"RelationshipType": relationship}
        return item(ValueType="TEXT", ConceptNameCodeSequence=code(value, scheme), TextValue=words, **related, **more)

    inner = Sequence([text("Inferred.", "INFERRED FROM"), text("Nobody Special", "HAS OBS CONTEXT")])
    parts = [
        text("MRN-778899", "HAS OBS CONTEXT", "121030", "DCM"),
        text("Acme", "HAS OBS CONTEXT", more := "121014", "DCM"),
        text("ACC4711", "CONTAINS", "121022", "DCM"),
        text("contrast of Roe", "HAS ACQ CONTEXT", ContentSequence=Sequence([text("below it", "CONTAINS")])),
        text("left", "HAS CONCEPT MOD"),
        item(ValueType="PNAME", RelationshipType="HAS OBS CONTEXT", PersonName="Roe^Richard"),
        text("Clear lungs.", "CONTAINS", ContentSequence=inner),
        text("Old writers name no relationship.", None),
        text("A property.", "HAS PROPERTIES", more, "99"),
    ]
    found = read_document(bytes_of(header_of(Modality="SR", ContentSequence=Sequence(parts))))
    assert found.text == {"text": "Clear lungs.\nInferred.\nOld writers name no relationship.\nA property."}
    sought = {"MRN-778899", "Acme", "ACC4711", "Roe^Richard", "Nobody Special"}
    assert {value for _, value in found.identifiers} == sought


def test_a_report_is_told_by_its_sop_class_and_by_its_modality_only_where_it_has_none() -> None:
    pdf, dose, comprehensive = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("104.1", "88.67", "88.33"))
    assert is_document(header_of(SOPClassUID=pdf, Modality="OT"))
    assert is_document(header_of(SOPClassUID=comprehensive, Modality="CT"))
    assert is_document(header_of(Modality="SR"))
    assert not is_document(header_of(SOPClassUID=dose, Modality="SR"))
    assert not is_document(header_of(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="DOC"))


def test_a_series_and_a_report_that_were_exported_twice_are_taken_once(tmp_path: Path) -> None:
    for export in ("a", "b"):
        for n in range(3):
            stack(
                tmp_path / export / str(n), 1, 1, SOPInstanceUID=f"{STUDY}.1.{n}", ImagePositionPatient=[0, 0, 5.0 * n]
            )
        report = structured_report(("Findings", "Made-up lungs."))
        report.SOPInstanceUID = f"{STUDY}.9.1"
        put(tmp_path / export / "sr.dcm", report)
    fields = {"findings": "findings"}
    card = {"task": "report", "identifiers": "public", "fields": fields}
    options = {"reports": True, "record": "series"}
    [sample] = samples(corpus_in(tmp_path, "dicom", options=options, **card))
    assert [image["uri"] for image in sample["images"]] == [f"a/{n}/1/001.dcm" for n in range(3)]
    assert sample["turns"][-1]["text"] == "Findings: Made-up lungs."


def test_reports_to_which_a_tool_gave_one_name_are_all_taken(tmp_path: Path) -> None:
    stack(tmp_path, 1, 1)
    for words in ("Made-up lungs.", "An addendum."):
        report = structured_report(("Findings", words))
        report.SOPInstanceUID = f"{STUDY}.9.1"
        put(tmp_path / f"{words[:2]}.dcm", report)
    card = {"task": "report", "identifiers": "public", "fields": {"findings": "findings"}}
    [sample] = samples(corpus_in(tmp_path, "dicom", options={"reports": True}, **card))
    assert sample["turns"][-1]["text"] == "Findings: An addendum.\nMade-up lungs."


def test_slices_to_which_a_tool_gave_one_name_are_all_taken(tmp_path: Path) -> None:
    stack(tmp_path, 1, 3, SOPInstanceUID=f"{STUDY}.1.0")
    assert [len(one) for one in pictures(tmp_path, record="series")] == [3]


def pdf_of(*lines: str) -> bytes:
    """A page with these lines, as simple as PDF can be."""
    shown = " ".join(f"({line}) Tj T*" for line in lines)
    content = f"BT /F1 10 Tf 72 720 Td 14 TL {shown} ET"
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page = "/Parent 2 0 R /Contents 4 0 R /MediaBox [0 0 612 792]"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page {page} /Resources << /Font << /F1 {font} >> >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 5\n0000000000 65535 f \n{table}trailer << /Size 5 /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + end.encode() + b" " * (len(body + end.encode()) % 2)


def test_of_a_report_in_pdf_only_the_sections_are_taken_and_never_the_name_above_them(tmp_path: Path) -> None:
    stack(tmp_path, 1, 1)
    said = ("INDICATION: Cough", "FINDINGS: Made-up lungs", "are made up.", "IMPRESSION: Clear.")
    lines = ("Jane Doe, 01/02/1980", *said, "Electronically signed by Dr. Roe")
    put(tmp_path / "pdf.dcm", document("application/pdf", pdf_of(*lines)))
    fields = {"findings": "findings", "impression": "impression"}
    card = {"task": "report", "identifiers": "public", "fields": fields, "options": {"reports": True}}
    [sample] = samples(corpus_in(tmp_path, "dicom", **card))
    assert sample["turns"][-1]["text"] == "Findings: Made-up lungs are made up. Impression: Clear."
    assert "Doe" not in str(sample)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pdf_of("Jane Doe", "Made-up lungs."), "without the headings"),
        (pdf_of(), "its pages are pictures"),
        (b"%PDF-1.4 and no more", "dicom document"),
    ],
)
def test_a_pdf_that_tells_no_section_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(PictureError, match=why):
        read_document(bytes_of(document("application/pdf", content + b" " * (len(content) % 2))))


def test_the_structured_reports_of_the_shared_data_give_text_or_nothing(shared_data: Path) -> None:
    given = [read_document(path.read_bytes()) for path in sorted((shared_data / "dicom").rglob("*.dcm"))
             if "report" in path.name or "sr_document" in path.name]  # fmt: skip
    assert given
    assert any(found.text for found in given)


def test_the_institution_that_a_shared_report_names_as_its_observer_is_not_its_text(shared_data: Path) -> None:
    found = read_document((shared_data / "dicom/cornerstone/testImages/no-pixel-data.dcm").read_bytes())
    assert "Redlands Clinic" not in found.text["text"].split("\n")
    assert "Redlands Clinic" in [value for _, value in found.identifiers]


def test_a_value_that_an_option_cannot_have_is_refused(tmp_path: Path) -> None:
    stack(tmp_path, 1, 1)
    for options in ({"slices": 0}, {"slices": "some"}, {"record": "study"}):
        with pytest.raises(CorpusError, match="options"):
            pictures(tmp_path, **options)


def test_modality_body_part_and_view_are_kept_beside_a_sample_and_nothing_that_is_no_code(tmp_path: Path) -> None:
    codes = {"BodyPartExamined": "CHEST", "ViewPosition": "PA", "Laterality": "Mrs Doe"}
    stack(tmp_path, 1, 1, Modality="DX", InstitutionName="Redlands Clinic", **codes)
    [sample] = samples(corpus_in(tmp_path, "dicom", task="caption", identifiers="keyed"))
    assert json.loads(sample["meta"]) == {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA"}
    [own] = samples(corpus_in(tmp_path, "dicom", task="caption", identifiers="keyed", meta=["KVP"]))
    assert own["meta"] is None
