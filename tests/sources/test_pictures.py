import io
import os
import random
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from sources.pictures import (
    Limits,
    PictureError,
    decode,
    eight_bits,
    open_picture,
    probe,
    render,
    sniff,
    thumbnail_only,
)
from sources.pictures.guards import codec_errors
from sources.schema import Reason
from tests.sources.dicom_files import bytes_of, picture_of, wheel_file

GREY = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) % 251
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1).astype(np.uint8)


def encoded(pixels: np.ndarray, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def refused(data: bytes, limits: Limits | None = None, frame: int = 0) -> PictureError:
    with pytest.raises(PictureError) as caught:
        decode(data, frame, limits)
    return caught.value


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_claims(width: int, height: int, *more: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + png_chunk(b"IEND", b"")


def tiled_tiff(side: int) -> bytes:
    """A deflated TIFF of 16 x 16 black pixels whose one tile claims this side."""
    tile = zlib.compress(b"\0" * 256)
    tags = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1), (322, side), (323, side), (324, 8)]
    tags.append((325, len(tile)))
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(tile)) + tile + directory + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("form", "options", "name"),
    [
        ("PNG", {}, "png"),
        ("BMP", {}, "bmp"),
        ("GIF", {}, "gif"),
        ("TIFF", {}, "tiff"),
        ("TIFF", {"compression": "tiff_lzw"}, "tiff"),
        ("WEBP", {"lossless": True}, "webp"),
        ("JPEG2000", {"irreversible": False}, "jpeg2000"),
        ("PPM", {}, "pnm"),
    ],
)
def test_lossless_formats_show_the_pixels_they_were_made_of(form: str, options: dict[str, Any], name: str) -> None:
    grey = GREY.astype(np.uint8)
    data = encoded(grey, form, **options)
    picture = decode(data)
    assert sniff(data) == picture.format == name
    assert (picture.bit_depth, picture.frames, picture.channels) == (8, 1, 1)
    assert np.array_equal(picture.pixels, grey)
    if form != "GIF":  # 256 colours are too few
        assert np.array_equal(decode(encoded(COLOUR, form, **options)).pixels, COLOUR)


def test_jpegs_show_what_pillow_decodes() -> None:
    data = encoded(COLOUR, "JPEG", quality=90)
    assert np.array_equal(decode(data).pixels, np.asarray(Image.open(io.BytesIO(data))))


def test_a_header_is_told_without_decoding() -> None:
    truncated = encoded(COLOUR, "PNG")[:200]
    header = probe(truncated)
    assert (header.format, header.width, header.height, header.channels, header.frames) == ("png", 64, 48, 3, 1)
    assert refused(truncated).reason == Reason.IMAGE_UNDECODABLE


def test_rgb_whose_channels_are_equal_is_grey() -> None:
    grey = GREY.astype(np.uint8)
    assert np.array_equal(decode(encoded(np.stack([grey] * 3, -1), "PNG")).pixels, grey)
    almost = np.stack([grey] * 3, -1)
    almost[47, 63, 2] ^= 1
    assert decode(encoded(almost, "PNG")).channels == 3


def test_palettes_show_their_colours() -> None:
    image = Image.fromarray(COLOUR).quantize(16)
    assert np.array_equal(decode(saved(image, "PNG")).pixels, np.asarray(image.convert("RGB")))


def test_transparent_pixels_are_white_whatever_colour_they_hide() -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[:2, :, 3] = 255
    shown = decode(encoded(pixels, "PNG")).pixels
    assert (shown[:2] == (200, 0, 0)).all()
    assert (shown[2:] == 255).all()


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 90, 60, 30])
    assert decode(saved(image, "PNG", transparency=0)).pixels.tolist() == [[[255, 255, 255], [90, 60, 30]]]


def test_sixteen_bits_are_kept() -> None:
    deep = GREY * 260
    for form in ("PNG", "TIFF"):
        picture = decode(encoded(deep, form))
        assert picture.bit_depth == 16
        assert picture.pixels.dtype == np.uint16
        assert np.array_equal(picture.pixels, deep)


def test_a_bilevel_picture_is_black_and_white() -> None:
    image = Image.fromarray(GREY.astype(np.uint8)).convert("1")
    picture = decode(saved(image, "TIFF", compression="group4"))
    assert picture.bit_depth == 1
    assert np.array_equal(picture.pixels, np.asarray(image, np.uint8) * 255)


def test_floating_point_is_scaled_to_its_own_range() -> None:
    values = np.array([[-1.0, 0.0], [1.0, np.nan]], np.float32)
    assert decode(encoded(values, "TIFF")).pixels.tolist() == [[0, 32768], [65535, 0]]


def test_cmyk_jpegs_are_shown_in_rgb() -> None:
    image = Image.fromarray(COLOUR).convert("CMYK")
    data = saved(image, "JPEG", quality=95)
    assert np.array_equal(decode(data).pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("form", ["TIFF", "GIF", "WEBP"])
def test_frames_are_decoded_by_number(form: str) -> None:
    frames = [Image.fromarray(np.full((20, 30), level, np.uint8)) for level in (0, 60, 120, 180)]
    options = {"lossless": True} if form == "WEBP" else {}
    data = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert probe(data).frames == 4
    opened = open_picture(data)
    assert [int(opened.frame(number).pixels[3, 3]) for number in (2, 0, 3, 1)] == [120, 0, 180, 60]
    assert refused(data, frame=4).reason == Reason.IMAGE_MISSING


def test_an_animated_png_is_one_picture() -> None:
    frames = [Image.fromarray(np.full((20, 30), level, np.uint8)) for level in (9, 60)]
    assert probe(saved(frames[0], "PNG", save_all=True, append_images=frames[1:])).frames == 1


def test_jpegs_can_be_decoded_at_reduced_scale() -> None:
    large = np.kron(GREY.astype(np.uint8), np.ones((24, 24), np.uint8))
    data = encoded(large, "JPEG", quality=95)
    small = thumbnail_only(data)
    assert (small.width, small.height) == (64 * 24, 48 * 24)
    assert small.pixels.shape == (48 * 24 // 8, 64 * 24 // 8)
    exact = Image.fromarray(large).resize((64, 48), Image.Resampling.BOX)
    shown = Image.fromarray(np.asarray(small.pixels)).resize((64, 48), Image.Resampling.BOX)
    assert np.abs(np.asarray(exact, int) - np.asarray(shown, int)).mean() < 2


def test_a_picture_of_60000_pixels_a_side_is_refused_from_its_header() -> None:
    error = refused(png_that_claims(60_000, 60_000, png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))))
    assert error.reason == Reason.IMAGE_BOMB
    assert "60000 x 60000" in error.detail


def test_the_limit_is_ours_whatever_pillow_allows() -> None:
    data = encoded(GREY.astype(np.uint8), "PNG")
    assert refused(data, Limits(max_pixels=64 * 48 - 1)).reason == Reason.IMAGE_BOMB
    pillows = Image.MAX_IMAGE_PIXELS
    try:
        Image.MAX_IMAGE_PIXELS = 10
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode(data, 0, Limits(max_pixels=64 * 48)).width == 64
        assert Image.MAX_IMAGE_PIXELS == 10
    finally:
        Image.MAX_IMAGE_PIXELS = pillows


def test_a_tile_larger_than_the_limit_is_a_bomb_in_a_small_tiff() -> None:
    assert np.array_equal(decode(tiled_tiff(16)).pixels, np.zeros((16, 16)))
    assert refused(tiled_tiff(60_000)).reason == Reason.IMAGE_BOMB


def test_a_jpeg2000_codestream_larger_than_its_box_says_is_a_bomb() -> None:
    data = bytearray(encoded(GREY.astype(np.uint8), "JPEG2000"))
    size = data.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">II", data, size + 8, 60_000, 60_000)
    assert refused(bytes(data)).reason == Reason.IMAGE_BOMB


def test_files_larger_than_allowed_are_not_looked_into() -> None:
    assert refused(encoded(COLOUR, "PNG"), Limits(max_bytes=100)).reason == Reason.IMAGE_BOMB


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"FORMAT dicom\n\n%header\n\nREMOVE ALL\n",
        b"GIF89a",
        b"BMW cars are not bitmaps, and this text is long enough to look at.",
        b"P5 is a peptide, not a picture",
        b"RIFF\x10\x00\x00\x00WAVEfmt ",
        random.Random(7).randbytes(5000),
    ],
    ids=["empty", "html", "deid recipe", "only a magic", "text BM", "text P5", "sound", "noise"],
)
def test_what_is_no_picture_is_undecodable(data: bytes) -> None:
    assert refused(data).reason == Reason.IMAGE_UNDECODABLE


def test_every_tenth_of_a_jpeg_is_undecodable() -> None:
    data = encoded(COLOUR, "JPEG", quality=90)
    reasons = {refused(data[: len(data) * tenth // 10]).reason for tenth in range(10)}
    assert reasons == {Reason.IMAGE_UNDECODABLE}


def test_the_two_broken_pictures_of_the_shared_data_and_no_others_fail(shared_data: Path) -> None:
    names = [path for path in sorted((shared_data / "images").rglob("*")) if path.suffix in {".jpg", ".png", ".tif"}]
    failed = []
    for path in random.Random(0).sample(names, 150) + [path for path in names if "skimage" in path.parts]:
        try:
            decode(path.read_bytes())
        except PictureError:
            failed.append(path.name)
    assert set(failed) == {"truncated.jpg", "multipage_rgb.tif"}


def test_the_text_recipes_called_dicom_are_not_dicom(shared_data: Path) -> None:
    recipes = list((shared_data / "dicom/deid").rglob("*.dicom"))
    assert len(recipes) == 27
    assert {sniff(path.read_bytes()) for path in recipes} == {None}


@pytest.mark.parametrize("seed", range(40))
def test_mutated_files_give_a_picture_or_a_picture_error(seed: int) -> None:
    rng = random.Random(seed)
    sources = [
        encoded(COLOUR, "JPEG"),
        encoded(COLOUR, "PNG"),
        encoded(GREY * 200, "TIFF"),
        saved(Image.fromarray(COLOUR), "TIFF", compression="jpeg"),
        encoded(COLOUR, "WEBP"),
        encoded(COLOUR, "GIF"),
        encoded(COLOUR, "JPEG2000"),
        encoded(COLOUR, "BMP"),
        wheel_file("JPEG2000.dcm"),
        wheel_file("MR_small_RLE.dcm"),
        wheel_file("JPEGLSNearLossless_08.dcm"),
        wheel_file("SC_rgb_jpeg_dcmtk.dcm"),
        wheel_file("JPGExtended.dcm"),
        wheel_file("image_dfl.dcm"),
    ]
    for source in sources:
        data = bytearray(source)
        for _ in range(rng.choice([1, 3, 10])):
            data[rng.randrange(rng.choice([300, len(data)]))] = rng.choice([0, 255, rng.randrange(256)])
        _picture_or_error(bytes(data[: rng.choice([len(data), len(data), rng.randrange(len(data))])]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"II*\0", b"GIF89a", b"\0" * 128 + b"DICM"]))
def test_arbitrary_bytes_give_a_picture_error(data: bytes, magic: bytes) -> None:
    _picture_or_error(magic + data)


def _picture_or_error(data: bytes) -> None:
    try:
        picture = open_picture(data).frame(0)
    except PictureError:
        return
    assert picture.pixels.shape[:2] == (picture.height, picture.width)


def test_codecs_write_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    tiff = saved(Image.fromarray(COLOUR), "TIFF", compression="jpeg")
    jpeg2000 = encoded(COLOUR, "JPEG2000")
    for data in (tiff, jpeg2000, wheel_file("JPGExtended.dcm"), wheel_file("JPEG2000.dcm")):
        for start in range(100, len(data), max(len(data) // 30, 1)):
            _picture_or_error(data[:start] + b"\xff\x00" + data[start + 2 :])
    assert capfd.readouterr() == ("", "")


def test_truncated_files_stay_refused_where_others_switched_pillow_to_accept_them() -> None:
    data = encoded(COLOUR, "PNG")[:-40]
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        assert refused(data).reason == Reason.IMAGE_UNDECODABLE
        assert ImageFile.LOAD_TRUNCATED_IMAGES
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def test_errors_of_our_own_lines_are_not_taken_for_a_codecs() -> None:
    with pytest.raises(AttributeError), codec_errors("png"):
        Image.no_such_function()
    with pytest.raises(NameError), codec_errors("png"):
        no_such_name  # noqa: B018, F821
    with pytest.raises(MemoryError), codec_errors("png"):
        raise MemoryError
    with pytest.raises(PictureError, match="png: KeyError"), codec_errors("png"):
        {}["content"]


def test_jpeg_and_png_are_rendered_byte_for_byte() -> None:
    cmyk = saved(Image.fromarray(COLOUR).convert("CMYK"), "JPEG")
    for data, extension in ((cmyk, "jpg"), (encoded(GREY * 200, "PNG"), "png")):
        assert render(data, 0) == (data, extension)


def test_others_are_rendered_as_png_of_the_same_pixels_without_metadata() -> None:
    image = Image.fromarray(COLOUR)
    data, extension = render(saved(image, "TIFF", description="MARKER"), 0)
    assert extension == "png"
    assert np.array_equal(decode(data).pixels, COLOUR)
    kinds = [
        data[at - 4 : at] for at in range(12, len(data)) if data[at - 4 : at] in {b"tEXt", b"iCCP", b"pHYs", b"eXIf"}
    ]
    assert not kinds
    assert b"MARKER" not in data


def test_rendered_png_is_the_same_bytes_every_time() -> None:
    data = encoded(COLOUR, "TIFF")
    program = (
        "import sys; from sources.pictures import render;sys.stdout.buffer.write(render(sys.stdin.buffer.read(), 0)[0])"
    )
    again = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True).stdout
    assert again == render(data, 0)[0]


def test_deep_sources_are_rendered_with_8_bits_or_16() -> None:
    deep = (GREY * 16).astype(np.uint16)
    tiff = encoded(deep, "TIFF")
    assert np.array_equal(decode(render(tiff, 0, None, 16)[0]).pixels, deep)
    stretched = decode(render(tiff, 0, None, 8)[0]).pixels
    assert (stretched.dtype, stretched.min(), stretched.max()) == (np.uint8, 0, 255)


def test_a_deep_dicom_is_scaled_and_not_stretched() -> None:
    stored = np.full((10, 10), 1000, np.uint16)
    stored[0, 0] = 2000
    dicom = bytes_of(picture_of(stored, bits=12, WindowCenter=2048, WindowWidth=4096))
    assert set(eight_bits(decode(dicom)).ravel().tolist()) == {62, 125}


def test_looking_at_pictures_does_not_load_pydicom() -> None:
    program = "import sys, sources.pictures, sources.dicom; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, env=os.environ).returncode == 0
