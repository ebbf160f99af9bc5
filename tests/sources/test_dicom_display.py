"""Displayed pixels, against pydicom's own decoding and lookup functions and against values known beforehand."""

import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from filters.statistics import pixel_hash
from sources.pictures import Limits, PictureError, decode, open_picture, render, sniff
from tests.sources.dicom_files import bytes_of, item, picture_of, real_files

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def shown(dataset: pydicom.FileDataset, frame: int = 0) -> np.ndarray[Any, Any]:
    return decode(bytes_of(dataset), frame).pixels


def lut(entries: list[int], first: int = 0, bits: int = 16) -> pydicom.Dataset:
    made = item(LUTDescriptor=[len(entries), first, bits])
    made.add_new("LUTData", "US", entries)
    return made


def stored_range(dataset: pydicom.Dataset) -> tuple[float, float]:
    """Range of values after the modality stage: what pydicom's window function scales to."""
    if "ModalityLUTSequence" in dataset:
        return 0, 2 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    bits = dataset.BitsStored
    low = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return low * slope + intercept, (low + 2**bits - 1) * slope + intercept


def with_groups_of_frame(dataset: pydicom.Dataset, frame: int) -> pydicom.Dataset:
    """The display attributes of a file, with those of its functional groups in their place."""
    made = pydicom.Dataset()
    made.update({element.tag: element for element in dataset if element.tag.group == 0x0028})
    for keyword, index in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", frame)):
        if keyword in dataset:
            group = dataset[keyword].value[index]
            for inner in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                if inner in group:
                    made.update(group[inner].value[0])
    made.file_meta = dataset.file_meta
    return made


def expected_grey(stored: np.ndarray[Any, Any], dataset: pydicom.Dataset, frame: int) -> np.ndarray[Any, Any]:
    """The grey pipeline by pydicom's functions, over the whole output range."""
    display = with_groups_of_frame(dataset, frame)
    values = apply_modality_lut(stored, display)
    most = 255 if dataset.get("BitsStored", 32) <= 8 else 65535
    low, high = stored_range(display) if "BitsStored" in display else (0.0, 0.0)
    if display.get("VOILUTSequence"):
        values = apply_voi_lut(values.astype(int), display)
        low, high = 0, 2 ** display.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif display.get("WindowCenter") is not None:
        values = apply_voi_lut(values, display)
    elif most == 65535:
        measured = values[stored != dataset.PixelPaddingValue] if "PixelPaddingValue" in dataset else values
        low, high = measured.min(), measured.max()
    share = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return (1 - share if dataset.PhotometricInterpretation == "MONOCHROME1" else share) * most


def expected_colour(stored: np.ndarray[Any, Any], dataset: pydicom.Dataset) -> np.ndarray[Any, Any]:
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(stored, dataset)[..., :3]
        return colours >> 8 if colours.dtype == np.uint16 else colours
    bits = dataset.BitsStored
    return stored.astype(float) * (255 if bits <= 8 else 65535) / (2**bits - 1)


def compared(path: Path) -> int:
    """Compare first and last frame of a file with pydicom's; how many frames pydicom could decode."""
    data = path.read_bytes()
    if sniff(data) != "dicom":
        return 0
    try:
        opened = open_picture(data)
        numbers = {0, opened.header.frames - 1}
        frames = {number: opened.frame(number).pixels for number in numbers}
    except PictureError:
        return 0
    dataset = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        syntax = ExplicitVRLittleEndian if dataset.original_encoding[1] else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    decoded = 0
    for number, pixels in frames.items():
        try:
            stored = pixel_array(dataset, index=number)
        except (RuntimeError, NotImplementedError):
            continue  # 12-bit JPEG
        colour = stored.ndim == 3 or dataset.PhotometricInterpretation == "PALETTE COLOR"
        wanted = expected_colour(stored, dataset) if colour else expected_grey(stored, dataset, number)
        same_shape = np.stack([pixels] * 3, axis=-1) if colour and pixels.ndim == 2 else pixels
        assert np.abs(same_shape - wanted).max() <= 0.5 + 1e-6, f"{path.name} frame {number}"
        decoded += 1
    return decoded


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_the_wheels_files_are_shown_as_pydicom_decodes_them() -> None:
    assert sum(compared(path) for path in real_files()) > 60


def test_the_shared_files_are_shown_as_pydicom_decodes_them(shared_data: Path) -> None:
    paths = [path for path in (shared_data / "dicom").rglob("*") if path.is_file()]
    assert sum(compared(path) for path in paths) == 147


def test_a_linear_window_follows_the_formula_of_the_standard() -> None:
    """PS3.3 C.11.2.1.2.1: x <= c - 0.5 - (w-1)/2 is black, x > c - 0.5 + (w-1)/2 is white."""
    pixels = shown(picture_of(RAMP, bits=12, WindowCenter=1000, WindowWidth=401)).ravel()
    assert (pixels[:800] == 0).all()
    assert (pixels[1200:] == 65535).all()
    assert pixels[1000] == round((1000 - 999.5) / 400 * 65535 + 0.5 * 65535)


def test_the_first_window_is_taken() -> None:
    one = picture_of(RAMP, bits=12, WindowCenter=1000, WindowWidth=400)
    two = picture_of(RAMP, bits=12, WindowCenter=[1000, 3000], WindowWidth=[400, 10])
    assert np.array_equal(shown(one), shown(two))


def test_a_voi_lut_goes_before_a_window() -> None:
    table = lut([0, 65535, 0, 30000], first=10)
    dataset = picture_of(RAMP, bits=12, WindowCenter=1000, WindowWidth=400, VOILUTSequence=[table])
    assert shown(dataset).ravel()[:16].tolist() == [0] * 11 + [65535, 0, 30000, 30000, 30000]


def test_a_modality_lut_goes_before_the_window() -> None:
    table = lut([100, 50, 0], bits=8)
    table.ModalityLUTType = "US"
    dataset = picture_of(RAMP, bits=12, ModalityLUTSequence=[table], WindowCenter=50.5, WindowWidth=101)
    assert shown(dataset).ravel()[:4].tolist() == [65535, 32768, 0, 0]


def test_monochrome1_is_turned_after_the_window() -> None:
    window = {"WindowCenter": 1000, "WindowWidth": 400}
    plain = shown(picture_of(RAMP, bits=12, **window))
    turned = shown(picture_of(RAMP, bits=12, PhotometricInterpretation="MONOCHROME1", **window))
    assert np.array_equal(turned, 65535 - plain)
    presentation = picture_of(
        RAMP, bits=12, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE", **window
    )
    assert np.array_equal(shown(presentation), turned)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": 100},
        {"WindowCenter": 100, "WindowWidth": 50, "VOILUTFunction": "CUBIC"},
        {"RescaleSlope": 0, "RescaleIntercept": 7},
        {"VOILUTSequence": [item(LUTExplanation="empty")]},
    ],
    ids=["no width", "only a center", "unknown function", "slope 0", "no table"],
)
def test_display_attributes_that_make_no_sense_are_as_if_absent(nonsense: dict[str, Any]) -> None:
    assert np.array_equal(shown(picture_of(RAMP, bits=12, **nonsense)), shown(picture_of(RAMP, bits=12)))


def test_without_a_window_deep_pixels_are_shown_from_lowest_to_highest_without_padding() -> None:
    stored = RAMP.astype(np.int16) + 100
    stored[0, 0] = -2000
    pixels = shown(picture_of(stored, PixelPaddingValue=-2000))
    assert (pixels[0, 0], pixels[0, 1], pixels[-1, -1]) == (0, 0, 65535)


def test_without_a_window_eight_bits_stay_what_they_are() -> None:
    stored = (RAMP % 100).astype(np.uint8)
    assert np.array_equal(shown(picture_of(stored)), stored)
    signed = (RAMP % 100).astype(np.int8)
    assert np.array_equal(shown(picture_of(signed)), stored + 128)
    rescaled = picture_of(stored, RescaleSlope=2, RescaleIntercept=-7)
    assert np.array_equal(shown(rescaled), stored)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_unused_high_bits_are_not_seen(bits: int) -> None:
    """Old files keep overlays there."""
    stored = (RAMP % 1000).astype(np.uint16)
    dirty = stored | np.uint16((0xFFFF << bits) & 0xFFFF)
    assert np.array_equal(shown(picture_of(dirty, bits=bits)), shown(picture_of(stored, bits=bits)))


def test_bilevel_pixels_are_black_and_white() -> None:
    stored = (RAMP % 3 == 0).astype(np.uint8)
    dataset = picture_of(stored)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.PixelData = np.packbits(stored.ravel(), bitorder="little").tobytes()
    assert np.array_equal(shown(dataset), stored * 255)


def test_floating_point_pixels_are_shown_over_their_range() -> None:
    values = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(64, 64)
    dataset = picture_of(RAMP)
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = values.tobytes()
    pixels = shown(dataset)
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 65535)
    assert (np.diff(pixels.ravel().astype(int)) >= 0).all()


def test_colour_by_plane_is_colour_by_pixel() -> None:
    colour = np.stack([RAMP % 200, RAMP % 77, RAMP % 31], axis=-1).astype(np.uint8)
    planar = picture_of(colour, PlanarConfiguration=1)
    planar.PixelData = colour.transpose(2, 0, 1).tobytes()
    assert np.array_equal(shown(planar), colour)


def test_colour_that_is_grey_has_one_channel() -> None:
    grey = (RAMP % 200).astype(np.uint8)
    assert np.array_equal(shown(picture_of(np.stack([grey] * 3, axis=-1))), grey)


def test_a_palette_of_eight_bit_words_in_sixteen_keeps_its_colours() -> None:
    stored = (RAMP % 4).astype(np.uint8)
    dataset = picture_of(stored, PhotometricInterpretation="PALETTE COLOR")
    for colour, entries in (("Red", [0, 255, 7, 9]), ("Green", [1, 2, 3, 4]), ("Blue", [9, 8, 7, 6])):
        for bits, name in ((8, colour),):
            dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [4, 0, bits])
            dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", np.array(entries, "<u2").tobytes())
    assert shown(dataset)[0, :4].tolist() == [[0, 1, 9], [255, 2, 8], [7, 3, 7], [9, 4, 6]]


def test_each_frame_has_the_window_of_its_own_group() -> None:
    groups = [item(FrameVOILUTSequence=[item(WindowCenter=center, WindowWidth=100)]) for center in (500, 3000)]
    stored = np.stack([RAMP, RAMP])
    dataset = picture_of(stored, bits=12, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=groups)
    for number, center in enumerate((500, 3000)):
        alone = picture_of(RAMP, bits=12, WindowCenter=center, WindowWidth=100)
        assert np.array_equal(shown(dataset, number), shown(alone))


def test_what_all_frames_share_is_used_where_a_frame_has_no_group_of_its_own() -> None:
    shared = item(
        PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=-100)],
        FrameVOILUTSequence=[item(WindowCenter=1000, WindowWidth=100)],
    )
    stored = np.stack([RAMP, RAMP[::-1]])
    dataset = picture_of(stored, bits=12, NumberOfFrames=2, SharedFunctionalGroupsSequence=[shared])
    alone = picture_of(RAMP, bits=12, WindowCenter=1000, WindowWidth=100, RescaleSlope=2, RescaleIntercept=-100)
    assert np.array_equal(shown(dataset, 1)[::-1], shown(alone))


def test_a_png_and_a_dicom_of_the_same_displayed_pixels_have_one_pixel_hash() -> None:
    dataset = picture_of((RAMP % 251).astype(np.uint8), PhotometricInterpretation="MONOCHROME1")
    dicom = bytes_of(dataset)
    png, extension = render(dicom, 0)
    assert extension == "png"
    assert pixel_hash(decode(png)) == pixel_hash(decode(dicom))
    deep = bytes_of(picture_of(RAMP, bits=12))
    assert pixel_hash(decode(render(deep, 0, None, 16)[0])) == pixel_hash(decode(deep))
    assert pixel_hash(decode(render(deep, 0)[0])) != pixel_hash(decode(deep))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_frames_in_several_fragments_without_offsets_are_put_together(syntax: pydicom.uid.UID) -> None:
    dataset = picture_of(RAMP, bits=12)
    plain = shown(dataset)
    dataset.compress(syntax, generate_instance_uid=False)
    if syntax == JPEGLSLossless:
        frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame], fragments_per_frame=3, has_bot=False)
    assert np.array_equal(shown(dataset), plain)


@pytest.mark.parametrize(("implicit", "little"), [(False, True), (True, True), (False, False)])
def test_bare_data_sets_without_preamble_and_meta_information_are_shown(implicit: bool, little: bool) -> None:
    dataset = picture_of(RAMP, bits=12, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="CT")
    plain = shown(dataset)
    if not little:
        dataset.PixelData = RAMP.byteswap().tobytes()
    bare = pydicom.Dataset()
    bare.update({element.tag: element for element in dataset})
    buffer = io.BytesIO()
    bare.save_as(buffer, implicit_vr=implicit, little_endian=little)
    assert np.array_equal(decode(buffer.getvalue()).pixels, plain)


HOUNSFIELD = {"Modality": "CT", "RescaleSlope": "1", "RescaleIntercept": "-1024"}
STORED = np.array([[0, 924, 1024, 1064, 1104, 1239, 2049, 4095]] * 8, np.uint16)


def by_preset(windows: str, stored: np.ndarray = STORED, **elements: Any) -> np.ndarray:
    data = bytes_of(picture_of(stored, 12, **{**HOUNSFIELD, **elements}))
    return decode(data, 0, Limits(ct_windows=windows)).pixels  # type: ignore[arg-type]


MEDGEMMA = [("bone", -100, 2250), ("soft_tissue", 40, 350), ("brain", 40, 80)]


@pytest.mark.parametrize(("windows", "level", "width"), MEDGEMMA)
def test_a_ct_is_shown_by_a_fixed_window_in_hounsfield_units(windows: str, level: float, width: float) -> None:
    units = STORED.astype(float) - 1024
    expected = np.clip((units - (level - width / 2)) / width, 0, 1) * 255
    assert np.abs(by_preset(windows).astype(float) - expected).max() <= 0.5


def test_the_three_windows_of_medgemma_are_red_green_and_blue() -> None:
    shown = by_preset("medgemma")
    assert shown.shape == (8, 8, 3)
    for channel, windows in enumerate(("bone", "soft_tissue", "brain")):
        assert (shown[..., channel] == by_preset(windows)).all()


def test_fixed_windows_are_of_ct_in_hounsfield_units_only() -> None:
    for elements in ({"Modality": "MR"}, {"RescaleSlope": "0"}):
        assert (by_preset("medgemma", **elements) == by_preset("header", **elements)).all()
