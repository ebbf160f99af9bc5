"""DICOM headers and files: what leaves a header, and what becomes of every real and hostile file."""

import io
import json
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML

from sources.dicom import ALLOWED, caption_from, codecs, dicom_modality, header_facts
from sources.dicom.header import read_header
from sources.dicom.vocabulary import (
    BODY_PARTS,
    CONVERSIONS,
    IMAGE_TYPES,
    MODALITY_OF,
    PHOTOMETRIC,
    SIDES,
    VIEWS,
    YES_NO,
)
from sources.pictures import Limits, PictureError, decode, open_picture, probe, sniff
from sources.schema import MODALITIES, Reason
from tests.sources.dicom_files import bytes_of, header_of, picture_of, real_files, wheel_file

GREY = (np.arange(32 * 40, dtype=np.uint16).reshape(32, 40) * 3).astype(np.uint16)
CODE_KEYWORDS = [keyword for keyword in ALLOWED if pydicom.datadict.dictionary_VR(keyword) == "CS"]
KNOWN_CODES = {
    *MODALITY_OF, *BODY_PARTS, *VIEWS, *SIDES, *PHOTOMETRIC, *IMAGE_TYPES, *CONVERSIONS, *YES_NO,
}  # fmt: skip
SECRET = "Zquorx^Mirabelle"
NUMBER = "MRN9048372615"


def refused(data: bytes, limits: Limits | None = None) -> PictureError:
    with pytest.raises(PictureError) as caught:
        decode(data, 0, limits)
    return caught.value


def test_every_pixel_file_of_the_shared_data_decodes_but_for_the_broken_ones(shared_data: Path) -> None:
    refusals = {}
    decoded = 0
    for path in real_files(shared_data):
        data = path.read_bytes()
        if sniff(data) != "dicom":
            continue
        try:
            decode(data)
            decoded += 1
        except PictureError as error:
            if error.reason != Reason.IMAGE_MISSING:
                refusals[path.name] = (error.reason, error.detail)
    assert refusals == {
        "JPEG2000-embedded-sequence-delimiter.dcm": (
            Reason.IMAGE_BOMB,
            "3722445056 x 1024 pixels, more than 200000000 are allowed",
        ),
        "MR_truncated.dcm": (
            Reason.IMAGE_UNDECODABLE,
            "Explicit VR Little Endian: 8130 bytes of pixels, 8192 expected",
        ),
        "badVR.dcm": (Reason.IMAGE_UNDECODABLE, "NumberOfFrames is missing or malformed"),
        "meta_missing_tsyntax.dcm": (Reason.IMAGE_UNDECODABLE, "Rows is missing or malformed"),
        "nested_priv_SQ.dcm": (Reason.IMAGE_UNDECODABLE, "Rows is missing or malformed"),
    }
    assert decoded > 190


def test_twelve_bit_jpegs_that_pydicom_refuses_show_the_uncompressed_picture(shared_data: Path) -> None:
    folder = shared_data / "dicom/cornerstone/testImages"
    plain = decode((folder / "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm").read_bytes())
    for name in ("2_4TransferSyntax_1.2.840.10008.1.2.4.51", "6_8TransferSyntax_1.2.840.10008.1.2.4.53"):
        shown = decode((folder / f"CTImage.dcm_JPEGProcess{name}.dcm").read_bytes())
        assert np.corrcoef(shown.pixels.ravel(), plain.pixels.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("name", ["ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "rtstruct.dcm"])
def test_files_without_preamble_are_recognised(name: str) -> None:
    assert sniff(wheel_file(name)) == "dicom"


def test_a_file_that_starts_amid_an_element_is_not_recognised() -> None:
    assert sniff(wheel_file("no_meta.dcm")) is None


@pytest.mark.parametrize("name", ["reportsi.dcm", "rtstruct.dcm", "rtplan.dcm", "DICOMDIR", "no_meta_group_length.dcm"])
def test_files_without_pixels_are_missing_pictures(name: str) -> None:
    error = refused(wheel_file(name))
    assert (error.reason, error.detail[:13]) == (Reason.IMAGE_MISSING, "no pixel data")


def test_a_segmentation_is_no_picture() -> None:
    error = refused(wheel_file("liver_1frame.dcm"))
    assert error.reason == Reason.IMAGE_MISSING
    assert "segmentation" in error.detail


def test_a_transfer_syntax_without_decoder_is_named() -> None:
    dataset = picture_of(GREY)
    dataset.PixelData = encapsulate([b"\0\0\1\xb3"])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    assert refused(bytes_of(dataset)).detail == "MPEG2 Main Profile / Main Level: no decoder"


def test_an_unregistered_transfer_syntax_is_not_quoted() -> None:
    dataset = picture_of(GREY)
    dataset.PixelData = encapsulate([b"\0\0"])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.90483726155")
    error = refused(bytes_of(dataset).replace(b"1.2.840.10008.1.2.1\0", b"1.2.90483726155\0\0\0\0\0"))
    assert "90483726155" not in error.detail
    assert error.reason == Reason.IMAGE_UNDECODABLE


def test_every_codec_is_installed_and_listed() -> None:
    listed = {row["syntax"]: row["decoders"] for row in codecs()}
    assert listed["RLE Lossless"] == ["pylibjpeg-rle"]
    assert listed["JPEG-LS Lossless Image Compression"] == ["pyjpegls"]
    assert listed["High-Throughput JPEG 2000 Image Compression"] == ["pylibjpeg-openjpeg"]
    assert listed["JPEG Extended (Process 2 and 4)"] == ["pillow", "python-gdcm"]
    assert listed["MPEG2 Main Profile / Main Level"] == []


def test_nothing_after_the_start_of_the_pixels_is_read() -> None:
    class Counted(io.BytesIO):
        furthest = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.furthest = max(self.furthest, self.tell())
            return data

    data = bytes_of(picture_of(np.zeros((2000, 2000), np.uint16), Modality="CT"))
    file = Counted(data)
    header = read_header(file, len(data), Limits())
    assert header_facts(header.dataset)["Modality"] == "CT"
    assert file.furthest < len(data) - 2000 * 2000 * 2 + 16


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_facts_are_the_allow_listed_ones_with_known_values() -> None:
    dataset = header_of(
        Modality="MG", BodyPartExamined="BREAST", ViewPosition="MLO", ImageLaterality="L", KVP="28.5",
        SliceThickness="1", Rows=10, ImageType=["ORIGINAL", "PRIMARY", "DR^HOUSE"], BurnedInAnnotation="NO",
        PatientSex="F", PatientAge="042Y", StudyDescription="x", Manufacturer="y", NumberOfFrames="3",
    )  # fmt: skip
    assert header_facts(dataset) == {
        "Modality": "MG", "BodyPartExamined": "BREAST", "ViewPosition": "MLO", "ImageLaterality": "L", "KVP": 28.5,
        "SliceThickness": 1.0, "Rows": 10, "ImageType": ["ORIGINAL", "PRIMARY"], "BurnedInAnnotation": "NO",
        "NumberOfFrames": 3,
    }  # fmt: skip


def test_a_planted_name_or_number_reaches_neither_facts_nor_captions_nor_errors() -> None:
    """In every allow-listed code element itself, in every other text element there is, and in private ones."""
    clean = picture_of(GREY, Modality="CT")
    planted = picture_of(GREY)
    for keyword in CODE_KEYWORDS:
        if keyword != "PhotometricInterpretation":
            setattr(planted, keyword, SECRET.upper().replace("^", " ")[:16])
    for tag, (vr, multiplicity, _, retired, keyword) in pydicom.datadict.DicomDictionary.items():
        group = tag >> 16
        if vr in {"LO", "SH", "PN", "LT", "ST", "UT", "UC"} and 0x0008 <= group < 0x7FE0 and keyword and not retired:
            value = SECRET if vr == "PN" else NUMBER
            setattr(planted, keyword, [value, value] if multiplicity == "2" else value)
    planted.private_block(0x0029, NUMBER, create=True).add_new(1, "LO", SECRET)
    data = bytes_of(planted)
    assert data.count(NUMBER.encode()) > 500
    shown = decode(data)
    assert shown.facts.keys() == decode(bytes_of(clean)).facts.keys() - {"Modality"}
    seen = json.dumps([dict(shown.facts), caption_from(shown.facts), shown.modality])
    for cut in (300, len(data) // 2, len(data) - 100):
        try:
            decode(data[:cut])
        except PictureError as error:
            seen += f"{error} {error.__cause__} {error.detail}"
    assert "Zquorx".upper() not in seen.upper()
    assert "9048372615" not in seen


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=16), st.sampled_from(CODE_KEYWORDS))
def test_a_code_outside_the_vocabularies_never_becomes_a_fact(text: str, keyword: str) -> None:
    assume(text.strip() not in KNOWN_CODES)
    dataset = pydicom.Dataset()
    dataset.add_new(keyword, "CS", text)
    assert header_facts(dataset) == {}


def test_modalities_are_the_projects_own() -> None:
    assert set(MODALITY_OF.values()) <= set(MODALITIES)
    modalities = {code: dicom_modality({"Modality": code}) for code in ("CR", "MR", "US", "SM", "OPT", "OT", "KO")}
    assert list(modalities.values()) == [
        "xray",
        "mri",
        "ultrasound",
        "histopathology",
        "oct",
        "unknown",
        "other_medical",
    ]
    assert dicom_modality({}) == "unknown"
    assert dicom_modality({"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}) == "unknown"
    assert dicom_modality({"Modality": "SM", "ImageType": ["ORIGINAL", "PRIMARY", "LABEL"]}) == "unknown"
    assert dicom_modality({"Modality": "CR", "ImageType": ["DERIVED", "SECONDARY"]}) == "xray"
    assert caption_from({"Modality": "CT", "ImageType": ["SCREEN SAVE"]}) is None


@pytest.mark.parametrize(
    ("facts", "caption"),
    [
        ({"Modality": "CT", "BodyPartExamined": "ABDOMEN"}, "CT, abdomen."),
        ({"Modality": "MR"}, "MRI."),
        ({"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA"}, "X-ray, chest, PA view."),
        (
            {"Modality": "MG", "BodyPartExamined": "BREAST", "ImageLaterality": "L", "ViewPosition": "MLO"},
            "Mammogram, left breast, mediolateral oblique view.",
        ),
        ({"Modality": "OP", "Laterality": "R"}, "Fundus photograph, right side."),
        ({"Modality": "OT", "BodyPartExamined": "KNEE"}, "Medical image, knee."),
        ({"Modality": "OT"}, None),
        ({"Rows": 3}, None),
    ],
)
def test_captions_say_the_facts_and_nothing_else(facts: dict[str, str], caption: str | None) -> None:
    assert caption_from(facts) == caption


def deflated(dataset_bytes: bytes, more_zeros: int = 0) -> bytes:
    """A deflated file of these encoded elements, followed by many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(dataset_bytes)
    packed += b"".join(packer.compress(bytes(2**20)) for _ in range(more_zeros // 2**20)) + packer.flush()
    syntax = b"1.2.840.10008.1.2.1.99"
    return bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax + packed


@pytest.mark.parametrize(
    "start",
    [
        struct.pack("<HH2sHL", 0x0009, 0x1010, b"OB", 0, 0xFFFFFFF0),
        struct.pack("<HH2sHL", 0x0009, 0x1010, b"OB", 0, 0xFFFFFFFF),
        struct.pack("<HH2sH", 0x0008, 0x0060, b"CS", 2) + b"CT",
        struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 0xFFFFFFF0),
    ],
    ids=["a huge value", "a value without end", "elements without end", "pixels without rows"],
)
def test_deflated_files_are_inflated_only_as_far_as_a_header_goes(start: bytes) -> None:
    data = deflated(start, more_zeros=100 * 2**20)
    assert len(data) < 200_000
    began = time.perf_counter()
    assert refused(data).reason in {Reason.IMAGE_BOMB, Reason.IMAGE_UNDECODABLE}
    assert time.perf_counter() - began < 20


def test_deflated_pixels_are_bounded_by_the_header() -> None:
    plain = bytes_of(picture_of(GREY))
    elements = plain[plain.index(struct.pack("<HH", 0x0028, 2)) :]
    header, pixels = elements[: -GREY.nbytes - 4], elements[-GREY.nbytes :]
    for claimed in (GREY.nbytes, 0xFFFFFFF0):
        shown = decode(deflated(header + struct.pack("<L", claimed) + pixels, more_zeros=2**26))
        assert np.array_equal(shown.pixels, decode(plain).pixels)


def test_a_header_of_a_million_empty_items_ends_within_seconds() -> None:
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 2_000_000
    meta = bytes_of(header_of())
    data = meta + struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + items
    assert refused(data).reason == Reason.IMAGE_BOMB


def test_sizes_are_checked_before_anything_is_decoded() -> None:
    dataset = picture_of(GREY)
    dataset.Rows = dataset.Columns = 60_000
    assert refused(bytes_of(dataset)).reason == Reason.IMAGE_BOMB
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 32, 40, 1_000_000_000
    assert refused(bytes_of(dataset)).reason == Reason.IMAGE_UNDECODABLE


def test_a_codestream_of_another_size_than_the_header_is_not_decoded() -> None:
    data = wheel_file("JPEG2000.dcm")
    at = data.index(b"\xff\x4f\xff\x51") + 8
    larger = data[:at] + struct.pack(">II", 257, 1024) + data[at + 8 :]
    assert refused(larger).detail.endswith("the codestream is not of the header's size")
    bomb = data[:at] + struct.pack(">II", 60_000, 60_000) + data[at + 8 :]
    assert refused(bomb).reason == Reason.IMAGE_BOMB


def test_more_frames_than_fragments_are_refused_at_once() -> None:
    dataset = pydicom.dcmread(io.BytesIO(wheel_file("JPEG2000.dcm")))
    dataset.NumberOfFrames = 1_000_000
    assert refused(bytes_of(dataset)).detail.endswith("1000000 frames in 1 fragments")


def test_a_frame_that_kills_gdcm_is_undecodable_and_the_next_one_decodes() -> None:
    data = wheel_file("JPGExtended.dcm")
    sane = decode(data).pixels
    refusals = 0
    for at in range(data.index(b"\xff\xd8") + 2, len(data) - 2, max(len(data) // 60, 1)):
        try:
            decode(data[:at] + b"\xff\x01" + data[at + 2 :])
        except PictureError:
            refusals += 1
    assert refusals > 5
    assert np.array_equal(decode(data).pixels, sane)


def test_a_truncated_jpeg_ls_frame_fails_at_once() -> None:
    data = wheel_file("JPEGLSNearLossless_16.dcm")
    stream = data[data.index(b"\xff\xd8") :]
    frame = stream[: stream.index(b"\xff\xd9")]
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.PixelData = encapsulate([frame[: len(frame) // 2] + b"\x7f"])
    began = time.perf_counter()
    assert refused(bytes_of(dataset)).reason == Reason.IMAGE_UNDECODABLE
    assert time.perf_counter() - began < 2


def test_a_missing_codec_is_not_the_frames_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    from sources.dicom import decoders

    decoders._decoder.cache_clear()
    monkeypatch.setitem(decoders._PLUGIN_MODULES, "openjpeg_frame", "no_such_codec")
    with pytest.raises(ImportError):
        decode(wheel_file("JPEG2000.dcm"))
    decoders._decoder.cache_clear()


def test_frames_are_found_without_decoding_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from sources.dicom import picture as module

    decoded = []
    real = module.decode_frame
    monkeypatch.setattr(module, "decode_frame", lambda *args: decoded.append(args[0]) or real(*args))
    opened = open_picture(wheel_file("SC_rgb_rle_2frame.dcm"))
    last = opened.frame(1)
    assert len(decoded) == 1
    assert not np.array_equal(last.pixels, opened.frame(0).pixels)


def test_probe_tells_size_depth_and_frames() -> None:
    header = probe(wheel_file("SC_rgb_rle_16bit_2frame.dcm"))
    assert (header.format, header.width, header.height) == ("dicom", 100, 100)
    assert (header.bit_depth, header.channels, header.frames) == (16, 3, 2)


def test_real_headers_give_a_caption_and_a_modality() -> None:
    picture = decode(wheel_file("CT_small.dcm"))
    assert picture.modality == "ct"
    assert caption_from(picture.facts) == "CT."
