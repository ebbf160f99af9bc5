import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sources.pictures.metadata import ContainerError, metadata_of, turned_as, without_metadata
from sources.pictures.png_stream import PixelStream
from tests.end_to_end.phi_corpora import _jpeg, _png

NAME = b"Featherstonehaugh"
PIXELS = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)


def saved(form: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> bytes:
    return np.asarray(Image.open(io.BytesIO(data))).tobytes()


def forms() -> list[bytes]:
    exif = Image.Exif()
    exif[0x010E] = NAME.decode()
    return [
        _jpeg(PIXELS), _png(PIXELS), saved("JPEG", progressive=True, exif=exif, comment=NAME),
        saved("JPEG", "CMYK", comment=NAME), saved("JPEG", "L", exif=exif, icc_profile=NAME), saved("PNG", "P"),
        saved("PNG", "L", exif=exif, icc_profile=NAME), saved("PNG", "RGBA"), saved("JPEG", dpi=(300, 300)) + NAME,
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(9))
def test_metadata_goes_and_every_pixel_stays(number: int) -> None:
    data = forms()[number]
    stripped = without_metadata(data)
    assert pixels(stripped) == pixels(data)
    assert Image.open(io.BytesIO(stripped)).mode == Image.open(io.BytesIO(data)).mode
    assert NAME not in stripped
    assert b"Quarrington" not in stripped
    assert metadata_of(stripped) == []
    assert without_metadata(stripped) == stripped
    assert len(stripped) <= len(data) + 4


def test_what_goes_is_told_by_kind_and_length_and_never_by_what_it_says() -> None:
    kinds = {one.kind for one in metadata_of(_jpeg(PIXELS))}
    assert kinds == {"exif", "xmp", "comment", "after_end"}
    assert {one.kind for one in metadata_of(_png(PIXELS))} == {"text", "private"}
    assert "Feather" not in repr(metadata_of(_jpeg(PIXELS)))


def test_a_turn_is_still_asked_for() -> None:
    assert Image.open(io.BytesIO(without_metadata(_jpeg(PIXELS)))).getexif() == {0x0112: 6}


def test_a_picture_that_is_stored_anew_asks_for_the_turn_of_its_file() -> None:
    anew = saved("PNG")
    turned = turned_as(anew, _jpeg(PIXELS))
    assert Image.open(io.BytesIO(turned)).getexif() == {0x0112: 6}
    assert pixels(turned) == pixels(anew)
    assert turned_as(turned, _png(PIXELS)) == turned
    assert turned_as(anew, saved("JPEG")) == anew
    assert turned_as(anew, b"\xff\xd8 no jpeg") == anew


def test_further_frames_of_an_animation_go_since_nobody_looks_at_them() -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    stripped = Image.open(io.BytesIO(without_metadata(buffer.getvalue())))
    assert getattr(stripped, "n_frames", 1) == 1
    assert np.asarray(stripped).tobytes() == PIXELS.tobytes()


def test_other_formats_are_left_as_they_are() -> None:
    data = saved("BMP")
    assert metadata_of(data) == []
    assert without_metadata(data) == data


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 8), st.integers(0, 4000), st.binary(max_size=6))
def test_damaged_files_are_refused_or_stripped_and_hardly_grow(number: int, place: int, noise: bytes) -> None:
    data = bytearray(forms()[number])
    place %= len(data)
    data[place : place + len(noise)] = noise
    try:
        stripped = without_metadata(bytes(data))
    except ContainerError:
        return
    assert len(stripped) <= len(data) + 4


@pytest.mark.parametrize("marker", [0x02, 0xBF, 0xC8, 0xF0, 0xF7, 0xFD, 0xFE, 0xE9])
def test_of_a_jpeg_only_what_decodes_it_is_kept(marker: int) -> None:
    plain = saved("JPEG")
    secret = b"Adaeze Okonkwo"
    held = plain[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(secret) + 2) + secret + plain[2:]
    assert [piece.length for piece in metadata_of(held)] == [len(secret)]
    assert without_metadata(held) == plain


def test_a_short_exif_block_is_told_and_nothing_of_it_stays_but_its_turn() -> None:
    plain = saved("JPEG")
    block = b"Exif\0\0" + b"II*\0" + struct.pack("<IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0x4142)
    held = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    assert [(piece.kind, piece.length) for piece in metadata_of(held)] == [("exif", len(block))]
    stripped = without_metadata(held)
    assert b"BA" not in stripped[: len(stripped) - len(plain) + 2]
    assert Image.open(io.BytesIO(stripped)).getexif()[0x0112] == 6
    assert metadata_of(stripped) == []
    assert len(stripped) <= len(held) + 4


def ends_with(data: bytes, words: bytes) -> bytes:
    """A JPEG whose end of image stands behind words, as if they were of its last scan."""
    assert data.endswith(b"\xff\xd9")
    return data[:-2] + words + b"\xff\xd9"


@pytest.mark.parametrize(
    "data",
    [
        ends_with(saved("JPEG"), b"Patient: " + NAME), ends_with(saved("JPEG", progressive=True), NAME + b"\0\0"),
        saved("JPEG")[:-2] + NAME, saved("JPEG")[:-2], saved("PNG")[:-12], saved("PNG")[:-12] + NAME,
    ],
)  # fmt: skip
def test_a_file_that_hides_words_behind_its_pixels_or_has_no_end_is_refused(data: bytes) -> None:
    for take_apart in (metadata_of, without_metadata):
        with pytest.raises(ContainerError):
            take_apart(data)


@pytest.mark.parametrize("behind", [b"\xff", b"\xff\xd0", b"\xff\0", b"\xff\0" * 40, b"\x01", b"\x93\xff\0\x02"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_long_line_of_words_is_seen_whatever_stands_behind_it(behind: bytes, progressive: bool) -> None:
    held = ends_with(saved("JPEG", progressive=progressive), b"JANE DOE MRN 1234567" + behind)
    with pytest.raises(ContainerError, match="words"):
        metadata_of(held)


@pytest.mark.parametrize("behind", [b"\xff", b"\xff\xd0", b"\xff\0\0"])
def test_a_short_word_is_seen_before_fill_bytes(behind: bytes) -> None:
    with pytest.raises(ContainerError, match="behind"):
        metadata_of(ends_with(saved("JPEG"), b"\x80Jane Doe" + behind))


def test_an_earlier_scan_may_end_in_a_short_word_by_chance_and_not_in_a_long_one() -> None:
    plain = saved("JPEG", progressive=True)
    first = plain.index(b"\xff\xda")
    end = next(
        at for at in range(first + 12, len(plain)) if plain[at] == 0xFF and plain[at + 1] not in {0, *range(0xD0, 0xD8)}
    )
    assert plain.count(b"\xff\xda", end)
    assert metadata_of(plain[:end] + b"\x80Jane Doe" + plain[end:]) == []
    with pytest.raises(ContainerError, match="words"):
        metadata_of(plain[:end] + b"JANE DOE MRN 1234567" + plain[end:])


def test_an_even_ground_is_no_word() -> None:
    assert metadata_of(ends_with(saved("JPEG"), b"U" * 40)) == metadata_of(ends_with(saved("JPEG"), b"UI" * 20)) == []


def chunk(kind: bytes, value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + kind + value + struct.pack(">I", zlib.crc32(kind + value))


@pytest.mark.parametrize("kind", [b"pHYs", b"bKGD", b"hIST", b"sBIT", b"gAMA", b"cHRM", b"sRGB"])
def test_numbers_of_a_png_that_are_longer_than_they_may_be_go(kind: bytes) -> None:
    plain = saved("PNG")
    secret = NAME * 31
    held = plain[:33] + chunk(kind, secret) + plain[33:]
    assert [(one.kind, one.length) for one in metadata_of(held)] == [("private", len(secret))]
    assert without_metadata(held) == plain
    right = plain[:33] + chunk(b"pHYs", bytes(9)) + plain[33:]
    assert without_metadata(right) == right


def test_what_the_end_of_a_png_holds_goes() -> None:
    plain = saved("PNG")
    held = plain[:-12] + chunk(b"IEND", NAME)
    assert [(one.kind, one.length) for one in metadata_of(held)] == [("private", len(NAME))]
    assert without_metadata(held) == plain


@pytest.mark.parametrize("hidden", ["behind the stream", "in a chunk of its own", "in the stream"])
def test_a_png_that_holds_more_than_its_pixels_is_refused(hidden: str) -> None:
    plain = saved("PNG")
    rows = zlib.decompress(b"".join(_idat(plain)))
    stream = zlib.compress(rows + NAME * (hidden == "in the stream"))
    held = chunk(b"IDAT", stream + NAME * (hidden == "behind the stream"))
    held += chunk(b"IDAT", NAME) * (hidden == "in a chunk of its own")
    with pytest.raises(ContainerError, match="behind the pixels"):
        metadata_of(plain[:33] + held + plain[-12:])
    assert metadata_of(plain[:33] + chunk(b"IDAT", zlib.compress(rows)) + plain[-12:]) == []


def _idat(png: bytes) -> list[bytes]:
    found, place = [], 8
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        found += [png[place + 8 : place + 8 + length]] if kind == b"IDAT" else []
        place += length + 12
    return found


def test_a_stream_is_looked_at_from_piece_to_piece_whatever_their_lengths() -> None:
    rows = b"".join(b"\0" + np.random.default_rng(row).bytes(600) for row in range(400))
    header = struct.pack(">IIBBBBB", 200, 400, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows)
    assert len(packed) > 3 * 65536
    for length in (len(packed), 65536, 65537, 1000):
        stream = PixelStream(header)
        assert all(stream.holds(packed[at : at + length]) for at in range(0, len(packed), length))
        assert stream._left == 0
        assert not PixelStream(header).holds(packed + bytes(2 * 65536))
        assert not PixelStream(header).holds(zlib.compress(rows + NAME))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 17)])
def test_pixels_of_every_kind_fill_their_stream(mode: str, size: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    data = buffer.getvalue()
    assert metadata_of(data) == []
    stream = PixelStream(data[16:29])
    assert stream.holds(b"".join(_idat(data)))
    assert stream._left == 0


def test_rows_of_an_interlaced_png_are_counted() -> None:
    stream = PixelStream(struct.pack(">IIBBBBB", 3, 5, 8, 2, 0, 0, 1))
    passes = [(1, 1), (1, 1), (1, 2), (2, 1), (1, 3), (3, 2)]  # columns and rows, by hand; the second pass has none
    assert stream._left == sum(rows * (1 + 3 * columns) for columns, rows in passes)
