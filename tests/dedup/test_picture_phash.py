import io

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from dedup.picture_phash import PerceptualHash, phashes_of
from filters.gallery import Gallery, Wanted
from sources.pictures import Limits
from tests.dedup.test_fingerprints import scene


def picture(seed: int, mode: str) -> Image.Image:
    channels = [cv2.resize(scene(seed + channel), (1100, 1300), interpolation=cv2.INTER_CUBIC) for channel in range(3)]
    return Image.fromarray(channels[0]) if mode == "L" else Image.fromarray(np.stack(channels, axis=-1))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("full_size", [True, False])
def test_the_column_is_imagehash_of_the_whole_file_whether_or_not_others_need_every_pixel(
    mode: str, form: str, full_size: bool
) -> None:
    files = {}
    for seed in range(3):
        buffer = io.BytesIO()
        picture(seed, mode).save(buffer, form)
        files[str(seed)] = buffer.getvalue()
    gallery = Gallery(Limits(), "unknown", full_size=full_size, measurers=[PerceptualHash()])
    gallery.visit([Wanted(name, "first") for name in files], files.__getitem__)
    for row, file in zip(gallery.images, files.values(), strict=True):
        assert row["phash"] == np.packbits(imagehash.phash(Image.open(io.BytesIO(file))).hash).tobytes()
        assert (row["pixel_hash"] is None) == (not full_size)


def test_hashes_are_read_back_as_they_were_written() -> None:
    import pyarrow as pa

    written = [bytes(range(8)), bytes(range(8, 16))]
    assert phashes_of(pa.chunked_array([written], pa.binary(8))).tolist() == [list(one) for one in written]
    assert phashes_of(pa.chunked_array([], pa.binary(8))).shape == (0, 8)
