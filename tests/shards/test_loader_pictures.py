import io
import random
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from shards.loader_pictures import decoded
from shards.loader_samples import SampleFault
from sources.pictures import decode, eight_bits


def encoded(mode: str, kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(3).integers(0, 255, (40, 56, 4), np.uint8)
    image = Image.fromarray(pixels, "RGBA").resize((112, 80))
    image = Image.fromarray(np.array(image)[:, :, 0].astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
CASES = {
    "colour": ("jpg", encoded("RGB", "JPEG")),
    "grey": ("jpg", encoded("L", "JPEG")),
    "four inks": ("jpg", encoded("CMYK", "JPEG")),
    "progressive": ("0.jpg", encoded("RGB", "JPEG", progressive=True)),
    "full colour": ("jpg", encoded("RGB", "JPEG", subsampling=0, quality=95)),
    "turned by exif": ("jpg", encoded("RGB", "JPEG", exif=TURNED)),
    "png": ("png", encoded("RGB", "PNG")),
    "transparent": ("1.png", encoded("RGBA", "PNG")),
    "palette": ("png", encoded("P", "PNG")),
    "sixteen bits": ("png", encoded("I;16", "PNG")),
}


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_those_that_were_measured(case: str) -> None:
    suffix, data = CASES[case]
    expected = eight_bits(decode(data))
    if expected.ndim == 2:
        expected = np.repeat(expected[:, :, None], 3, axis=2)
    pixels = decoded(suffix, memoryview(data))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (80, 112, 3))
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("case", CASES)
def test_a_picture_that_is_cut_off_does_not_decode(case: str) -> None:
    suffix, data = CASES[case]
    for size in (0, 1, 3, 20, len(data) // 2, len(data) - 200):
        with pytest.raises(SampleFault, match=f"^{suffix}: "):
            decoded(suffix, memoryview(data)[:size])


def test_a_flipped_bit_gives_pixels_of_that_size_or_a_fault() -> None:
    chance = random.Random(1)
    for _ in range(200):
        suffix, data = chance.choice(list(CASES.values()))
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with suppress(SampleFault):
            assert decoded(suffix, memoryview(bytes(damaged))).ndim == 3


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    data = bytearray(CASES["colour"][1])
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(SampleFault, match="65535 x 65535 pixels, more than"):
        decoded("jpg", memoryview(bytes(data)))
