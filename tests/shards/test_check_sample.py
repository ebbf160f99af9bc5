import errno
import io
import struct
import zlib

import pytest
from PIL import Image

from shards.check_sample import MAX_MEMBERS, WINDOW_BYTES, PictureError, PictureRules, SampleCheck, picture_size
from shards.samples import json_bytes
from shards.tar_reader import Member
from tests.shards.conftest import key_of, picture_bytes, sample_of

RULES = PictureRules(decode=True, max_pixels=1000)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and ends before its pixels."""
    size = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + size + struct.pack(">I", zlib.crc32(size))
    return head + struct.pack(">I", 1000) + b"IDAT"


def faults_of(members: list[tuple[str, bytes]]) -> list[str]:
    check = SampleCheck(key_of(1), RULES)
    for suffix, data in members:
        check.add(suffix, Member(f"{key_of(1)}.{suffix}", 0, len(data), data), io.BytesIO())
    return check.finish()


@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_a_picture_has_the_size_it_decodes_to(extension: str) -> None:
    assert picture_size(io.BytesIO(picture_bytes(extension, 1, (31, 7))), extension, RULES) == (31, 7)


def test_a_sixteen_bit_png_decodes() -> None:
    file = io.BytesIO()
    Image.new("I;16", (5, 4), 40_000).save(file, "PNG")
    assert picture_size(file, "png", RULES) == (5, 4)


def test_a_jpeg_of_two_pictures_decodes_as_a_jpeg() -> None:
    file = io.BytesIO()
    pictures = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    pictures[0].save(file, "MPO", save_all=True, append_images=pictures[1:])
    assert Image.open(io.BytesIO(file.getvalue())).format == "MPO"
    assert picture_size(file, "jpg", RULES) == (5, 4)


@pytest.mark.parametrize(
    ("data", "extension"),
    [
        (b"", "png"),
        (b"no picture", "jpg"),
        (picture_bytes("png", 1)[:-30], "png"),
        (picture_bytes("jpg", 1)[:200], "jpg"),
        (picture_bytes("jpg", 1), "png"),
        (picture_bytes("png", 1), "jpg"),
    ],
)
def test_what_does_not_decode_as_its_name_says_is_an_error(data: bytes, extension: str) -> None:
    with pytest.raises(PictureError, match="does not decode as "):
        picture_size(io.BytesIO(data), extension, RULES)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(PictureError, match="60000 x 60000 pixels, more than 200000000"):
        picture_size(io.BytesIO(png_header(60_000, 60_000)), "png", PictureRules(decode=True, max_pixels=200_000_000))
    assert limit == Image.MAX_IMAGE_PIXELS


def test_without_decoding_only_the_header_is_read() -> None:
    rules = PictureRules(decode=False, max_pixels=1000)
    assert picture_size(io.BytesIO(png_header(9, 8)), "png", rules) == (9, 8)
    with pytest.raises(PictureError, match="does not open"):
        picture_size(io.BytesIO(b"no picture"), "png", rules)


def test_a_sample_as_it_is_written_has_no_fault() -> None:
    sample = sample_of(1, "png", "jpg")
    assert faults_of([("json", json_bytes(sample.json)), *sample.members]) == []


class Failing(io.BytesIO):
    """A disk or a server that fails from one place on."""

    def __init__(self, data: bytes, good: int) -> None:
        super().__init__(data)
        self.good = good

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() + (size or 0) > self.good:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("extension", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_file_that_fails_inside_a_picture_is_no_damage_of_it(extension: str, share: float) -> None:
    file = io.BytesIO()
    Image.effect_noise((1000, 900), 100).save(file, {"png": "PNG", "jpg": "JPEG"}[extension], quality=100)
    data = file.getvalue()
    assert len(data) > 2 * WINDOW_BYTES
    check = SampleCheck(key_of(1), PictureRules(decode=True, max_pixels=10**6))
    member = Member(f"{key_of(1)}.{extension}", 0, len(data), None)
    with pytest.raises(OSError, match="Input/output error"):
        check.add(extension, member, Failing(data, int(share * len(data))))
    check.add(extension, member, io.BytesIO(data))
    assert check.sizes == {extension: (1000, 900)}


def test_a_picture_turned_by_exif_may_be_listed_either_way() -> None:
    sample = sample_of(1, "png")
    sample.json["images"][0] |= {"width": 9, "height": 12}
    assert faults_of([("json", json_bytes(sample.json)), *sample.members]) == []


def test_members_without_end_are_counted_to_a_limit() -> None:
    sample = sample_of(1)
    faults = faults_of([("json", json_bytes(sample.json))] + [("png", b"")] * (MAX_MEMBERS + 1000))
    assert f"sample {key_of(1)}: more than {MAX_MEMBERS} members; the others were not checked" in faults
    assert len(faults) <= 2 * MAX_MEMBERS
